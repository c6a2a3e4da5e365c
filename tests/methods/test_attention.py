"""Methods over attention against loops from the papers: tests/oracles/attention.py."""

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.oracles import attention as oracle
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.attention import intercepted

TEXT = "A dull film is great"
LABEL = 1


@pytest.fixture(scope="module")
def explainer():
    model, tokenizer = tiny("bert", fresh=True)
    return xai_nlp.load(model.double(), tokenizer)


@pytest.fixture(scope="module")
def batch(explainer):
    return explainer.tokenizer(TEXT, return_tensors="pt")


@pytest.fixture(scope="module")
def by_hand(explainer, batch):
    hand = oracle.ByHand(explainer.model, batch)
    torch.testing.assert_close(hand.run()[0], explainer.model(**batch).logits[0], atol=1e-12, rtol=0)
    return hand


@pytest.fixture(scope="module")
def at_input(by_hand):
    return by_hand.at_input(LABEL)


def explained(explainer, method, **options):
    why = explainer.explain(TEXT, target=LABEL, method=method, **options)
    return why, why.attention["self"].scores.numpy()


def close(got, expected, atol=1e-6):
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    np.testing.assert_allclose(np.asarray(got), expected, atol=atol, rtol=1e-5)


def test_probabilities(explainer, at_input):
    why, found = explained(explainer, "attention_probabilities")
    close(found, torch.stack(at_input[0]))
    close(why.scores, at_input[0][-1].mean(0)[0])  # [CLS] is what this head reads


def test_rollout(explainer, at_input):
    why, found = explained(explainer, "attention_rollout")
    for k in range(2):
        close(found[k, 0], oracle.rollout(at_input[0][: k + 1]))
    close(why.scores, oracle.rollout(at_input[0])[0])
    assert sum(why.scores) == pytest.approx(1)


def test_flow(explainer, at_input):
    why, _ = explained(explainer, "attention_flow")
    close(why.scores, oracle.flow(at_input[0], reader=0), atol=1e-5)


def test_relevance(explainer, at_input):
    why, _ = explained(explainer, "attention_relevance")
    held = oracle.relevance(*at_input)
    held[0, 0] -= 1  # its own identity
    close(why.scores, held[0])


@pytest.mark.parametrize("what", ["heads", "layer", "residual", "normalised"])
def test_norms(explainer, by_hand, at_input, what):
    why, found = explained(explainer, "attention_norms", what=what)
    entering, layers = by_hand.embedded, explainer.model.bert.encoder.layer
    for k, layer in enumerate(layers):
        expected = oracle.norms(layer, entering[0], at_input[0][k], by_hand.heads)[what]
        close(found[k], expected)
        entering = layer(entering)
        entering = entering[0] if isinstance(entering, tuple) else entering
    close(why.scores, expected.sum(0)[0])


@pytest.mark.parametrize("start", ["zero", "uniform"])
def test_integrated_gradients_of_each_layer(explainer, by_hand, at_input, start):
    why, found = explained(explainer, "attention_integrated_gradients", start=start, tolerance=1e-8, max_steps=2000)
    for k, matrix in enumerate(at_input[0]):
        begin = torch.zeros_like(matrix) if start == "zero" else torch.full_like(matrix, 1 / matrix.shape[-1])
        close(found[k], oracle.integrated(by_hand, LABEL, k, begin, steps=300), atol=2e-5)
        logits, _ = by_hand.run(matrices={k: begin})
        difference = float((by_hand.run()[0][LABEL] - logits[LABEL]).detach())
        assert found[k].sum(dtype=float) + why.attention["self"].residuals[k] == pytest.approx(difference, abs=1e-6)
    close(why.scores, found.sum((0, 1, 2)) / 2)
    assert abs(why.residual) < 1e-6


def test_integrated_gradients_of_all_layers_together(explainer, by_hand):
    why, found = explained(explainer, "attention_integrated_gradients", together=True, tolerance=1e-9, max_steps=2000)
    _, used = by_hand.run()
    logits, _ = by_hand.run(matrices={k: torch.zeros_like(m) for k, m in enumerate(used)})
    assert why.baseline_value == pytest.approx(float(logits[LABEL].detach()), abs=1e-9)
    assert found.sum(dtype=float) == pytest.approx(why.explained, abs=1e-5)


def test_head_importance_is_the_derivative_by_a_factor_on_the_head(explainer, by_hand):
    why, _ = explained(explainer, "attention_x_gradient")
    close(why.attention["self"].heads(), oracle.head_importance(by_hand, LABEL))


def test_conductance(explainer, by_hand, batch):
    why, found = explained(explainer, "attention_conductance", tolerance=1e-9)
    ids = batch["input_ids"].clone()
    ids[0, 1:-1] = explainer.tokenizer.pad_token_id
    with torch.no_grad():
        start = explainer.model.bert.embeddings(ids, token_type_ids=batch["token_type_ids"])
    coarse, fine = (oracle.conductance(by_hand, LABEL, start, steps) for steps in (400, 800))
    close(found, 2 * fine - coarse, atol=1e-4)  # Richardson: the left sum's error is first order
    close(why.scores, found.sum((0, 1, 2)), atol=1e-5)


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_relevance_and_rollout_across_an_encoder_decoder(name):
    model, tokenizer = tiny(name, fresh=True)
    explainer, batch, seen = xai_nlp.load(model.double(), tokenizer), tokenizer(TEXT, return_tensors="pt"), []

    def see(layer, probabilities):
        kept = probabilities.detach().requires_grad_() if not probabilities.requires_grad else probabilities
        seen.append(kept)
        return kept

    with intercepted(model, see):
        logits = model(**batch).logits
    gradients = torch.autograd.grad(logits[0, LABEL], seen)
    pairs = [(m[0].detach(), g[0]) for m, g in zip(seen, gradients, strict=True)]
    held = oracle.cross_relevance(pairs[:2], pairs[2::2], pairs[3::2])
    why = explainer.explain(TEXT, target=LABEL, method="attention_relevance")
    shares = pairs[-1][1].pow(2).sum((0, 2)).sqrt()  # rows of the last cross attention that the head reads
    expected = (shares / shares.sum()) @ held
    merged = torch.tensor(why.scores, dtype=torch.float64)
    assert float(merged.sum()) == pytest.approx(float(expected.sum()), rel=1e-4)
    assert set(why.attention) == {"encoder", "decoder", "cross"}
    rolled = explainer.explain(TEXT, target=LABEL, method="attention_rollout")
    assert 0 < sum(rolled.scores) < 1  # the rest is the decoder's own input
    with pytest.raises(Unsupported, match="one sequence"):
        explainer.explain(TEXT, method="attention_flow")


def test_wrong_options_are_told(explainer):
    with pytest.raises(InvalidInput, match="'zero' or 'uniform'"):
        explainer.explain(TEXT, method="attention_integrated_gradients", start="one")
    with pytest.raises(InvalidInput, match="'normalised'"):
        explainer.explain(TEXT, method="attention_norms", what="all")


def test_a_norm_that_comes_elsewhere_is_refused():
    explainer = xai_nlp.load(*tiny("gpt2"))
    assert explainer.explain(TEXT, method="attention_norms", what="residual").scores
    with pytest.raises(Unsupported, match="norm after attention"):
        explainer.explain(TEXT, method="attention_norms", what="normalised")
