"""Embedding layers that are replaced and put back, against Captum's."""

import warnings

import pytest
import torch
from hypothesis import given
from torch import nn

from tests.attr.gradient_cases import SINGLE, quick, same
from tests.attr.helper_cases import BOTH, Words, drawn, seeds
from xai_nlp.hooks.model_state import fingerprint

REFUSED_EMBEDDING = {
    "no vectors": lambda lib: lib.InterpretableEmbeddingBase(nn.Embedding(2, 2), "x")(),
}


@pytest.mark.parametrize("why", sorted(REFUSED_EMBEDDING))
def test_embedding_refuses_what_captum_refuses_with_an_error_of_its_type(why):
    for lib in BOTH:
        with pytest.raises(AssertionError):
            REFUSED_EMBEDDING[why](lib)


@given(seeds)
@quick
def test_embedding_layers(seed):
    dice = drawn(seed)
    net = Words(dice.randint(1, 5))
    ids = torch.randint(0, 11, (dice.randint(1, 3), dice.randint(1, 4)))
    before, found = fingerprint(net), []
    for lib in BOTH:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = lib.configure_interpretable_embedding_layer(net, "inner.words")
        assert isinstance(layer, lib.InterpretableEmbeddingBase)
        assert (layer.num_embeddings, layer.full_name) == (11, "inner.words")
        with pytest.raises(AssertionError):
            lib.configure_interpretable_embedding_layer(net, "inner.words")
        vectors = layer.indices_to_embeddings(ids)
        assert torch.equal(layer(some=vectors), vectors)
        start = lib.TokenReferenceBase(seed % 11).generate_reference(ids.shape[1], torch.device("cpu"))
        x0 = layer.indices_to_embeddings(start)[None].detach()
        found.append(lib.IntegratedGradients(net).attribute(vectors, x0, target=1, n_steps=9))
        lib.remove_interpretable_embedding_layer(net, layer)
        assert fingerprint(net) == before
    same(found[1], found[0], torch.float32, SINGLE)


def test_an_unknown_embedding_layer():
    for lib in BOTH:
        with pytest.raises(AttributeError):
            lib.configure_interpretable_embedding_layer(Words(2), "inner.letters")
