"""Results for language models: their shapes, and plots against Captum's."""

from functools import partial

import pytest
import torch

import xai_nlp.attr as ours
from tests.attr.llm_cases import BOTH, alike

GIVEN = {
    "input_tokens": ["not", "bad\n", "at all " * 12],
    "output_tokens": ["ok", " so"],
    "seq_attr": [2.0, -1.0, 0.25],
    "token_attr": [[1.0, -0.5, 0.5], [1.0, -0.5, -0.25]],
    "output_probs": [0.5, 0.25],
}


@pytest.mark.parametrize("plot", ["plot_token_attr", "plot_seq_attr"])
def test_plots_are_captums(plot):
    reference, own = (getattr(lib.LLMAttributionResult(**GIVEN), plot)()[1] for lib in BOTH)
    alike(own, reference)


def test_plots_are_shown(monkeypatch):
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    result = ours.LLMAttributionResult(**GIVEN)
    assert result.plot_token_attr(show=True) is None and result.plot_seq_attr(True) is None
    assert len(shown) == 2
    plt.close("all")


@pytest.mark.parametrize("lib", BOTH)
def test_a_result_checks_its_shapes(lib):
    make = partial(lib.LLMAttributionResult)
    result = make(**GIVEN)
    assert result.seq_attr_dict == dict(zip(GIVEN["input_tokens"], GIVEN["seq_attr"], strict=True))
    assert result.token_attr.shape == (2, 3) and result.output_probs.tolist() == [0.5, 0.25]
    for wrong in (
        {"seq_attr": [1.0]},
        {"seq_attr": [[1.0, 2.0, 3.0]]},
        {"token_attr": [[1.0, 2.0, 3.0]]},
        {"output_probs": [1.0]},
    ):
        with pytest.raises(AssertionError):
            make(**{**GIVEN, **wrong})
    with pytest.raises(AssertionError):
        result.seq_attr = torch.zeros(2)
    result.token_attr = None
    with pytest.raises(ValueError, match="plot_seq_attr"):
        result.plot_token_attr()
    with pytest.raises(ValueError, match="ImageMaskInput"):
        result.plot_image_heatmap()
