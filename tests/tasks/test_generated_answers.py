"""Written answers by teacher forcing: as a whole, token by token, and as a contrast."""

from contextlib import suppress

import numpy as np
import pytest

from tests.tasks.test_text_generation import ANSWER, OTHER, PROMPT, logits_of
from tests.tasks.test_text_generation import explainer_of as writer
from tests.tasks.test_visual_question_answering import QUESTION, explainer_of
from xai_nlp.core.result import TargetSpec
from xai_nlp.errors import InvalidInput


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
