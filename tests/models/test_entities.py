"""Entities are joined as the pipeline joins them: `tests/tasks/test_token_classification.py` compares the two."""

import numpy as np
import torch

from tests.tasks.new_tasks import explainer_of
from xai_nlp.models.entities import EntityGrouping
from xai_nlp.models.tokenization import TokenWindow


def test_b_begins_an_entity_and_i_goes_on():
    model = explainer_of("bert", "token-classification", id2label={0: "O", 1: "B-PER", 2: "I-PER"}).model
    tokenizer = explainer_of("bert", "token-classification").tokenizer
    words = ("the", "film", "movie", "was", "great")
    offsets, text = [(0, 3), (4, 8), (9, 14), (15, 18), (19, 24)], " ".join(words)
    inputs = {"input_ids": tokenizer.convert_tokens_to_ids(words)}
    window = TokenWindow(0, inputs, words, np.array(offsets), np.zeros(5))
    labels = torch.eye(3)[[0, 1, 2, 1, 1]] * 9
    read = EntityGrouping(model, tokenizer).entities(text, [window], [labels], "simple")
    assert [(one.type, text[slice(*one.span)]) for one in read] == [
        ("PER", "film movie"),
        ("PER", "was"),
        ("PER", "great"),
    ]
    assert all(one.probability > 0.99 and one.window == 0 for one in read)
