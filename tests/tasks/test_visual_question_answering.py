"""Questions about images: every family at tiny size, words and regions on one scale."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.tiny_vision_language import FAMILIES, GIVEN_FEATURES, PATCH, SIDE, loaded
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods import METHODS
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer

QUESTION = "what colour is the star ?"
CLASSIFY = ("vilt", "visual_bert", "lxmert")


def explainer_of(family, dtype=None):
    model_and_processor = loaded(family)
    if dtype is not None:
        model_and_processor = replace(model_and_processor, model=copy.deepcopy(model_and_processor.model).to(dtype))
    return VisualQuestionAnsweringExplainer(model_and_processor)


def given(family, answer="red"):
    """What a family needs beside image and question."""
    if family in GIVEN_FEATURES:
        draws = np.random.default_rng(1)
        corner = draws.integers(0, 30, (5, 2))
        return {"features": draws.normal(size=(5, 12)), "boxes": np.concatenate([corner, corner + 16], 1)}
    return {} if family in CLASSIFY else {"answer": answer}


@pytest.mark.parametrize("family", FAMILIES)
def test_words_and_regions_share_out_what_is_explained(family, image):
    """Within 1 % by default; to 1e-6 in float64 with enough steps; one path for both."""
    why = explainer_of(family).explain(image, QUESTION, **given(family))
    assert abs(why.residual) <= 0.0101 * max(abs(why.explained), 0.05)
    assert why.segments == (QUESTION,)
    assert sum(why.shares.values()) == pytest.approx(1)
    assert [t for t, s in zip(why.tokens, why.segment, strict=True) if s == 0] == QUESTION.split()
    exact = explainer_of(family, torch.float64).explain(
        image, QUESTION, steps=120, rule="gauss_legendre", **given(family)
    )
    assert abs(exact.residual) <= 1e-6 * max(abs(exact.explained), 1.0)  # RMS norms go by way of float32


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["attention_relevance", "attention_integrated_gradients", "attention_conductance"])
def test_words_draw_on_regions(family, method, image):
    why = explainer_of(family).explain(image, QUESTION, method=method, **given(family))
    links = why.attention["image"]
    assert links.scores.shape[2:] == (len(why.tokens), len(why.image.boxes))
    assert np.abs(links.scores.numpy()).sum() > 0
    assert links.keys == why.image.names


@pytest.mark.parametrize("family", ["vilt", "lxmert", "blip", "llava", "idefics3"])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"attention_flow"}))
def test_every_method_scores_words_and_regions(family, method, image):
    """Where a method promises that scores add up, they do, over words and regions together."""
    options = {**given(family), **({} if family in GIVEN_FEATURES else {"regions": 4})}
    if method == "attention_norms" and family in ("llava", "idefics3"):
        with pytest.raises(Unsupported, match="projection"):
            explainer_of(family).explain(image, QUESTION, method=method, **options)
        return
    why = explainer_of(family).explain(image, QUESTION, method=method, **options)
    assert np.isfinite(why.image.scores).all()
    assert np.any(why.image.scores) or method in (
        "attention_probabilities",
        "attention_norms",
    )  # the last layer alone
    if why.complete:
        assert abs(why.residual) <= 0.0101 * max(abs(why.explained), 0.05)


def test_attention_scores_of_a_joint_sequence_add_up(image):
    for family in ("vilt", "visual_bert", "lxmert", "blip"):
        why = explainer_of(family).explain(image, QUESTION, method="attention_integrated_gradients", **given(family))
        assert abs(why.residual) <= 0.0101 * max(abs(why.explained), 0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_comes_back_as_it_was(family, image):
    explainer = explainer_of(family)
    explainer.explain(image, QUESTION, method="random", **given(family))  # LLaVA puts up hooks of its own, once
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in explainer.model.modules()]
    before = {name: t.clone() for name, t in explainer.model.state_dict().items()}
    state = torch.get_rng_state()
    for method in ("integrated_gradients", "attention_relevance"):
        explainer.explain(image, QUESTION, method=method, **given(family))
    assert all(torch.equal(t, before[name]) for name, t in explainer.model.state_dict().items())
    assert hooks == [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in explainer.model.modules()]
    assert all(p.grad is None and p.requires_grad for p in explainer.model.parameters())
    assert torch.equal(torch.get_rng_state(), state) or family == "vilt"


def test_two_runs_of_vilt_give_the_same_map(image):
    """Its patches come in a random order at every forward pass of its own."""
    one, other = (explainer_of("vilt").explain(image, QUESTION, method="integrated_gradients") for _ in range(2))
    assert one.image.scores == other.image.scores and one.scores == other.scores


def test_an_image_upside_down_has_its_patches_upside_down():
    """Positions zeroed and words unmoved, so that the model sees a bag of patches: their scores follow them."""
    explainer = explainer_of("vilt")
    model = copy.deepcopy(explainer.model)
    torch.nn.init.zeros_(model.vilt.embeddings.position_embeddings)
    explainer = VisualQuestionAnsweringExplainer(replace(loaded("vilt"), model=model))
    half = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    half[: SIDE // 2] = 255
    half[:PATCH, :PATCH] = (200, 30, 30)
    up, down = (explainer.explain(pixels, QUESTION, method="occlusion") for pixels in (half, half[::-1].copy()))
    rows, columns = up.image.grid
    there, turned = (np.reshape(why.image.scores, (rows, columns)) for why in (up, down))
    assert np.allclose(there, turned[::-1], atol=1e-5) and np.abs(there - turned).max() > 1e-3


def test_positions_of_patches_are_those_of_vilt_itself(image):
    """The model's own order, read from its embeddings, against the order that we hold still."""
    model_and_processor = loaded("vilt")
    explainer = VisualQuestionAnsweringExplainer(model_and_processor)
    inputs = explainer.family.image_inputs(Image.fromarray(image))
    embed = model_and_processor.model.vilt.embeddings.visual_embed
    own, _, (index, (rows, columns)) = embed(inputs["pixel_values"], inputs["pixel_mask"], -1)
    from xai_nlp.hooks.deterministic import deterministic_multinomial

    with deterministic_multinomial():
        held, _, (order, _) = embed(inputs["pixel_values"], inputs["pixel_mask"], -1)
    assert order[0].tolist() == [[r, c] for r in range(rows) for c in range(columns)]
    back = {tuple(place): row for place, row in zip(index[0].tolist(), own[0, 1:], strict=True)}
    ours = torch.stack([back[tuple(place)] for place in order[0].tolist()])
    assert torch.allclose(held[0, 1:], ours, atol=1e-6)
    assert explainer.explain(image, QUESTION).image.grid == (rows, columns)


@pytest.mark.parametrize("blind", ["image", "text"])
def test_what_cannot_matter_has_no_share(blind, image):
    """Weights of one side zeroed: all that there is to share out falls to the other."""
    model = copy.deepcopy(loaded("vilt").model)
    with torch.no_grad():
        if blind == "image":
            model.vilt.embeddings.patch_embeddings.projection.weight.zero_()
        else:
            model.vilt.embeddings.text_embeddings.LayerNorm.weight.zero_()
    explainer = VisualQuestionAnsweringExplainer(replace(loaded("vilt"), model=model))
    why = explainer.explain(image, QUESTION, parts=blind == "text")
    assert why.shares[{"image": "text", "text": "image"}[blind]] == pytest.approx(1.0)


def test_answers_are_chosen_by_name_rank_and_contrast(image):
    explainer = explainer_of("vilt")
    shown = explainer.predict(image, QUESTION)
    ranked = sorted(shown, key=lambda name: -shown[name])
    assert explainer.explain(image, QUESTION).target.label == ranked[0]
    assert explainer.explain(image, QUESTION, rank=3).target.label == ranked[2]
    red, blue, both = (
        explainer.explain(image, QUESTION, steps=60, rule="gauss_legendre", **what)
        for what in ({"target": "red"}, {"answer": "blue"}, {"target": "red-blue"})
    )
    assert np.allclose(np.subtract(red.image.scores, blue.image.scores), both.image.scores, atol=1e-5)
    target = explainer.explain(image, QUESTION, answer="red", rather_than="blue").target
    assert (target.kind, target.label, target.contrast) == ("answer", "red", "blue")
    with pytest.raises(InvalidInput, match="compares two answers"):
        explainer.explain(image, QUESTION, answer="red-blue", rather_than="green")


@pytest.mark.parametrize("family", ["llava", "paligemma", "qwen2_vl", "idefics3"])
def test_forced_answers_have_the_probability_that_generate_gives(family, image):
    """Teacher forcing against `generate`'s own scores, step by step."""
    model_and_processor = loaded(family)
    explainer = VisualQuestionAnsweringExplainer(model_and_processor)
    with frozen_model(model_and_processor.model, evaluate=True):
        made = model_and_processor.processor(
            text=[explainer.family.chat_text(QUESTION)], images=[Image.fromarray(image)], return_tensors="pt"
        )
        made = {name: value for name, value in made.items() if isinstance(value, torch.Tensor)}
        out = model_and_processor.model.generate(
            **made,
            max_new_tokens=3,
            min_new_tokens=3,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    ids = out.sequences[0, made["input_ids"].shape[1] :].tolist()
    steps = torch.stack([step[0] for step in out.logits]).log_softmax(-1)
    why = explainer.explain(Image.fromarray(image), QUESTION, answer=ids, method="occlusion")
    assert why.value == pytest.approx(float(steps[range(3), ids].sum()), abs=1e-3)


def test_rows_do_not_change_the_answer(image):
    """Nor do other questions in the batch, longer ones among them."""
    explainer = explainer_of("vilt", torch.float64)
    other = "is there a red square left of the blue circle ?"
    alone = explainer.explain(image, QUESTION, attention=True)
    pair = explainer.explain([image, image[:, ::-1].copy()], [QUESTION, other], attention=True, batch_size=3)
    assert np.allclose(alone.scores, pair[0].scores, atol=1e-9)
    assert np.allclose(alone.image.scores, pair[0].image.scores, atol=1e-9)
    assert np.allclose(alone.attention["image"].scores.numpy(), pair[0].attention["image"].scores.numpy(), atol=1e-7)


def test_a_picture_survives_a_file(image, tmp_path):
    why = explainer_of("vilt").explain(image, QUESTION, attention=True, regions=np.indices((48, 64)).sum(0) // 40)
    why.save(tmp_path / "why.json")
    assert Explanation.load(tmp_path / "why.json") == why
    assert why.words().image == why.image


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ({"question": "  "}, InvalidInput),
        ({"question": []}, InvalidInput),
        ({"target": "purple"}, UnknownName),
        ({"rank": 9}, InvalidInput),
        ({"regions": "dots"}, InvalidInput),
        ({"regions": np.zeros((4, 4), dtype=int)}, InvalidInput),
        ({"image_baseline": "pink"}, UnknownName),
        ({"moves": "nothing"}, UnknownName),
        ({"features": np.zeros((2, 12)), "boxes": np.zeros((2, 4))}, InvalidInput),
        ({"answer": "red", "rather_than": "red"}, InvalidInput),
        ({"image": "https://example.org/a.png"}, InvalidInput),
    ],
)
def test_bad_input_is_refused(what, error, image):
    options = {"image": image, "question": QUESTION, **what}
    with pytest.raises(error):
        explainer_of("vilt").explain(options.pop("image"), options.pop("question"), **options)


@pytest.mark.parametrize("family", ["vilt", "blip"])
def test_a_question_longer_than_the_model_is_refused(family):
    explainer = VisualQuestionAnsweringExplainer(loaded(family))
    with pytest.raises(InvalidInput, match=r"tokens and the model takes 24\. Shorten it"):
        explainer.explain(np.zeros((32, 32, 3), np.uint8), "what colour is the star " * 20)
