"""An overview that is made up, with every kind of table, for tests of pages and figures."""

from tests.viz.samples import HOSTILE, made
from xai_nlp.core.overview import Overview, OverviewColumn, OverviewSection, OverviewTable

NUMBERS = (
    OverviewColumn("mean score", "score"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("over all texts", "score", in_page=False),
    OverviewColumn("q", "q"),
    OverviewColumn("rows", "rows"),
)


def words(count=120, labels=("POSITIVE", "NEGATIVE")):
    lines = [
        (label, f"word{n}", 2.0 - n / 40, (1.5 - n / 40, 2.5 - n / 40), 1000 - n, 0.125, n / 1000, (n % 5, n + 50))
        for label in labels
        for n in range(count)
    ]
    columns = (OverviewColumn("label"), OverviewColumn("word"), *NUMBERS)
    return OverviewTable(name="lexicon", title="Words", columns=columns, lines=tuple(lines), by="label", unit="logit")


def heads():
    columns = (OverviewColumn("layer"), OverviewColumn("head"), OverviewColumn("size", "number"))
    lines = tuple((f"layer {k}", f"head {h}", (k + 1) * (h + 1) / 10) for k in range(3) for h in range(4))
    return OverviewTable(name="heads", title="Heads", columns=columns, lines=lines, layout="heat")


def shares():
    columns = (
        OverviewColumn("column"),
        OverviewColumn("value"),
        OverviewColumn("mean", "share"),
        OverviewColumn("interval", "interval"),
        OverviewColumn("against the rest", "difference"),
        OverviewColumn("interval of the difference", "interval"),
    )
    lines = (("genre", "drama", 0.75, (0.5, 0.9), -0.125, (-0.25, 0.0)), ("genre", "<b>", 1.0, None, None, None))
    return OverviewTable(name="slices", title="Right answers", columns=columns, lines=lines, by="column")


def matrix():
    columns = (OverviewColumn("right label"), OverviewColumn("texts", "count"), OverviewColumn("share", "share"))
    return OverviewTable(
        name="confusion", title="Confusion", columns=columns, lines=(("A", 12345, 0.5),), layout="table"
    )


def overview(tables=None, examples=None, **more):
    tables = (words(), heads(), shares(), matrix()) if tables is None else tables
    sections = tuple(map(section, tables))
    if examples is None:
        examples = {row: (made(f"a fine film {row}"),) for row in range(5)} | {5: (made(HOSTILE["markup"]),)}
    filled = {
        "title": "What zoo/sentiment relies on",
        "about": {"model": ("zoo/sentiment",)},
        "facts": (("10,000", "texts"),),
        "sections": sections,
        "examples": examples,
        "places": {60: ("rows-00000000-00000512.parquet", 9)},
    }
    return Overview(**{**filled, **more})


def section(table):
    headline = "The model says POSITIVE for words such as “fine”." if table.name == "lexicon" else ""
    sentence = f"About {table.name}."
    return OverviewSection(
        name=f"s-{table.name}",
        title=table.title,
        sentence=sentence,
        note="Counted.",
        tables=(table,),
        headline=headline,
    )
