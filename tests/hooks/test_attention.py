"""Attention read and replaced, over every architecture: same logits, true probabilities, nothing left behind."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, BertModel, FNetConfig, FNetModel

from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.attention import attention_modules, attention_points, intercept
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import replaced, tensors_at
from xai_nlp.models.attention_families import attention_reach

TEXTS = ["A gripping, beautifully acted film about two sisters.", "dull"]
BY_THEMSELVES = ("deberta", "deberta-v2", "mpnet")  # compute attention without looking a function up
FLOAT32_INSIDE = {"deberta", "modernbert", "llama", "qwen2", "t5"}  # norms or rotations that round, whatever the dtype

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 16,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
SHARED_KEYS = {"num_key_value_heads": 2, "head_dim": 4, "sliding_window": 4}
BART = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
        (("layers", 2), ("attention_heads", 4), ("ffn_dim", 16))}  # fmt: skip

#: Families whose attention is more than softmax(QKᵀ + mask) V, and how many attentions a forward pass computes.
SPECIAL = {
    "gemma2": (SHARED_KEYS | {"attn_logit_softcapping": 0.5}, 2),
    "gpt_oss": (SHARED_KEYS | {"num_local_experts": 2, "num_experts_per_tok": 1}, 2),  # attention sinks
    "t5": ({"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 4}, 6),  # position bias
    "bart": ({"d_model": 16} | BART, 6),  # cross attention
}


def padded(name):
    model, tokenizer = tiny(name)
    return model, dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))


def special(name):
    torch.manual_seed(1)
    config = AutoConfig.for_model(name, **SIZES, **SPECIAL[name][0])
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    ids = torch.tensor([[5, 9, 17, 30, 41, 8, 2], [7, 11, 2, 0, 0, 0, 0]])
    return model, {"input_ids": ids, "attention_mask": (ids != 0).long()}


@pytest.mark.parametrize("name", [*ARCHITECTURES, *SPECIAL])
@torch.no_grad()
def test_probabilities_replaced_by_themselves_change_nothing(name):
    model, batch = special(name) if name in SPECIAL else padded(name)
    plain, before, layers = model(**batch).logits, fingerprint(model), []

    def visit(layer, module, probabilities):
        layers.append(layer)
        assert probabilities.shape[:2] == (2, 4)
        return probabilities.clone()

    with intercept(attention_reach(model), visit):
        for _ in range(2):  # layers are counted anew in each pass
            torch.testing.assert_close(model(**batch).logits, plain, atol=1e-6, rtol=1e-6)
    assert layers == [*range(SPECIAL[name][1] if name in SPECIAL else model.config.num_hidden_layers)] * 2
    assert fingerprint(model) == before
    assert torch.equal(model(**batch).logits, plain)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_rows_sum_to_one_and_padding_gets_nothing(name, side):
    model, tokenizer = tiny(name, fresh=True)
    tokenizer.padding_side = side
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    real = batch["attention_mask"].bool()
    seen = []
    with intercept(attention_reach(model), lambda layer, module, p: seen.append(p)):
        model(**batch)
    assert len(seen) == model.config.num_hidden_layers * (3 if model.config.is_encoder_decoder else 1)
    for p in seen[: model.config.num_hidden_layers]:  # a decoder reads what it is given, padding included
        rows = p.transpose(1, 2)[real]  # (real queries, H, K): rows of padding are nobody's business
        keys = real[:, None].expand(-1, real.shape[1], -1)[real][:, None]
        torch.testing.assert_close((rows * keys).sum(-1), torch.ones(rows.shape[:2]), atol=1e-6, rtol=0)
        assert (rows * ~keys).abs().max() == 0


@pytest.mark.parametrize("name", [*(a for a in ARCHITECTURES if a not in BY_THEMSELVES), *SPECIAL])
@torch.no_grad()
def test_probabilities_are_those_of_the_models_own_eager_attention(name):
    if name in SPECIAL:
        model, batch = special(name)
    else:
        model, tokenizer = tiny(name, fresh=True)
        batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    seen = {}
    with intercept(attention_reach(model), lambda layer, module, p: seen.update({layer: p})):
        model(**batch)
    model.set_attn_implementation("eager")
    out = model(**batch, output_attentions=True)
    own = out.attentions if "attentions" in out else out.encoder_attentions
    if "decoder_attentions" in out:  # the encoder's first, then self and cross attention in turn
        own += tuple(p for pair in zip(out.decoder_attentions, out.cross_attentions, strict=True) for p in pair)
    real = batch["attention_mask"].bool()
    assert len(own) == len(seen)
    for layer, expected in enumerate(own):
        decoding = "decoder_attentions" in out and layer >= len(out.encoder_attentions)
        for b in range(2):
            asking = slice(None) if decoding else real[b]
            torch.testing.assert_close(seen[layer][b][:, asking], expected[b][:, asking], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", BY_THEMSELVES)
@torch.no_grad()
def test_probabilities_are_what_these_families_report(name):
    model, batch = padded(name)
    seen = []
    with intercept(attention_reach(model), lambda layer, module, p: seen.append(p)):
        own = model(**batch, output_attentions=True).attentions
    for p, expected in zip(seen, own, strict=True):
        assert torch.equal(p, expected)


@torch.no_grad()
def test_local_attention_is_local():
    model, batch = padded("modernbert")
    seen = []
    with intercept(attention_reach(model), lambda layer, module, p: seen.append(p)):
        model(**batch)
    for p, kind in zip(seen, model.config.layer_types, strict=True):
        distance = torch.arange(p.shape[-1])[:, None] - torch.arange(p.shape[-1])
        far = distance.abs() > model.config.local_attention // 2
        assert far.any()
        assert bool((p[0][:, far] > 0).any()) == (kind == "full_attention")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradient_of_the_probabilities_is_the_finite_difference(name):
    model, tokenizer = tiny(name, fresh=True)
    model = model.double()
    batch = dict(tokenizer(TEXTS[:1], return_tensors="pt"))
    first = {}

    def leaf(layer, module, p):
        first.setdefault(layer, p.detach().requires_grad_())
        return first[0] if layer == 0 else None

    with intercept(attention_reach(model), leaf):
        (gradient,) = torch.autograd.grad(model(**batch).logits[0, 1], first[0])
    direction = torch.rand(gradient.shape, generator=torch.manual_seed(0), dtype=gradient.dtype) * first[0].detach()

    @torch.no_grad()
    def moved(step):
        with intercept(
            attention_reach(model), lambda layer, module, p: first[0] + step * direction if layer == 0 else None
        ):
            return float(model(**batch).logits[0, 1])

    step, tolerance = (1e-3, 1e-2) if name in FLOAT32_INSIDE else (1e-6, 1e-6)
    numeric = (moved(step) - moved(-step)) / (2 * step)
    assert abs(float((gradient * direction).sum()) - numeric) < tolerance * max(1, abs(numeric))
    assert gradient.abs().max() > 1e-4


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_visited_is_a_node_of_the_graph(name):
    model, batch = padded(name)
    seen = []
    with intercept(attention_reach(model), lambda layer, module, p: seen.append(p)):
        loss = model(**batch).logits[:, 1].sum()
    for gradient in torch.autograd.grad(loss, seen):
        assert gradient.abs().max() > 1e-6


@pytest.mark.parametrize("weight", [1 / 3, 0.0])
@torch.no_grad()
def test_attention_replaced_by_hand(weight):
    torch.manual_seed(0)
    sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, intermediate_size=8)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    ids = torch.tensor([[3, 4, 5]])
    with intercept(attention_reach(model), lambda layer, module, p: torch.full_like(p, weight)):
        got = model(ids).logits
    bert, block = model.bert, model.bert.encoder.layer[0]
    x = bert.embeddings(ids)
    mixed = (block.attention.self.value(x).sum(1, keepdim=True) * weight).expand_as(x)  # all attend to all alike
    attended = block.attention.output(mixed, x)
    hidden = block.output(block.intermediate(attended), attended)
    torch.testing.assert_close(got, model.classifier(bert.pooler(hidden)), atol=1e-6, rtol=0)


def explode(*_, **__):
    raise ZeroDivisionError


# What there is, and what cannot be had -------------------------------------------------------------------------------


def test_points_are_named_and_in_the_order_of_the_pass():
    model, batch = padded("llama")
    before = fingerprint(model)
    points = attention_points(attention_reach(model), lambda: model(**batch))
    assert [(point.path, point.call, point.heads) for point in points] == [
        (f"model.layers.{k}.self_attn", 0, 4) for k in range(2)
    ]
    assert fingerprint(model) == before
    model, batch = special("bart")
    points = attention_points(attention_reach(model), lambda: model(**batch))
    assert [point.path for point in points] == [f"model.encoder.layers.{k}.self_attn" for k in range(2)] + [
        f"model.decoder.layers.{k}.{kind}" for k in range(2) for kind in ("self_attn", "encoder_attn")
    ]


@pytest.mark.parametrize("name", [*ARCHITECTURES, *SPECIAL])
def test_the_modules_that_compute_attention_are_known_without_a_pass(name):
    model, batch = special(name) if name in SPECIAL else padded(name)
    points = attention_points(attention_reach(model), lambda: model(**batch))
    assert list(attention_modules(attention_reach(model)).values()) == list(
        dict.fromkeys(replace(point, call=0) for point in points)
    )


@pytest.mark.parametrize("name", ["bert", "albert", "bart", "t5"])
@torch.no_grad()
def test_a_point_gives_and_takes_its_matrix_in_every_pass(name):
    model, batch = padded(name) if name in ARCHITECTURES else special(name)
    points = attention_points(attention_reach(model), lambda: model(**batch))
    every = tensors_at(points, lambda: model(**batch))
    zeros = [(point, [torch.zeros_like(every[k][0])]) for k, point in enumerate(points) if k in (0, len(points) - 1)]
    with replaced(zeros):
        for _ in range(2):  # calls are counted anew in each pass
            now = tensors_at(points, lambda: model(**batch))
    assert [bool((t == 0).all()) for (t,) in now] == [k in (0, len(points) - 1) for k in range(len(points))]
    with pytest.raises(InvalidInput, match="they must agree"), replaced([(points[0], [every[0][0][:1]])]):
        model(**batch)
    assert points[0].path in str(points[0])


def test_what_cannot_be_intercept_says_why():
    model = FNetModel(FNetConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, intermediate_size=8))
    before = fingerprint(model)
    with pytest.raises(Unsupported, match="FNetModel cannot be reached"), intercept(attention_reach(model), explode):
        pass
    bert = BertModel(BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=0, num_attention_heads=2)).eval()
    with pytest.raises(Unsupported, match="without computing attention"), intercept(attention_reach(bert), explode):
        bert(torch.tensor([[1, 2]]))
    assert fingerprint(model) == before
