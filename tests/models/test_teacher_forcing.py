"""Log-probabilities of given answers against one forward pass a token, with and without a cache."""

import pytest
import torch

from tests.models.tiny_generation import WRITERS, writing
from xai_nlp.models.teacher_forcing import (
    answer_log_probs,
    answer_log_probs_stepwise,
    append_answer,
    last_logits,
    token_log_probs,
)

ANSWER = torch.tensor([9, 4, 30])


def prompts(name):
    model, tokenizer = writing(name)
    ids = tokenizer("The plot is", return_tensors="pt")["input_ids"]
    return model, {"input_ids": torch.cat([ids, ids.flip(1)])}


@pytest.mark.parametrize("name", WRITERS)
@torch.no_grad()
def test_every_way_gives_the_log_probability_of_each_token(name):
    model, inputs = prompts(name)
    ids, expected = inputs["input_ids"], []
    for k, token in enumerate(ANSWER):
        text = torch.cat([ids, ANSWER[:k].expand(len(ids), -1)], 1)
        expected.append(model(input_ids=text).logits[:, -1].double().softmax(-1)[:, token].log())
    expected = torch.stack(expected, 1).float()
    torch.testing.assert_close(answer_log_probs(model, inputs, ANSWER), expected, atol=2e-5, rtol=1e-5)
    for cached in (False, True):
        found = answer_log_probs_stepwise(model, inputs, ANSWER, cached=cached)
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_a_cached_pass_reads_one_token(monkeypatch):
    model, inputs = prompts("gpt2")
    lengths, forward = [], model.forward

    def counted(input_ids=None, attention_mask=None, past_key_values=None, use_cache=None, logits_to_keep=0):
        lengths.append(input_ids.shape[1])
        return forward(
            input_ids=input_ids, attention_mask=attention_mask, past_key_values=past_key_values, use_cache=use_cache,
            logits_to_keep=logits_to_keep,
        )  # fmt: skip

    monkeypatch.setattr(model, "forward", counted)
    L = inputs["input_ids"].shape[1]
    answer_log_probs_stepwise(model, inputs, ANSWER, cached=True)
    assert lengths == [L, 1, 1]
    lengths.clear()
    answer_log_probs_stepwise(model, inputs, ANSWER, cached=False)
    assert lengths == [L, L + 1, L + 2]


def test_what_goes_by_token_grows_and_nothing_else():
    ids = torch.tensor([[1, 2], [3, 4]])
    pixels = torch.zeros(2, 3)
    inputs = {"input_ids": ids, "token_type_ids": ids * 0, "mm_token_type_ids": ids * 0 + 5, "pixels": pixels, "n": 7}
    extended = append_answer(inputs, torch.tensor([8, 9]))
    assert extended["input_ids"].tolist() == [[1, 2, 8, 9], [3, 4, 8, 9]]
    assert extended["attention_mask"].tolist() == [[1] * 4] * 2
    assert extended["token_type_ids"].tolist() == [[0, 0, 1, 1]] * 2
    assert extended["mm_token_type_ids"].tolist() == [[5, 5, 0, 0]] * 2
    assert extended["pixels"] is pixels and extended["n"] == 7
    assert inputs["input_ids"] is ids and "attention_mask" not in inputs


@torch.no_grad()
def test_last_logits_are_wide_and_few():
    model, inputs = prompts("llama")
    logits, cache = last_logits(model, inputs, 2)
    assert logits.shape[:2] == (2, 2) and cache is None
    torch.testing.assert_close(logits, model(**inputs).logits[:, -2:])
    assert last_logits(model, inputs, 1, cached=True)[1].get_seq_length() == inputs["input_ids"].shape[1]

    class Half(torch.nn.Module):
        def forward(self, input_ids):
            return type("Output", (), {"logits": torch.zeros(2, 1, 3, 4, dtype=torch.bfloat16)})()

    logits, _ = last_logits(Half(), inputs, 2)
    assert logits.dtype == torch.float32 and logits.shape == (2, 2, 4)  # the axis for drafts is gone


def test_token_log_probs():
    logits = torch.tensor([[[0.0, 0.0], [1.0, -1.0]]])
    found = token_log_probs(logits, torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.tensor([[0.5, 1 / (1 + torch.tensor(2.0).exp().item())]]).log())
