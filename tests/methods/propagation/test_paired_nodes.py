"""Rules of nodes in closed form, against the same functions written out as elementary operations."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods.propagation import paired_activations, paired_rows
from xai_nlp.methods.propagation.deeplift import DeepLiftMethod

MASK = torch.tensor([[True, True, False], [False, True, True], [True, False, False]])


def normalized(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred * ((centred * centred).mean(dims, keepdim=True) + 1e-5).rsqrt()


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, scale: float = 0.5) -> Tensor:
    logits = q @ k.transpose(-2, -1) * scale
    return (logits if mask is None else logits + mask).softmax(-1) @ v


def shared_keys(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = heads(x)
    return q, k[:, :1], v[:, :1]


def heads(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (B, 2, 3, 4) that depend on the input (B, 24)."""
    q = x.view(-1, 2, 3, 4)
    return q, torch.sin(q), q.roll(1, 2) * 2 + 1


FLOAT_MASK = torch.zeros(3, 3, dtype=torch.double).masked_fill(~MASK, -torch.inf)
NO_KEY = FLOAT_MASK.index_fill(0, torch.tensor(1), -torch.inf)
WEIGHT, BIAS = torch.randn(2, 24, generator=torch.Generator().manual_seed(1), dtype=torch.double)
PAIRS = {
    "layer norm": (lambda x: F.layer_norm(x, (24,), WEIGHT, BIAS), lambda x: normalized(x, (1,)) * WEIGHT + BIAS),
    "layer norm of two dimensions": (
        lambda x: F.layer_norm(x.view(-1, 2, 3, 4), (3, 4)).flatten(1),
        lambda x: normalized(x.view(-1, 2, 3, 4), (2, 3)).flatten(1),
    ),
    "group norm": (
        lambda x: F.group_norm(x.view(-1, 6, 4), 3, WEIGHT[:6], BIAS[:6]).flatten(1),
        lambda x: (
            normalized(x.view(-1, 3, 2, 4), (2, 3)).flatten(1, 2) * WEIGHT[:6, None] + BIAS[:6, None]
        ).flatten(1),
    ),
    "attention": (lambda x: F.scaled_dot_product_attention(*heads(x)), lambda x: attention(*heads(x))),
    "attention with a scale": (
        lambda x: F.scaled_dot_product_attention(*heads(x), scale=0.3),
        lambda x: attention(*heads(x), scale=0.3),
    ),
    "attention, masked": (
        lambda x: F.scaled_dot_product_attention(*heads(x), attn_mask=MASK),
        lambda x: attention(*heads(x), FLOAT_MASK),
    ),
    "causal attention": (
        lambda x: F.scaled_dot_product_attention(*heads(x), is_causal=True),
        lambda x: attention(*heads(x), torch.full((3, 3), -torch.inf, dtype=torch.double).triu(1)),
    ),
    "attention with shared keys": (
        lambda x: F.scaled_dot_product_attention(*shared_keys(x), enable_gqa=True),
        lambda x: attention(*shared_keys(x)),
    ),
    "a batch of products": (
        lambda x: torch.baddbmm(x[:, :9].view(-1, 3, 3), heads(x)[0][:, 0], x.view(-1, 4, 6)[:, :, :3], alpha=0.7),
        lambda x: x[:, :9].view(-1, 3, 3) + 0.7 * heads(x)[0][:, 0] @ x.view(-1, 4, 6)[:, :, :3],
    ),
    "a quotient": (
        lambda x: x / (x.roll(1, 1) ** 2 + 1),
        lambda x: x * (x.roll(1, 1) ** 2 + 1).reciprocal(),
    ),
    "a quotient of a constant": (lambda x: WEIGHT / (x + 9), lambda x: WEIGHT * (x + 9).reciprocal()),
    "a root": (lambda x: (x * x + 1).sqrt(), lambda x: (x * x + 1).rsqrt().reciprocal()),
    "a cube": (lambda x: x**3, lambda x: x * x * x),
    "a power of a tensor": (lambda x: x ** torch.tensor(3.0, dtype=torch.double), lambda x: x * x * x),
    "a GELU": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))) / 2,
    ),
    "a SiLU": (F.silu, lambda x: x * torch.sigmoid(x)),
}  # fmt: skip


def multipliers(function, *, same: bool = False) -> tuple[Tensor, Tensor]:
    """Multipliers of three examples, and what the differences are off."""
    generator = torch.Generator().manual_seed(0)
    x, x0 = torch.randn(2, 3, 24, generator=generator, dtype=torch.double)
    x0[0, :5] = x[0, :5]  # entries that do not change
    result = DeepLiftMethod(multiply=False).multipliers(
        Problem(value=lambda z, owner: (function(z[0]).flatten(1) ** 2).sum(1, keepdim=True), x=(x,), baseline=(x0,))
    )
    (of_x,) = result.tensors
    scores = (of_x[:, 0] * (x - x0)).sum(1)
    return of_x, scores - (result.values - result.baseline_values)[:, 0]


@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
@pytest.mark.parametrize("name", PAIRS)
def test_a_node_goes_as_its_formula(name, together, monkeypatch):
    if not together:
        for module in (paired_rows, paired_activations):
            monkeypatch.setattr(module, "MOST_ENTRIES", 1)
    function, formula = PAIRS[name]
    got, off = multipliers(function)
    expected, _ = multipliers(formula)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(off, torch.zeros_like(off), rtol=0, atol=1e-9)


def test_a_query_without_keys_gets_nothing():
    (got, off) = multipliers(lambda x: F.scaled_dot_product_attention(*heads(x), attn_mask=NO_KEY))
    assert got.isfinite().all()
    torch.testing.assert_close(off, torch.zeros_like(off), rtol=0, atol=1e-9)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.act = nn.LayerNorm(24), nn.GELU()
        self.graph: weakref.ref[Held] | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = F.scaled_dot_product_attention(*heads(self.act(self.norm(x)))).flatten(1)
        if x.requires_grad:
            kept = Held()
            self.graph = weakref.ref(kept)
            x.register_hook(kept)
        return x


class Held:
    """As long as the graph is, so is the hook of one of its tensors."""

    def __call__(self, gradient: Tensor) -> None:
        return None


@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
@pytest.mark.parametrize("backward", [True, False], ids=["backward", "an error before"])
def test_no_graph_outlives_its_call(together, backward, monkeypatch):
    """Hooks of nodes that held tensors with a graph would keep each other alive, where no collector sees them."""
    if not together:
        for module in (paired_rows, paired_activations):
            monkeypatch.setattr(module, "MOST_ENTRIES", 1)
    blocks = [Block().double() for _ in range(3)]
    net = nn.Sequential(*blocks)

    def value(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        return net(z[0]).sum(1, keepdim=True) if backward else net(z[0]).sum(1, keepdim=True).expand(-1, 0)

    x = torch.randn(2, 24, dtype=torch.double)
    gc.disable()
    try:
        for _ in range(2):
            with frozen_model(net):
                try:
                    DeepLiftMethod().scores(Problem(value=value, x=(x,), baseline=(x.roll(1, 0),)))
                except ValueError:
                    assert not backward
            assert all(block.graph is not None and block.graph() is None for block in blocks)
    finally:
        gc.enable()


def test_nodes_that_no_rule_pairs_go_by_their_slope():
    x = torch.randn(3, 4, dtype=torch.double)
    scale = torch.randn(1, 4, dtype=torch.double)
    problem = Problem(
        value=lambda z, owner: (z[0] * (z[0].sum() * 0 + scale)).sum(1, keepdim=True), x=(x,), baseline=(x * 2,)
    )
    got = DeepLiftMethod(multiply=False).scores(problem).tensors[0]
    torch.testing.assert_close(got[:, 0], scale.expand(3, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near_the_full_one(dtype):
    torch.manual_seed(0)
    net = Block()
    x = torch.randn(2, 24)
    scores = []
    for kind in (torch.float32, dtype):
        net.to(kind)
        for _ in range(2):  # looked up, then remembered
            with frozen_model(net):
                one = Problem(
                    value=lambda z, owner: net(z[0]).sum(1, keepdim=True),
                    x=(x.to(kind),),
                    baseline=(x.roll(1, 0).to(kind),),
                )
                scores.append(DeepLiftMethod().scores(one).tensors[0])
    assert scores[2].dtype == dtype
    for half in scores[2:]:
        assert float((half.float() - scores[0]).norm() / scores[0].norm()) < 0.1


def test_several_targets_have_their_own_multipliers():
    torch.manual_seed(0)
    net, x = nn.Sequential(Block().double(), nn.Linear(24, 3).double()), torch.randn(2, 24, dtype=torch.double)

    def scores(value) -> Tensor:
        problem = Problem(value=lambda z, owner: value(net(z[0])), x=(x,), baseline=(x.roll(1, 0),))
        with frozen_model(net):
            return DeepLiftMethod().scores(problem).tensors[0]

    together = scores(lambda output: output)
    for target in range(3):
        torch.testing.assert_close(together[:, target], scores(lambda output, t=target: output[:, [t]])[:, 0])
