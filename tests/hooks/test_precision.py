"""Products of fewer digits: which processors have them, and what is put back."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.precision import check_precision, fast_precisions, products_in

CPU = torch.device("cpu")


def settings():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("set_before", ["highest", "high"])
@pytest.mark.parametrize("precision", [None, "float32", "bf16"])
def test_settings_are_put_back_also_after_an_error(precision, set_before):
    torch.set_float32_matmul_precision(set_before)
    try:
        before = settings()
        with suppress(ZeroDivisionError), products_in(precision, CPU):
            inside = settings()
            raise ZeroDivisionError
        assert settings() == before
        expected = {None: before, "float32": ("highest", False, False), "bf16": (*before[:2], True)}
        assert inside == expected[precision]
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_product_in_bf16_has_eight_bits():
    torch.manual_seed(0)
    layer, x = nn.Linear(256, 256), torch.randn(8, 256)
    with products_in("bf16", CPU):
        low = layer(x)
    rounded = x.bfloat16().double() @ layer.weight.bfloat16().double().T + layer.bias.bfloat16().double()
    torch.testing.assert_close(low.double(), rounded, rtol=2**-8, atol=2**-8)
    with products_in("float32", CPU):
        assert layer(x).dtype is torch.float32


def test_only_what_the_device_has():
    with pytest.raises(InvalidInput, match="NVIDIA"):
        check_precision("tf32", CPU)
    with pytest.raises(UnknownName, match="float32"):
        check_precision("float23", CPU)


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), ["float32"]), ((8, 0), ["bf16", "tf32", "float32"]), ((9, 0), None)]
)
def test_graphics_cards(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert fast_precisions(torch.device("cuda")) == (expected or ["bf16", "tf32", "float32"])


@pytest.mark.parametrize("unit", ["avx512_bf16", "amx_bf16", "avx2"])
def test_processors(unit, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True})
    assert fast_precisions(CPU) == (["bf16", "float32"] if unit == "amx_bf16" else ["float32"])
