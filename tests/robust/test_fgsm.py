"""FGSM against Captum's on random networks, by hand, at layers, and where Captum's default loss goes wrong."""

import captum.robust as captum
import pytest
import torch
from torch import nn

import xai_nlp
import xai_nlp.robust as ours
from tests.attr.drawn import Case
from tests.models.padded_batches import padded_batch
from tests.robust.attacked import aimed, both, case_of, from_seed, same
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.robust.fgsm import negative_log

KINDS = ("linear", "convolutional", "recurrent", "inputs", "outputs", "in place", "reused")


def compare(kind, number):
    """Are they equal? Returns whether anything moved."""
    case = case_of(kind, f"FGSM {kind} {number}")
    make, how = aimed(case)
    how["epsilon"] = case.draw.choice([0.01, 0.3, 2.0])
    got, expected = both(lambda lib: lib.FGSM(case.net, **make).perturb(case.inputs, **how), case.seed)
    same(got, expected)
    return not torch.equal(got[0] if isinstance(got, tuple) else got, case.tensors[0])


@pytest.mark.parametrize("kind", KINDS)
def test_is_captums(kind):
    assert sum(compare(kind, number) for number in range(12)) > 6


def test_a_step_by_hand():
    """Of the loss −log p₀ = log(1 + e^(b − a)) for logits (a, b): it grows as a falls and b rises."""
    net = nn.Identity()
    x = torch.tensor([[2.0, -1.0], [-3.0, 4.0]])
    assert torch.equal(ours.FGSM(net).perturb(x, 0.5, 0), torch.tensor([[1.5, -0.5], [-3.5, 4.5]]))
    assert torch.equal(ours.FGSM(net).perturb(x, 0.5, 0, targeted=True), torch.tensor([[2.5, -1.5], [-2.5, 3.5]]))
    mask = torch.tensor([[1.0, 0.0]])
    assert torch.equal(ours.FGSM(net).perturb(x, 0.5, 0, mask=mask), torch.tensor([[1.5, -1.0], [-3.5, 4.0]]))
    assert torch.equal(ours.FGSM(net, None, -3, 2).perturb(x, 0.5, 0), torch.tensor([[1.5, -0.5], [-3.0, 2.0]]))


def test_bound_and_threshold_may_be_replaced():
    attack = ours.FGSM(nn.Identity())
    attack.bound = torch.round
    x = torch.tensor([[2.0, -1.0]])
    assert torch.equal(attack.perturb(x, 0.7, 0), torch.tensor([[1.0, 0.0]]))
    attack.zero_thresh = 1.0  # above any gradient of a log-probability
    assert torch.equal(attack.perturb(x, 0.7, 0), x)


# Logits ---------------------------------------------------------------------------------------------------------------


def rises_and_falls(number):
    """How many examples' cross-entropy rises by ours, by Captum's, falls by Captum's; and how many there are."""
    case = Case("linear", f"logits {number}", single=False)
    net, x = case.net, case.tensors[0]
    target = torch.tensor([case.draw.randrange(3) for _ in range(case.batch)])
    if not bool(((net(x) < 0) | (net(x) > 1)).any()):
        return torch.zeros(4)

    def loss(z):
        return nn.functional.cross_entropy(net(z), target, reduction="none")

    got, reference = both(lambda lib: lib.FGSM(net).perturb(x.clone(), 0.01, target))
    assert torch.equal(got, ours.FGSM(net, nn.CrossEntropyLoss()).perturb(x, 0.01, target))
    here, there = loss(got) - loss(x), loss(reference) - loss(x)
    return torch.stack([(here > 0).sum(), (there > 0).sum(), (there < 0).sum(), torch.tensor(case.batch)])


def test_of_logits_the_default_loss_is_the_cross_entropy():
    """Captum's is −log of the logit itself. Its slope is −1 / logit: below 0 the attack helps the right label."""
    ours_up, captums_up, captums_down, count = sum(rises_and_falls(number) for number in range(30)).tolist()
    assert count > 50
    assert ours_up > 0.95 * count  # a step of 0.01 goes up unless a ReLU has shut the example off
    assert captums_up < 0.7 * count
    assert captums_down > 0.3 * count


def test_outputs_of_a_huggingface_model_are_logits():
    explainer = xai_nlp.load("sentiment")
    ids = explainer.tokenizer("a gripping film", return_tensors="pt")["input_ids"]
    attack = ours.FGSM(explainer.model, layer=xai_nlp.points(explainer).word)
    by_hand = ours.FGSM(lambda e: explainer.model(inputs_embeds=e).logits, nn.CrossEntropyLoss())
    vectors = explainer.model.get_input_embeddings()(ids).detach()
    torch.testing.assert_close(attack(ids, 0.02, 1), by_hand(vectors, 0.02, torch.tensor([1])))


def test_rounding_makes_no_logits_of_probabilities():
    rows = torch.tensor([[1.0 + 1e-6, 0.2], [0.3, 0.7]])
    torch.testing.assert_close(negative_log(rows, 0), -rows[:, :1].log())
    torch.testing.assert_close(negative_log(rows * 2, 0), -(rows * 2).log_softmax(1)[:, :1])


def test_a_loss_for_the_whole_batch_is_taken():
    """Captum indexes the loss, and fails."""
    case = Case("linear", "mean loss", single=False)
    target = torch.tensor([0] * case.batch)
    each = ours.FGSM(case.net, nn.CrossEntropyLoss(reduction="none")).perturb(case.tensors[0], 0.1, target)
    torch.testing.assert_close(ours.FGSM(case.net, nn.CrossEntropyLoss()).perturb(case.tensors[0], 0.1, target), each)
    with pytest.raises(IndexError):
        from_seed(lambda: captum.FGSM(case.net, nn.CrossEntropyLoss()).perturb(case.tensors[0], 0.1, target), 0)


# Layers ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert", "roberta", "gpt2"])
def test_at_word_embeddings_by_hand(architecture):
    batch = padded_batch(architecture)
    ids = batch.inputs["input_ids"]
    point = xai_nlp.points(batch.model).word
    with xai_nlp.hooks.capture(point) as captured:
        logits = batch.forward(ids, *batch.others)
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(logits, torch.ones(len(ids)).long()), captured[point])
    expected = captured[point] + 0.3 * torch.where(slope.abs() > 1e-6, slope.sign(), 0)
    before = fingerprint(batch.model)
    attack = ours.FGSM(batch.forward, nn.CrossEntropyLoss(), layer=point)
    got = attack.perturb(ids, 0.3, torch.ones(len(ids)).long(), additional_forward_args=tuple(batch.others))
    torch.testing.assert_close(got, expected.detach())
    assert fingerprint(batch.model) == before


def test_at_a_layer_in_the_middle():
    case = Case("linear", "middle", single=False)
    net, x = case.net, case.tensors[0]
    hidden = net.left(x).detach()
    rest = ours.FGSM(nn.Sequential(net.act, net.last), nn.CrossEntropyLoss()).perturb(
        hidden, 0.2, torch.tensor([1] * len(x))
    )
    at_layer = ours.FGSM(net, nn.CrossEntropyLoss(), layer=net.left).perturb(x, 0.2, torch.tensor([1] * len(x)))
    torch.testing.assert_close(at_layer, rest)


# Handed back, and refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("breaks", [False, True])
def test_model_and_inputs_come_back_as_they_were(breaks):
    case = case_of("linear", "handed back")
    case.net.train()
    x, before = case.tensors[0], fingerprint(case.net)
    copy = x.clone()

    def loss_func(output, target):
        return 1 / 0 if breaks else output[:, 0]

    attack = ours.FGSM(case.net, loss_func)
    if breaks:
        with pytest.raises(ZeroDivisionError):
            attack.perturb(x, 0.1, 0)
    else:
        assert not attack.perturb(x, 0.1, 0).requires_grad
    assert fingerprint(case.net) == before
    assert torch.equal(x, copy) and not x.requires_grad and x.grad is None


def test_what_makes_no_sense_is_refused_with_captums_errors():
    net, x = nn.Softmax(-1), torch.rand(2, 3)
    refused = {
        "inputs": lambda lib: lib.FGSM(net).perturb("text", 0.1, 0),
        "too many targets": lambda lib: lib.FGSM(net).perturb(x, 0.1, [0] * 9),
        "no such target": lambda lib: lib.FGSM(net).perturb(x, 0.1, (0, 0, 0)),
        "target out of range": lambda lib: lib.FGSM(net).perturb(x, 0.1, 99),
        "no target": lambda lib: lib.FGSM(net).perturb(x, 0.1, None),
        "a loss of several numbers": lambda lib: lib.FGSM(net, lambda out, _: out).perturb(x, 0.1, 0),
    }
    for why, work in refused.items():
        with pytest.raises((AssertionError, IndexError)) as reference:
            from_seed(lambda work=work: work(captum), 0)
        with pytest.raises(type(reference.value)) as own:
            work(ours)
        assert isinstance(own.value, InvalidInput) and len(str(own.value)) > 20, why


def test_what_captum_does_not_see_is_refused():
    net, x = nn.Softmax(-1), torch.rand(2, 3)
    with pytest.raises(CaptumAssertion, match="as many masks"):
        ours.FGSM(net).perturb(x, 0.1, 0, mask=(torch.ones(2, 3),) * 2)
    with pytest.raises(CaptumAssertion, match="mask has the shape"):
        ours.FGSM(net).perturb(x, 0.1, 0, mask=torch.ones(2, 4))
    with pytest.raises(CaptumAssertion, match="upper_bound"):
        ours.FGSM(net, None, 1.0, 0.0)
    with pytest.raises(CaptumAssertion, match="one layer"):
        ours.FGSM(net, layer=[net, net])
    with pytest.raises(CaptumAssertion, match="give a `loss_func`"):
        ours.FGSM(lambda x: -x.sum(1)).perturb(x, 0.1, None)
    with pytest.raises(InvalidInput, match="name the embedding layer"):
        ours.FGSM(nn.Embedding(9, 4)).perturb(torch.tensor([[1, 2]]), 0.1, (0, 0))
