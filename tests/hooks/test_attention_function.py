"""Attention by way of its probabilities equals torch's own, with masks, shared keys, sinks, caps and biases."""

import pytest
import torch
from torch import nn

from xai_nlp.errors import Unsupported
from xai_nlp.hooks.attention_function import REFUSED, by_probabilities

B, H, Q, K, D = 2, 4, 3, 5, 8


def tensors(heads=H):
    generator = torch.manual_seed(0)
    sizes = ((B, H, Q, D), (B, heads, K, D), (B, heads, K, D))
    return [torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes]


@pytest.mark.parametrize("heads", [H, 2, 1])
@pytest.mark.parametrize("mask", ["boolean", "added", None])
def test_output_and_probabilities_equal_torchs_attention(heads, mask):
    query, key, value = tensors(heads)
    allowed = torch.ones(B, 1, Q, K, dtype=torch.bool)
    allowed[1, ..., 3:] = False
    masks = {"boolean": allowed, "added": torch.zeros(allowed.shape).double().masked_fill(~allowed, float("-inf"))}
    output, probabilities = by_probabilities((), "eager", nn.Identity(), query, key, value, masks.get(mask))
    expected = nn.functional.scaled_dot_product_attention(
        query, *(t.repeat_interleave(H // heads, 1) for t in (key, value)), attn_mask=masks.get(mask)
    )
    torch.testing.assert_close(output, expected.transpose(1, 2))
    assert probabilities.shape == (B, H, Q, K)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(B, H, Q).double())
    assert probabilities[1, ..., 3:].eq(0).all() == (mask is not None)


def test_visitors_follow_each_other_and_their_matrix_is_used():
    query, key, value = tensors()
    shapes = []

    def note(module, probabilities):
        shapes.append(probabilities.shape)
        return probabilities

    visitors = (lambda module, probabilities: torch.full_like(probabilities, 0.5), note)
    output, probabilities = by_probabilities(visitors, "eager", nn.Identity(), query, key, value, None)
    assert shapes == [(B, H, Q, K)] and probabilities.eq(0.5).all()
    torch.testing.assert_close(output, (value.sum(2, keepdim=True) / 2).expand(B, H, Q, D).transpose(1, 2))


def test_caps_biases_and_sinks_by_hand():
    query, key, value = tensors()
    scores = query @ key.mT * 0.3
    bias, sinks = torch.randn(H, Q, K).double(), torch.randn(H).double()
    options = {"scaling": 0.3, "softcap": 0.7, "position_bias": bias, "s_aux": sinks}
    _, probabilities = by_probabilities((), "eager", nn.Identity(), query, key, value, None, **options)
    weights = (torch.tanh(scores / 0.7) * 0.7 + bias).exp()
    expected = weights / (weights.sum(-1, keepdim=True) + sinks.exp().view(H, 1, 1))
    torch.testing.assert_close(probabilities, expected)


@pytest.mark.parametrize("name", REFUSED)
def test_every_refused_option_is_named(name):
    with pytest.raises(Unsupported, match=f"Identity asks for {REFUSED[name]}, whose probabilities cannot be replaced"):
        by_probabilities((), "sdpa", nn.Identity(), *tensors(), None, **{name: torch.tensor([0, 2])})


def test_requests_that_have_no_probabilities_are_refused():
    q = torch.ones(1, 1, 2, 4)
    with pytest.raises(Unsupported, match="packed sequences"):
        by_probabilities((), "sdpa", nn.Identity(), q, q, q, None, cu_seq_lens_q=torch.tensor([0, 2]))


@torch.no_grad()
def test_without_a_mask_sdpa_is_causal_where_the_module_is_and_eager_is_not():
    module, q = nn.Identity(), torch.randn(1, 1, 3, 4, generator=torch.manual_seed(0))
    module.is_causal = True
    _, causal = by_probabilities((), "sdpa", module, q, q, q, None)
    _, full = by_probabilities((), "eager", module, q, q, q, None)
    assert (causal[0, 0].triu(1) == 0).all()
    assert (full > 0).all()
    expected = nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    torch.testing.assert_close(causal @ q, expected)
