"""See what a HuggingFace model did with a text: `xai_nlp.explain("a gripping film")`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xai_nlp._version import __version__

if TYPE_CHECKING:
    from xai_nlp import hooks, viz
    from xai_nlp.core.explanations import Explanations
    from xai_nlp.core.result import Explanation
    from xai_nlp.insights.widget import Insights
    from xai_nlp.models.points import points
    from xai_nlp.runs.execute import run
    from xai_nlp.runs.read import Run, read_run
    from xai_nlp.tasks.api import explain, load
    from xai_nlp.tasks.concepts import ConceptScores, concepts
    from xai_nlp.tasks.explainer import Explainer
    from xai_nlp.tasks.table import register_task

_HOME = {
    "ConceptScores": "xai_nlp.tasks.concepts",
    "Explainer": "xai_nlp.tasks.explainer",
    "Explanation": "xai_nlp.core.result",
    "Explanations": "xai_nlp.core.explanations",
    "Insights": "xai_nlp.insights.widget",
    "Run": "xai_nlp.runs.read",
    "concepts": "xai_nlp.tasks.concepts",
    "explain": "xai_nlp.tasks.api",
    "load": "xai_nlp.tasks.api",
    "points": "xai_nlp.models.points",
    "read_run": "xai_nlp.runs.read",
    "register_task": "xai_nlp.tasks.table",
    "run": "xai_nlp.runs.execute",
}
_PACKAGES = ("attr", "hooks", "viz")  # imported when they are first named
__all__ = [
    "ConceptScores",
    "Explainer",
    "Explanation",
    "Explanations",
    "Insights",
    "Run",
    "__version__",
    "concepts",
    "explain",
    "hooks",
    "load",
    "points",
    "read_run",
    "register_task",
    "run",
    "viz",
]


def __getattr__(name: str) -> Any:
    """Fetched on first use, so that `import xai_nlp` costs nothing (no torch)."""
    if name in _PACKAGES:
        return import_module(f"xai_nlp.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'xai_nlp' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
