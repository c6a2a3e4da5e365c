"""The test of concepts: what the model uses is significant, and what is drawn at random is so in 5 % of all trials."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import xai_nlp.concept as ours
from tests.concept.explained import gaussian
from xai_nlp.concept.significance import PermutationTest, adjusted, check_test
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.errors import Unsupported

WIDTH = 12


class Used(nn.Module):
    """f rises along the first axis, more or less by the example; the second axis has no part in it."""

    def __init__(self):
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x):
        h = self.same(x)
        mixed = (h[:, 2:] * torch.linspace(-1, 1, WIDTH - 2)).sum(1)
        return h[:, 0] + 0.3 * torch.tanh(mixed)


def axis(k, size=3.0):
    step = torch.zeros(WIDTH)
    step[k] = size
    return step


def concept(id, examples, name=None):
    return ours.Concept(id, name or f"concept {id}", [examples])


def random_concepts(seed, count=5, size=10):
    return [concept(100 + k, gaussian(0.0, size, WIDTH, 1000 * seed + 1 + k), f"random {k}") for k in range(count)]


def results_of(folder, concepts, seed=0, classifier="fastcav", inputs=None, model=None, **how):
    tcav = ours.TCAV(model or Used(), "same", classifier=classifier, save_path=str(folder))
    inputs = gaussian(0.0, 20, WIDTH, 7) if inputs is None else inputs
    return tcav.significance(inputs, concepts, random_concepts(seed), **how)


@pytest.mark.parametrize("statistic", ["magnitude", "unit_magnitude"])
@pytest.mark.parametrize("classifier", ["fastcav", ours.DefaultClassifier(seed=0)], ids=["fastcav", "sgd"])
def test_what_the_model_uses_is_significant_and_what_it_ignores_is_not(classifier, statistic, tmp_path):
    used = concept(0, gaussian(0.0, 10, WIDTH, 1) + axis(0), "used")
    against = concept(1, gaussian(0.0, 10, WIDTH, 2) - axis(0), "against")
    ignored = concept(2, gaussian(0.0, 10, WIDTH, 3) + axis(1), "ignored")
    found = results_of(tmp_path, [used, against, ignored], classifier=classifier, statistic=statistic, permutations=200)
    by_name = {one.concept: one for one in found}
    assert by_name["used"].adjusted_p_value < 0.05 and by_name["against"].adjusted_p_value < 0.05
    assert by_name["ignored"].p_value > 0.05
    assert by_name["used"].magnitude > 0 > by_name["against"].magnitude
    if statistic == "unit_magnitude":  # the cosine of the CAV and the axis, nearly
        assert 0.6 < by_name["used"].magnitude < 1.1 and -1.1 < by_name["against"].magnitude < -0.6
    elif classifier == "fastcav":  # from the mean of all, of which a sixth is 3 further up, to the mean of the concept
        assert abs(by_name["used"].magnitude - 2.5) < 0.6
    assert (by_name["used"].sign_count, by_name["against"].sign_count) == (1.0, 0.0)
    assert by_name["used"].sign_counts == (1.0,) * 5
    assert by_name["ignored"].accuracy > 0.8  # the classifier sees it well, but the model does not use it


class Quadratic(Used):
    """f = Σ xᵢ² / 2: every example has a gradient of its own."""

    def forward(self, x):
        return (self.same(x) ** 2).sum(1) / 2


def p_of_random_concepts(folder, **how):
    """p of 100 concepts from where the random ones come."""
    found = []
    for trial in range(100):
        drawn = [concept(0, gaussian(0.0, 10, WIDTH, 50_000 + trial))]
        inputs = gaussian(0.2, 60, WIDTH, 90_000 + trial)
        found += results_of(folder / str(trial), drawn, seed=trial + 1, inputs=inputs, permutations=39, **how)
    return np.array([one.p_value for one in found])


@pytest.mark.parametrize(
    ("statistic", "model"), [("magnitude", Used()), ("unit_magnitude", Quadratic()), ("sign_count", Quadratic())]
)
def test_random_concepts_are_significant_in_one_trial_of_twenty(statistic, model, tmp_path):
    """p ≤ 0.05 in about 5 of 100 trials, and p spreads evenly over [0, 1]."""
    p = p_of_random_concepts(tmp_path, statistic=statistic, model=model)
    assert 1 <= (p <= 0.05).sum() <= 10  # 99 % of binomial draws at 5 %
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_sign_counts_say_little_where_gradients_are_alike(tmp_path):
    """Any direction then scores near 0 or 1, so that random concepts are as far from chance as any."""
    assert p_of_random_concepts(tmp_path, statistic="sign_count").min() > 0.3


def test_the_papers_t_test_finds_random_concepts_significant(tmp_path):
    """Scores against several random sets share the concept's examples: they are no independent samples."""
    low = 0
    for trial in range(40):
        drawn = concept(0, gaussian(0.0, 10, WIDTH, 50_000 + trial))
        tcav = ours.TCAV(Used(), "same", classifier="fastcav", save_path=str(tmp_path / str(trial)))
        others = random_concepts(trial + 1, count=10)
        scores = tcav.interpret(gaussian(0.0, 20, WIDTH, 90_000 + trial), [[drawn, one] for one in others])
        counts = [float(by_layer["same"]["sign_count"][0]) for by_layer in scores.values()]
        low += stats.ttest_1samp(counts, 0.5).pvalue <= 0.05 if np.ptp(counts) else True
    assert low / 40 > 0.25


def test_p_is_that_of_all_relabelings():
    """Three examples against five: 56 ways to choose, and p from 4,000 draws comes near the exact share."""
    slopes = gaussian(0.3, 6, 4, 1)
    vectors, random = gaussian(0.7, 3, 4, 2), [gaussian(0.0, 5, 4, 3)]
    rows = torch.cat([vectors, *random])

    def score(chosen):
        is_in = torch.zeros(8, dtype=torch.bool)
        is_in[list(chosen)] = True
        direction = rows[is_in].mean(0) - rows[~is_in].mean(0)
        return abs(float((slopes @ (direction / direction.norm())).mean()))

    exact = np.mean([score(one) >= score((0, 1, 2)) - 1e-9 for one in itertools.combinations(range(8), 3)])
    test = PermutationTest(
        slopes=slopes, random=random, classifier=ours.FastCAV(), classifier_kwargs={}, permutations=4000,
        statistic="unit_magnitude", seed=0,
    )  # fmt: skip
    assert abs(test.of("a", "b", vectors).p_value - exact) < 0.03


def test_results_repeat_and_files_serve_again(tmp_path):
    used = concept(0, gaussian(0.0, 10, WIDTH, 1) + axis(0))
    first, again, other = (results_of(tmp_path, [used], permutations=50, statistic="magnitude") for _ in range(3))
    assert first == again == other


def test_holm_and_bonferroni_by_hand():
    one = ours.ConceptSignificance("a", "b", 0.5, 0.0, (0.5,), 0.04, 0.04)
    values = [0.04, 0.01, 0.03, 0.5]

    def found(correction):
        results = adjusted([ours.ConceptSignificance(**{**vars(one), "p_value": p}) for p in values], correction)
        return [round(r.adjusted_p_value, 9) for r in results]

    assert found("holm") == [0.09, 0.04, 0.09, 0.5]  # 0.01·4, 0.03·3, max(0.04·2, 0.09), 0.5
    assert found("bonferroni") == [0.16, 0.04, 0.12, 1.0]
    assert found("none") == values


def test_bad_input(tmp_path):
    for how, error in (
        ((0, "magnitude", "holm", None), CaptumAssertion),
        ((9, "size", "holm", None), UnknownChoice),
        ((9, "magnitude", "bonferoni", None), UnknownChoice),
        ((9, "magnitude", "holm", "tokens"), Unsupported),
    ):
        with pytest.raises(error):
            check_test(*how)
    with pytest.raises(CaptumAssertion, match="at least one"):
        results_of(tmp_path, [])
    same = concept(0, torch.rand(3, WIDTH))
    with pytest.raises(CaptumAssertion, match="different concepts"):
        results_of(tmp_path, [same, same])
    with pytest.raises(CaptumAssertion, match="one shape"):
        results_of(tmp_path, [concept(0, torch.rand(3, WIDTH - 1))])
