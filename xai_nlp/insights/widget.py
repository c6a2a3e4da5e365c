"""`Insights`: explanations in a notebook, computed anew when a reader chooses another method or other examples."""

from __future__ import annotations

import uuid
from typing import Any

from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.insights.explainer_source import ExplainerSource
from xai_nlp.insights.frontend import module, style_sheet
from xai_nlp.insights.source import FAILURES, Source
from xai_nlp.viz.page.html import fragment, markup

try:
    import anywidget
    from traitlets import Bool, Dict, Unicode
except ImportError as error:
    raise Unsupported(
        f"the notebook's widget needs {error.name}: pip install '.[notebook]' in the repository."
    ) from None


class Insights(anywidget.AnyWidget):
    """Models and their data, explained: choose method, target and examples, and see the explanations change.

    models: explainers, names or folders that `xai_nlp.load` takes, one or a list; or an `AttributionVisualizer` alone,
        for models of any kind.
    data: examples, as `read_table` takes them: texts, pairs, mappings with the inputs of the task, and label or answer
        where it is known; a file of them, a pandas frame, a `datasets.Dataset`.
    examples: how many are shown at once.
    Where no kernel runs (nbviewer, an export, a saved notebook), the last explanations stay readable.

    >>> shown = Insights("sentiment", [{"text": "a gripping film", "label": "POSITIVE"}, "a dull mess"])
    >>> [why.prediction for why in shown.explanations]
    ['POSITIVE', 'NEGATIVE']
    """

    _esm = module()
    _css = style_sheet()

    choices = Dict().tag(sync=True)
    request = Dict().tag(sync=True)  # of the form: settings, and "more" for other examples
    settings = Dict().tag(sync=True)
    html = Unicode().tag(sync=True)
    key = Unicode().tag(sync=True)  # of the static HTML, for readers without a kernel
    busy = Bool(False).tag(sync=True)
    problem = Unicode().tag(sync=True)

    def __init__(self, models: Any, data: Any = None, *, examples: int = 4) -> None:
        self.source = source_of(models, data, examples)
        self.explanations = self.source.fetch()
        self._display: Any = None
        super().__init__(
            choices=self.source.choices(),
            settings=self.source.settings.to_dict(),
            html=markup(self.explanations),
            key=uuid.uuid4().hex,
        )
        self.observe(self._answer, "request")

    def serve(self, *, port: int | None = None, blocking: bool = False, bind_all: bool = False) -> int:
        """Show the same on a page of its own, print its address, and return its port.

        port: a free one by default. blocking: return only when it is interrupted. bind_all: for other machines too.
        Raises Unsupported without the libraries of the web page.
        """
        from xai_nlp.insights.page import serve

        return serve(self.source, port=port, blocking=blocking, bind_all=bind_all)

    def _answer(self, change: Any) -> None:
        """Explain anew; the widget reports an error, and keeps its explanations."""
        if not change["new"]:
            return
        self.busy = True
        try:
            self.explanations = self.source.answer(change["new"])
            self.settings, self.html = self.source.settings.to_dict(), markup(self.explanations)
            self.problem = ""
            if self._display is not None:
                self._display.update(self._static_bundle(), raw=True)
        except FAILURES as error:
            self.problem = str(error) or type(error).__name__
        finally:
            self.busy = False

    def static_html(self) -> str:
        """The explanations as HTML of their own, which is hidden where the widget runs."""
        return f'<div data-xai-nlp-static="{self.key}">{fragment(self.explanations)}</div>'

    def _static_bundle(self) -> dict[str, str]:
        return {"text/html": self.static_html(), "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        """Display twice: as HTML, which stays in the saved notebook, and as the widget, which hides the HTML."""
        from IPython.display import display

        # The widget's bundle first looks for a kernel; the HTML is shown where there is none.
        self._display = display(self._static_bundle(), raw=True, display_id=True)
        display(self._repr_mimebundle_()[0], raw=True)  # type: ignore[index]

    def __repr__(self) -> str:
        return f"<Insights: {len(self.explanations)} explanations, {self.source.settings.method}>"


def source_of(models: Any, data: Any, examples: int) -> Source[Any]:
    """The source of models and data. Raises InvalidInput if the data is missing, or named twice."""
    if isinstance(models, Source):
        if data is not None:
            raise InvalidInput("an AttributionVisualizer has its data set already; leave `data` out.")
        return models
    if data is None:
        raise InvalidInput("Insights(models, data) needs data: texts, pairs, or mappings such as {'text': …}.")
    return ExplainerSource(models, data, examples)
