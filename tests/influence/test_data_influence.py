"""The base class and the ranking."""

from __future__ import annotations

import pytest
import torch

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.influence import DataInfluence, TracInCP, TracInCPBase
from xai_nlp.influence.data_influence import most_influential


def test_base_classes_are_abstract_and_named():
    for cls in (DataInfluence, TracInCPBase):
        with pytest.raises(TypeError, match="abstract"):
            cls()  # type: ignore[abstract, call-arg]
    assert TracInCP.get_name() == "TracInCP"


def test_ranking():
    scores = torch.tensor([[1.0, 3.0, 2.0]])
    assert most_influential(scores, 2, True).indices.tolist() == [[1, 2]]
    assert most_influential(scores, 2, False).indices.tolist() == [[0, 2]]
    assert most_influential(scores, 9, False).influence_scores.tolist() == [[1.0, 2.0, 3.0]]
    with pytest.raises(CaptumAssertion, match="at least 1"):
        most_influential(scores, 0, True)
