"""How a model sees an input: against hidden states that transformers gives out."""

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_removals import TASKS
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.metrics import out_of_distribution
from xai_nlp.tasks.input_embeddings import embedding_subject, input_embeddings
from xai_nlp.tasks.run import predict

TEXTS = ["it was it was it was it", "it was it was it was", "great"]  # two of them share a batch


def padded_together(explainer, windows):
    """Do windows of different lengths share a batch?"""
    return any(len({len(windows[w]) for w in group}) > 1 for group in explainer.groups(windows))


def parts_of(explainer, inputs, **options):
    """The request, the windows and the targets, as `explain` makes them."""
    request = explainer.request(*explainer.named_inputs((), {**inputs, **options}))
    with frozen_model(explainer.model, evaluate=True):
        windows = explainer.encode(request)
        return (
            request,
            windows,
            explainer.targets(request, windows, predict(explainer, windows, request.options.batching)),
        )


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_the_mean_of_the_last_layer_and_the_entropy(name):
    explainer = xai_nlp.load(*tiny(name))
    request, windows, _ = parts_of(explainer, {"text": TEXTS})
    assert padded_together(explainer, windows)
    found = input_embeddings(explainer, request, windows)
    for text, own in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            output = explainer.model(**explainer.tokenizer(text, return_tensors="pt"), output_hidden_states=True)
        torch.testing.assert_close(own[:-1], output.hidden_states[-1][0].mean(0))
        shares = output.logits[0].double().softmax(0)
        assert float(own[-1]) == pytest.approx(float(-(shares * shares.log()).sum()), abs=1e-5)


def test_the_entropy_of_an_answer_is_over_the_texts_own_tokens():
    explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
    pairs = [("who wrote it", TEXTS[0]), ("who wrote it", TEXTS[1])]
    request, windows, _ = parts_of(explainer, {"question": [q for q, _ in pairs], "context": [c for _, c in pairs]})
    assert padded_together(explainer, windows)
    for pair, own in zip(pairs, input_embeddings(explainer, request, windows), strict=True):
        with torch.no_grad():
            output = explainer.model(**explainer.tokenizer(*pair, return_tensors="pt"))
        entropies = [
            torch.distributions.Categorical(logits=logits[0]).entropy()
            for logits in (output.start_logits, output.end_logits)
        ]
        assert float(own[-1]) == pytest.approx(float(torch.stack(entropies).mean()), abs=1e-5)


def test_the_entropy_of_tokens_is_their_mean():
    explainer = xai_nlp.load(*tiny("bert", task="token-classification"))
    request, windows, _ = parts_of(explainer, {"text": TEXTS[:2]}, entity=(0, 2))
    assert padded_together(explainer, windows)
    for text, own in zip(TEXTS[:2], input_embeddings(explainer, request, windows), strict=True):
        with torch.no_grad():
            logits = explainer.model(**explainer.tokenizer(text, return_tensors="pt")).logits[0]
        expected = torch.distributions.Categorical(logits=logits).entropy().mean()
        assert float(own[-1]) == pytest.approx(float(expected), abs=1e-5)


def test_independent_labels_have_an_entropy_each():
    model, tokenizer = tiny("bert", fresh=True)
    model.config.problem_type = "multi_label_classification"
    explainer = xai_nlp.load(model, tokenizer)
    request, windows, _ = parts_of(explainer, {"text": TEXTS[0]})
    own = input_embeddings(explainer, request, windows, link="independent probability")[0]
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS[0], return_tensors="pt")).logits[0]
    expected = torch.distributions.Bernoulli(logits=logits).entropy().mean()
    assert float(own[-1]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_shows_how_it_sees_an_input_and_what_is_left_of_it(name):
    load, inputs, options = TASKS[name]
    explainer = load()
    request, windows, targets = parts_of(explainer, inputs, **options)
    before = fingerprint(explainer.model)
    subject = embedding_subject(
        explainer, request, windows, targets[0], "zero" if explainer.task.reads_text else "grey"
    )
    problem = subject.problem()
    at_x = problem.values(problem.x, problem.everyone)[0]
    own = input_embeddings(explainer, request, [windows[w] for w in targets[0].windows], targets[0].link)
    torch.testing.assert_close(at_x, own.mean(0), atol=1e-5, rtol=1e-4)
    gone = problem.values(problem.baseline, problem.everyone)[0]
    assert gone.isfinite().all()
    assert not torch.allclose(gone, at_x)
    assert fingerprint(explainer.model) == before


def test_removals_of_the_embedded_model_beside_its_own_texts(sentiment):
    texts = [f"{a} {b} {c}" for a in ("a", "the") for b in ("dull", "great", "thin") for c in ("film", "plot", "day")]
    request, windows, targets = parts_of(sentiment, {"text": texts})
    natural = input_embeddings(sentiment, request, windows)
    scores = np.array([[3.0, 2.0, 1.0]])
    far = {}
    for removal in ("delete", "zero"):
        subject = embedding_subject(sentiment, request, windows, targets[0], removal)
        far[removal] = out_of_distribution(subject, scores, natural, neighbours=3).distance[0]
    assert far["delete"][0] == pytest.approx(float(far["zero"][0]))
    assert (far["delete"][1:] > 0).all()
