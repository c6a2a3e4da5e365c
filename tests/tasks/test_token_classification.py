"""Entities: read as the pipeline of transformers reads them, explained against passes of one's own."""

import pytest
import torch
from transformers import TokenClassificationPipeline

from tests.tasks.new_tasks import check_promises, explainer_of
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.models.entities import AGGREGATIONS

TEXT = "The film was great and who wrote it"
LABELS = {"id2label": {0: "O", 1: "B-PER"}}


def named(dtype=None, name="bert"):
    return explainer_of(name, "token-classification", dtype, **LABELS)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_entities_are_those_of_the_pipeline(aggregation):
    explainer = named()
    pipeline = TokenClassificationPipeline(
        model=explainer.model, tokenizer=explainer.tokenizer, aggregation_strategy=aggregation, ignore_labels=["O"]
    )
    expected = [(one["start"], one["end"], one["entity_group"], one["score"]) for one in pipeline(TEXT)]
    every = explainer.explain(TEXT, entity="all", aggregation=aggregation, method="random")
    assert [(*why.answer[1], why.target.label) for why in every] == [one[:3] for one in expected]
    assert [one[2] for one in every[0].params["entities"]] == pytest.approx([one[3] for one in expected], abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_scores_of_entities_add_up(name):
    check_promises(named(torch.float64, name), [TEXT, "A dull film", "Who wrote this great movie?"], entity=(2, 8))


def test_leave_one_out_by_hand():
    """The mean of the label's logit over the entity's tokens, of which there are several, each masked in turn."""
    explainer, entity = named(), "great and who"
    why = explainer.explain(TEXT, entity=entity, target="PER", rather_than="O", method="occlusion", baseline="mask")
    batch = explainer.tokenizer(TEXT, return_tensors="pt", return_offsets_mapping=True)
    offsets = batch.pop("offset_mapping")[0]
    first = TEXT.index(entity)
    inside = [i for i, (a, b) in enumerate(offsets.tolist()) if first <= a < b <= first + len(entity)]
    assert len(inside) > 2

    @torch.no_grad()
    def number(ids):
        logits = explainer.model(**{**batch, "input_ids": ids}).logits[0, inside]
        return float((logits[:, 1] - logits[:, 0]).mean())

    plain = number(batch["input_ids"])
    assert why.value == pytest.approx(plain, abs=1e-5)
    assert str(why.target) == "PER-O" and why.target.answer == entity
    for i, (segment, score) in enumerate(zip(why.segment, why.scores, strict=True)):
        ids = batch["input_ids"].clone()
        ids[0, i] = explainer.tokenizer.mask_token_id
        assert score == pytest.approx(plain - number(ids) if segment >= 0 else 0.0, abs=1e-5)


def test_one_entity_or_all_of_them():
    explainer = named()
    every = explainer.explain(TEXT, entity="all")
    surest = explainer.explain(TEXT)
    assert surest.outputs["PER"] == max(why.outputs["PER"] for why in every)
    assert [why.scores for why in every if why.answer == surest.answer] == [pytest.approx(surest.scores, abs=1e-6)]
    assert sum(surest.outputs.values()) == pytest.approx(1)
    long = explainer.explain(TEXT + " the film was dull" * 20, entity="all", method="saliency")
    spans = [why.answer[1] for why in long]
    assert spans == sorted(spans) and spans[-1][1] > 200, "entities of every window"


def test_what_cannot_be_explained():
    explainer = named()
    with pytest.raises(InvalidInput, match=r"does not hold the entity 'Paris'"):
        explainer.explain(TEXT, entity="Paris")
    with pytest.raises(UnknownName, match=r"unknown entity type 'PERS'.*Did you mean 'PER'"):
        explainer.explain(TEXT, target="PERS")
    with pytest.raises(InvalidInput, match="compares 'PER' with itself"):
        explainer.explain(TEXT, target="PER", rather_than="PER")
    with pytest.raises(UnknownName, match="unknown aggregation 'mean'"):
        explainer.explain(TEXT, aggregation="mean")
    silent = explainer_of("bert", "token-classification", id2label={0: "O", 1: "O"})
    with pytest.raises(InvalidInput, match="no entity in text 0; name a stretch"):
        silent.explain([TEXT, TEXT])
