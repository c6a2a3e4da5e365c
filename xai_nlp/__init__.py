"""See what a HuggingFace model did with a text: `xai_nlp.explain("a gripping film")`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xai_nlp._version import __version__

if TYPE_CHECKING:
    from xai_nlp import hooks, viz
    from xai_nlp.core.diagnosis import Diagnosis
    from xai_nlp.core.explanations import Explanations
    from xai_nlp.core.method_comparison import MethodComparison
    from xai_nlp.core.model_diff import ModelDiff
    from xai_nlp.core.result import Explanation
    from xai_nlp.insights.widget import Insights
    from xai_nlp.models.points import points
    from xai_nlp.runs.execute import run
    from xai_nlp.runs.model_diff import diff
    from xai_nlp.runs.read import Run, read_run
    from xai_nlp.tasks.api import explain, load
    from xai_nlp.tasks.concepts import ConceptScores, concepts
    from xai_nlp.tasks.doctor import doctor
    from xai_nlp.tasks.explainer import Explainer
    from xai_nlp.tasks.method_comparison import compare_methods
    from xai_nlp.tasks.table import register_task

_HOME = {
    "ConceptScores": "xai_nlp.tasks.concepts",
    "Diagnosis": "xai_nlp.core.diagnosis",
    "Explainer": "xai_nlp.tasks.explainer",
    "Explanation": "xai_nlp.core.result",
    "Explanations": "xai_nlp.core.explanations",
    "Insights": "xai_nlp.insights.widget",
    "MethodComparison": "xai_nlp.core.method_comparison",
    "ModelDiff": "xai_nlp.core.model_diff",
    "Run": "xai_nlp.runs.read",
    "compare_methods": "xai_nlp.tasks.method_comparison",
    "concepts": "xai_nlp.tasks.concepts",
    "diff": "xai_nlp.runs.model_diff",
    "doctor": "xai_nlp.tasks.doctor",
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
    "Diagnosis",
    "Explainer",
    "Explanation",
    "Explanations",
    "Insights",
    "MethodComparison",
    "ModelDiff",
    "Run",
    "__version__",
    "compare_methods",
    "concepts",
    "diff",
    "doctor",
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
