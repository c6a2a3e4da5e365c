"""Similarity at layers against Captum, short batches, zeros and the folder of what is kept included."""

from __future__ import annotations

import captum.influence as captum
import pytest
import torch
from captum.influence._core.similarity_influence import cosine_similarity as captum_cosine
from captum.influence._core.similarity_influence import euclidean_distance as captum_euclidean
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

import xai_nlp.influence as ours
from tests.influence.trained import Run, quiet, same
from tests.models.tiny import tiny
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.influence.similarity import cosine_similarity, euclidean_distance

BOTH = (ours, captum)


class Rows(Dataset[Tensor]):
    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __getitem__(self, i: int) -> Tensor:
        return self.rows[i]

    def __len__(self) -> int:
        return len(self.rows)


@pytest.mark.parametrize("seed", range(30))
def test_is_captums(seed, tmp_path):
    """Where batches are of one size and there are two layers, which Captum needs."""
    run = Run(seed, tmp_path)
    size = run.draw.choice([1, 2, 3])
    data = Rows(run.examples(size * run.draw.randrange(1, 4))[0])
    layers = [name for name, m in run.net.named_modules() if name]
    layers = run.draw.sample(layers, 2)
    how = {"batch_size": size, "similarity_direction": run.draw.choice(["max", "min"])}
    euclidean = run.draw.random() < 0.4
    top = run.draw.randrange(1, size + 1)
    answers = []
    for lib, metric in zip(BOTH, (euclidean_distance, captum_euclidean), strict=True):
        extra = {"similarity_metric": metric} if euclidean else {}
        folder = tmp_path / lib.__name__
        similarity = lib.SimilarityInfluence(run.net, layers, data, str(folder), "a", **how, **extra)
        answers.append(quiet(lambda s=similarity: s.influence(run.inputs[0], top, load_src_from_disk=False)))
    extra = {"similarity_metric": euclidean_distance} if euclidean else {}
    same(*({k: v[1] for k, v in answer.items()} for answer in answers))
    for layer, (indices, values) in answers[1].items():
        everyone = ours.SimilarityInfluence(run.net, layer, data, str(tmp_path), **how, **extra)
        found, scores = everyone.influence(run.inputs[0], len(data))[layer]
        same(scores.gather(1, found.argsort(1)).gather(1, indices), values)  # ties may stand in any order
        assert answers[0][layer][0].shape == indices.shape


def test_a_short_last_batch(tmp_path):
    torch.manual_seed(0)
    net, rows = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), torch.randn(7, 3)
    folders = [str(tmp_path / name) for name in "ab"]
    own = ours.SimilarityInfluence(net, "0", Rows(rows), folders[0], batch_size=3).influence(rows[:2], top_k=3)
    scores = nn.functional.cosine_similarity(net[0](rows[:2])[:, None], net[0](rows)[None], dim=2)
    same(own["0"], tuple(reversed(scores.topk(3))))
    reference = captum.SimilarityInfluence(net, ["0", "1"], Rows(rows), folders[1], batch_size=3)
    with pytest.raises(RuntimeError):
        quiet(lambda: reference.influence(rows[:2], top_k=3))


def test_zeros_have_no_cosine(tmp_path):
    """Captum's detection does not see them: it replaces entries, and compares products."""
    net, rows = nn.Sequential(nn.Identity()), torch.tensor([[1.0, 2.0], [0.0, 0.0], [-1.0, 1.0]])
    similarity = ours.SimilarityInfluence(net, "0", Rows(rows), str(tmp_path))
    with pytest.warns(RuntimeWarning, match="zero_acts-0"):
        found = similarity.influence(rows[:2], top_k=3)
    assert found["zero_acts-0"].tolist() == [[0, 1], [1, 0], [1, 1], [1, 2]]
    assert found["0"][1][1].tolist() == [-2, -2, -2]
    assert found["0"][0][0].tolist() == [0, 2, 1]
    assert cosine_similarity(rows, rows).tolist()[1] == [0, 0, 0]
    assert captum_cosine(rows, rows, -2)[0, 1] != -2


def test_what_is_kept_is_used_until_weights_or_data_change(tmp_path):
    torch.manual_seed(0)
    calls: list[int] = []
    net, rows = nn.Sequential(nn.Linear(3, 4)), torch.randn(4, 3)
    net.register_forward_hook(lambda *_: calls.append(1))

    def scores(data: Tensor, **how: bool) -> Tensor:
        calls.clear()
        return ours.SimilarityInfluence(net, "0", Rows(data), str(tmp_path), "m", batch_size=2).influence(
            rows, 2, **how
        )["0"][1]

    first = scores(rows)
    assert len(calls) == 3
    assert torch.equal(scores(rows), first)
    assert len(calls) == 1
    scores(rows, load_src_from_disk=False)
    assert len(calls) == 3
    scores(rows + 1)
    assert len(calls) == 3
    with torch.no_grad():
        net[0].weight.mul_(-1)
    assert not torch.equal(scores(rows), first)
    assert len(calls) == 3
    assert {p.suffix for p in (tmp_path / "m").iterdir()} == {".safetensors"}
    for file in (tmp_path / "m").iterdir():
        file.write_bytes(b"broken")
    scores(rows)
    assert len(calls) == 3


def test_dicts_of_a_collator(tmp_path):
    model, tokenizer = tiny("bert", fresh=True)
    batch = tokenizer(["a gripping film", "dull plot, a mess", "great"], padding=True, return_tensors="pt")
    rows = [{**{k: v[i] for k, v in batch.items()}, "labels": torch.tensor(1)} for i in range(3)]
    before = fingerprint(model)
    similarity = ours.SimilarityInfluence(model, "bert.pooler", rows, str(tmp_path), batch_size=2)
    found = similarity.influence(dict(batch), top_k=1)["bert.pooler"]
    assert found[0].flatten().tolist() == [0, 1, 2]
    torch.testing.assert_close(found[1], torch.ones(3, 1))
    assert fingerprint(model) == before


def test_tuples_have_labels_behind(tmp_path):
    rows = torch.eye(3)
    similarity = ours.SimilarityInfluence(
        nn.Sequential(nn.Identity()), ["0"], TensorDataset(rows, torch.arange(3)), str(tmp_path)
    )
    assert similarity.influence((rows[1:2],))["0"][0].tolist() == [[1]]


@pytest.mark.parametrize("lib", BOTH)
def test_errors_are_captums(lib, tmp_path):
    net, rows = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), torch.randn(4, 3)
    with pytest.raises(ValueError, match="max"):
        lib.SimilarityInfluence(net, "0", Rows(rows), str(tmp_path), similarity_direction="up")
    metric = lambda a, b: a.sum(1)  # noqa: E731
    odd = lib.SimilarityInfluence(net, ["0", "1"], Rows(rows), str(tmp_path), similarity_metric=metric)
    with pytest.raises(AssertionError):
        quiet(lambda: odd.influence(rows))


def test_errors_of_ours(tmp_path):
    rows = [torch.zeros(1, 3), torch.zeros(2, 3)]
    net = nn.Sequential(nn.Identity())
    with pytest.raises(Unsupported, match="another length"):
        ours.SimilarityInfluence(net, "0", rows, str(tmp_path)).influence(torch.zeros(1, 3))
    similarity = ours.SimilarityInfluence(net, "0", Rows(torch.eye(3)), str(tmp_path))
    with pytest.raises(InvalidInput, match="empty"):
        ours.SimilarityInfluence(net, "0", [], str(tmp_path)).influence(torch.eye(3))
    with pytest.raises(CaptumAssertion, match="k must be"):
        similarity.influence(torch.eye(3), top_k=0)
    with pytest.raises(InvalidInput):
        ours.SimilarityInfluence(net, "0", Rows(torch.eye(3)), str(tmp_path), similarity_direction="up")
