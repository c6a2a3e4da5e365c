"""Models and their data explained in a notebook: `Insights`, and Captum Insights' names for models of any kind."""

from typing import TYPE_CHECKING, Any

from xai_nlp.insights.calculation import Batch
from xai_nlp.insights.features import (
    BaseFeature,
    EmptyFeature,
    FeatureOutput,
    GeneralFeature,
    ImageFeature,
    TextFeature,
)
from xai_nlp.insights.visualizer import AttributionVisualizer, VisualizationOutput

if TYPE_CHECKING:
    from xai_nlp.insights.widget import Insights

__all__ = [
    "AttributionVisualizer",
    "BaseFeature",
    "Batch",
    "EmptyFeature",
    "FeatureOutput",
    "GeneralFeature",
    "ImageFeature",
    "Insights",
    "TextFeature",
    "VisualizationOutput",
]


def __getattr__(name: str) -> Any:
    """The widget needs anywidget, the rest does not."""
    if name != "Insights":
        raise AttributeError(f"module 'xai_nlp.insights' has no attribute {name!r}")
    from xai_nlp.insights.widget import Insights

    return Insights
