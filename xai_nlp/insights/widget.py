"""`Insights`: explanations in a notebook, computed anew when a reader chooses another method or other examples."""

from __future__ import annotations

import uuid
from typing import Any

from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.insights.frontend import module, sheet
from xai_nlp.insights.settings import FAILURES, Source, answer, told
from xai_nlp.viz.page.html import fragment, markup

try:
    import anywidget
    from traitlets import Bool, Dict, Unicode
except ImportError as error:
    raise Unsupported(f"the notebook's widget needs {error.name}: pip install 'xai-nlp[notebook]'.") from None


class Insights(anywidget.AnyWidget):
    """Models and their data, explained: choose method, target and examples, and see the explanations change.

    models: explainers, names or folders that `xai_nlp.load` takes, one or a list; with `data`, examples: texts, pairs,
    mappings with text, question, context or image, and label or answer where it is known; or a file of them, a pandas
    frame, a `datasets.Dataset`. Or an
    `AttributionVisualizer` alone, for models of any kind. examples: how many are shown at once.
    Where no kernel runs (nbviewer, an export, a notebook sent to somebody), what was drawn last stays readable.

    >>> shown = Insights("sentiment", [{"text": "a gripping film", "label": "POSITIVE"}, "a dull mess"])
    >>> [why.prediction for why in shown.explanations]
    ['POSITIVE', 'NEGATIVE']
    """

    _esm = module()
    _css = sheet()

    choices = Dict().tag(sync=True)
    asked = Dict().tag(sync=True)  # what the form asks for: settings, and "more" for other examples
    settings = Dict().tag(sync=True)
    html = Unicode().tag(sync=True)
    key = Unicode().tag(sync=True)  # of the HTML that is kept for where no kernel runs
    busy = Bool(False).tag(sync=True)
    problem = Unicode().tag(sync=True)

    def __init__(self, models: Any, data: Any = None, *, examples: int = 4) -> None:
        self.source = _source(models, data, examples)
        self.explanations = self.source.fetch()
        self._handle: Any = None
        shown = dict(choices=self.source.choices(), settings=told(self.source), html=markup(self.explanations))
        super().__init__(**shown, key=uuid.uuid4().hex)
        self.observe(self._answer, "asked")

    def _answer(self, change: Any) -> None:
        """Explain anew; what goes wrong is told in the widget, which keeps what it showed."""
        if not change["new"]:
            return
        self.busy = True
        try:
            self.explanations = answer(self.source, change["new"])
            self.settings, self.html, self.problem = told(self.source), markup(self.explanations), ""
            self._keep()
        except FAILURES as error:
            self.problem = str(error) or type(error).__name__
        finally:
            self.busy = False

    # Where it is shown ------------------------------------------------------------------------------------------------

    def kept(self) -> str:
        """What is drawn as HTML of its own, hidden where the widget runs."""
        return f'<div data-xai-nlp-kept="{self.key}">{fragment(self.explanations)}</div>'

    def _ipython_display_(self) -> None:
        """Twice: as HTML, which stays in the saved notebook, and as the widget, which hides it where it runs."""
        from IPython.display import display

        # The widget's bundle first asks for a kernel; where there is none, the HTML is what is seen.
        self._handle = display({"text/html": self.kept(), "text/plain": repr(self)}, raw=True, display_id=True)
        display(self._repr_mimebundle_()[0], raw=True)  # type: ignore[index]

    def _keep(self) -> None:
        if self._handle is not None:
            self._handle.update({"text/html": self.kept(), "text/plain": repr(self)}, raw=True)

    def __repr__(self) -> str:
        return f"<Insights: {len(self.explanations)} explanations, {self.source.settings.method}>"


def _source(models: Any, data: Any, examples: int) -> Source:
    from xai_nlp.insights.visualizer import AttributionVisualizer

    if isinstance(models, AttributionVisualizer):
        if data is not None:
            raise InvalidInput("an AttributionVisualizer has its data set already; leave `data` out.")
        return models
    if data is None:
        raise InvalidInput("Insights(models, data) needs data: texts, pairs, or mappings such as {'text': …}.")
    from xai_nlp.insights.explainer_source import ExplainerSource

    return ExplainerSource(models, data, examples)
