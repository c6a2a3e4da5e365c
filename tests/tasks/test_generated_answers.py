"""Written answers by teacher forcing: as a whole, token by token, and as a contrast."""

from contextlib import suppress

import numpy as np
import pytest
import torch

from tests.tasks.test_text_generation import ANSWER, OTHER, PROMPT, logits_of
from tests.tasks.test_text_generation import explainer_of as writer
from tests.tasks.test_visual_question_answering import QUESTION, explainer_of
from xai_nlp.core.result import TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.models.generation import Generator
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.generated_answers import GeneratedAnswers, prompt_positions, read_answers


@pytest.mark.parametrize("family", ["blip", "llava", "paligemma", "qwen2_vl", "idefics3"])
def test_written_answers(family, image):
    """The log-probability explained is that of the answer as the model would write it, token by token."""
    explainer = explainer_of(family)
    words = explainer.explain(image, QUESTION, target="words", answer="red star", method="occlusion")
    whole = explainer.explain(image, QUESTION, answer="red star", method="occlusion")
    assert [why.target.label for why in words] == ["red", "star"]
    assert sum(why.value for why in words) == pytest.approx(whole.value, abs=1e-4)
    assert np.allclose(np.sum([w.image.scores for w in words], 0), whole.image.scores, atol=1e-4)
    written = _first_written(explainer, image)
    assert np.exp(written.value) == pytest.approx(next(iter(written.outputs.values())), rel=1e-4)
    contrast = explainer.explain(image, QUESTION, answer="red star", rather_than="red dog", method="occlusion")
    assert (contrast.target.label, contrast.target.contrast) == ("red star", "red dog")


def _first_written(explainer, image):
    """The answer to the first question to which a random model writes anything at all."""
    for question in (QUESTION, "is there a red circle ?", "how many are there ?", "is it a cat ?", "what is left ?"):
        with suppress(InvalidInput):
            return explainer.explain(image, question, longest=3, method="occlusion")
    raise AssertionError("no question was answered")


def test_a_contrast_is_the_difference_where_they_part():
    explainer = writer("gpt2")
    logits, tokens = logits_of(explainer, ANSWER)
    _, others = logits_of(explainer, OTHER)
    k = next(k for k, (a, b) in enumerate(zip(tokens, others, strict=False)) if a != b)
    assert k > 0
    for unit in ("log-probability", "logit"):
        why = explainer.explain(PROMPT, answer=ANSWER, rather_than=OTHER, unit=unit)
        assert why.target == TargetSpec(kind="answer", label="great movie", contrast="great food", unit=unit)
        assert why.unit == unit
        assert why.value == pytest.approx(float(logits[k, tokens[k]] - logits[k, others[k]]), abs=1e-5)


def test_logits_and_token_ids():
    explainer = writer("llama")
    logits, tokens = logits_of(explainer, ANSWER)
    why = explainer.explain(PROMPT, answer=ANSWER, unit="logit", method="occlusion")
    assert why.value == pytest.approx(float(logits[range(len(tokens)), tokens].sum()), abs=1e-4)
    assert explainer.explain(PROMPT, answer=tokens, unit="logit", method="occlusion").scores == why.scores


# By hand -------------------------------------------------------------------------------------------------------------


class Letters:
    """A tokenizer of lower-case letters: "a" is 0."""

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [ord(letter) - ord("a") for letter in text]}

    def decode(self, ids):
        return "".join(chr(i + ord("a")) for i in ids)


ANSWERS = GeneratedAnswers(Generator(None, Letters()))


def answered(answer, rather_than=None):
    """A prompt of one token, with its answer."""
    row = TokenWindow(0, {"input_ids": [0]}, ("x",), np.array([(0, 1)]), np.array([0]))
    return ANSWERS.with_answer(row, Letters()(answer, False)["input_ids"], rather_than)


def values_of(window, logits):
    return read_answers(logits[None], [window], torch.tensor([0]))[0]


def targets(window, values, **options):
    options = {"target": None, "unit": "log-probability", "rather_than": None, **options}
    return ANSWERS.target("x", window, 3, values, **options)


def test_answers_are_read_token_by_token():
    """Logit, the contrast's logit, and log-probability, by the definition of softmax; each row its own answer."""
    logits = torch.tensor([[[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]], [[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    read = read_answers(logits, [answered("ba"), answered("cc", "ca")], torch.tensor([0, 1]))
    log = lambda row, token: float(row[token] - row.exp().sum().log())  # noqa: E731
    expected = [
        [[1, 1, log(logits[0, 0], 1)], [3, 3, log(logits[0, 1], 0)]],
        [[0, 0, log(logits[1, 0], 2)], [0, 0, log(logits[1, 1], 2)]],
    ]
    torch.testing.assert_close(read, torch.tensor(expected))
    again = read_answers(logits[[1, 1]], [answered("ba"), answered("cc", "ca")], torch.tensor([1, 1]))
    torch.testing.assert_close(again[0], again[1])


def test_the_whole_answer_each_token_and_the_contrast():
    logits = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]])
    window = answered("ba")
    values = values_of(window, logits)
    score = lambda target: (target.weights[0] * values).sum((1, 2)).tolist()  # noqa: E731
    whole, words = targets(window, values), targets(window, values, target="words")
    assert score(whole) == pytest.approx([float(values[:, 2].sum())])
    assert score(words) == pytest.approx(values[:, 2].tolist())
    assert whole.specs == (TargetSpec(kind="answer", label="ba", unit="log-probability"),)
    assert [(s.kind, s.label, s.position, s.answer) for s in words.specs] == [
        ("token", "b", 0, "ba"),
        ("token", "a", 1, "ba"),
    ]
    assert whole.outputs == {"ba": pytest.approx(float(values[:, 2].sum().exp()))} and whole.windows == (3,)
    assert score(targets(window, values, unit="logit")) == pytest.approx([4.0])
    contrast = answered("ba", "bc")
    assert contrast.contrast_ids == (1, 2)
    against = targets(contrast, values_of(contrast, logits), rather_than="bc")
    assert (against.weights[0] * values_of(contrast, logits)).sum() == pytest.approx(3.0 - 1.0)
    assert against.specs[0].contrast == "bc"


@pytest.mark.parametrize(
    ("answer", "other", "ids"), [("abc", "axyz", (0, 23, 2)), ("ab", "b", (1, 1)), ("ab", "acd", (0, 2))]
)
def test_a_contrast_takes_the_place_of_the_first_token_that_differs(answer, other, ids):
    assert answered(answer, other).contrast_ids == ids


@pytest.mark.parametrize("other", ["ab", "a", "abc"])
def test_answers_that_do_not_differ(other):
    with pytest.raises(InvalidInput, match="does not differ"):
        answered("ab", other)


@pytest.mark.parametrize(
    ("options", "said"), [({"target": "word"}, "Did you mean 'words'"), ({"unit": "probability"}, "log-probability")]
)
def test_targets_and_units_that_written_answers_do_not_have(options, said):
    window = answered("ab")
    with pytest.raises(UnknownName, match=said):
        targets(window, torch.zeros(2, 3), **options)


def test_the_positions_of_a_prompt():
    """None where only [CLS] and [SEP] surround it."""
    assert prompt_positions(np.array([-1, 0, 0, -1])) is None
    assert prompt_positions(np.array([-1, -1, 0, 0, -1])) == (2, 3)
