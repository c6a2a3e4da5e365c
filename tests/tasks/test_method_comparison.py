"""Methods compared: the numbers are those of a loop, the right method wins, seeds repeat, bad rows are recorded."""

import random

import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.recipes.llms import INPUTS, MODELS
from tests.tasks.test_trust import additive, constant, made_of
from xai_nlp.core.method_comparison import MethodComparison
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.metrics import random_scores
from xai_nlp.tasks.method_comparison import APART, compare_methods, faithfulness, remembering
from xai_nlp.tasks.removals import feature_scores, removal_subject
from xai_nlp.tasks.table import TASKS

TEXTS = [
    "Not a bad film, but too long and rather dull",
    "a gripping and beautifully acted story of two friends",
    "one two three four five six seven eight",
    "the plot is thin, yet the cast is a joy to watch",
    "too many jokes and too little heart",
    "a fine film",
]


@pytest.fixture(scope="module")
def explainer():
    return xai_nlp.load(*tiny("bert", fresh=True))


def product_and_sum(weights):
    """A subject of features that work together: the T numbers are Σ w z + Π z and −Σ w z."""
    m = len(weights)

    def forward(arguments, owner):
        z = arguments["present"] if "present" in arguments else torch.ones(len(owner), m, dtype=torch.float64)
        return torch.stack([z @ weights + z.prod(1), -(z @ weights)], 1)

    ones = torch.ones(1, m, dtype=torch.float64)
    moving = MovableInput(x=(ones,), baseline=(0 * ones,), features=torch.arange(m)[None])
    return Subject(forward=forward, read=lambda run, owner: run(), inputs={"present": moving}, examples=1)


# Numbers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [6, 13])
def test_each_measure_is_that_of_a_loop(m):
    torch.manual_seed(0)
    weights, scores = torch.randn(m, dtype=torch.float64), torch.randn(2, 2, m, dtype=torch.float64)
    subject = product_and_sum(weights)
    measured = faithfulness(subject, scores, seed=3, orders=7)
    counts = range(1, m + 1) if m <= 10 else [-(-step * m // 10) for step in range(1, 11)]
    draws = random_scores(subject, orders=7, seed=3)[0].tolist()

    def value(present, t):
        z = torch.zeros(m, dtype=torch.float64)
        z[list(present)] = 1
        total = float(z @ weights)
        return total + float(z.prod()) if t == 0 else -total

    def of(order, t):
        """(drop by deletion, height by insertion) of features in this order."""
        everything = set(range(m))
        drops = [value(everything, t) - value(everything - set(order[:k]), t) for k in counts]
        heights = [value(order[:k], t) for k in counts]
        return sum(drops) / len(drops), sum(heights) / len(heights)

    for n in range(2):
        for t in range(2):
            order = sorted(range(m), key=lambda i, n=n, t=t: -scores[n, t, i])
            deletion, insertion = of(order, t)
            by_chance = [of(sorted(range(m), key=lambda i, d=d: -d[i]), t)[0] for d in draws]
            put_back = [of(sorted(range(m), key=lambda i, d=d: d[i]), t)[1] for d in draws]
            assert measured["deletion"][n, t] == pytest.approx(deletion - sum(by_chance) / 7)
            assert measured["insertion"][n, t] == pytest.approx(insertion - sum(put_back) / 7)
            assert measured["beaten"][n, t] == pytest.approx(sum(one < deletion for one in by_chance) / 7)
            tops = [-(-round(1000 * share * m) // 1000) for share in (0.01, 0.05, 0.1, 0.2, 0.5)]
            whole = value(range(m), t)
            gone = [whole - value(set(range(m)) - set(order[:k]), t) for k in tops]
            alone = [whole - value(order[:k], t) for k in tops]
            assert measured["comprehensiveness"][n, t] == pytest.approx(sum(gone) / 5)
            assert measured["sufficiency"][n, t] == pytest.approx(sum(alone) / 5)


def test_the_best_order_has_naopc_1_and_the_worst_0():
    weights = torch.arange(1.0, 7, dtype=torch.float64)
    scores = torch.stack([torch.stack([w, w]) for w in (weights, -weights)])
    measured = faithfulness(product_and_sum(weights), scores, full=True)["naopc"]
    torch.testing.assert_close(measured, torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64))


def test_no_set_of_features_is_evaluated_twice():
    sizes, subject = [], product_and_sum(torch.ones(6, dtype=torch.float64))
    counted = xai_nlp.core.subject.Subject(**{**vars(subject), "forward": lambda arguments, owner: (
        sizes.append(len(owner)) or subject.forward(arguments, owner))})  # fmt: skip
    faithfulness(remembering(counted), torch.randn(3, 2, 6), full=True)
    assert sum(sizes) <= 2**6


def test_a_row_has_the_numbers_of_its_own_explanation(explainer):
    comparison = compare_methods(TEXTS, ["occlusion"], model=explainer, orders=5, seed=4, progress=False)
    row = 1
    why = explainer.explain(TEXTS[row], method="occlusion")
    request = explainer.request({"text": TEXTS[row]}, {})
    windows = explainer.encode(request)
    from xai_nlp.tasks.run import predict

    (target,) = explainer.targets(request, windows, predict(explainer, windows, request.options.batching))
    subject = removal_subject(explainer, request, windows, target, "pad")
    expected = faithfulness(subject, torch.tensor([[feature_scores(why)]]), 4 + row + APART, 5)
    measured = comparison.of("occlusion")[row]
    for name, value in expected.items():
        assert getattr(measured, name) == pytest.approx(float(value), abs=1e-5)
    assert measured.level == explainer.trust(why).level


def test_statistics_are_those_of_scipy(explainer):
    from scipy import stats

    comparison = compare_methods(TEXTS, ["occlusion", "saliency"], model=explainer, orders=5, progress=False)
    first, second = ([one.deletion for one in comparison.of(name)] for name in ("occlusion", "saliency"))
    estimate, difference = comparison.estimate("occlusion"), comparison.difference("occlusion", "saliency")
    expected = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert estimate.interval == pytest.approx((expected.low, expected.high))
    paired = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert difference.interval == pytest.approx((paired.low, paired.high))
    levels = comparison.levels("occlusion")
    assert sum(share.mean for share in levels.values()) == pytest.approx(1)


# What wins -----------------------------------------------------------------------------------------------------------


def test_scores_that_are_right_by_construction_win_and_it_says_so():
    comparison = compare_methods(
        TEXTS * 2, ["integrated_gradients"], model=made_of(additive), progress=False, full=True
    )  # fmt: skip
    assert comparison.ranking == ["integrated_gradients", "random"]
    assert comparison.difference("integrated_gradients", "random").interval[0] > 0
    assert comparison.estimate("integrated_gradients", "beaten").mean == pytest.approx(1, abs=0.05)
    assert comparison.estimate("integrated_gradients", "naopc").mean == pytest.approx(1, abs=1e-4)
    assert comparison.estimate("integrated_gradients", "residual").mean < 1e-3
    assert comparison.sentence().startswith("Integrated gradients explains ")
    assert "its lead over random scores is more than chance" in comparison.sentence()


def test_of_a_constant_model_no_method_wins():
    comparison = compare_methods(TEXTS, ["occlusion"], model=made_of(constant), progress=False)
    assert "better than random" in comparison.sentence()
    assert comparison.estimate("occlusion").mean == 0
    assert comparison.levels("occlusion")["do not rely on it"].mean == 1


def test_random_is_near_zero_and_its_orders_are_its_own(explainer):
    generator = random.Random(0)
    texts = [" ".join(generator.choices("abcdefgh", k=8)) for _ in range(40)]
    comparison = compare_methods(texts, [], model=made_of(additive), progress=False)
    low, high = comparison.estimate("random").interval
    assert low < 0 < high
    assert comparison.estimate("random", "beaten").mean == pytest.approx(0.5, abs=0.15)


def test_one_example_says_nothing_about_chance(explainer):
    comparison = compare_methods(TEXTS[:1], ["occlusion"], model=explainer, orders=5, progress=False)
    assert "One example" in comparison.sentence()


# Rows and seeds ------------------------------------------------------------------------------------------------------


def numbers(comparison):
    return [(one.row, one.method, one.deletion, one.insertion, one.level) for one in comparison.measurements]


def test_the_same_seed_gives_the_same_numbers(explainer):
    def compared(seed):
        return compare_methods(
            TEXTS, ["gradient_shap"], model=explainer, limit=3, seed=seed, orders=5, progress=False
        )  # fmt: skip

    assert numbers(compared(1)) == numbers(compared(1))
    assert numbers(compared(1)) != numbers(compared(2))


def test_a_sample_has_its_rows_numbers_and_the_whole_has_all(explainer):
    seen = []
    comparison = compare_methods(
        TEXTS, ["saliency"], model=explainer, limit=2, seed=1, orders=5, progress=False, on_row=seen.append
    )  # fmt: skip
    rows = [one.row for one in comparison.of("saliency")]
    assert rows == sorted(random.Random(1).sample(range(6), 2))
    assert [one.examples for one in seen] == [1, 2]
    assert seen[-1] == comparison
    whole = compare_methods(TEXTS, ["saliency"], model=explainer, seed=1, orders=5, progress=False)
    assert [one.row for one in whole.of("saliency")] == list(range(6))
    assert set(numbers(comparison)) <= set(numbers(whole))


def test_a_bad_row_is_recorded_and_the_others_go_on(explainer):
    table = {"text": [TEXTS[0], "", TEXTS[1]]}
    comparison = compare_methods(table, ["saliency"], model=explainer, orders=5, progress=False)
    assert [one.row for one in comparison.of("saliency")] == [0, 2]
    assert [(one.row, one.method) for one in comparison.failures] == [(1, "")]
    assert "nothing to explain" in comparison.failures[0].message


def test_a_method_that_cannot_explain_is_recorded_and_the_others_go_on():
    explainer = MODELS["text2text-generation"]()
    comparison = compare_methods(
        ["a fine film"], ["attention_flow", "saliency"], model=explainer, orders=5, longest=2, progress=False
    )  # fmt: skip
    assert {one.method for one in comparison.failures} == {"attention_flow"}
    assert {one.method for one in comparison.measurements} == {"saliency", "random"}


def test_if_no_row_can_be_measured_the_reason_is_given(explainer):
    with pytest.raises(InvalidInput, match=r"no row could be measured; row 0: .*nothing to explain"):
        compare_methods({"text": ["", ""]}, ["saliency"], model=explainer, progress=False)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"methods": ["salience"]}, "saliency"),
        ({"removal": "burn"}, "removal 'burn'"),
        ({"orders": 1}, "at least 2"),
        ({"limit": 0}, "at least 1"),
    ],
)
def test_what_is_not_allowed_is_refused_at_once(explainer, wrong, match):
    with pytest.raises((UnknownName, InvalidInput), match=match):
        compare_methods(TEXTS, **{"methods": ["saliency"], **wrong}, model=explainer, progress=False)


def test_it_is_saved_and_read_back(explainer, tmp_path):
    comparison = compare_methods({"text": [*TEXTS[:2], ""]}, ["saliency"], model=explainer, orders=5, progress=False)
    comparison.save(tmp_path / "methods.json")
    again = MethodComparison.from_json((tmp_path / "methods.json").read_bytes())
    assert numbers(again) == numbers(comparison)
    assert again.sentence() == comparison.sentence()
    assert len(repr(again)) < 200


# Tasks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_every_task_compares_its_smallest_example_and_hands_its_model_back(name):
    explainer = MODELS[name]() if name in MODELS else xai_nlp.load(TASKS[name].embedded)
    names = {one.name for one in explainer.task.inputs}
    inputs = {key: [value] for key, value in INPUTS[name].items() if key in names and key != "labels"}
    options = {key: value for key, value in INPUTS[name].items() if key not in inputs}
    before = fingerprint(explainer.model)
    comparison = compare_methods(
        inputs, ["saliency", "occlusion"], model=explainer, orders=3, progress=False, **options
    )  # fmt: skip
    assert not comparison.failures
    assert {one.method for one in comparison.measurements} == {"saliency", "occlusion", "random"}
    assert comparison.task == name
    assert comparison.part == ("region" if name == "image-classification" else "word")
    assert all(one.passes > 0 and one.milliseconds > 0 for one in comparison.measurements)
    assert fingerprint(explainer.model) == before


def test_words_are_removed_as_asked(explainer):
    for removal in ("delete", "mask", "zero"):
        comparison = compare_methods(
            TEXTS[:2], ["saliency"], model=explainer, removal=removal, orders=3, progress=False
        )  # fmt: skip
        assert comparison.removal == removal
        assert not comparison.failures
