"""Random networks, masks and options for methods by perturbation, and how two results are compared."""

import warnings
from typing import Any

import captum.attr as captum
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.networks import Net
from xai_nlp.hooks.model_state import fingerprint

quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


class Conv(nn.Module):
    """An image in, three numbers out, with an activation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Conv2d(1, 2, 2), nn.ReLU(inplace=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor, scale: Any = 1.0) -> Tensor:
        return self.out(self.act(self.first(x)).flatten(1)) * (scale[:, None] if isinstance(scale, Tensor) else scale)


class Words(nn.Module):
    """Token ids in, three numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.out = nn.Embedding(9, 4), nn.Tanh(), nn.Linear(4, 3)

    def forward(self, ids: Tensor, scale: Any = 1.0) -> Tensor:
        hidden = self.act(self.first(ids).cumsum(1)).mean(1)
        return self.out(hidden) * (scale[:, None] if isinstance(scale, Tensor) else scale)


class Grid(nn.Module):
    """Several numbers for each example: (B, 2, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Linear(4, 6), nn.Tanh()

    def forward(self, x: Tensor, scale: Any = 1.0) -> Tensor:
        factor = scale[:, None, None] if isinstance(scale, Tensor) else scale
        return self.act(self.first(x)).unflatten(1, (2, 3)) * factor


class Case:
    """A network, inputs and arguments, drawn once and given to both."""

    def __init__(self, draw: Any, kinds: str = "linear pair conv words grid", batch: int = 1) -> None:
        self.kind = draw(st.sampled_from(kinds.split()))
        self.seed = draw(st.integers(0, 10_000))
        torch.manual_seed(self.seed)
        self.dtype = draw(st.sampled_from([torch.float32, torch.float64]))
        B = self.batch = draw(st.integers(batch, 4))
        number: Any = 0.5
        if self.kind in ("linear", "pair"):
            self.net: Any = Net(draw(st.integers(1, 5)), 3, smooth=draw(st.booleans()))
        else:
            self.net = {"conv": Conv, "words": Words, "grid": Grid}[self.kind]()
        self.net.to(self.dtype)
        if self.kind == "words":
            self.inputs: Any = torch.randint(9, (B, 5))
            number = 3
        elif self.kind == "conv":
            self.inputs = torch.randn(B, 1, 3, 3, dtype=self.dtype)
        else:
            self.inputs = torch.randn(B, 4, dtype=self.dtype)
        if self.kind == "pair":
            self.inputs = (self.inputs, torch.randn(B, 3, dtype=self.dtype))
        elif draw(st.booleans()):
            self.inputs = (self.inputs,)
        self.tuple_in = isinstance(self.inputs, tuple)
        every = self.inputs if self.tuple_in else (self.inputs,)
        columns = [(self.seed + b) % 3 for b in range(B)]
        self.target = draw(
            st.sampled_from(
                [(1, 2), (0,), [(b % 2, c) for b, c in enumerate(columns)], None]
                if self.kind == "grid"
                else [1, (2,), columns, torch.tensor(columns), torch.tensor(0), [(c,) for c in columns], None]
            )
        )
        self.one_number = self.target is not None and not (self.kind == "grid" and self.target == (0,))
        self.baselines = self.shaped(
            {
                "none": None,
                "number": [number] * len(every),
                "tensor": [x.flip(0) if x.ndim > 1 else x for x in every],
                "one row": [x[:1] for x in every],
            }[draw(st.sampled_from(["none", "number", "tensor", "one row"]))]
        )
        masks = {
            "none": None,
            "groups": [(torch.arange(x[0].numel()) % 3 + i).view(1, *x.shape[1:]) for i, x in enumerate(every)],
            "gaps": [(torch.arange(x[0].numel()) % 3 * 2).view(1, *x.shape[1:]) for x in every],
            "few dimensions": [torch.arange(x.shape[-1]) % 3 for x in every],
            "per example": [(torch.arange(x.numel()) // 2 % 4).view(x.shape) for x in every],
        }
        # With several numbers an example and a mask of its own for each, Captum mixes up its axes.
        names = [n for n in masks if self.one_number or n != "per example"]
        self.mask_kind = draw(st.sampled_from(names))
        self.mask = self.shaped(masks[self.mask_kind])
        none = (None,) if self.kind == "linear" else ()
        scale = torch.rand(B, dtype=self.dtype) + 0.5
        self.extra = draw(st.sampled_from([None, (*none, scale), (*none, 2.0)]))
        self.per_eval = draw(st.integers(1, 5))
        if self.mask_kind == "few dimensions":
            self.per_eval = 1  # Captum takes the mask's last axes for perturbations otherwise

    def __repr__(self) -> str:
        return repr({k: v for k, v in vars(self).items() if k not in ("net", "inputs")})

    def shaped(self, tensors: Any) -> Any:
        return tensors if tensors is None else tuple(tensors) if self.tuple_in else tensors[0]

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(
            target=self.target, additional_forward_args=self.extra, feature_mask=self.mask,
            perturbations_per_eval=self.per_eval,
        )  # fmt: skip


def cases(*args: Any, **kwargs: Any) -> Any:
    return st.composite(lambda draw: Case(draw, *args, **kwargs))()


def same(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Equal structure, shapes and values; relative to the largest score where that is above 1."""
    assert type(got) is type(expected), (type(got), type(expected))
    if isinstance(expected, tuple):
        for own, reference in zip(got, expected, strict=True):
            same(own, reference, tolerance)
        return
    assert got.shape == expected.shape
    assert not got.requires_grad
    assert got.dtype.is_floating_point
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(got.double(), expected.double(), atol=tolerance * scale, rtol=0)


def both(name: str, func: Any, *make: Any, inputs: Any, tolerance: float = 1e-5, **call: Any) -> None:
    """The same call of both, from the same state of torch's generator, which they leave in the same state."""
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(captum, name)(func, *make).attribute(inputs, **call)
        state = torch.get_rng_state()
        torch.manual_seed(7)
        before = fingerprint(func) if isinstance(func, nn.Module) else None
        got = getattr(ours, name)(func, *make).attribute(inputs, **call)
    assert torch.equal(torch.get_rng_state(), state)
    assert before is None or fingerprint(func) == before
    same(got, expected, tolerance)
