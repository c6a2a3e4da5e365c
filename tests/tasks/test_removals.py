"""Words and regions removed: against plain passes of the model on texts that were changed by hand."""

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.models.tiny_images import loaded as image_model
from tests.models.tiny_vision_language import loaded
from tests.recipes.llms import encoder, inference_model
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint, frozen_model
from xai_nlp.methods import find_method
from xai_nlp.metrics import aopc, comprehensiveness, deletion_curve, input_sensitivity, naopc, soft_sufficiency
from xai_nlp.tasks.image_classification import ImageClassificationExplainer
from xai_nlp.tasks.removals import feature_scores, removal_subject, vector_subject
from xai_nlp.tasks.run import predict
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer

TEXT = "a gripping, beautifully acted film"
PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def subject_of(explainer, removal, inputs, *, number=0, image_baseline=None, filler=None, **options):
    """The subject of the first example's target, as `explain` would read it."""
    request = explainer.request(*explainer.named_inputs((), {**inputs, **options}))
    with frozen_model(explainer.model, evaluate=True):
        windows = explainer.encode(request)
        outputs = predict(explainer, windows, request.options.batching)
        target = explainer.targets(request, windows, outputs)[number]
        return removal_subject(
            explainer, request, windows, target, removal, image_baseline=image_baseline, filler=filler
        )


def without(subject, *sets):
    """The T numbers without each of these sets of features: (N, T)."""
    problem = subject.problem()
    z = torch.ones(len(sets), problem.x[0].shape[1])
    for row, features in zip(z, sets, strict=True):
        row[list(features)] = 0
    return problem.values((z,), torch.zeros(len(sets), dtype=torch.long))


@torch.no_grad()
def logits_of(explainer, ids, **others):
    """The outputs of a plain pass of one text by its token ids."""
    return explainer.model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)).long(), **others)


TASKS = {
    "text": (lambda: xai_nlp.load("sentiment"), {"text": TEXT}, {}),
    "pair": (lambda: xai_nlp.load(*tiny("roberta")), {"text": ("who wrote it", "Mary did")}, {}),
    "causal": (lambda: xai_nlp.load(*tiny("gpt2")), {"text": TEXT}, {}),
    "qa": (lambda: xai_nlp.load("qa"), {"question": "Who wrote it?", "context": "Mary Shelley wrote it."}, {}),
    "qa long": (
        lambda: xai_nlp.load(*tiny("bert", task="question-answering")),
        {"question": "Who wrote it?", "context": "Mary Shelley wrote it in 1818. " * 4},
        {"max_length": 24, "stride": 4, "target": ["start", "end", "span"]},
    ),
    "tokens": (
        lambda: xai_nlp.load(*tiny("bert", task="token-classification")),
        {"text": "Mary wrote it"},
        {"entity": "Mary"},
    ),
    "mask": (lambda: xai_nlp.load(*tiny("bert", task="fill-mask")), {"text": "the [MASK] was great"}, {}),
    "zero shot": (inference_model, {"text": TEXT, "labels": ["film", "food"]}, {}),
    "similarity": (encoder, {"text": TEXT, "pair": "a dull movie"}, {}),
    "writing": (lambda: xai_nlp.load(*writing("llama")), {"prompt": TEXT}, {"answer": " the plot"}),
    "translation": (
        lambda: xai_nlp.load(*tiny("t5", task="text2text-generation")),
        {"text": TEXT},
        {"answer": "the plot"},
    ),
    "image": (lambda: ImageClassificationExplainer(image_model("vit")), {"image": PICTURE}, {}),
    "vilt": (
        lambda: VisualQuestionAnsweringExplainer(loaded("vilt")),
        {"image": PICTURE, "question": "is the film dull"},
        {},
    ),
    "one part": (
        lambda: VisualQuestionAnsweringExplainer(loaded("vilt")),
        {"image": PICTURE, "question": "is the film dull"},
        {"moves": "image"},
    ),
    "llava": (
        lambda: VisualQuestionAnsweringExplainer(loaded("llava")),
        {"image": PICTURE, "question": "is the film dull"},
        {"answer": "dull"},
    ),
    "lxmert": (
        lambda: VisualQuestionAnsweringExplainer(loaded("lxmert")),
        {"image": PICTURE, "question": "is the film dull"},
        {"features": np.random.default_rng(1).random((3, 12)), "boxes": np.array([[0, 0, 9, 9]] * 3)},
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_from_all_features_to_none_f_goes_from_x_to_the_baseline(name):
    load, inputs, options = TASKS[name]
    explainer = load()
    words = explainer.task.reads_text
    baseline = {"baseline": "zero"} if words else {}
    whys = explainer.explain(**inputs, **options, **baseline, method="input_x_gradient")
    whys = [whys] if isinstance(whys, xai_nlp.Explanation) else list(whys)
    before = fingerprint(explainer.model)
    subject = subject_of(explainer, "zero" if words else "grey", inputs, **options)
    M = subject.problem().features.count
    at_x, at_baseline = without(subject, [], range(M))
    assert at_x.tolist() == pytest.approx([why.value for why in whys], abs=1e-4)
    if not whys[0].image or whys[0].params.get("moves") is None:
        complete = explainer.explain(**inputs, **options, **baseline, method="integrated_gradients", steps=2)
        complete = [complete] if isinstance(complete, xai_nlp.Explanation) else list(complete)
        assert at_baseline.tolist() == pytest.approx([why.baseline_value for why in complete], abs=1e-4)
    assert all(len(feature_scores(why)) == M for why in whys)
    assert aopc(subject, [feature_scores(whys[0])]).isfinite().all()
    assert fingerprint(explainer.model) == before


@pytest.mark.parametrize("removal", ["pad", "mask"])
def test_vectors_are_those_of_other_token_ids(removal):
    explainer = xai_nlp.load(*tiny("bert"))
    subject = subject_of(explainer, removal, {"text": TEXT}, target="POSITIVE")
    ids = explainer.tokenizer(TEXT)["input_ids"]
    why = explainer.explain(TEXT, target="POSITIVE", method="input_x_gradient")
    groups = [group for group in why.word_groups() if why.segment[group[0]] >= 0]
    assert subject.problem().features.count == len(groups) == 6  # with the comma; subwords go together
    assert max(map(len, groups)) > 1
    other = {"pad": explainer.tokenizer.pad_token_id, "mask": explainer.tokenizer.mask_token_id}[removal]
    for words in ([0], [1, 3], range(6)):
        changed = list(ids)
        for word in words:
            for token in groups[word]:
                changed[token] = other
        expected = logits_of(explainer, changed, token_type_ids=torch.zeros(1, len(ids)).long()).logits[0, 1]
        torch.testing.assert_close(without(subject, words)[0, 0], expected)


def test_rows_in_one_chunk_or_in_many():
    explainer = xai_nlp.load("sentiment")
    sets = [[], [1], [0, 2], [0, 1, 2, 3, 4, 5]]
    for removal in ("mask", "delete"):
        one, many = (subject_of(explainer, removal, {"text": TEXT}, batch_size=size) for size in (1, 3))
        torch.testing.assert_close(without(one, *sets), without(many, *sets))


@pytest.mark.parametrize("removal", ["mask", "delete"])
def test_a_long_text_is_the_mean_of_its_windows(removal):
    explainer = xai_nlp.load(*tiny("bert"))
    text = "the great film was dull and the plot was thin"
    inputs = {"text": text, "target": "POSITIVE", "max_length": 8, "stride": 2}
    subject = subject_of(explainer, removal, inputs)
    why = explainer.explain(**inputs, method="input_x_gradient")
    assert why.params["windows"] > 2
    assert subject.problem().features.count == len(feature_scores(why)) == 10
    gone = [2, 3, 8]  # some of them are in two windows
    request = explainer.request({"text": text}, {"max_length": 8, "stride": 2})
    spans = [(i, *span) for i, span in enumerate(why.words().offsets[1:-1])]
    values = []
    for window in explainer.encode(request):
        ids = []
        for token, (start, end), segment in zip(
            window.inputs["input_ids"], window.offsets, window.segment, strict=True
        ):
            word = next((i for i, a, b in spans if segment == 0 and a <= start and end <= b), None)
            if word not in gone:
                ids.append(token)
            elif removal == "mask":
                ids.append(explainer.tokenizer.mask_token_id)
        values.append(logits_of(explainer, ids, token_type_ids=torch.zeros(1, len(ids)).long()).logits[0, 1])
    torch.testing.assert_close(without(subject, gone)[0, 0], torch.stack(values).mean())


@pytest.mark.parametrize("removal", ["zero", "delete"])
def test_regions_are_those_of_the_image_baseline(removal):
    explainer = VisualQuestionAnsweringExplainer(loaded("vilt"))
    inputs = {"image": PICTURE, "question": "is the film dull"}
    options = {"regions": 2, "target": 0}
    subject = subject_of(explainer, removal, inputs, image_baseline="blur", **options)
    whole = explainer.explain(**inputs, **options, image_baseline="blur", moves="image", method="occlusion")
    why = explainer.explain(**inputs, **options, image_baseline="blur", moves="image", steps=2)
    words, regions = 4, len(why.image.scores)
    assert subject.problem().features.count == words + regions
    at_x, *single, none = without(subject, [], *([words + r] for r in range(regions)), range(words, words + regions))[
        :, 0
    ].tolist()
    assert at_x == pytest.approx(why.value, abs=1e-5)
    assert none == pytest.approx(why.baseline_value, abs=1e-5)
    assert [at_x - one for one in single] == pytest.approx(list(whole.image.scores), abs=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_vectors_move_themselves_with_the_same_features(name):
    load, inputs, options = TASKS[name]
    explainer = load()
    request = explainer.request(*explainer.named_inputs((), {**inputs, **options}))
    with frozen_model(explainer.model, evaluate=True):
        windows = explainer.encode(request)
        target = explainer.targets(request, windows, predict(explainer, windows, request.options.batching))[0]
        vectors = vector_subject(explainer, request, windows, target, "zero")
        removals = removal_subject(explainer, request, windows, target, "zero" if explainer.task.reads_text else "grey")
        problem = vectors.problem()
        assert problem.features.count == removals.problem().features.count
        scores = torch.rand(1, problem.features.count)
        torch.testing.assert_close(
            aopc(vectors, scores, sizes=[0.2, 0.6]), aopc(removals, scores, sizes=[0.2, 0.6]), atol=1e-4, rtol=1e-4
        )
        if explainer.task.reads_text:
            assert soft_sufficiency(vectors, scores, samples=2).shape == (1, len(target.specs))
            assert input_sensitivity(vectors, find_method("saliency"), samples=1).isfinite().all()


def test_metrics_take_it():
    explainer = xai_nlp.load("sentiment")
    why = explainer.explain("a gripping film about two dull sisters", unit="probability")
    scores = [feature_scores(why)]
    for removal in ("pad", "mask", "delete"):
        subject = subject_of(explainer, removal, {"text": why.segments[0]}, unit="probability")
        curve = deletion_curve(subject, scores)
        assert curve.values.shape == (1, 1, 8)
        assert curve.value.item() == pytest.approx(why.value, abs=1e-5)
        assert 0 <= naopc(subject, scores).value <= 1
        assert -1 <= comprehensiveness(subject, scores) <= 1


def test_a_removal_that_cannot_be_done_is_said():
    sentiment, inputs = xai_nlp.load("sentiment"), {"text": TEXT}
    with pytest.raises(UnknownName, match="removal 'erase'"):
        subject_of(sentiment, "erase", inputs)
    with pytest.raises(InvalidInput, match="needs a masked language model"):
        subject_of(sentiment, "fill", inputs)
    with pytest.raises(InvalidInput, match=r"tokens of .* are not those of"):
        subject_of(sentiment, "fill", inputs, filler=xai_nlp.load(*tiny("bert", task="fill-mask")))
    with pytest.raises(InvalidInput, match="no mask token"):
        subject_of(xai_nlp.load(*tiny("gpt2")), "mask", inputs)
    with pytest.raises(UnknownName, match="removal 'delete'"):
        subject_of(ImageClassificationExplainer(image_model("vit")), "delete", {"image": PICTURE})
    with pytest.raises(UnknownName, match="image baseline"):
        subject_of(
            VisualQuestionAnsweringExplainer(loaded("vilt")), "zero",
            {"image": PICTURE, "question": "is it"}, image_baseline="gray",
        )  # fmt: skip
    load, given, options = TASKS["lxmert"]
    with pytest.raises(InvalidInput, match="by zeros alone"):
        subject_of(load(), "zero", given, image_baseline="blur", **options)
    filler = xai_nlp.load(*tiny("bert", task="fill-mask"))
    with pytest.raises(InvalidInput, match="reads one text at a time"):
        subject_of(encoder(), "fill", {"text": TEXT, "pair": TEXT}, filler=filler)
    model, tokenizer = tiny("gpt2", fresh=True)
    tokenizer.pad_token = None
    model.config.pad_token_id = model.config.bos_token_id = model.config.eos_token_id = None
    with pytest.raises(InvalidInput, match="no token that an empty text"):
        subject_of(xai_nlp.load(model, tokenizer), "delete", inputs)
