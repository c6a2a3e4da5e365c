"""Concepts and interpreters, as Captum's."""

import captum.concept as captum
import pytest
from torch import nn

import xai_nlp.concept as ours
from xai_nlp.concept.concept import concepts_key


def test_a_concept_is_captums():
    for lib in (ours, captum):
        concept = lib.Concept(3, "negation", None)
        assert (concept.id, concept.name, concept.data_iter) == (3, "negation", None)
        assert (concept.identifier, repr(concept)) == ("negation-3", "Concept(3, 'negation')")
        assert concept != lib.Concept(3, "negation", None)
        assert lib.Concept(id=3, name="negation", data_iter=[]).data_iter == []


def test_key():
    assert concepts_key([ours.Concept(i, str(i), None) for i in (2, 0, 10)]) == "2-0-10"


def test_interpreters_are_derived():
    class Own(ours.ConceptInterpreter):
        def interpret(self, inputs):
            return self.model(inputs)

    net = nn.Identity()
    assert Own(net).model is net
    assert Own(net).interpret(3) == 3
    assert issubclass(ours.TCAV, ours.ConceptInterpreter)
    with pytest.raises(AssertionError, match="torch module"):
        ours.ConceptInterpreter(3)
