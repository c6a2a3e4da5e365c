"""Methods over attention against loops from the papers: tests/oracles/attention.py."""

from functools import cache

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from tests.oracles import attention as oracle
from xai_nlp.core.problem import Slope
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.methods.attention import AttentionRelevance, AttentionRollout

TEXT = "A dull film is great"
SHORT = "A dull film"
LABEL = 1
MOVED = "attention_integrated_gradients"
PAIRED = ("bart", "t5")
DECODERS = ("gpt2", "llama", "qwen2", "opt")
SINGLE = [name for name in ARCHITECTURES if name not in PAIRED]
#: Norms, rotations or softmax that round to float32 whatever the dtype; eager and sdpa round in different places.
ROUNDING = {"llama": 2e-5, "qwen2": 2e-5, "modernbert": 2e-5, "deberta": 2e-5, "t5": 2e-4, "opt": 2e-6}


class Posed:
    """A family in float64: our explainer on one model, the oracle's eager twin of it, and one text."""

    def __init__(self, name, text=SHORT):
        self.name, self.text = name, text
        model, tokenizer = tiny(name, fresh=True)
        twin, _ = tiny(name, fresh=True)
        self.explainer = xai_nlp.load(model.double(), tokenizer)
        self.eager = oracle.Eager(twin.double(), tokenizer(text, return_tensors="pt"))
        self.at_input = self.eager.at_input(LABEL)
        self.atol = ROUNDING.get(name, 1e-6)

    @property
    def reader(self):
        """Where the family's head reads: its first position, or its last."""
        return -1 if self.name in (*DECODERS, *PAIRED) else 0

    def explained(self, method, **options):
        """(explanation, its matrices in the order in which the model computes them)."""
        why = self.explainer.explain(self.text, target=LABEL, method=method, **options)
        if self.name not in PAIRED:
            return why, list(why.attention["self"].scores.numpy())
        encoder, decoder, cross = (list(why.attention[k].scores.numpy()) for k in ("encoder", "decoder", "cross"))
        return why, [*encoder, *(m for pair in zip(decoder, cross, strict=True) for m in pair)]

    def close(self, got, expected, scale=1.0):
        close(got, expected, atol=self.atol * scale)


posed = cache(Posed)


def close(got, expected, atol=1e-6):
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    np.testing.assert_allclose(np.asarray(got), expected, atol=atol, rtol=1e-5)


@pytest.fixture(scope="module")
def by_hand():
    """BERT with its attention computed by hand, from queries and keys on."""
    model, tokenizer = tiny("bert", fresh=True)
    batch = tokenizer(SHORT, return_tensors="pt")
    hand = oracle.ByHand(model.double(), batch)
    torch.testing.assert_close(hand.run()[0], model(**batch).logits[0], atol=1e-12, rtol=0)
    return hand


# The loops themselves, on two tokens by hand ------------------------------------------------------------------------

FIRST, SECOND = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]], [[[0.5, 0.5], [0.0, 1.0]]]]).double()


def test_the_loops_on_two_tokens_by_hand():
    close(oracle.rollout([FIRST, SECOND]), [[0.8125, 0.1875], [0.25, 0.75]])
    close(oracle.flow([FIRST, SECOND], reader=0), [1, 0.25])
    close(oracle.flow([FIRST, SECOND], reader=1), [0.25, 0.75])
    gradients = [torch.tensor([[[1.0, -1.0], [2.0, 2.0]]]).double(), torch.tensor([[[2.0, 2.0], [5.0, -1.0]]]).double()]
    close(oracle.relevance([FIRST, SECOND], gradients), [[5, 2], [1, 2]])
    close(oracle.shares(FIRST, torch.tensor([[[3.0, 9.0], [0.0, 4.0]]])), [3 / 7, 4 / 7])
    own, cross = torch.ones(1, 1, 1, dtype=torch.float64), torch.tensor([[[0.25, 0.75]]]).double()
    across = oracle.rollout_across([FIRST], [own], [cross])
    close(across, [[0.5 * (0.25 + 0.75 * 0.25), 0.5 * 0.75 * 0.75]])
    pair = [(FIRST, gradients[0])]
    # R text = [[2, 0], [1, 2]]; normalised its additions [[1, 0], [.5, .5]] + I; R out = [[3]], normalised [[1]] + I
    crossed = oracle.cross_relevance(pair, [(own, 2 * own)], [(cross, torch.ones_like(cross))])
    close(crossed, [[2 * (0.25 * 2 + 0.75 * 0.5), 2 * 0.75 * 1.5]])


def test_the_two_oracles_agree(by_hand):
    for ours, reference in zip(by_hand.at_input(LABEL), posed("bert").at_input, strict=True):
        for a, b in zip(ours, reference, strict=True):
            close(a, b, atol=1e-12)


# What is read off the matrices as they are --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_probabilities(name):
    family = posed(name)
    why, found = family.explained("attention_probabilities")
    for got, matrix in zip(found, family.at_input[0], strict=True):
        family.close(got, matrix)
    family.close(why.scores, family.at_input[0][-1].mean(0)[family.reader])


@pytest.mark.parametrize("name", SINGLE)
def test_rollout(name):
    family = posed(name)
    why, found = family.explained("attention_rollout")
    for k, got in enumerate(found):
        family.close(got[0], oracle.rollout(family.at_input[0][: k + 1]))
    family.close(why.scores, oracle.rollout(family.at_input[0])[family.reader])
    assert sum(why.scores) == pytest.approx(1)


@pytest.mark.parametrize("name", PAIRED)
def test_rollout_across_an_encoder_decoder(name):
    family = posed(name)
    why, found = family.explained("attention_rollout")
    matrices = family.at_input[0]
    encoder, decoder, cross = matrices[:2], matrices[2::2], matrices[3::2]
    for k in range(2):
        family.close(found[k][0], oracle.rollout(encoder[: k + 1]))
    family.close(found[3][0], oracle.rollout_across(encoder, decoder[:1], cross[:1]))
    family.close(why.scores, oracle.rollout_across(encoder, decoder, cross)[family.reader])
    assert 0 < sum(why.scores) < 1  # the rest is the decoder's own input


@pytest.mark.parametrize("name", ["bert", "albert", "gpt2", "qwen2"])
def test_flow(name):
    family = posed(name)
    why, found = family.explained("attention_flow")
    reader = family.reader % len(why.tokens)
    close(why.scores, oracle.flow(family.at_input[0], reader), atol=1e-5)
    for got, matrix in zip(found, family.at_input[0], strict=True):
        family.close(got[0], (matrix.mean(0) + torch.eye(len(why.tokens))) / 2)


@pytest.mark.parametrize("name", SINGLE)
def test_relevance(name):
    family = posed(name)
    why, found = family.explained("attention_relevance")
    held = oracle.relevance(*family.at_input)
    held[family.reader, family.reader] -= 1  # its own identity
    family.close(why.scores, held[family.reader])
    for got, matrix, gradient in zip(found, *family.at_input, strict=True):
        family.close(got, (matrix * gradient).clamp(min=0))


@pytest.mark.parametrize("name", PAIRED)
def test_relevance_across_an_encoder_decoder(name):
    family = posed(name)
    why, _ = family.explained("attention_relevance")
    pairs = list(zip(*family.at_input, strict=True))
    held = oracle.cross_relevance(pairs[:2], pairs[2::2], pairs[3::2])
    family.close(why.scores, held[family.reader])
    assert max(why.scores) > 1e-3
    with pytest.raises(Unsupported, match="one sequence"):
        family.explained("attention_flow")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradient_x_attention_and_the_importance_of_heads(name):
    family = posed(name)
    why, found = family.explained("attention_x_gradient")
    for got, matrix, gradient in zip(found, *family.at_input, strict=True):
        family.close(got, matrix * gradient)
    importance = oracle.head_importance_by_factors(family.eager, name, LABEL)
    stack = why.attention["encoder" if name in PAIRED else "self"]
    family.close(stack.heads(), importance, scale=5)
    assert importance.abs().max() > 1e-3
    looking = found if name not in PAIRED else [found[k] for k in (0, 1, 3, 5)]  # those that look at the text
    family.close(why.scores, sum(m.sum((0, 1), dtype=float) for m in looking), scale=5)


def test_head_importance_by_hand(by_hand):
    why, _ = posed("bert").explained("attention_x_gradient")
    close(why.attention["self"].heads(), oracle.head_importance(by_hand, LABEL))


# Norms of what is weighed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["heads", "layer", "residual", "normalised"])
def test_norms(by_hand, what):
    why, found = posed("bert").explained("attention_norms", what=what)
    entering = by_hand.embedded
    for k, layer in enumerate(by_hand.bert.encoder.layer):
        expected = oracle.norms(layer, entering[0], by_hand.at_input(LABEL)[0][k], by_hand.heads)[what]
        close(found[k], expected)
        entering = layer(entering)
        entering = entering[0] if isinstance(entering, tuple) else entering
    close(why.scores, expected.sum(0)[0])


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "opt"])
def test_norms_of_every_family(name):
    family = posed(name)
    layers = range(family.eager.model.config.num_hidden_layers)
    expected = [oracle.norms_by_columns(family.eager, name, k) for k in layers]
    for what in expected[0]:
        why = family.explainer.explain(SHORT, target=LABEL, method="attention_norms", what=what)
        (kind,) = why.attention
        assert kind == ("encoder" if name in PAIRED else "self")
        for k in layers:
            family.close(why.attention[kind].scores[k], expected[k][what], scale=10)
        last = family.at_input[0][layers[-1]], family.at_input[1][layers[-1]]
        family.close(why.scores, oracle.shares(*last) @ expected[-1][what].sum(0), scale=10)


def test_norms_that_cannot_be_had_are_refused():
    with pytest.raises(Unsupported, match="norm after attention"):
        posed("gpt2").explained("attention_norms", what="normalised")
    with pytest.raises(Unsupported, match="projection after attention of OPT"):
        posed("opt").explained("attention_norms")


# What moves ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["zero", "uniform"])
def test_integrated_gradients_of_each_layer(by_hand, start):
    why, found = posed("bert").explained(MOVED, start=start, tolerance=1e-8, max_steps=2000)
    for k, matrix in enumerate(by_hand.at_input(LABEL)[0]):
        begin = {k: torch.zeros_like(matrix) if start == "zero" else oracle.uniform(matrix)}
        close(found[k], oracle.integrated(by_hand, LABEL, begin, oracle.midpoint(100))[k], atol=1e-4)
        close(found[k], oracle.integrated(by_hand, LABEL, begin, oracle.gauss(20))[k])
        total = found[k].sum(dtype=float) + why.attention["self"].residuals[k]
        assert total == pytest.approx(oracle.lost(by_hand, LABEL, begin), abs=1e-6)
    close(why.scores, sum(found).sum((0, 1)) / 2)
    assert abs(why.residual) < 1e-6


@pytest.mark.parametrize("start", ["zero", "uniform"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_integrated_gradients_by_the_same_rule(name, start):
    """The same nodes and weights, so that kinks make no difference; and what each layer misses, computed outside."""
    family = posed(name)
    why, found = family.explained(MOVED, start=start, rule="gauss_legendre", steps=6)
    residuals = {kind: list(stack.residuals) for kind, stack in why.attention.items()}
    left, drops = [], []
    for k, matrix in enumerate(family.at_input[0]):
        begin = {k: torch.zeros_like(matrix) if start == "zero" else oracle.uniform(matrix)}
        expected = oracle.integrated(family.eager, LABEL, begin, oracle.gauss(6))[k]
        family.close(found[k], expected, scale=10)
        drops.append(oracle.lost(family.eager, LABEL, begin))
        left.append(drops[-1] - float(expected.sum()))
    kinds = ["self"] * len(left) if name not in PAIRED else ["encoder"] * 2 + ["decoder", "cross"] * 2
    told = [residuals[kind].pop(0) for kind in kinds]
    family.close(told, left, scale=20)
    looking = [k for k, kind in enumerate(kinds) if kind != "decoder"]  # at the text
    drawn = sum(found[k].sum((0, 1), dtype=float) for k in looking) / len(looking)
    family.close(why.scores, drawn)
    family.close(why.explained, np.mean([drops[k] for k in looking]), scale=20)


@pytest.mark.parametrize("name", ["bert", "gpt2", "deberta", *PAIRED])
def test_integrated_gradients_of_all_layers_together(name):
    family = posed(name)
    why = family.explainer.explain(SHORT, target=LABEL, method=MOVED, together=True, rule="middle", steps=5)
    kinds = ["self"] * len(family.at_input[0]) if name not in PAIRED else ["encoder"] * 2 + ["decoder", "cross"] * 2
    begin = {k: torch.zeros_like(m) for k, m in enumerate(family.at_input[0]) if kinds[k] != "decoder"}
    expected = oracle.integrated(family.eager, LABEL, begin, oracle.midpoint(5))
    found = {kind: list(stack.scores.numpy()) for kind, stack in why.attention.items()}
    assert set(found) == {kinds[k] for k in begin}
    for k, scores in expected.items():
        family.close(found[kinds[k]].pop(0), scores, scale=10)
    family.close(why.scores, sum(expected.values()).sum((0, 1)), scale=10)
    family.close(why.explained, oracle.lost(family.eager, LABEL, begin), scale=10)
    assert not any(stack.residuals for stack in why.attention.values())  # there is one for all: the explanation's
    family.close(why.residual, why.explained - float(sum(s.sum() for s in expected.values())), scale=20)


#: family -> where the sum of its embeddings comes out
EMBEDDINGS = {
    "bert": "bert.embeddings",
    "albert": "albert.embeddings",
    "deberta": "deberta.embeddings",
    "gpt2": "transformer.drop",
    "qwen2": "model.embed_tokens",
    "t5": "transformer.encoder.embed_tokens",
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_conductance_is_the_left_sum_along_the_embeddings_path(name):
    family = posed(name)
    eager, tokenizer = family.eager, family.explainer.tokenizer
    embeddings = eager.model.get_submodule(EMBEDDINGS[name])
    words, ids = eager.model.get_input_embeddings(), eager.batch["input_ids"][0]
    special = torch.tensor(tokenizer.get_special_tokens_mask(ids.tolist(), already_has_special_tokens=True)).bool()
    empty = words(torch.where(special, ids, tokenizer.pad_token_id)).detach()
    start = [empty]  # the words' vectors are all there is, or what becomes of them
    if not isinstance(embeddings, torch.nn.Embedding):
        start = []
        hooks = [(words, "post", lambda *_: empty[None]), (embeddings, "post", lambda m, a, out: start.append(out[0]))]
        with torch.no_grad():
            eager.run(hooks=hooks)
    expected = oracle.conductance_by_path(eager, LABEL, embeddings, start[0], 8)
    _, found = family.explained("attention_conductance", rule="trapezoid", steps=8)
    for got, matrix in zip(found, expected, strict=True):
        family.close(got, matrix, scale=10)
    assert max(abs(m).max() for m in found) > 1e-3


def test_conductance_converges(by_hand):
    family = posed("bert")
    why, found = family.explained("attention_conductance", tolerance=1e-9)
    ids = family.eager.batch["input_ids"].clone()
    ids[0, 1:-1] = family.explainer.tokenizer.pad_token_id
    with torch.no_grad():
        start = by_hand.bert.embeddings(ids)
    coarse, fine = (oracle.conductance(by_hand, LABEL, start, steps) for steps in (50, 100))
    close(found, 2 * fine - coarse, atol=2e-4)  # Richardson: the left sum's error is first order
    close(why.scores, sum(found).sum((0, 1)), atol=1e-5)


# Several readers, several targets -----------------------------------------------------------------------------------

QA = "question-answering"
QUESTION = ("A dull", "great film was")  # of which no two tokens stand in the same place


@pytest.mark.parametrize("name", ["bert", "albert", "gpt2"])
def test_a_target_that_reads_several_positions_weighs_their_rows(name):
    explainer, twin = (xai_nlp.load(tiny(name, fresh=True, task=QA)[0].double(), tiny(name)[1]) for _ in range(2))
    batch = explainer.tokenizer(*QUESTION, return_tensors="pt")
    eager = oracle.Eager(twin.model, batch, lambda output: torch.cat([output.start_logits, output.end_logits], 1))
    L = batch["input_ids"].shape[1]
    numbers, used = eager.run()
    whys = {m: explainer.explain(*QUESTION, method=f"attention_{m}") for m in ("rollout", "relevance", "norms")}
    segment, (first, last) = whys["rollout"].answer
    stands = zip(whys["rollout"].segment, whys["rollout"].offsets, strict=True)
    start, *_, end = 2 * [i for i, (s, (a, b)) in enumerate(stands) if s == segment and first <= a and b <= last]
    gradients = [g[0] for g in torch.autograd.grad(numbers[start] + numbers[L + end], used)]
    matrices = [m[0].detach() for m in used]
    shares = oracle.shares(matrices[-1], gradients[-1])
    assert shares.nonzero()[:, 0].tolist() == sorted({start, end})
    close(whys["rollout"].scores, shares @ oracle.rollout(matrices))
    close(whys["relevance"].scores, shares @ (oracle.relevance(matrices, gradients) - torch.eye(L)))
    norms = oracle.norms_by_columns(eager, name, len(matrices) - 1)["layer"]
    close(whys["norms"].scores, shares @ norms.sum(0), atol=1e-5)


def test_targets_and_contrasts():
    """Gradients are those of what is asked for: a contrast is a difference, a probability has its slope."""
    family = posed("bert")
    eager, method = family.eager, "attention_x_gradient"
    for target, unit, number in (
        ("POSITIVE-NEGATIVE", "logit", lambda z: z[1] - z[0]),
        ("NEGATIVE", "logit", lambda z: z[0]),
        ("POSITIVE", "probability", lambda z: z.softmax(0)[1]),
        ("POSITIVE", "log-probability", lambda z: z.log_softmax(0)[1]),
    ):
        numbers, used = eager.run()
        gradients = torch.autograd.grad(number(numbers), used)
        why = family.explainer.explain(SHORT, target=target, unit=unit, method=method)
        close(why.attention["self"].scores, torch.cat([m.detach() * g for m, g in zip(used, gradients, strict=True)]))
        assert why.value == pytest.approx(float(number(numbers.detach())), abs=1e-6)


def test_wrong_options_are_told():
    with pytest.raises(InvalidInput, match="'zero' or 'uniform'"):
        posed("bert").explained(MOVED, start="one")
    with pytest.raises(InvalidInput, match="'normalised'"):
        posed("bert").explained("attention_norms", what="all")


def test_sequences_that_look_at_each_other_do_so_at_the_same_time():
    """Relevance and rollout of a layer in which words look at an image, and it at them."""
    draws = np.random.default_rng(0)
    shapes = [(3, 3), (4, 4), (3, 4), (4, 3)]
    streams = [("text", "text"), ("image", "image"), ("text", "image"), ("image", "text")]
    weights = [draws.dirichlet(np.ones(k), q) for q, k in shapes]
    slopes = [draws.uniform(0, 1, shape) for shape in shapes]
    slope = Slope(
        torch.zeros(1, 1),
        tuple(torch.tensor(w)[None, None] for w in weights),
        tuple(torch.tensor(g)[None, None, None] for g in slopes),
    )
    first = torch.tensor([[[1.0, 0, 0, 0]]], dtype=torch.float64)  # a region of the image is read
    kept = [w * g for w, g in zip(weights, slopes, strict=True)]
    of_image, of_text = oracle.looking_at_each_other(kept[:2], kept[2:])
    _, found = AttentionRelevance().read(slope, streams, first)
    close(found["image"][0, 0], of_image[0] - np.eye(4)[0])
    close(found["text"][0, 0], of_text[0])
    _, mixture = AttentionRollout().read(slope, streams, first)
    words, regions = (weights[0] + np.eye(3)) / 2, (weights[1] + np.eye(4)) / 2
    close(mixture["image"][0, 0], regions[0] / 2)
    close(mixture["text"][0, 0], (weights[3] @ words)[0] / 2)
