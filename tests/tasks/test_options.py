"""The options of a call: checked before the model runs."""

import pytest

from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "integrated_gradient"}, UnknownName, "Did you mean 'integrated_gradients'"),
        ({"target": "POSITVE"}, UnknownName, "Did you mean 'POSITIVE'"),
        ({"target": 2}, UnknownName, "label index"),
        ({"target": "POSITIVE-POSITIVE"}, InvalidInput, "itself"),
        ({"baseline": "padd"}, UnknownName, "Did you mean 'pad'"),
        ({"layer": 7}, UnknownName, "layer 7"),
        ({"unit": "logits"}, UnknownName, "Did you mean 'logit'"),
        ({"step": 3}, UnknownName, "Did you mean 'steps'"),
        ({"steps": 0}, InvalidInput, "steps"),
        ({"steps": "Auto"}, InvalidInput, "steps"),
        ({"rule": "simpson", "steps": 4}, UnknownName, "quadrature rule"),
        ({"tolerance": -1}, InvalidInput, "tolerance"),
        ({"rows": 0}, InvalidInput, "rows"),
        ({"long": "cut"}, UnknownName, "windows"),
    ],
)
def test_mistakes_are_told_early(sentiment, options, error, said):
    before = fingerprint(sentiment.model)
    with pytest.raises(error, match=said):
        sentiment.explain("a film", **options)
    assert fingerprint(sentiment.model) == before
