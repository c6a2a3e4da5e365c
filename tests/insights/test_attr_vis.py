"""Captum Insights' names stand where Captum has them."""

import pytest


def test_the_names_are_where_captum_has_them():
    from xai_nlp import insights
    from xai_nlp.insights.attr_vis import AttributionVisualizer as same
    from xai_nlp.insights.attr_vis import features

    assert same is insights.AttributionVisualizer
    for name in ("ImageFeature", "TextFeature", "GeneralFeature", "EmptyFeature", "BaseFeature", "FeatureOutput"):
        assert getattr(features, name) is getattr(insights, name)
    for name in insights.__all__:
        assert getattr(insights, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = insights.nothing
