"""The BERT tutorial of Captum against Captum itself: same model, reference and steps, on the embedded model."""

from functools import partial

import captum.attr as captum
import pytest
import torch

import xai_nlp
from xai_nlp.models import loading
from xai_nlp.tasks.table import TASKS

QUESTION = "What is important to us?"
CONTEXT = "It is important to us to include, empower and support humans of all kinds."
STEPS = 8

load_model = partial(loading.load_model, tasks=TASKS)


@pytest.fixture(scope="module")
def eager():
    """A model of Captum's own: its attention has to be eager to be read."""
    loaded = load_model("qa", dtype=torch.float64)
    loaded.model.set_attn_implementation("eager")
    return loaded


@pytest.fixture(scope="module")
def encoded(eager):
    return eager.tokenizer(QUESTION, CONTEXT, return_tensors="pt")


@pytest.fixture(scope="module")
def explainer():
    return xai_nlp.load("qa", dtype=torch.float64)


@pytest.fixture(scope="module")
def ours(explainer):
    return explainer.explain(
        question=QUESTION, context=CONTEXT, target=("start", "end"), parts=True, layers=True, attention=True,
        method="conductance", steps=STEPS, rule="gauss_legendre",
    )  # fmt: skip


def words_and_reference(eager, encoded):
    """The words' vectors, and [PAD]'s for all but [CLS] and [SEP], as the tutorial constructs its reference."""
    ids, tokenizer = encoded["input_ids"], eager.tokenizer
    special = (ids == tokenizer.cls_token_id) | (ids == tokenizer.sep_token_id)
    table = eager.model.bert.embeddings.word_embeddings
    return table(ids).detach(), table(torch.where(special, ids, tokenizer.pad_token_id)).detach()


def forward(eager, encoded, place):
    """The start or end logit at a fixed place; the tutorial takes the largest anew at every step."""

    def logit(embeds):
        n = len(embeds)
        out = eager.model(
            inputs_embeds=embeds,
            token_type_ids=encoded["token_type_ids"].expand(n, -1),
            attention_mask=encoded["attention_mask"].expand(n, -1),
        )
        return (out.start_logits, out.end_logits)[place[0]][:, place[1]]

    return logit


def relative(got, expected):
    got = torch.tensor(got, dtype=torch.float64)
    return float((got - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("target", [0, 1])
def test_layer_and_attention_conductance_equal_captums(explainer, eager, encoded, ours, target):
    x, x0 = words_and_reference(eager, encoded)
    best = explainer.answers(QUESTION, CONTEXT, best=1)[0]
    logit = forward(eager, encoded, (target, (best.start, best.end)[target]))
    why = ours[target]
    for k, layer in enumerate(eager.model.bert.encoder.layer):
        of_layer = captum.LayerConductance(logit, layer).attribute(x, x0, n_steps=STEPS)
        assert relative(why.layers[k], of_layer.sum(-1)[0].detach()) < 1e-6
        _, matrix = captum.LayerConductance(logit, layer.attention.self).attribute(x, x0, n_steps=STEPS)
        assert relative(why.attention["self"].scores[k], matrix[0].detach()) < 1e-6


@pytest.mark.filterwarnings("ignore:Multiple layers")
def test_embeddings_of_part_1_equal_captums(explainer, eager, encoded):
    """Word, position and type embeddings apart, from the tutorial's reference: the first's type and position."""
    model, ids = eager.model, encoded["input_ids"]
    best = explainer.answers(QUESTION, CONTEXT, best=1)[0]
    why = explainer.explain(QUESTION, CONTEXT, target="start", parts=True, baseline="reference", steps=STEPS)
    special = (ids == eager.tokenizer.cls_token_id) | (ids == eager.tokenizer.sep_token_id)
    places = torch.arange(ids.shape[1])[None]
    kinds = encoded["token_type_ids"]

    def logit(ids, kinds, places):
        mask = torch.ones_like(ids)
        return model(ids, token_type_ids=kinds, position_ids=places, attention_mask=mask).start_logits[:, best.start]

    embeddings = model.bert.embeddings
    layers = [embeddings.word_embeddings, embeddings.token_type_embeddings, embeddings.position_embeddings]
    reference = (torch.where(special, ids, eager.tokenizer.pad_token_id), kinds * 0, places * 0)
    result = captum.LayerIntegratedGradients(logit, layers).attribute((ids, kinds, places), reference, n_steps=STEPS)
    for name, expected in zip(("word", "type", "position"), result, strict=True):
        assert relative(why.parts[name], expected.sum(-1)[0].detach()) < 1e-6
    assert sum(why.scores) == pytest.approx(sum(map(sum, why.parts.values())), abs=1e-5)
