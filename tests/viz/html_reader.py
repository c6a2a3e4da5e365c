"""A reader of the pages: text, tags, attributes, scripts and styles."""

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "img"}


class Reader(HTMLParser):
    """The text of each token paragraph, what scripts and styles hold, every tag and attribute."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.scripts, self.styles, self.attributes, self.tags = [], [], [], [], []
        self.text, self.open, self.inside = "", [], None
        self.feed(html)
        self.close()
        assert self.open == []  # every element is closed

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "p" and ("class", "tokens") in attrs:
            self.paragraphs.append("")
            self.inside = self.paragraphs
        elif tag in ("script", "style"):
            contents = self.scripts if tag == "script" else self.styles
            contents.append("")
            self.inside = contents

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("p", "script", "style"):
            self.inside = None

    def handle_data(self, data):
        if self.inside is not None:
            self.inside[-1] += data
        if self.inside is not self.scripts and self.inside is not self.styles:
            self.text += data

    def marks(self):
        return [attrs for tag, attrs in self.tags if tag == "span" and "data-n" in attrs]
