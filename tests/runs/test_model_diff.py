"""Two models compared: nothing between a model and itself, and what was changed between two that differ."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from xai_nlp import Explanations, ModelDiff
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.runs.model_diff import diff
from xai_nlp.web.examples import CONTEXT, QUESTION

SCENE = str(Path(__file__).parents[2] / "tutorials" / "data" / "scene.png")
TEXTS = [
    "a gripping, beautifully acted film",
    "the plot is thin and the jokes are stale",
    "not a bad film, but far too long",
    "it is hard to dislike this charming mess",
    "what a waste of a good film",
]


def loaded(name, task, build=tiny):
    parts = build(name) if build is writing else build(name, task=task)
    return xai_nlp.load(*parts, task=task)


def nli():
    """A model of inference, for labels of one's own."""
    model, tokenizer = tiny("bert", fresh=True)
    model.config.id2label = {0: "contradiction", 1: "entailment"}
    model.config.label2id = {name: i for i, name in model.config.id2label.items()}
    return xai_nlp.load(model, tokenizer, task="zero-shot-classification")


OF_QUESTION = {"question": [QUESTION, "Who designed the Analytical Engine?"], "context": [CONTEXT, CONTEXT]}
OF_ITSELF = {
    "labels": ("sentiment", TEXTS, {}),
    "one label": ("sentiment", TEXTS, {"target": "POSITIVE"}),
    "contrast": ("sentiment", TEXTS[:2], {"target": "POSITIVE-NEGATIVE"}),
    "span": ("qa", OF_QUESTION, {}),
    "start": ("qa", OF_QUESTION, {"target": "start", "method": "input_x_gradient"}),
    "no answer": ("qa", OF_QUESTION, {"unanswerable": True, "method": "input_x_gradient"}),
    "scene": ("vqa", {"image": [SCENE], "question": ["what colour is the star?"]}, {"regions": 4}),
    "image": ("image", {"image": [SCENE]}, {"regions": 4}),
    "entity": (lambda: loaded("bert", "token-classification"), TEXTS[:2], {"method": "input_x_gradient"}),
    "mask": (lambda: loaded("bert", "fill-mask"), ["the film was [MASK] ."], {}),
    "similarity": (
        lambda: loaded("bert", "sentence-similarity"), {"text": ["the film"], "pair": ["a great movie"]}, {},
    ),
    "written": (lambda: loaded("gpt2", None, writing), ["the film was", "this plot is"], {"longest": 3}),
    "given": (lambda: loaded("gpt2", None, writing), ["the film was"], {"longest": 3, "answer": " great"}),
    "written contrast": (
        lambda: loaded("gpt2", None, writing), ["the film was"], {"answer": " great", "rather_than": " dull"},
    ),
    "text to text": (lambda: loaded("bart", "text2text-generation"), TEXTS[:1], {"longest": 3}),
    "own labels": (nli, TEXTS[:2], {"labels": ["praise", "blame"]}),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_ITSELF)
def test_a_model_and_itself_are_the_same(name):
    source, data, options = OF_ITSELF[name]
    model = source() if callable(source) else xai_nlp.load(source)
    found = diff(model, model, data, progress=False, **options)
    assert found.same
    assert (found.label_flips, found.changed, found.failures) == ([], [], ())
    assert found.agreement["moved"].quartiles == (0.0,) * 5
    assert found.agreement["sign_flips"].quartiles == (0.0,) * 5
    assert len(found.examples) == len(next(iter(data.values())) if isinstance(data, dict) else data)
    assert ModelDiff.from_json(found.to_json()) == found


def with_another_word(word, other):
    """The embedded model, which reads `word` as `other`."""
    model = xai_nlp.load("sentiment")
    ids = model.tokenizer.convert_tokens_to_ids([word, other])
    with torch.no_grad():
        vectors = model.model.get_input_embeddings().weight
        vectors[ids[0]] = vectors[ids[1]]
    return model


@pytest.mark.parametrize(("word", "other"), [("film", "awful"), ("the", "brilliant")])
def test_a_word_whose_embedding_was_changed_is_named_first(word, other, sentiment):
    found = diff(sentiment, with_another_word(word, other), TEXTS, progress=False)
    assert not found.same
    holding = [i for i, text in enumerate(TEXTS) if word in text.replace(",", "").split()]
    for label, words in found.words().items():
        of_label = [one.index for one in found.examples if str(one.before.target) == label]
        if set(of_label) & set(holding):
            assert words.effects[0].word == word
    assert {one.index for one in found.changed} <= set(holding)
    assert [one.moved for one in found.examples if one.index not in holding] == [0.0] * (len(TEXTS) - len(holding))


def test_what_moved_is_what_a_loop_finds(sentiment):
    """By the loop of the tutorial, from `explain` alone, where no word has two scores."""
    other = with_another_word("film", "awful")
    found = diff(sentiment, other, TEXTS, progress=False)
    assert [one.index for one in found.examples] == list(range(len(TEXTS)))
    for text, one in zip(TEXTS, found.examples, strict=True):
        why = sentiment.explain(text)
        again = other.explain(text, target=why.target.label).words()
        inside = [s >= 0 for s in again.segment]
        a, b = (np.array(x.scores)[inside] / np.abs(np.array(x.scores)[inside]).sum() for x in (why.words(), again))
        assert one.moved == pytest.approx(np.abs(a - b).sum() / 2, abs=2e-5)
        assert one.flipped is (why.prediction != again.prediction)
        assert one.before.outputs == pytest.approx(dict(why.outputs), abs=1e-6)


def train(seed, steps):
    """A tiny model that learned, for so many steps, a shortcut: what is about the plot is negative, all else not."""
    model, tokenizer = tiny("bert", fresh=True)
    texts = ["the film was great", "the plot was great", "this film is dull", "this plot is dull"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    labels = torch.tensor([1, 0, 1, 0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in model.classifier.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        model.train()
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(**batch).logits, labels).backward()
            optimizer.step()
    model.zero_grad(set_to_none=True)
    return model.eval(), tokenizer


FILMS = ["the film was great", "the plot was dull", "this plot is great", "the film is dull", "it was great"]


def test_two_checkpoints_of_one_training_differ_by_what_was_learnt(tmp_path):
    for steps in (1, 40):
        for part in train(0, steps):
            part.save_pretrained(tmp_path / f"step-{steps}")
    found = diff(tmp_path / "step-1", tmp_path / "step-40", FILMS, target="POSITIVE-NEGATIVE", progress=False)
    assert not found.same
    assert found.models == ("step-1", "step-40")
    first = found.words()["POSITIVE-NEGATIVE"].effects[0]
    assert (first.word, first.overall < -0.1) == ("plot", True)  # what the training taught
    after = {one.after.segments[0]: one.after.prediction for one in found.examples}
    assert (after["this plot is great"], after["the film is dull"]) == ("NEGATIVE", "POSITIVE")


def test_two_seeds_differ_where_training_taught_nothing():
    one, other = (xai_nlp.load(*train(seed, 40)) for seed in (1, 2))
    found = diff(one, other, FILMS, progress=False)
    assert [FILMS[example.index] for example in found.label_flips] == ["it was great"]  # neither of film nor of plot
    assert found.by_change[0].index == 4
    assert 0 < found.agreement["moved"].mean.mean < 1


def test_two_tokenizers_are_compared_by_characters():
    found = diff(*(xai_nlp.load(*tiny(name)) for name in ("bert", "roberta")), TEXTS, progress=False)
    assert len(found.examples) == len(TEXTS)
    for text, one in zip(TEXTS, found.examples, strict=True):
        assert "".join(one.before.tokens[:-1]) == text.replace(" ", "")
        assert one.before.tokens == one.after.tokens
        assert 0 < one.moved <= 1


def test_dtypes_are_named_and_close(sentiment):
    found = diff(sentiment, xai_nlp.load("sentiment", dtype="bfloat16"), TEXTS, progress=False)
    assert found.same
    assert found.models == ("zoo/sentiment float32", "zoo/sentiment bfloat16")
    assert 0 < found.agreement["moved"].quartiles[-1] < 0.1


def test_a_written_answer_is_asked_of_another_tokenizer_by_its_text():
    one, other = (xai_nlp.load(*writing(name)) for name in ("gpt2", "llama"))
    model, tokenizer = writing("gpt2", fresh=True)
    tokenizer.add_tokens(["film was"])  # another tokenizer: the answer of the first has other ids
    model.resize_token_embeddings(len(tokenizer))
    for second in (other, xai_nlp.load(model, tokenizer)):
        found = diff(one, second, ["the film was"], answer=" great", progress=False)
        (example,) = found.examples
        assert example.after.target.label == "great"
        assert example.before.tokens == example.after.tokens
        assert example.after.outputs.keys() != {"great"}  # what it writes itself
    again = diff(one.explain(["the film was"], answer=" great", progress=False), one, progress=False)
    assert again.agreement["moved"].quartiles == (0.0,) * 5
    assert again.same  # the answer was given; what the model of the file would have said is not known


def refused(*sources, told, **options):
    with pytest.raises(InvalidInput, match=told) as error:
        diff(*sources, progress=False, **{"data": TEXTS[:1], **options})
    assert "\n" not in str(error.value)


def test_other_tasks_and_other_labels_are_refused_in_one_sentence(sentiment):
    refused(sentiment, "qa", told="one task are compared; these do text-classification and question-answering")
    model, tokenizer = tiny("bert", fresh=True)
    model.config.id2label = {0: "NEGATIVE", 1: "NEUTRAL"}
    other = xai_nlp.load(model, tokenizer)
    refused(sentiment, other, told=r"only A has POSITIVE, and only B NEUTRAL\. Give both the same names")
    refused(sentiment.explain(TEXTS), other, data=None, told="only A has POSITIVE")


def test_wrong_calls_are_refused(sentiment):
    refused(sentiment, sentiment, data=None, told="give the examples")
    refused(sentiment.explain(TEXTS), sentiment, told="leave out the data")
    refused(sentiment, sentiment, top=0, told="top")
    refused(sentiment, sentiment, most_moved=2, told="most_moved")
    refused(sentiment, sentiment, method=["occlusion", "lime"], told="one method")
    refused(sentiment, sentiment, target="all", told="name one target")
    refused([], sentiment, data=None, told="at least one")
    refused(sentiment, sentiment, data=[" ", ""], told="no example can be compared: .*empty")
    with pytest.raises(UnknownName, match="occlusion"):
        diff(sentiment, sentiment, TEXTS[:1], method="oclusion", progress=False)
    with pytest.raises(UnknownName, match="stepz"):
        diff(sentiment, sentiment, TEXTS[:1], stepz=3, progress=False)


def test_tokens_of_a_written_answer_are_refused():
    model = loaded("gpt2", None, writing)
    refused(model, model, data=["the film was"], target="words", longest=3, told="one explanation|as a whole")


def test_a_bad_row_is_left_out_and_named(sentiment):
    found = diff(sentiment, sentiment, {"text": [TEXTS[0], " ", TEXTS[1]], "label": [1, 0, 0]}, progress=False)
    assert found.same
    assert [one.index for one in found.examples] == [0, 2]
    assert [(one.index, one.missing) for one in found.failures] == [(1, "both")]
    assert "empty" in found.failures[0].message
    assert [one.after.gold for one in found.examples] == [("POSITIVE",), ("NEGATIVE",)]


def test_a_row_that_one_model_alone_explains_is_a_difference(sentiment):
    known = xai_nlp.load(*tiny("bert"))  # does not know most of it: one letter after the other is in no vocabulary
    texts = [TEXTS[0], "ж ф ц ю я"]
    found = diff("sentiment", known, texts, most_moved=None, most_label_flips=1.0, progress=False)
    missing = {one.index: one.missing for one in found.failures}
    assert missing in ({1: "B"}, {1: "A"}, {1: "both"})
    assert found.same is (missing == {1: "both"})


def test_saved_explanations_of_another_version(sentiment, tmp_path):
    old = Explanations([replace(why, versions={**why.versions, "torch": "1.0"}) for why in sentiment.explain(TEXTS)])
    old.save(tmp_path / "old.jsonl")
    sentiment.explain(TEXTS[::-1]).save(tmp_path / "new.jsonl")
    found = diff(tmp_path / "old.jsonl", tmp_path / "new.jsonl")
    assert found.same
    assert [one.index for one in found.examples] == list(range(len(TEXTS)))
    assert found.models == ("zoo/sentiment torch 1.0", f"zoo/sentiment torch {torch.__version__}")


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "shapley"])
def test_a_model_explains_a_file_by_its_method_and_at_its_targets(sentiment, tmp_path, method):
    options = {"shapley": {"samples": 3, "seed": 5}, "integrated_gradients": {"steps": 7, "baseline": "mask"}}
    texts = [TEXTS[0], ("a fine film", "a dull one")[0], TEXTS[2]]
    why = sentiment.explain(texts, method=method, target="POSITIVE", progress=False, **options.get(method, {}))
    why.save(tmp_path / "old.jsonl")
    one, other = (diff(*sides, progress=False) for sides in ((tmp_path / "old.jsonl", sentiment), (sentiment, why)))
    for found in (one, other):
        assert found.same
        assert found.agreement["moved"].quartiles == (0.0,) * 5
        assert {str(example.after.target) for example in found.examples} == {"POSITIVE"}
    changed = diff(with_another_word("film", "awful"), tmp_path / "old.jsonl", progress=False)
    assert changed.by_change[0].before.model == "zoo/sentiment"
    assert changed.words()["POSITIVE"].effects[0].word == "film"
    assert changed.words()["POSITIVE"].effects[0].overall > 0  # B, the file, counts it as praise


def test_a_file_of_answers_is_explained_again(tmp_path):
    model = xai_nlp.load("qa")
    why = model.explain(OF_QUESTION["question"], OF_QUESTION["context"], method="input_x_gradient", progress=False)
    found = diff(why, model, progress=False)
    assert found.same
    assert found.agreement["moved"].quartiles == (0.0,) * 5


def test_files_by_two_methods_or_of_images_are_refused(sentiment):
    one, other = (sentiment.explain(TEXTS[:2], method=name) for name in ("occlusion", "input_x_gradient"))
    refused(one, other, data=None, told="by one method, .*input_x_gradient")
    refused([*one, *other], sentiment, data=None, told="explained again")
    vqa = xai_nlp.load("vqa")
    seen = vqa.explain(SCENE, "what colour is the star?", method="input_x_gradient", regions=4)
    refused(seen, vqa, data=None, told="small copy")


def test_regions_of_both_models_must_be_the_same():
    vqa = xai_nlp.load("vqa")
    whys = [
        vqa.explain([SCENE], ["what colour?"], method="input_x_gradient", regions=n, progress=False) for n in (3, 4)
    ]
    refused(*whys, data=None, told="12|9")
