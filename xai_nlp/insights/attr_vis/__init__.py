"""Where Captum has them: `from xai_nlp.insights.attr_vis import AttributionVisualizer, Batch`."""

from xai_nlp.insights.calculation import Batch
from xai_nlp.insights.visualizer import AttributionVisualizer

__all__ = ["AttributionVisualizer", "Batch"]
