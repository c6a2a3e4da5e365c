"""What the guide to models says about hooks and drawings runs as written."""

import re
from pathlib import Path

import torch

from xai_nlp.hooks.model_state import fingerprint

GUIDE = Path(__file__).parents[2] / "tutorials" / "models.md"


def test_hooks_and_drawings_run_as_written(sentiment):
    section = GUIDE.read_text(encoding="utf-8").partition("## Inside a model\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    names = {}
    first, rest = block.split("points = ")
    exec(compile(first, GUIDE.name, "exec"), names)
    before = fingerprint(names["model"])
    exec(compile(f"points = {rest}", GUIDE.name, "exec"), names)
    matrix, scores = names["matrix"], names["scores"]
    assert matrix.shape == scores.shape == (2, 12, *[names["x"].shape[1]] * 2)
    torch.testing.assert_close(matrix.sum(-1), torch.ones(matrix.shape[:3]))
    assert names["drop_head_5"](matrix)[:, 5].eq(0).all()
    special = torch.isin(names["x"], torch.tensor(sentiment.tokenizer.all_special_ids))
    assert torch.equal(names["x"] != names["x0"], ~special)
    assert names["delta"].abs().max() < 1e-3
    assert scores.sum((1, 2, 3)).abs().min() > 1e-3
    assert fingerprint(names["model"]) == before
