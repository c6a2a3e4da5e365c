"""Trust verdicts: each model and explanation gets the one that it deserves."""

import copy
import random
import re
from dataclasses import replace

import pytest
import torch
from scipy.stats import spearmanr
from transformers.modeling_outputs import SequenceClassifierOutput

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.recipes.llms import INPUTS, MODELS
from tests.tasks.passes import rows_counted
from xai_nlp.errors import UnknownName
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.tasks.removals import feature_scores
from xai_nlp.tasks.run import predict
from xai_nlp.tasks.table import TASKS
from xai_nlp.tasks.trust import sizes_of
from xai_nlp.tasks.weight_randomization import weight_randomization

TEXT = "Not a bad film, but too long and rather dull in its second half"
LONGER = "one two three four five six seven eight nine ten eleven twelve"


@pytest.fixture(scope="module")
def sentiment():
    return xai_nlp.load("sentiment")


def made_of(score):
    """An explainer of a tiny BERT whose two logits are −s and s; `score` makes s (R,) of embeddings (R, L, D) and ids.

    What depends on embeddings alone, and adds up over tokens, has an explanation that is right by construction.
    """
    model, tokenizer = tiny("bert", fresh=True)

    def forward(input_ids, attention_mask=None, token_type_ids=None, **others):
        s = score(model.bert.embeddings(input_ids=input_ids, token_type_ids=token_type_ids), input_ids)
        return SequenceClassifierOutput(logits=torch.stack([-s, s], 1))

    model.forward = forward
    return xai_nlp.load(model, tokenizer)


def additive(h, ids):
    direction = torch.linspace(-2, 2, h.shape[-1])
    return (h @ direction).sum(1) / 4


def constant(h, ids):
    return 0 * h.sum((1, 2)) + 1


# Models -------------------------------------------------------------------------------------------------------------


def test_an_explanation_that_is_right_by_construction_holds():
    explainer = made_of(additive)
    for extent in ("quick", "full"):
        trust = explainer.explain(TEXT, trust=extent).trust
        assert trust.level == "holds", trust
        numbers = trust["removal"].numbers
        assert numbers["pad: position of deletion"] == pytest.approx(1)
        assert numbers["pad: position of insertion"] == pytest.approx(1)


def test_of_a_constant_model_there_is_nothing_to_explain():
    why = made_of(constant).explain(TEXT, trust=True)
    assert why.trust.level == "do not rely on it"
    assert "nothing to explain" in why.trust.weakest.sentence
    assert [check.name for check in why.trust.checks] == ["effect"]


def test_a_model_that_reads_one_word_is_explained_by_that_word_alone():
    word = tiny("bert")[1]("film", add_special_tokens=False)["input_ids"][0]
    explainer = made_of(lambda h, ids: ((h @ torch.linspace(-2, 2, h.shape[-1])) * (ids == word)).sum(1))
    right = explainer.explain(TEXT, trust="full")
    names = [token for token, score in right.top(20) if abs(score) > 1e-6]
    assert names == ["film"]
    assert right.trust["removal"].numbers["correlation"] == pytest.approx(1)
    assert right.trust["removal"].level == "holds"
    wrong = replace(right, scores=tuple(1.0 if token == "second" else 0.0 for token in right.tokens))
    assert explainer.trust(wrong).level == "do not rely on it"


def test_a_model_with_random_weights_hardly_decides():
    trained = xai_nlp.load("sentiment")
    torch.manual_seed(0)
    model = type(trained.model)(trained.model.config).eval()
    why = xai_nlp.load(model, trained.tokenizer).explain(TEXT, trust=True)
    assert why.trust["effect"].level == "holds in part"
    assert "hardly decides" in why.trust["effect"].sentence
    assert why.trust.level != "holds"


def test_random_and_shuffled_scores_do_not_hold(sentiment):
    right = sentiment.explain(TEXT)
    assert sentiment.trust(right).level == "holds"
    assert sentiment.explain(TEXT, method="random", trust=True).trust.level != "holds"
    generator, levels = random.Random(0), []
    for _ in range(5):
        shuffled = replace(right, scores=tuple(generator.sample(right.scores, len(right.scores))), complete=False)
        levels.append(sentiment.trust(shuffled).level)
    assert "holds" not in levels
    reverse = replace(right, scores=tuple(-score for score in right.scores), complete=False)
    assert sentiment.trust(reverse).level == "do not rely on it"


def test_scores_that_do_not_add_up_are_not_relied_on(sentiment):
    right = sentiment.explain(TEXT)
    half = replace(right, scores=tuple(score / 2 for score in right.scores))
    trust = sentiment.trust(half)
    assert trust.level == "do not rely on it"
    assert trust.weakest.name == "residual"
    assert trust["residual"].numbers["share"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("extent", ["quick", "full"])
def test_too_few_words_cannot_be_told_from_chance(sentiment, extent):
    trust = sentiment.explain("a film", trust=extent).trust
    assert trust.level != "holds"
    assert "too few" in trust["removal"].sentence
    assert [check.name for check in trust.checks] == ["removal", "effect", "residual", "flip"]  # no orders are compared


def test_a_full_verdict_says_its_cost_before_it_starts(sentiment, capsys):
    why = sentiment.explain(TEXT, method="saliency")
    sentiment.trust(why, "full")
    assert re.match(r"trust: about [\d,]+ rows go through the model, \d+ s\.", capsys.readouterr().err)
    sentiment.trust(why, "full", progress=False)
    sentiment.trust(why)
    assert capsys.readouterr().err == ""


# Numbers -------------------------------------------------------------------------------------------------------------


def test_a_verdict_does_not_change_the_explanation_and_comes_twice_the_same(sentiment):
    with_trust, again, without = (
        sentiment.explain(TEXT, trust=True), sentiment.explain(TEXT, trust=True), sentiment.explain(TEXT),
    )  # fmt: skip
    assert with_trust == again
    assert replace(with_trust, trust=None) == without
    assert without.trust is None


def test_each_of_several_methods_and_targets_has_its_own(sentiment):
    explanations = sentiment.explain([TEXT, "a fine film, if too long"], method=["occlusion", "random"], trust=True)
    alone = [
        sentiment.explain(text, method=method, trust=True)
        for text in (TEXT, "a fine film, if too long")
        for method in ("occlusion", "random")
    ]
    for one, other in zip(explanations, alone, strict=True):
        assert one.method == other.method
        assert one.trust.level == other.trust.level
        assert one.trust["removal"].sentence == other.trust["removal"].sentence
    both = sentiment.explain(TEXT, target="all", trust=True)
    assert [why.target.label for why in both] == ["NEGATIVE", "POSITIVE"]
    assert {why.trust.level for why in both} == {"holds"}


# Tasks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_every_task_gives_verdicts_and_hands_its_model_back(name):
    explainer = MODELS[name]() if name in MODELS else xai_nlp.load(TASKS[name].embedded)
    before = fingerprint(explainer.model)
    found = explainer.explain(**INPUTS[name], trust=True, steps=4)
    for why in found if isinstance(found, xai_nlp.Explanations) else [found]:
        assert {"effect"} <= {check.name for check in why.trust.checks}
        assert why.trust.passes > 0
        assert xai_nlp.Explanation.from_json(why.to_json()) == why
        assert why.trust.weakest.sentence in why.sentence()
    assert fingerprint(explainer.model) == before


def test_a_prompt_is_judged_without_pad_or_mask_tokens():
    explainer = xai_nlp.load(*writing("gpt2"))
    trust = explainer.explain("the film was long and dull", trust=True, longest=3).trust
    assert any(name.startswith(("delete", "zero")) for name in trust["removal"].numbers) or trust.level != "holds"


def test_passes_are_counted_and_bounded(sentiment):
    with rows_counted(sentiment.model) as alone:
        sentiment.explain(TEXT)
    with rows_counted(sentiment.model) as together:
        trust = sentiment.explain(TEXT, trust=True).trust
    assert trust.passes == sum(together) - sum(alone)


# Refusals ------------------------------------------------------------------------------------------------------------


def test_an_extent_is_quick_or_full(sentiment):
    with pytest.raises(UnknownName, match="quick"):
        sentiment.explain(TEXT, trust="fast")
    assert sentiment.explain(TEXT, trust=False).trust is None


def test_positions_come_with_the_interval_of_the_random_mean(sentiment):
    numbers = sentiment.explain(TEXT, trust=True).trust["removal"].numbers
    for kind in ("deletion", "insertion"):
        low, middle, high = (numbers[f"pad: position of {kind}{end}"] for end in (", low", "", ", high"))
        assert low < middle < high or middle == 1
    mean, best, own = (numbers[f"pad: {name}"] for name in ("random", "best found", "deletion"))
    assert numbers["pad: position of deletion"] == pytest.approx((own - mean) / (best - mean))


@pytest.mark.slow
def test_a_full_verdict_on_a_long_text_costs_no_square_of_its_words(sentiment):
    text = "the film is dull, and then it is long, " * 5
    with rows_counted(sentiment.model) as rows:
        trust = sentiment.explain(text, trust="full", method="saliency").trust
    assert trust["removal"].numbers["random orders"] == 60
    assert sum(rows) < 10_000
    assert sizes_of("full", 40) is None and len(sizes_of("full", 41)) == 20


# Other explanations, each by a call of its own -----------------------------------------------------------------------


def correlation(one, other):
    return spearmanr(feature_scores(one), feature_scores(other)).statistic


def test_a_full_verdict_compares_with_what_other_calls_give(sentiment):
    options = {"method": ["occlusion", "input_x_gradient"], "progress": False}
    first, second = sentiment.explain(TEXT, trust="full", **options)
    masked, _ = sentiment.explain(TEXT, baseline="mask", **options)
    gradients, shapley = (sentiment.explain(TEXT, method=name) for name in ("integrated_gradients", "shapley"))
    assert first.trust["baseline"].numbers["rank correlation"] == pytest.approx(correlation(first, masked))
    assert first.trust["method"].numbers["rank correlation"] == pytest.approx(correlation(first, gradients))
    assert second.trust["method"].numbers["rank correlation"] == pytest.approx(correlation(second, shapley))
    assert "seed" not in {check.name for check in first.trust.checks}


def test_a_method_that_draws_is_compared_with_another_seed(sentiment):
    why = sentiment.explain(TEXT, method="lime", samples=40, seed=3, trust="full", progress=False)
    other = sentiment.explain(TEXT, method="lime", samples=40, seed=4)
    assert why.trust["seed"].numbers["rank correlation"] == pytest.approx(correlation(why, other))
    assert why.trust["seed"].numbers["rank correlation"] < 1


def test_weights_are_drawn_three_times_and_measured_once(sentiment):
    model = copy.deepcopy(sentiment.model)
    explainer = xai_nlp.load(model, sentiment.tokenizer)
    first = explainer.explain(TEXT, method="saliency", trust="full", progress=False)
    request = explainer.request({"text": TEXT}, {"method": "saliency"})
    with frozen_model(model, evaluate=True):
        windows = explainer.encode(request)
        targets = explainer.targets(request, windows, predict(explainer, windows, request.options.batching))
        tests = [
            weight_randomization(
                explainer, request, windows, targets, request.methods[0], samples=3, order="one_shot", seed=seed
            ).last[0]
            for seed in range(3)
        ]
    assert len(set(tests)) == 3
    assert first.trust["weights"].numbers["rank correlation"] == pytest.approx(sum(tests) / 3)
    again = explainer.explain("a fine film, if too long", method="saliency", trust="full", progress=False)
    assert again.trust["weights"] == first.trust["weights"]
    assert again.trust.passes < first.trust.passes


def test_ten_texts_tell_which_inputs_are_unusual(sentiment):
    texts = [f"a dull film, number {n}" for n in range(10)]
    few, many = (sentiment.explain(texts[:n], method="saliency", trust="full", progress=False) for n in (9, 10))
    assert all("inputs" not in {check.name for check in why.trust.checks} for why in few)
    for why in many:
        assert set(why.trust["inputs"].numbers) == {"pad", "mask"}
        assert all(0 <= share <= 1 for share in why.trust["inputs"].numbers.values())


def test_the_words_that_decide_are_those_of_the_prediction_alone(sentiment):
    why, other = sentiment.explain(TEXT, target="all", trust=True)
    assert why.prediction == "NEGATIVE"
    assert "flip" in {check.name for check in why.trust.checks}
    assert "flip" not in {check.name for check in other.trust.checks}


def test_explanations_with_verdicts_know_their_inputs(sentiment):
    found = sentiment.explain([TEXT, "a fine film"], method=["saliency", "random"], trust=True)
    assert list(found.inputs) == [0, 0, 1, 1]
