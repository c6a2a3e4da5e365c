"""Infidelity against Captum's on random networks, by hand, and at word embeddings."""

import warnings

import captum.metrics as captum
import pytest
import torch
from torch import nn

import xai_nlp
import xai_nlp.metrics as ours
from tests.attr.drawn import Case
from tests.metrics.calls import BOTH, each, infidelity_of, noise, removed, with_differences
from tests.metrics.functions import subject_of, tangled
from tests.models.padded_batches import padded_batch
from xai_nlp.attr import IntegratedGradients, LayerIntegratedGradients
from xai_nlp.core.captum_types import CaptumAssertion, NotRowwise
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.metrics.orders import random_scores

KINDS = ("linear", "convolutional", "recurrent", "inputs", "outputs", "in place", "reused")


def compare(kind, number):
    results = []
    for lib in BOTH:
        case = Case(kind, f"infidelity {kind} {number}", single=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(infidelity_of(lib, case))
    got, expected = results
    assert got.shape == expected.shape == (case.batch,)
    torch.testing.assert_close(got, expected.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_is_captums(kind):
    for number in range(12):
        compare(kind, number)


@pytest.mark.parametrize("multiply", [False, True])
@pytest.mark.parametrize("number", range(30))
def test_the_decorator_is_captums(multiply, number):
    case = Case("inputs" if number % 2 else "linear", f"decorator {number}", single=False)
    baselines = case.draw.choice([None, 0.5, "tensor", "row"])
    if isinstance(baselines, str):
        rows = case.batch if baselines == "tensor" else 1
        baselines = tuple(case.some(shape, rows) for shape in case.shapes)
        baselines[0][0, 0] = case.tensors[0][0, 0]  # nothing to divide by
    elif baselines is not None:
        baselines = (baselines,) * len(case.tensors)
    inputs = case.tensors
    results = []
    for lib in BOTH:
        torch.manual_seed(0)
        perturb = noise if baselines is None else removed
        decorated = lib.infidelity_perturb_func_decorator(multiply)(perturb)
        results.append(decorated(inputs) if baselines is None else decorated(inputs, baselines))
    torch.testing.assert_close(*results)


def test_of_a_linear_function_the_weights_are_exact_and_others_by_hand():
    weights = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    x, step = torch.ones(2, 3).double(), torch.tensor([1.0, 0.0, 2.0]).double()

    def perturb(inputs):
        return step.expand_as(inputs), inputs - step

    slopes = weights.expand(2, 3)
    assert ours.infidelity(lambda x: x @ weights, perturb, x, slopes).abs().max() < 1e-12
    wrong = slopes + torch.tensor([[1.0, 0.0, 0.0], [0.0, 5.0, 0.5]])
    torch.testing.assert_close(
        ours.infidelity(lambda x: x @ weights, perturb, x, wrong), torch.tensor([1.0, 1.0]).double()
    )
    torch.testing.assert_close(
        ours.infidelity(lambda x: x @ weights, perturb, x, 3 * slopes), torch.tensor([196.0, 196.0]).double()
    )
    normalized = ours.infidelity(lambda x: x @ weights, perturb, x, 3 * slopes, normalize=True)
    assert normalized.abs().max() < 1e-12


def test_normalize_is_the_best_factor():
    """Found by trying factors."""
    case = Case("linear", "best factor", single=False)
    scores = torch.randn_like(case.tensors[0])

    def at(factor, **how):
        torch.manual_seed(0)
        return ours.infidelity(
            case.net, with_differences, case.tensors[0], scores * factor, target=1, n_perturb_samples=20, **how
        )

    tried = torch.stack([at(factor) for factor in torch.linspace(-2, 2, 401).tolist()])
    torch.testing.assert_close(at(1.0, normalize=True), tried.amin(0), atol=1e-3, rtol=0)


def test_passes_are_no_more_than_needed_and_of_the_size_allowed():
    """Captum runs the unperturbed inputs again with each batch."""
    rows = {lib: [] for lib in BOTH}
    for lib in BOTH:

        def forward(x, seen=rows[lib]):
            seen.append(len(x))
            return x.sum(1)

        lib.infidelity(forward, with_differences, torch.ones(2, 3), torch.ones(2, 3), n_perturb_samples=9,
                       max_examples_per_batch=4)  # fmt: skip
    assert rows[ours] == [2, 4, 4, 4, 4, 2]
    assert rows[captum] == [4, 2, 4, 2, 4, 2, 4, 2, 2, 2]


def test_fewer_rows_than_examples_are_kept_to():
    """Captum warns, and takes all examples at once."""
    rows = []

    def forward(x):
        rows.append(len(x))
        return x.sum(1)

    ours.infidelity(forward, with_differences, torch.ones(4, 3), torch.ones(4, 3), max_examples_per_batch=2)
    assert set(rows) == {2}


# Words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert", "roberta", "gpt2"])
def test_at_word_embeddings_is_that_of_a_function_of_vectors(architecture):
    batch = padded_batch(architecture)
    ids, extra = batch.inputs["input_ids"], tuple(batch.others)
    word = xai_nlp.points(batch.model).word
    scores = LayerIntegratedGradients(batch.forward, word).attribute(
        ids, baselines=0, target=1, additional_forward_args=extra
    )
    before = fingerprint(batch.model)
    how = {"target": 1, "n_perturb_samples": 4, "additional_forward_args": extra}
    perturb = ours.infidelity_perturb_func_decorator(True)(removed)
    torch.manual_seed(0)
    got = ours.infidelity(batch.forward, perturb, ids, scores, baselines=0, layer=word, **how)
    assert fingerprint(batch.model) == before
    table = batch.model.get_input_embeddings()

    def of_vectors(vectors, *rest):
        with xai_nlp.hooks.edit({word: lambda _: vectors}):
            return batch.forward(torch.zeros(vectors.shape[:2]).long() + ids.repeat(len(vectors) // len(ids), 1), *rest)

    for example in range(len(ids)):
        own = slice(example, example + 1)
        rest = tuple(t[own] for t in extra)
        vectors, start = table(ids[own]).detach(), table(torch.zeros_like(ids[own])).detach()
        torch.manual_seed(0)
        draws = torch.rand(len(ids) * 4, *vectors.shape[1:], dtype=vectors.dtype)[example * 4 : example * 4 + 4] < 0.5
        value = batch.forward(ids[own], *rest)[:, 1]
        errors = []
        for kept in draws:
            z = torch.where(kept, vectors, start)
            with xai_nlp.hooks.edit({word: lambda _, z=z: z}):
                change = value - batch.forward(ids[own], *rest)[:, 1]
            share = torch.where(kept | (vectors == start), 0.0, 1.0)
            errors.append(((share * scores[own]).sum() - change).square())
        torch.testing.assert_close(got[example], torch.stack(errors).mean().detach(), atol=1e-9, rtol=1e-6)


def test_noise_on_token_ids_is_refused_and_names_in_place_of_names_are_not():
    explainer = xai_nlp.load("sentiment")
    ids = explainer.tokenizer("a gripping film", return_tensors="pt")["input_ids"]

    def noisy(inputs):
        change = torch.rand(inputs.shape)
        return change, inputs - change

    with pytest.raises(CaptumAssertion, match="layer="):
        ours.infidelity(explainer.model, noisy, ids, torch.ones(ids.shape), target=1)

    @ours.infidelity_perturb_func_decorator(True)
    def padded(inputs, baselines):
        return torch.where(torch.rand(inputs.shape) < 0.5, inputs, baselines)

    score = ours.infidelity(explainer.model, padded, ids, torch.zeros(ids.shape), torch.zeros_like(ids), target=1)
    assert score.shape == (1,) and score > 0


def test_integrated_gradients_of_a_model_are_better_than_chance():
    case = Case("linear", "better", single=False)
    x, x0 = case.tensors[0], torch.zeros_like(case.tensors[0])
    scores = IntegratedGradients(case.net).attribute(x, target=0)
    perturb = ours.infidelity_perturb_func_decorator(True)(removed)

    def at(scores):
        torch.manual_seed(0)
        return ours.infidelity(case.net, perturb, x, scores, x0, target=0, n_perturb_samples=50, normalize=True).mean()

    assert at(scores) < 0.5 * at(scores.roll(1, 1))


# Handed back, and refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("breaks", [False, True])
def test_model_and_inputs_come_back_as_they_were(breaks):
    case = Case("linear", "handed back", single=False)
    case.net.train()
    x, before = case.tensors[0], fingerprint(case.net)
    copy = x.clone()

    def perturb(inputs):
        return (1 / 0) if breaks else with_differences(inputs)

    if breaks:
        with pytest.raises(ZeroDivisionError):
            ours.infidelity(case.net, perturb, x, torch.ones_like(x), target=0)
    else:
        ours.infidelity(case.net, perturb, x, torch.ones_like(x), target=0)
    assert fingerprint(case.net) == before
    assert torch.equal(x, copy) and not x.requires_grad


def test_what_makes_no_sense_is_refused_with_captums_errors():
    net, x = nn.Linear(3, 2), torch.rand(2, 3)
    refused = {
        "scores of another shape": {"attributions": torch.ones(2, 4)},
        "more scores than inputs": {"attributions": (torch.ones(2, 3),) * 2},
        "target": {"target": 9},
        "targets": {"target": [0] * 5},
        "baselines": {"baselines": "zero"},
        "more perturbations than inputs": {"perturb_func": lambda t: ((t, t), (t, t))},
        "a perturbation of another shape": {"perturb_func": lambda t: (t[:, :1], t)},
    }
    for why, how in refused.items():
        given = {"perturb_func": with_differences, "inputs": x, "attributions": torch.ones(2, 3), "target": 0} | how
        with pytest.raises((AssertionError, IndexError)) as reference:
            captum.infidelity(net, **given)
        with pytest.raises(type(reference.value)) as own:
            ours.infidelity(net, **given)
        assert len(str(own.value)) > 20, why


def test_what_captum_does_not_see_is_refused():
    x, scores = torch.rand(2, 3), torch.ones(2, 3)
    net = nn.Linear(3, 2)
    with pytest.raises(CaptumAssertion, match="decorate it"):
        ours.infidelity(net, noise, x, scores, target=0)  # two rows are taken for a pair
    with pytest.raises(CaptumAssertion, match="and must return it"):
        ours.infidelity(net, lambda t: (t, t[:1]), x, scores, target=0)
    with pytest.raises(CaptumAssertion, match="one number for each example"):
        ours.infidelity(net, with_differences, x, scores)
    with pytest.raises(NotRowwise):
        ours.infidelity(lambda t: t.sum(), with_differences, x, scores)
    for how in ({"n_perturb_samples": 0}, {"max_examples_per_batch": 0}):
        with pytest.raises(CaptumAssertion, match="at least 1"):
            ours.infidelity(net, with_differences, x, scores, target=0, **how)
    assert torch.equal(each((x,), torch.neg)[0], -x)


def test_of_features_is_captums_with_the_same_sets():
    f, x, x0 = tangled(features=5, examples=3)
    scores = torch.rand(3, 2, 5, dtype=torch.float64)
    subject = subject_of(f, x, x0)
    sets = (random_scores(subject, orders=40, seed=2) < 0.5).double()

    def perturb(inputs, baselines):
        return sets.flatten(0, 1), torch.where(sets.flatten(0, 1) > 0, baselines, inputs)

    for normalize in (False, True):
        found = ours.feature_infidelity(subject, scores, samples=40, seed=2, normalize=normalize)
        for t in range(2):
            for o in range(2):
                expected = captum.infidelity(
                    lambda z, t=t: f(z)[:, t], perturb, x, scores[:, o], x0, n_perturb_samples=40, normalize=normalize
                )
                torch.testing.assert_close(found[:, o, t], expected)


def test_of_the_terms_of_an_additive_function_is_zero():
    _, x, x0 = tangled(features=5, examples=1)
    linear = subject_of(lambda z: z @ torch.ones(5, 1).double(), x, x0)
    assert ours.feature_infidelity(linear, x - x0).item() == pytest.approx(0, abs=1e-20)
    assert ours.feature_infidelity(linear, 3 * (x - x0)).item() > 0.1
    assert ours.feature_infidelity(linear, 3 * (x - x0), normalize=True).item() == pytest.approx(0, abs=1e-20)
    features = torch.tensor([[0, 1, 2, 3, -1]])
    lacking = subject_of(lambda z: z[:, :4].sum(1, keepdim=True), x, x0, features)
    scores = (x - x0).index_fill(1, torch.tensor([4]), torch.nan)[:, :4]
    assert ours.feature_infidelity(lacking, scores).item() == pytest.approx(0, abs=1e-20)
    one_each = subject_of(lambda z: z.sum(1, keepdim=True), torch.ones(2, 2), torch.zeros(2, 2), torch.tensor(
        [[0, 1], [0, -1]]))  # fmt: skip
    assert ours.feature_infidelity(one_each, [[1.0, 1.0], [1.0, torch.nan]]).tolist() == [[0], [0]]
    with pytest.raises(InvalidInput, match="at least 2"):
        ours.feature_infidelity(linear, x, samples=1)
