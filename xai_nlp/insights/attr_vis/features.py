"""Where Captum has them: `from xai_nlp.insights.attr_vis.features import ImageFeature`."""

from xai_nlp.insights.features import (
    BaseFeature,
    EmptyFeature,
    FeatureOutput,
    GeneralFeature,
    ImageFeature,
    TextFeature,
)

__all__ = ["BaseFeature", "EmptyFeature", "FeatureOutput", "GeneralFeature", "ImageFeature", "TextFeature"]
