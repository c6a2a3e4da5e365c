"""Greedy decoding step by step, answers as tokens, chat templates."""

import pytest
import torch

from tests.models.tiny_generation import WRITERS, writing
from xai_nlp.models.generation import Generator, apply_chat_template


def greedy(model, ids, n):
    """The likeliest token after all before it, one forward pass a token."""
    ids, answer = torch.tensor([ids]), []
    for _ in range(n):
        with torch.no_grad():
            answer.append(int(model(input_ids=ids).logits[0, -1].argmax()))
        ids = torch.cat([ids, torch.tensor([[answer[-1]]])], 1)
    return answer


@pytest.mark.parametrize("name", WRITERS)
def test_generate_is_greedy_decoding(name):
    model, tokenizer = writing(name)
    inputs = tokenizer("The plot is", return_tensors="pt")
    expected = greedy(model, inputs["input_ids"][0].tolist(), 6)
    special = set(tokenizer.all_special_ids)
    end = next((i for i, token in enumerate(expected) if token in special), 6)
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    generator = Generator(model, tokenizer)
    assert generator.generate(inputs, 6) == expected[:end]
    prompt = inputs["input_ids"].shape[1]
    assert generator.generate(inputs, 6, start=prompt + 1) == expected[1:end]


def test_the_answer_ends_before_a_special_token(monkeypatch):
    model, tokenizer = writing("gpt2", fresh=True)
    ids = torch.tensor([[5, 6]])
    output = torch.tensor([[5, 6, 9, 8, tokenizer.pad_token_id, 9]])
    monkeypatch.setattr(model, "generate", lambda **arguments: output)
    assert Generator(model, tokenizer).generate({"input_ids": ids}, 4) == [9, 8]
    assert Generator(model, tokenizer).generate({"input_ids": ids}, 4, start=0) == [5, 6, 9, 8]


@pytest.mark.parametrize("name", WRITERS)
def test_an_answer_as_text_and_as_tokens(name):
    generator = Generator(*writing(name))
    ids = generator.tokenize_answer(" great film")
    assert generator.tokenizer.decode(ids) == " great film"
    assert generator.tokenize_answer(tuple(ids)) == ids
    assert generator.text(ids) == "great film"
    assert generator.text(generator.tokenize_answer("  ")) == "'  '"
    assert not set(ids) & set(generator.tokenizer.all_special_ids)


def test_the_chat_template_ends_where_the_answer_begins():
    _, tokenizer = writing("gpt2", fresh=True)
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<you>{% endif %}"
    )
    assert apply_chat_template(tokenizer, "hello") == "<user>hello<you>"
