"""The model card's accuracy, and that the strongest tokens matter, on SST-2's development set."""

import pytest

from tests.bench.faithful import accuracy, ratios, read

pytestmark = pytest.mark.eval


def test_the_cards_accuracy(sentiment, data):
    examples = read(data / "sst2_dev.jsonl", None)
    assert round(accuracy(sentiment, examples) * len(examples)) == 773


def test_deleting_the_strongest_tokens_costs_six_times_what_random_ones_do(sentiment, data):
    texts = [e["text"] for e in read(data / "sst2_dev.jsonl", None)]
    _, times = ratios(sentiment, texts, ["integrated_gradients"])["integrated_gradients"]
    assert times >= 6
