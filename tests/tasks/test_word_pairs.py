"""The matrix of word pairs: against whole Jacobians, and against the second difference that it adds up to."""

import pytest
import torch

from tests.tasks.new_tasks import explainer_of
from tests.tasks.test_sentence_similarity import ENCODERS, PAIR, TASK, TEXT, TEXTS, ids_of
from xai_nlp.core.quadrature import gauss_legendre
from xai_nlp.hooks.model_state import fingerprint


def brute_force(explainer, nodes=32):
    """P_xᵀ P_y from whole Jacobians of BERT's encoder, one text at a time."""
    model, pad = explainer.model, explainer.tokenizer.pad_token_id
    special = explainer.tokenizer.all_special_ids
    rule = gauss_legendre(nodes)

    def embed(hidden):
        return torch.nn.functional.normalize(model.encoder(hidden).last_hidden_state.mean(1)[0], dim=0)

    sides = []
    for text in (TEXT, PAIR):
        ids = torch.tensor([ids_of(explainer, text)])
        empty = torch.tensor([[i if i in special else pad for i in ids[0].tolist()]])
        x, x0 = model.embeddings(ids).detach(), model.embeddings(empty).detach()
        columns = 0
        for t, weight in zip(rule.nodes, rule.weights, strict=True):
            jacobian = torch.autograd.functional.jacobian(embed, x0 + t * (x - x0))  # (E, 1, L, D)
            columns = columns + weight * (jacobian[:, 0] * (x - x0)).sum(-1)
        sides.append(columns[:, 1:-1])
    return sides[0].T @ sides[1]


def test_pairs_are_those_of_whole_jacobians():
    explainer = explainer_of("bert", TASK, torch.float64)
    before = fingerprint(explainer.model)
    why = explainer.explain(TEXT, PAIR, steps=32, pairs=True)
    assert fingerprint(explainer.model) == before
    expected, pairs = brute_force(explainer), why.attention["pairs"]
    rows, columns = ([len(group) for group, s in _groups(why) if s == side] for side in (0, 1))
    merged = torch.stack([part.sum(0) for part in expected.split(rows)])
    merged = torch.stack([part.sum(1) for part in merged.split(columns, 1)], 1)
    assert torch.allclose(torch.from_numpy(pairs.scores.numpy()[0, 0].copy()).double(), merged, atol=1e-6)  # float32
    assert (pairs.queries, pairs.keys) == (tuple(TEXT.split()), tuple(PAIR.split()))


def _groups(why):
    return [(group, why.segment[group[0]]) for group in why.word_groups()]


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("baseline", [None, "reference"])
def test_pairs_add_up_to_the_change_of_both(name, baseline):
    """To f(x, y) − f(x₀, y) − f(x, y₀) + f(x₀, y₀), in float64."""
    explainer = explainer_of(name, TASK, torch.float64)
    why = explainer.explain(TEXT, PAIR, steps=64, pairs=True, baseline=baseline)
    pairs = why.attention["pairs"]
    assert abs(pairs.residuals[0]) < 1e-6
    assert pairs.scores.numpy().sum() + pairs.residuals[0] == pytest.approx(mixed_change(explainer, baseline), abs=1e-6)
    words = why.words()
    assert words.attention["pairs"] == pairs
    assert words.attention["pairs"].scores.numpy().sum() == pairs.scores.numpy().sum()


def mixed_change(explainer, baseline):
    """The second difference, of embeddings that are read at both ends of the path."""
    request = explainer.request({"text": TEXT, "pair": PAIR}, {"baseline": baseline})
    problem = explainer._embedding_problem(request, explainer.batch(explainer.encode(request)))
    end, start = (problem.values(z, problem.everyone).view(2, -1) for z in (problem.x, problem.baseline))

    def f(x, y):
        return float(x @ y)

    assert f(end[0], end[1]) == pytest.approx(explainer.predict(TEXT, PAIR)["similarity"], abs=1e-9)
    return f(end[0], end[1]) - f(start[0], end[1]) - f(end[0], start[1]) + f(start[0], start[1])


def test_pairs_refine_until_one_per_cent_and_do_not_depend_on_the_batch():
    explainer = explainer_of("bert", TASK)
    together = explainer.explain(TEXTS, PAIR, pairs=True, method="saliency")
    for text, why in zip(TEXTS, together, strict=True):
        pairs, alone = (
            why.attention["pairs"],
            explainer.explain(text, PAIR, pairs=True, method="saliency", batch_size=2),
        )
        total = float(pairs.scores.numpy().sum())
        assert abs(pairs.residuals[0]) <= 0.01 * max(0.05, abs(total + pairs.residuals[0]))
        assert pairs.scores.numpy() == pytest.approx(alone.attention["pairs"].scores.numpy(), abs=1e-5)
    assert explainer.explain(TEXT, PAIR, method="saliency").attention == {}
