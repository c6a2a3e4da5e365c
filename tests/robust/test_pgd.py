"""PGD against Captum's on random networks, its balls by hand, and the random start that Captum's gets wrong."""

import signal

import captum.robust as captum
import pytest
import torch
from torch import nn

import xai_nlp
import xai_nlp.robust as ours
from tests.robust.attacked import BOTH, aimed, both, case_of, from_seed, same
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.robust.pgd import onto_ball, random_in_ball

KINDS = ("linear", "convolutional", "recurrent", "inputs", "outputs", "in place")


def compare(kind, number):
    case = case_of(kind, f"PGD {kind} {number}")
    make, how = aimed(case)
    norm = case.draw.choice(["Linf", "L2"])
    how |= {
        "radius": case.draw.choice([0.1, 1.0]), "step_size": case.draw.choice([0.05, 0.3]),
        "step_num": case.draw.randint(1, 6), "norm": norm, "random_start": norm == "Linf" and case.flag(),
    }  # fmt: skip
    same(*both(lambda lib: lib.PGD(case.net, **make).perturb(case.inputs, **how), case.seed))


@pytest.mark.parametrize("kind", KINDS)
def test_is_captums(kind):
    for number in range(8):
        compare(kind, number)


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 3, 3)])
def test_a_random_start_in_a_ball_is_captums_for_one_example(shape):
    net = nn.Sequential(nn.Flatten(), nn.Softmax(-1))
    for seed in range(10):
        same(*both(lambda lib: lib.PGD(net).perturb(torch.ones(shape), 1.0, 0.1, 2, 0, None, False, True, "L2"), seed))


def test_of_a_batch_captums_random_start_in_a_ball_fails_or_mixes_examples():
    """Its lengths, one for each example, are laid along the last axis."""
    net = nn.Softmax(-1)
    with pytest.raises(RuntimeError, match="size of tensor"):
        from_seed(lambda: captum.PGD(net).perturb(torch.rand(3, 4), 1.0, 0.1, 1, 0, None, False, True, "L2"), 0)
    start = from_seed(lambda: captum.PGD(net)._random_point(torch.zeros(2000, 2000), 1.0, "L2", 1), 0)
    assert start.norm(dim=1).std() < 1e-3 * 5  # silently wrong: all examples come out at nearly one length
    assert ours.PGD(net).perturb(torch.rand(3, 4), 1.0, 0.1, 1, 0, None, False, True, "L2").shape == (3, 4)


@pytest.mark.parametrize("rows", [7, 4])
def test_random_points_fill_the_ball_evenly(rows):
    """Of n entries, the n-th power of a point's length over the radius is uniform; directions cancel."""
    torch.manual_seed(0)
    center = torch.zeros(rows, 4)
    points = torch.stack([random_in_ball(center, 2.0) for _ in range(2000)]).flatten(0, 1)
    shares = (points.norm(dim=1) / 2) ** 4
    for quantile in (0.1, 0.5, 0.9):
        assert abs(float(shares.quantile(quantile)) - quantile) < 0.02
    assert points.mean(0).abs().max() < 0.05
    assert random_in_ball(torch.zeros(3), 2.0).shape == (3,)


def test_projection_by_hand():
    rows = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    torch.testing.assert_close(onto_ball(rows, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4]]))


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_stays_in_the_ball_and_in_the_bounds(norm):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    x = torch.rand(5, 3, 4)
    for random_start in (False, True):
        z = ours.PGD(net, None, 0.0, 1.0).perturb(x, 0.5, 0.3, 9, [0, 1, 2, 0, 1], random_start=random_start, norm=norm)
        distances = (z - x).flatten(1).norm(dim=1, p={"Linf": float("inf"), "L2": 2}[norm])
        assert distances.max() <= 0.5 + 1e-5 and distances.max() > 0.3
        assert z.min() >= 0 and z.max() <= 1
        mask = torch.zeros(3, 4)
        mask[0] = 1
        masked = ours.PGD(net).perturb(x, 0.5, 0.3, 3, 0, random_start=random_start, norm=norm, mask=mask)
        assert torch.equal(masked[:, 1:], x[:, 1:])


def test_more_steps_find_a_larger_loss():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 4))
    x, target = torch.randn(20, 6), torch.randint(4, (20,))

    def loss(z):
        return nn.functional.cross_entropy(net(z), target).item()

    one_step = ours.FGSM(net).perturb(x, 0.5, target)
    many = ours.PGD(net).perturb(x, 0.5, 0.1, 20, target)
    assert loss(x) < loss(one_step) < loss(many)


def test_at_word_embeddings():
    explainer = xai_nlp.load("sentiment")
    ids = explainer.tokenizer("a gripping film", return_tensors="pt")["input_ids"]
    vectors = explainer.model.get_input_embeddings()(ids).detach()
    before = fingerprint(explainer.model)
    got = ours.PGD(explainer.model, layer=xai_nlp.points(explainer).word).perturb(ids, 0.5, 0.1, 4, 1, norm="L2")
    by_hand = ours.PGD(lambda e: explainer.model(inputs_embeds=e).logits).perturb(vectors, 0.5, 0.1, 4, 1, norm="L2")
    torch.testing.assert_close(got, by_hand)
    assert fingerprint(explainer.model) == before


def test_what_makes_no_sense_is_refused():
    net, x = nn.Softmax(-1), torch.rand(1, 3)
    with pytest.raises(UnknownChoice, match="Linf"):
        ours.PGD(net).perturb(x, 1.0, 0.1, 1, 0, norm="l2")
    for lib in BOTH:
        with pytest.raises(AssertionError):
            from_seed(lambda lib=lib: lib.PGD(net).perturb(x, 1.0, 0.1, 1, 0, norm="l2"), 0)
    with pytest.raises(CaptumAssertion, match="radius"):
        ours.PGD(net).perturb(x, -1.0, 0.1, 1, 0)
    with pytest.raises(CaptumAssertion, match="step_num"):
        ours.PGD(net).perturb(x, 1.0, 0.1, -1, 0)
    with pytest.raises(CaptumAssertion, match="as many masks"):
        ours.PGD(net).perturb(x, 1.0, 0.1, 1, 0, mask=(torch.ones(1, 3),) * 2)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_model_comes_back_as_it_was_after_a_failure_between_steps(norm):
    net = nn.Sequential(nn.Linear(3, 2), nn.Softmax(-1)).train()
    before, calls = fingerprint(net), []

    def loss_func(output, target):
        calls.append(1)
        return output[:, 0] if len(calls) < 3 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        ours.PGD(net, loss_func).perturb(torch.rand(2, 3), 1.0, 0.1, 9, 0, norm=norm)
    assert len(calls) == 3 and fingerprint(net) == before


def test_an_interrupt_takes_effect_after_the_step_and_the_model_comes_back():
    net = nn.Sequential(nn.Linear(3, 2), nn.Softmax(-1)).train()
    before, calls = fingerprint(net), []

    def loss_func(output, target):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return output[:, 0]

    with pytest.raises(KeyboardInterrupt):
        ours.PGD(net, loss_func).perturb(torch.rand(2, 3), 1.0, 0.1, 9, 0)
    assert len(calls) == 2 and fingerprint(net) == before
