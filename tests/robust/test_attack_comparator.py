"""The comparison of attacks against Captum's, by hand, and at word embeddings."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

import xai_nlp
import xai_nlp.robust as ours
from tests.attr.drawn import Case
from tests.robust.attacked import BOTH, both, same
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.model_state import fingerprint


class Metrics(NamedTuple):
    accuracy: torch.Tensor
    confidence: torch.Tensor


def confidence(output, labels):
    return output.softmax(1).gather(1, labels[:, None])[:, 0]


def in_words(output, labels):
    return Metrics((output.argmax(1) == labels).double(), confidence(output, labels))


METRICS = {
    "each": confidence,
    "number": lambda output, labels: float(confidence(output, labels).mean()),
    "tensor": lambda output, labels: confidence(output, labels).mean(),
    "pair": lambda output, labels: (confidence(output, labels), output.logsumexp(1)),
    "named": in_words,
}


def noise(inputs, std=0.5):
    return inputs + std * torch.randn_like(inputs)


def towards(inputs, labels):
    return inputs + labels[:, None] * 0.3


def compared(lib, case, metric, preproc, per_eval, batches):
    comparator = lib.AttackComparator(case.net, METRICS[metric], preproc)
    labels = torch.tensor([0, 1, 2][: case.batch])
    entropy = nn.CrossEntropyLoss(reduction="none")
    comparator.add_attack(lib.FGSM(case.net, entropy), attack_kwargs={"epsilon": 0.2, "target": labels})
    comparator.add_attack(noise, "noise", num_attempts=3, apply_before_preproc=False)
    comparator.add_attack(noise, "more noise", num_attempts=2, attack_kwargs={"std": 2.0})
    comparator.add_attack(towards, "towards", additional_attack_arg_names=["labels"])
    results = [
        comparator.evaluate(x, additional_forward_args=case.extra, perturbations_per_eval=per_eval, labels=labels)
        for x in batches
    ]
    summary = comparator.summary()
    comparator.reset()
    assert comparator.summary() == {}
    return tuple(results), summary


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("number", range(8))
def test_is_captums(metric, number):
    case = Case("linear", f"comparator {metric} {number}", single=False)
    preproc = case.draw.choice([None, lambda t: t * 1.5])
    batches = [case.some((4,)) for _ in range(case.draw.randint(1, 3))]
    per_eval = case.draw.randint(1, 9)
    got, expected = both(lambda lib: compared(lib, case, metric, preproc, per_eval, batches), case.seed)
    assert set(got[1]) >= {"Original", "FGSM", "noise Mean Attempt", "noise Min Attempt", "noise Max Attempt"}
    same(got, expected)


def test_a_metric_that_has_names_keeps_its_type():
    comparator = ours.AttackComparator(nn.Identity(), in_words)
    comparator.add_attack(noise, "noise", num_attempts=2)
    result = comparator.evaluate(torch.rand(2, 3), labels=torch.tensor([0, 1]))
    assert isinstance(result["Original"], Metrics) and isinstance(result["noise"]["max"], Metrics)
    assert isinstance(comparator.summary()["noise Mean Attempt"]["mean"], Metrics)


def test_the_type_of_results_may_be_named():
    for lib in BOTH:
        assert isinstance(lib.AttackComparator[torch.Tensor](nn.Identity(), confidence), lib.AttackComparator)


def test_by_hand():
    comparator = ours.AttackComparator(nn.Identity(), lambda output: output[:, 0])
    shifts = iter([1.0, 5.0, 3.0])
    comparator.add_attack(lambda x: x + next(shifts), "shifts", num_attempts=3)
    x = torch.tensor([[0.0], [10.0]])
    result = comparator.evaluate(x)
    assert result["Original"].tolist() == [0, 10]
    expected = {"mean": [3, 13], "min": [1, 11], "max": [5, 15]}
    assert {stat: value.tolist() for stat, value in result["shifts"].items()} == expected
    assert comparator.summary()["shifts Max Attempt"]["mean"].item() == 10


def test_labels_right_or_wrong_may_be_bools():
    """Captum takes no mean of them."""
    comparator = ours.AttackComparator(nn.Identity(), lambda output, labels: output.argmax(1) == labels)
    comparator.evaluate(torch.eye(4), labels=torch.tensor([0, 1, 2, 0]))
    assert comparator.summary()["Original"]["mean"].item() == 0.75


@pytest.mark.parametrize("per_eval", [1, 2, 8])
def test_attacks_at_word_embeddings_are_compared_there(per_eval):
    explainer = xai_nlp.load("sentiment")
    model, before = explainer.model, fingerprint(explainer.model)
    texts, label = ["a gripping film", "a dull mess"], torch.tensor([1, 0])

    def ids(texts):
        return explainer.tokenizer(texts, return_tensors="pt", padding=True)["input_ids"]

    def chance(output, target):
        return output.logits.softmax(1).gather(1, target[:, None])[:, 0]

    word = xai_nlp.points(explainer).word
    with_labels = {"additional_attack_arg_names": ["target"], "apply_before_preproc": False}
    fgsm, pgd = ours.FGSM(model, layer=word), ours.PGD(model, layer=word)
    comparator = ours.AttackComparator(model, chance, preproc_fn=ids)
    comparator.add_attack(fgsm, attack_kwargs={"epsilon": 0.02}, **with_labels)
    comparator.add_attack(pgd, attack_kwargs={"radius": 0.02, "step_size": 0.01, "step_num": 4}, **with_labels)
    comparator.add_attack(lambda texts: [text.replace(" ", "! ") for text in texts], "exclaimed")  # of another length
    result = comparator.evaluate(texts, perturbations_per_eval=per_eval, target=label)
    expected = {
        "Original": model(ids(texts)),
        "FGSM": model(inputs_embeds=fgsm(ids(texts), 0.02, label)),
        "PGD": model(inputs_embeds=pgd(ids(texts), 0.02, 0.01, 4, label)),
        "exclaimed": model(ids([text.replace(" ", "! ") for text in texts])),
    }
    for name, output in expected.items():
        got = result[name] if name == "Original" else result[name]["mean"]
        torch.testing.assert_close(got, chance(output, label).detach())
    assert result["PGD"]["mean"].mean() < result["FGSM"]["mean"].mean() < result["Original"].mean()
    assert fingerprint(model) == before


def test_what_makes_no_sense_is_refused_with_captums_errors():
    for lib in BOTH:
        comparator = lib.AttackComparator(nn.Identity(), confidence)
        comparator.add_attack(noise, "noise", additional_attack_arg_names=["std"])
        with pytest.raises(RuntimeError, match="noise"):
            comparator.add_attack(noise, "noise")
        with pytest.warns(UserWarning, match="std"):
            comparator.evaluate(torch.rand(2, 3), labels=torch.tensor([0, 1]))
    comparator = ours.AttackComparator(nn.Identity(), confidence)
    with pytest.raises(CaptumAssertion, match="num_attempts"):
        comparator.add_attack(noise, num_attempts=0)
    with pytest.raises(CaptumAssertion, match="perturbations_per_eval"):
        comparator.evaluate(torch.rand(2, 3), perturbations_per_eval=0)
