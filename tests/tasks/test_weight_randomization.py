"""Explanations of fixed targets under weights drawn anew: against explanations of copies of the model."""

import copy

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_input_embeddings import parts_of
from tests.tasks.test_removals import TASKS
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import find_method
from xai_nlp.metrics import rank_correlation
from xai_nlp.metrics.randomization import randomize
from xai_nlp.tasks.removals import feature_scores
from xai_nlp.tasks.weight_randomization import blocks_of, complexity_rise, scores_of_targets, weight_randomization

TEXTS = ["a gripping film about two sisters", "the plot is thin and the ending is a mess"]


def test_scores_are_those_of_the_explanations():
    explainer = xai_nlp.load(*tiny("bert"))
    request, windows, targets = parts_of(explainer, {"text": TEXTS})
    method = find_method("integrated_gradients", {"steps": 4})
    whys = explainer.explain(TEXTS, steps=4)
    found = scores_of_targets(explainer, request, method, windows, targets)
    for why, scores in zip(whys, found, strict=True):
        assert scores == pytest.approx(feature_scores(why), abs=1e-5)


def test_blocks_hold_each_parameter_once():
    for name, (load, _, _) in TASKS.items():
        explainer = load()
        blocks = blocks_of(explainer)
        owners = [module for modules in blocks.values() for module in modules]
        assert len(owners) == len(set(owners)), name
        held = {id(p) for module in owners for p in module.parameters(recurse=False)}
        assert held == {id(p) for p in explainer.model.parameters()}, name
    assert list(blocks_of(xai_nlp.load(*tiny("bert")))) == ["embeddings", "layer 0", "layer 1", "head"]


def test_is_the_correlation_with_explanations_of_a_changed_copy():
    explainer = xai_nlp.load(*tiny("bert"))
    request, windows, targets = parts_of(explainer, {"text": TEXTS})
    labels = [target.specs[0].label for target in targets]
    before = fingerprint(explainer.model)
    found = weight_randomization(explainer, request, windows, targets, find_method("input_x_gradient"), noise=0, seed=3)
    assert fingerprint(explainer.model) == before
    model, tokenizer = tiny("bert")
    other = xai_nlp.load(copy.deepcopy(model), tokenizer)
    generator, done = torch.Generator().manual_seed(3), set()
    for name, modules in blocks_of(other).items():
        randomize(modules, generator, done)
        whys = other.explain(TEXTS, target=labels, method="input_x_gradient")
        own = explainer.explain(TEXTS, target=labels, method="input_x_gradient")
        expected = [rank_correlation(feature_scores(a), feature_scores(b)) for a, b in zip(own, whys, strict=True)]
        np.testing.assert_allclose(found.similarity[found.layers.index(name)], expected, atol=1e-6)


def test_smooth_scores_are_those_of_smoothgrad():
    explainer = xai_nlp.load(*tiny("bert"))
    request, windows, targets = parts_of(explainer, {"text": TEXTS})
    method = find_method("input_x_gradient")
    smooth = weight_randomization(explainer, request, windows, targets, method, samples=3, order="one_shot")
    options = {"of": "input_x_gradient", "samples": 3, "noise": 0.15, "seed": 0}
    same = weight_randomization(
        explainer, request, windows, targets, find_method("smoothgrad", options), noise=0, order="one_shot"
    )
    np.testing.assert_allclose(smooth.similarity, same.similarity)


def test_random_scores_do_not_depend_on_the_weights():
    explainer = xai_nlp.load(*tiny("bert"))
    request, windows, targets = parts_of(explainer, {"text": TEXTS})
    blind = weight_randomization(explainer, request, windows, targets, find_method("random"), noise=0)
    assert (blind.similarity == 1).all()
    rise = complexity_rise(explainer, request, windows, targets, find_method("random"))
    assert rise.rise.tolist() == [0, 0]
    seen = complexity_rise(explainer, request, windows, targets, find_method("saliency"), seeds=(0, 1))
    assert (seen.complexity > 0).all()
    assert not np.allclose(seen.rise, 0)


@pytest.mark.parametrize("name", TASKS)
def test_every_task(name):
    load, inputs, options = TASKS[name]
    explainer = load()
    request, windows, targets = parts_of(explainer, inputs, **options)
    before = fingerprint(explainer.model)
    method = find_method("input_x_gradient")
    found = weight_randomization(explainer, request, windows, targets, method, samples=2, order="one_shot")
    assert found.similarity.shape == (1, sum(len(target.specs) for target in targets))
    assert fingerprint(explainer.model) == before
