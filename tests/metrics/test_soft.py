"""Soft sufficiency and comprehensiveness: closed forms of additive functions, and a loop over the draws."""

import pytest
import torch

from tests.metrics.functions import subject_of, tangled
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics import soft_comprehensiveness, soft_sufficiency
from xai_nlp.metrics.perturbed import uniform_entries
from xai_nlp.metrics.soft import retain_probabilities

TERMS = torch.tensor([[4.0, 2.0, 1.0, 3.0]])


def words(f, vectors, features=None):
    """A subject whose features are word vectors (B, L, D) that go to zero."""
    features = torch.arange(vectors.shape[1])[None, :, None] if features is None else features
    return Subject(
        forward=lambda arguments, owner: f(arguments.get("x", vectors[owner])),
        read=lambda run, owner: run(),
        inputs={"x": MovableInput(x=(vectors,), baseline=(0 * vectors,), features=features)},
        examples=len(vectors),
    )


def of_terms(width=4000):
    """The sum of each word's term, which is shared equally among its vector's many entries."""
    return words(lambda z: z.sum((1, 2))[:, None], (TERMS / width)[:, :, None].expand(1, 4, width).clone())


@pytest.mark.parametrize("retain", [None, 0.2, 0.5, 0.9])
def test_of_an_additive_function_the_expectation_is_a_sum(retain):
    there = torch.ones(1, 4, dtype=torch.bool)
    scores = torch.tensor([[0.5, 0.1, -0.3, 0.2]])
    kept = retain_probabilities(scores[:, None], there, retain)[0, 0]
    dropped = 1 - retain_probabilities(-scores[:, None], there, retain)[0, 0]
    terms, total = TERMS[0].double(), TERMS.sum()
    assert float(soft_sufficiency(of_terms(), scores, retain=retain)) == pytest.approx(
        float((kept * terms).sum() / total), abs=5e-3
    )
    assert float(soft_comprehensiveness(of_terms(), scores, retain=retain)) == pytest.approx(
        float((dropped * terms).sum() / total), abs=5e-3
    )


@pytest.mark.parametrize("retain", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_as_much_is_kept_whatever_the_scores(retain):
    scores = torch.tensor([[[0.0, 0.0, 0.0, 9.0], [1.0, 8.9, 9.0, 9.0], [2.0, 2.0, 2.0, 2.0]]])
    kept = retain_probabilities(scores, torch.ones(1, 4, dtype=torch.bool), retain)
    torch.testing.assert_close(kept.mean(2), torch.full((1, 3), retain).double())
    assert ((kept >= 0) & (kept <= 1)).all()
    assert (kept[..., :-1] <= kept[..., 1:]).all()
    there = torch.tensor([[True, True, False, True]])
    some = retain_probabilities(scores, there, retain)[..., there[0]]
    torch.testing.assert_close(some.mean(2), torch.full((1, 3), retain).double())


def test_large_scores_everywhere_gain_nothing():
    low, high = [[0.0, 0.0, 0.0, 1.0]], [[0.0, 0.9, 0.9, 1.0]]
    original = [float(soft_sufficiency(of_terms(), scores, retain=None)) for scores in (low, high)]
    assert original[1] - original[0] > 0.2
    equal = soft_sufficiency(of_terms(), [[1.0, 1.0, 1.0, 1.0]], retain=0.5)
    assert float(equal) == pytest.approx(0.5, abs=5e-3)


def test_is_a_loop_over_the_draws():
    f, flat, _ = tangled(features=6, examples=2)
    vectors = flat.view(2, 3, 2)
    subject = words(lambda z: f(z.flatten(1)), vectors)
    scores = torch.tensor([[[0.3, 0.1, 0.9], [1.0, 2.0, -1.0]]] * 2).double()
    found = soft_comprehensiveness(subject, scores, samples=7, seed=3)
    kept = retain_probabilities(-scores, torch.ones(2, 3, dtype=torch.bool), 0.5)
    for b in range(2):
        at_x, at_zero = f(flat[b : b + 1])[0], f(torch.zeros(1, 6).double())[0]
        for o in range(2):
            lost = []
            for s in range(7):
                z = vectors[b].clone()
                z[uniform_entries(vectors, 3, s) < 1 - kept[b, o][:, None]] = 0
                lost.append((at_x - f(z.flatten()[None])[0]).clamp_min(0))
            expected = torch.stack(lost).mean(0) / (at_x - at_zero)
            torch.testing.assert_close(found[b, o], expected.where(at_x > at_zero, torch.nan), equal_nan=True)


def test_right_scores_do_better_than_wrong_ones():
    subject = of_terms()
    for measure in (soft_sufficiency, soft_comprehensiveness):
        right, wrong = (float(measure(subject, sign * TERMS)) for sign in (1, -1))
        assert right > wrong + 0.2


def test_without_a_fall_there_is_no_share():
    f, x, x0 = (lambda z: -z.sum(1, keepdim=True)), TERMS, 0 * TERMS
    assert soft_sufficiency(subject_of(f, x, x0), x).isnan().all()


def test_does_not_depend_on_batch_or_padding():
    f, flat, _ = tangled(features=6, examples=2)
    vectors = flat.view(2, 3, 2)
    alone = soft_sufficiency(words(lambda z: f(z.flatten(1)), vectors[1:]), [[1.0, 2.0, 3.0]])
    padded = torch.cat([vectors, torch.ones(2, 1, 2).double()], 1)
    features = torch.tensor([0, 1, 2, -1])[None, :, None]
    both = soft_sufficiency(words(lambda z: f(z[:, :3].flatten(1)), padded, features), [[1.0, 2.0, 3.0]] * 2)
    torch.testing.assert_close(both[1:], alone, equal_nan=True)


@pytest.mark.parametrize("options", [{"samples": 0}, {"retain": 1.5}])
def test_wrong_options(options):
    with pytest.raises(InvalidInput, match="samples is at least 1 and retain a share"):
        soft_sufficiency(of_terms(2), TERMS, **options)
