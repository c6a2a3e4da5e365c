"""`load` and `explain`: the task goes by the inputs, and every option is named in the signature."""

import pytest

import xai_nlp
from xai_nlp.errors import InvalidInput


def test_the_front_door_tells_text_from_question():
    with pytest.raises(InvalidInput, match=r"one task: explain\(text=…\), explain\(question=…, context=…\)"):
        xai_nlp.explain()
    with pytest.raises(InvalidInput, match="got question"):
        xai_nlp.explain(question="who?")
    with pytest.raises(InvalidInput, match="does not do"):
        xai_nlp.explain(question="who?", context="Ada", model=xai_nlp.load("sentiment"))
