"""Sensitivity against Captum's on random networks, by brute force, and at word embeddings."""

import warnings

import captum.attr as captum_attr
import captum.metrics as captum
import numpy as np
import pytest
import torch
from torch import nn

import xai_nlp
import xai_nlp.attr
import xai_nlp.metrics as ours
from tests.attr.drawn import Case
from tests.metrics.calls import BOTH, sensitivity_of
from tests.metrics.functions import subject_of, tangled
from xai_nlp.attr import (
    DeepLift,
    FeatureAblation,
    IntegratedGradients,
    LayerIntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import find_method
from xai_nlp.metrics import input_sensitivity
from xai_nlp.metrics.perturbed import uniform_entries
from xai_nlp.metrics.sensitivity import default_perturb_func

KINDS = ("linear", "convolutional", "inputs", "outputs", "in place", "reused")


def compare(kind, number):
    results = []
    for lib in BOTH:
        case = Case(kind, f"sensitivity {kind} {number}", single=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(sensitivity_of(lib, case))
    got, expected = results
    assert got.shape == expected.shape == (case.batch,)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_is_captums(kind):
    for number in range(12):
        compare(kind, number)


def test_scores_of_any_layout_in_memory_are_taken():
    """A recurrent layer's gradients are laid out along time, which Captum cannot flatten."""
    net = nn.GRU(3, 4, batch_first=True)
    moves = torch.randn(6, 5, 3)

    def last(x):
        return net(x)[0][:, -1, 0]

    x = torch.randn(2, 5, 3)
    how = {"perturb_func": lambda copies: copies + moves, "n_perturb_samples": 3}
    slopes, moved = (Saliency(last).attribute(z).flatten(1) for z in (x, x.repeat_interleave(3, 0) + moves))
    expected = ((moved.view(2, 3, -1) - slopes[:, None]).norm(dim=2) / slopes.norm(dim=1)[:, None]).amax(1)
    torch.testing.assert_close(ours.sensitivity_max(Saliency(last).attribute, x, **how), expected)
    how["perturb_func"] = lambda copies: (copies + moves).requires_grad_()
    with pytest.raises(RuntimeError, match="reshape"):
        captum.sensitivity_max(captum_attr.Saliency(last).attribute, x.requires_grad_(), **how)


def test_by_hand():
    """The slope of x² is 2x: moved by d it changes by 2d, so the sensitivity is max |d| / |x|."""
    x = torch.tensor([[1.0], [4.0]])
    moves = torch.tensor([[0.5], [-0.75], [0.25], [1.0]])  # two copies of the first example, then of the second
    got = ours.sensitivity_max(lambda x: 2 * x, x, lambda copies: copies + moves, n_perturb_samples=2)
    torch.testing.assert_close(got, torch.tensor([0.75, 0.25]))


def test_default_noise_is_uniform_in_the_radius():
    torch.manual_seed(0)
    x = torch.ones(1, 10000, dtype=torch.float16)
    (noisy,) = default_perturb_func(x, 0.5)
    assert noisy.dtype is torch.float16  # Captum's becomes float32
    assert 0.48 < float((noisy - x).abs().max()) <= 0.501
    assert abs(float((noisy - x).abs().float().mean()) - 0.25) < 0.01
    assert default_perturb_func((x, x))[1].shape == x.shape


def brute_force(net, x, mask, moves):
    """Each example by itself, with its own mask."""
    method, most = FeatureAblation(net), []
    for example, (row, own) in enumerate(zip(x, mask, strict=True)):
        here = method.attribute(row[None], target=0, feature_mask=own[None])
        there = [method.attribute((row + move)[None], target=0, feature_mask=own[None]) for move in moves[example]]
        most.append(max((z - here).norm() / here.norm() for z in there))
    return torch.stack(most)


def test_masks_of_each_example_go_with_its_copies():
    """Captum hands on the mask as it is, with as many rows as there are examples; the copies have others'."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    x, mask = torch.randn(2, 4).double(), torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]])
    moves = 0.3 * torch.randn(2, 3, 4).double()
    how = {"perturb_func": lambda copies: copies + moves.flatten(0, 1), "n_perturb_samples": 3, "target": 0}
    expected = brute_force(net, x, mask, moves)
    for limit in (None, 6):
        got = ours.sensitivity_max(
            FeatureAblation(net).attribute, x, feature_mask=mask, max_examples_per_batch=limit, **how
        )
        torch.testing.assert_close(got, expected)
    with pytest.raises(Exception, match=r"mask|shape|size"):
        captum.sensitivity_max(captum_attr.FeatureAblation(net).attribute, x, feature_mask=mask, **how)


def test_a_function_gets_the_inputs_as_they_are_given():
    """Captum hands on a tuple in the place of a tensor, and takes a returned tensor apart."""
    seen = []

    def explanation(x):
        seen.append(type(x))
        return x[0] * 2 if isinstance(x, tuple) else x * 2

    ours.sensitivity_max(explanation, torch.ones(2, 3))
    ours.sensitivity_max(explanation, (torch.ones(2, 3),))
    assert seen == [torch.Tensor, torch.Tensor, tuple, tuple]


def test_examples_are_called_for_a_few_at_a_time():
    sizes = []

    def explanation(x):
        sizes.append(len(x))
        return x

    ours.sensitivity_max(explanation, torch.ones(2, 3), n_perturb_samples=5, max_examples_per_batch=5)
    assert sizes == [2, 4, 4, 2]


def test_norms():
    moved = torch.tensor([[4.0, 6.0]])
    for order, expected in (("fro", 5 / 5), ("nuc", 5 / 5), (1, 7 / 7), (float("inf"), 4 / 4)):
        got = ours.sensitivity_max(
            lambda x: x, torch.tensor([[3.0, 4.0]]), lambda x: moved - moved + 2 * x, norm_ord=order
        )
        assert got.item() == pytest.approx(expected)


# Words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["IntegratedGradients", "Saliency", "InputXGradient", "FeatureAblation", "GradientShap"]
)
def test_at_word_embeddings_is_that_of_a_function_of_vectors(name):
    explainer = xai_nlp.load("sentiment")
    ids = explainer.tokenizer(["a gripping film", "a dull film"], return_tensors="pt", padding=True)["input_ids"]
    word = xai_nlp.points(explainer).word
    table = explainer.model.get_input_embeddings()
    how = {"target": [1, 0], "n_perturb_samples": 3, "perturb_radius": 0.01}
    pads, by_word = torch.zeros_like(ids), torch.arange(ids.shape[1])[None, :, None]
    options = {
        "IntegratedGradients": ({"n_steps": 5}, True), "GradientShap": ({"n_samples": 2}, True),
        "FeatureAblation": ({"feature_mask": by_word}, True),
    }.get(name, ({}, False))  # fmt: skip
    results, before = [], fingerprint(explainer.model)
    for function, inputs, start, where in (
        (explainer.model, ids, pads, {"layer": word}),
        (lambda e: explainer.model(inputs_embeds=e).logits, table(ids).detach(), table(pads).detach(), {}),
    ):
        given = {"baselines": start} if options[1] else {}
        torch.manual_seed(0)
        np.random.seed(0)
        attribute = getattr(xai_nlp.attr, name)(function).attribute
        results.append(ours.sensitivity_max(attribute, inputs, **how, **options[0], **given, **where))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-3)
    assert (results[0] > 0).all()
    assert fingerprint(explainer.model) == before


def test_noise_on_token_ids_is_refused():
    explainer = xai_nlp.load("sentiment")
    ids = explainer.tokenizer("a gripping film", return_tensors="pt")["input_ids"]
    word = xai_nlp.points(explainer).word
    scores = LayerIntegratedGradients(explainer.model, word).attribute
    with pytest.raises(CaptumAssertion, match="token ids are names"):
        ours.sensitivity_max(scores, ids, target=1)
    with pytest.raises(CaptumAssertion, match="IntegratedGradients for LayerIntegratedGradients"):
        ours.sensitivity_max(scores, ids, layer=word, target=1)
    for function in (
        DeepLift(explainer.model).attribute,
        NoiseTunnel(Saliency(explainer.model)).attribute,
        lambda x: x,
    ):
        with pytest.raises(CaptumAssertion, match="`attribute` method"):
            ours.sensitivity_max(function, ids, layer=word, target=1)


# Handed back, and refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("breaks", [False, True])
def test_model_and_arguments_come_back_as_they_were(breaks):
    case = Case("linear", "sensitivity handed back", single=False)
    case.net.train()
    x, before = case.tensors[0], fingerprint(case.net)
    copy, target = x.clone(), [0] * case.batch

    def perturb(inputs):
        return (1 / 0) if breaks else inputs + 1

    attribute = IntegratedGradients(case.net).attribute
    if breaks:
        with pytest.raises(ZeroDivisionError):
            ours.sensitivity_max(attribute, x, perturb, target=target)
    else:
        ours.sensitivity_max(attribute, x, perturb, target=target)
    assert fingerprint(case.net) == before
    assert torch.equal(x, copy) and not x.requires_grad and target == [0] * case.batch


def test_what_makes_no_sense_is_refused():
    for lib in BOTH:
        with pytest.raises(AssertionError):
            lib.sensitivity_max(lambda x: x, "text")
        with pytest.warns(UserWarning, match="max_examples_per_batch"):
            lib.sensitivity_max(lambda x: x, torch.ones(4, 2), max_examples_per_batch=2)
    for how in ({"n_perturb_samples": 0}, {"max_examples_per_batch": 0}):
        with pytest.raises(CaptumAssertion, match="at least 1"):
            ours.sensitivity_max(lambda x: x, torch.ones(1, 2), **how)
    with pytest.raises(CaptumAssertion, match="a row for each example"):
        ours.sensitivity_max(lambda x: x.sum(), torch.ones(1, 2))
    with pytest.raises(CaptumAssertion, match="as many rows"):
        ours.sensitivity_max(lambda x: x[:1], torch.ones(2, 2))


def adding(noise):
    return lambda z: z + noise


def test_of_a_subject_is_captums_with_the_same_noise():
    f, x, _ = tangled(features=5, examples=3)
    for number in range(2):
        subject = subject_of(lambda z, t=number: f(z)[:, t : t + 1], x, 0 * x)
        found = input_sensitivity(subject, find_method("input_x_gradient"), radius=0.3, samples=4, seed=5)
        attribute = captum_attr.InputXGradient(lambda z, t=number: f(z)[:, t]).attribute
        each = []
        for sample in range(4):
            noise = 0.3 * (2 * uniform_entries(x, 5, sample) - 1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                each.append(captum.sensitivity_max(attribute, x, adding(noise), n_perturb_samples=1))
        torch.testing.assert_close(found[:, 0], torch.stack(each).amax(0).detach())


def test_of_a_subject_with_constant_slopes():
    x = torch.ones(2, 3)
    subject = subject_of(lambda z: z.sum(1, keepdim=True), x, 0 * x)
    assert input_sensitivity(subject, find_method("saliency")).tolist() == [[0], [0]]
    assert (input_sensitivity(subject, find_method("input_x_gradient"), radius=0.1) <= 0.1).all()
    for options in ({"samples": 0}, {"radius": -1}):
        with pytest.raises(InvalidInput, match="at least"):
            input_sensitivity(subject, find_method("saliency"), **options)
    with pytest.raises(InvalidInput, match="token ids"):
        input_sensitivity(subject_of(lambda z: z.sum(1, keepdim=True), x.long(), 0 * x.long()), find_method("saliency"))
