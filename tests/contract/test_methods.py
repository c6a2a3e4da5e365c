"""What every registered method promises, whatever it computes. A new method is tested by being registered."""

import dataclasses

import pytest
import torch
from torch import nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.features import FeatureMask
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.hooks.scope import ModulePoint, attached
from xai_nlp.methods import METHODS, find_method

NAMES = sorted(METHODS)
COMPLETE = [name for name in NAMES if METHODS[name].complete]
#: Methods over attention that pose a problem of their own: what moves in it.
OWN_PROBLEMS = {"attention_norms": "attended values", "attention_integrated_gradients": "inputs"}
OVER = {name: OWN_PROBLEMS.get(name, METHODS[name].operates_on) for name in NAMES}
B, T = 5, 2


class Model(nn.Module):
    """Smooth, not polynomial, with dropout to be switched off and two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 8), nn.Linear(3, 8)
        self.drop = nn.Dropout(0.5)
        self.hidden, self.out = nn.Linear(8, 8), nn.Linear(8, T)

    def forward(self, a, b):
        return self.out(torch.tanh(self.hidden(self.drop(torch.tanh(self.left(a) + self.right(b))))))


class VisionLanguageModel(nn.Module):
    """Two layers of attention over four places, with two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.softmaxes = nn.ModuleList([nn.Softmax(-1), nn.Softmax(-1)])
        self.mix = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.drop, self.hidden, self.out = nn.Dropout(0.5), nn.Linear(6, 6), nn.Linear(6, T)

    def forward(self, a):
        for softmax, mix in zip(self.softmaxes, self.mix, strict=True):
            heads = mix(a).unflatten(-1, (2, 3)).transpose(1, 2)  # (B, H, L, 3)
            mixed = softmax(heads @ heads.transpose(-1, -2)) @ heads
            a = a + self.drop(torch.tanh(mixed.transpose(1, 2).flatten(2)))
        return self.out(torch.tanh(self.hidden(a[:, 1])))


def model_for(name):
    torch.manual_seed(3)
    return (VisionLanguageModel() if OVER[name] in ("attention", "attended values", "layer") else Model()).double()


@pytest.fixture
def model(name):
    return model_for(name)


def posed(model, over):
    """x, baseline, the rest of a problem, and what the model makes of a trial point."""
    torch.manual_seed(4)
    if over in ("attention", "layer"):
        x = (torch.randn(B, 4, 6).double() * 2,)
        sites = model.softmaxes if over == "attention" else model.mix[:1]
        return x, (torch.zeros_like(x[0]),), {"sites": tuple(map(ModulePoint, sites))}, lambda z: model(*z)
    if over == "attended values":
        weights, vectors = torch.rand(B, 2, 4, 4).double(), torch.randn(B, 2, 4, 6).double()
        x = (weights, vectors, torch.randn(B, 4, 6).double(), torch.rand(B, 4).double())
        return x, x, {}, lambda z: model(z[2])
    x = (torch.randn(B, 6).double() * 2, torch.randn(B, 3).double() * 2)
    x0 = (torch.randn(1, 6).double().expand(B, 6), torch.zeros(B, 3).double())
    features = FeatureMask.of((torch.arange(6)[None] // 2, torch.tensor([[3, 3, -1]])))
    return x, x0, {"features": features}, lambda z: model(*z)


def problem_of(model, *, over="inputs", order=None, targets=slice(None), rows=None, sites=()):
    x, x0, rest, value = posed(model, over)
    if order is not None:
        x, x0 = (tuple(t[order] for t in tensors) for tensors in (x, x0))
    rest = {**rest, "sites": sites} if sites else rest
    return Problem(value=lambda z, owner: value(z)[:, targets], x=x, baseline=x0, rows=Batching(limit=rows), **rest)


def run(name, model, **kwargs):
    with frozen_model(model, evaluate=True):
        return find_method(name).scores(problem_of(model, over=OVER[name], **kwargs))


def close(got, expected, atol=1e-12):
    for ours, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, reference, atol=atol, rtol=0)


@pytest.mark.parametrize("failure", [None, "at once", "half-way"])
@pytest.mark.parametrize("name", NAMES)
def test_model_and_inputs_are_handed_back_as_they_came(name, failure, model):
    model.hidden.weight.requires_grad_(False)
    model.drop.eval()  # a mixed state, to be restored as it was
    before, rng = fingerprint(model), torch.get_rng_state()
    problem = problem_of(model, over=OVER[name], rows=2)
    kept = [t.clone() for t in (*problem.x, *problem.baseline)]
    calls = 0

    def explode(*_):
        nonlocal calls
        calls += 1
        if calls > (0 if failure == "at once" else 1):
            raise ZeroDivisionError

    torch.set_rng_state(rng)
    if failure:
        with attached([lambda: model.hidden.register_forward_hook(explode)]), frozen_model(model, evaluate=True):
            with pytest.raises(ZeroDivisionError):
                find_method(name).scores(problem)
    else:
        with frozen_model(model, evaluate=True):
            find_method(name).scores(problem)
    assert fingerprint(model) == before
    assert torch.equal(torch.get_rng_state(), rng)
    close((*problem.x, *problem.baseline), kept, atol=0)
    assert not any(t.requires_grad for t in (*problem.x, *problem.baseline))


@pytest.mark.parametrize("name", COMPLETE)
def test_complete_methods_share_out_the_difference(name, model):
    options = {"steps": 64} if "steps" in METHODS[name].__dataclass_fields__ else {}
    with frozen_model(model, evaluate=True):
        problem = dataclasses.replace(problem_of(model, over=OVER[name]), features=None)
        scores = find_method(name, options).scores(problem)
        start = problem.values(problem.baseline, problem.everyone)
        difference = problem.values(problem.x, problem.everyone) - (
            start if scores.baseline_value is None else scores.baseline_value
        )
    total = sum(t.flatten(2).sum(2) for t in scores.tensors)
    torch.testing.assert_close(total, difference, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", [name for name in COMPLETE if "tolerance" in METHODS[name].__dataclass_fields__])
@pytest.mark.parametrize("tolerance", [0.05, 1e-3, 1e-8])
def test_auto_meets_its_tolerance(name, tolerance, model):
    with frozen_model(model, evaluate=True):
        scores = find_method(name, {"tolerance": tolerance}).scores(problem_of(model, over=OVER[name]))
    difference = scores.value - scores.baseline_value
    total = sum(t.flatten(2).sum(2) for t in scores.tensors)
    assert ((difference - total).abs() <= tolerance * difference.abs().clamp_min(0.05) * 1.01).all()


@pytest.mark.parametrize("name", NAMES)
def test_scores_do_not_depend_on_rows(name, model):
    whole = run(name, model).tensors
    for rows in (1, 3, 7):
        close(run(name, model, rows=rows).tensors, whole)


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_out_of_memory_halves_the_rows_and_goes_on(name, limit, model):
    """Two rows fit. No pass is tried with more than the limit, but that DeepLIFT takes an example with its baseline."""
    expected, tried = run(name, model).tensors, []
    problem = problem_of(model, over=OVER[name], rows=limit)

    def value(z, owner):
        tried.append(len(owner))
        if len(owner) > 2:
            raise RuntimeError("not enough memory: you tried to allocate 1 TB")
        return problem.value(z, owner)

    with frozen_model(model, evaluate=True):
        close(find_method(name).scores(dataclasses.replace(problem, value=value)).tensors, expected)
    assert max(tried) <= (limit or 1000)
    assert max(tried) > 2 or limit


NO_BASELINE = [name for name in NAMES if not METHODS[name].needs_baseline]
NO_BASELINE.remove("attention_integrated_gradients")  # its own problems start from attention that it makes itself


@pytest.mark.parametrize("name", NO_BASELINE)
def test_a_method_without_a_baseline_does_not_look_at_it(name, model):
    problem, seen = problem_of(model, over=OVER[name]), []

    def value(z, owner):
        seen.extend(z)
        return problem.value(z, owner)

    with frozen_model(model, evaluate=True):
        expected = find_method(name).scores(problem).tensors
        missing = tuple(torch.full_like(t, torch.nan) for t in problem.x)
        close(find_method(name).scores(dataclasses.replace(problem, baseline=missing, value=value)).tensors, expected)
    assert not any(t.isnan().any() for t in seen)
    assert sum(len(t) for t in seen) == len(problem.x) * B  # one pass over the inputs


@pytest.mark.parametrize("name", [n for n in NAMES if n != "random"])
def test_scores_follow_the_batch_order(name, model):
    order = torch.tensor([3, 0, 4, 1, 2])
    close(run(name, model, order=order).tensors, [t[order] for t in run(name, model).tensors])


@pytest.mark.parametrize("name", NAMES)
def test_targets_do_not_see_each_other(name, model):
    together = run(name, model).tensors
    for k in range(T):
        alone = run(name, model, targets=slice(k, k + 1)).tensors
        if METHODS[name].needs_baseline and "steps" in METHODS[name].__dataclass_fields__:
            close(alone, [t[:, k : k + 1] for t in together], atol=1e-3)  # each may stop refining at another level
        else:
            close(alone, [t[:, k : k + 1] for t in together])


MATRICES = [n for n in NAMES if OVER[n] in ("attention", "attended values")]


@pytest.mark.parametrize("name", MATRICES)
def test_methods_over_attention_score_every_matrix_and_every_token(name, model):
    result = run(name, model)
    matrices = 1 if OVER[name] == "attended values" else 2
    assert len(result.tensors) == matrices
    for tensor in result.tensors:
        assert tensor.shape[:2] == (B, T) and tensor.shape[3:] == (4, 4)
        assert tensor.shape[2] in (1, 2)
    assert all(scores.shape == (B, T, 4) for scores in result.sequences.values())
    if METHODS[name].row_stochastic:
        assert all((tensor >= 0).all() for tensor in result.tensors)


@pytest.mark.parametrize("name", NAMES)
def test_repeats(name, model):
    close(run(name, model).tensors, run(name, model).tensors, atol=0)


@pytest.mark.parametrize("name", [n for n in NAMES if METHODS[n].supports_layers and OVER[n] == "inputs"])
def test_several_sites_in_one_sweep_equal_each_alone(name, model):
    sites = (ModulePoint(model.left), ModulePoint(model.hidden))
    together = run(name, model, sites=sites).tensors
    for k, site in enumerate(sites):
        close(run(name, model, sites=(site,)).tensors, together[k : k + 1])


@pytest.mark.parametrize("name", [n for n in NAMES if OVER[n] == "inputs"])
def test_scores_of_a_feature_that_does_not_matter_are_zero(name, model):
    """Dummy: the third entry of the second input is connected to nothing, and no feature."""
    with torch.no_grad():
        model.right.weight[:, 2] = 0
    assert (run(name, model).tensors[1][..., 2] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name):
    cls = METHODS[name]
    assert cls.name == name
    assert cls.__doc__ is not None
    assert name == "random" or "Source:" in cls.__doc__
    assert dataclasses.is_dataclass(cls)
    with pytest.raises(dataclasses.FrozenInstanceError):
        find_method(name).anything = 1
