"""The search for the smallest perturbation, against Captum's, brute force, and at word embeddings."""

import captum.robust as captum
import pytest
import torch
from torch import nn

import xai_nlp
import xai_nlp.robust as ours
from tests.attr.drawn import Case
from tests.robust.attacked import BOTH, both, same
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.hooks.model_state import fingerprint


def noise(inputs, std, shift=0.0):
    one = isinstance(inputs, torch.Tensor)
    moved = tuple(t + std * torch.randn_like(t) + shift for t in ((inputs,) if one else inputs))
    return moved[0] if one else moved


class OfTuples(nn.Module):
    """A network that takes its inputs as one tuple, as the search hands them on."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, inputs, *extra):
        return self.net(*(inputs if isinstance(inputs, tuple) else (inputs,)), *extra)


def compare(kind, mode, number):
    """Are they equal? Returns whether a wrong answer was found."""
    case = Case(kind, f"search {kind} {mode} {number}", single=False)
    net = OfTuples(case.net)
    inputs = case.tensors[0] if len(case.tensors) == 1 else case.inputs
    preproc = case.draw.choice([None, lambda t: t * 2]) if isinstance(inputs, torch.Tensor) else None
    target = net(inputs if preproc is None else preproc(inputs), *(case.extra or ())).argmax(1)
    make = {
        "arg_name": "std", "arg_min": 0.25, "arg_max": case.draw.choice([1.0, 4.0]), "arg_step": 0.25, "mode": mode,
        "num_attempts": case.draw.randint(1, 3), "preproc_fn": preproc, "apply_before_preproc": case.flag(),
    }  # fmt: skip
    how = {
        "target": target.tolist() if case.flag() else target, "additional_forward_args": case.extra,
        "perturbations_per_eval": case.draw.randint(1, 4), "attack_kwargs": case.draw.choice([None, {"shift": 0.1}]),
    }  # fmt: skip
    got, expected = both(lambda lib: lib.MinParamPerturbation(net, noise, **make).evaluate(inputs, **how), case.seed)
    same(got, expected)
    return got[1] is not None


@pytest.mark.parametrize("kind", ["linear", "convolutional", "recurrent", "inputs"])
@pytest.mark.parametrize("mode", ["linear", "binary"])
def test_is_captums(kind, mode):
    assert sum(compare(kind, mode, number) for number in range(10)) > 2


def confident(output, target, least):
    return bool((output.softmax(1)[:, target] > least).all())


@pytest.mark.parametrize("mode", ["linear", "binary", "LINEAR"])
@pytest.mark.parametrize("number", range(10))
def test_with_gradient_attacks_and_correct_functions_of_ones_own(mode, number):
    case = Case("linear", f"own {mode} {number}", single=False)

    def found(lib):
        attack = lib.FGSM(case.net, nn.CrossEntropyLoss(reduction="none"))
        search = lib.MinParamPerturbation(case.net, attack, "epsilon", 0, 4, 0.5, mode=mode, correct_fn=confident)
        return search.evaluate(
            case.tensors[0],
            target=1,
            attack_kwargs={"target": torch.tensor([1] * case.batch)},
            correct_fn_kwargs={"least": 0.1},
        )

    same(*both(found))


def threshold(edge):
    """A classifier of one number: 1 above the edge. The attack adds to it."""
    return lambda x: torch.stack([edge - x[:, 0], x[:, 0] - edge], 1)


def test_both_searches_find_the_smallest_value_on_the_grid():
    for edge in (0.05, 0.31, 0.9, 7.0):
        values = [i * 0.1 for i in range(10)]
        expected = next((v for v in values if v > edge), None)
        for mode in ("linear", "binary"):
            search = ours.MinParamPerturbation(threshold(edge), lambda x, by: x + by, "by", 0.0, 1.0, 0.1, mode=mode)
            point, value = search.evaluate(torch.zeros(1, 1), target=0)
            if expected is None:
                assert (point, value) == (None, None)
            else:
                assert value == pytest.approx(expected) and point.item() == pytest.approx(expected)


def test_values_do_not_drift():
    """Captum adds the step to the value before, so that rounding adds up: it tries an eleventh value, 0.9999999."""
    tried = {ours: [], captum: []}
    for lib, values in tried.items():

        def attack(x, by, values=values):
            values.append(by)
            return x

        lib.MinParamPerturbation(threshold(9), attack, "by", 0.0, 1.0, 0.1).evaluate(torch.zeros(1, 1), target=0)
    assert tried[ours] == [i * 0.1 for i in range(10)]
    assert len(tried[captum]) == 11


def test_binary_takes_fewer_passes():
    for mode, most in (("linear", 100), ("binary", 9)):
        passes = []
        net = threshold(0.975)
        search = ours.MinParamPerturbation(
            lambda x, net=net, passes=passes: passes.append(1) or net(x),
            lambda x, by: x + by,
            "by",
            0.0,
            1.0,
            0.01,
            mode,
        )
        assert search.evaluate(torch.zeros(1, 1), target=0)[1] == pytest.approx(0.98)
        assert len(passes) <= most


def test_inputs_of_any_type_go_through_the_preprocessing():
    explainer = xai_nlp.load("sentiment")

    def ids(text):
        return explainer.tokenizer(text, return_tensors="pt")["input_ids"]

    def shortened(text, words):
        return " ".join(text.split()[: len(text.split()) - words])

    search = ours.MinParamPerturbation(
        explainer.model, shortened, "words", 0, 6, 1, preproc_fn=ids, apply_before_preproc=True
    )
    text = "the plot is dull and lifeless but the acting is a triumph"
    label = int(explainer.model(ids(text)).logits.argmax())
    cut, words = search.evaluate(text, target=label)
    if words is not None:
        assert cut == shortened(text, words)
        assert int(explainer.model(ids(cut)).logits.argmax()) != label
    for fewer in range(words or 6):
        assert int(explainer.model(ids(shortened(text, fewer))).logits.argmax()) == label


@pytest.mark.parametrize("per_eval", [1, 3])
@pytest.mark.parametrize("mode", ["linear", "binary"])
def test_an_attack_at_word_embeddings_is_tried_there(mode, per_eval):
    explainer = xai_nlp.load("sentiment")
    before = fingerprint(explainer.model)

    def ids(text):
        return explainer.tokenizer(text, return_tensors="pt")["input_ids"]

    text = "a gripping film"
    label = int(explainer.model(ids(text)).logits.argmax())
    attack = ours.FGSM(explainer.model, layer=xai_nlp.points(explainer).word)
    search = ours.MinParamPerturbation(explainer.model, attack, "epsilon", 0.0, 0.5, 0.01, mode=mode, preproc_fn=ids)
    vectors, epsilon = search.evaluate(
        text, target=label, attack_kwargs={"target": label}, perturbations_per_eval=per_eval
    )
    logits = explainer.model(inputs_embeds=vectors).logits
    assert int(logits.argmax()) != label and epsilon > 0
    smaller = attack.perturb(ids(text), epsilon - 0.01, label)
    assert int(explainer.model(inputs_embeds=smaller).logits.argmax()) == label
    assert fingerprint(explainer.model) == before
    early = ours.MinParamPerturbation(
        explainer.model, attack, "epsilon", 0.0, 0.5, 0.01, preproc_fn=ids, apply_before_preproc=True
    )
    with pytest.raises(CaptumAssertion, match="apply_before_preproc=False"):
        early.evaluate(text, target=label, attack_kwargs={"target": label})


def test_what_makes_no_sense_is_refused_with_captums_errors():
    def made(lib, **how):
        given = {"arg_name": "std", "arg_min": 0, "arg_max": 4, "arg_step": 1} | how
        return lib.MinParamPerturbation(nn.Identity(), noise, **given)

    x = torch.rand(2, 3)
    refused = {
        "one step": lambda lib: made(lib, arg_max=1),
        "mode": lambda lib: made(lib, mode="guess"),
        "three axes": lambda lib: made(lib).evaluate(torch.rand(2, 3, 4), target=0),
    }
    for work in refused.values():
        for lib in BOTH:
            with pytest.raises(AssertionError):
                work(lib)
    for lib in BOTH:
        with pytest.raises(TypeError, match="target"):
            made(lib).evaluate(x)
    with pytest.raises(UnknownChoice, match="Did you mean 'linear'"):
        made(ours, mode="linar")
    for how in ({"arg_step": 0}, {"num_attempts": 0}):
        with pytest.raises(CaptumAssertion):
            made(ours, **how)
    with pytest.raises(CaptumAssertion, match="perturbations_per_eval"):
        made(ours).evaluate(x, target=0, perturbations_per_eval=0)
