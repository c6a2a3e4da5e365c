"""Tokens deleted or filled: against plain passes of the model on texts that were changed by hand."""

import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.models.tiny_vision_language import loaded
from tests.recipes.llms import encoder
from tests.tasks.test_removals import PICTURE, logits_of, subject_of, without
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer


def sentiment_ids(explainer, words):
    return explainer.tokenizer(" ".join(words))["input_ids"]


def test_deleted_words_are_not_in_the_text():
    explainer = xai_nlp.load("sentiment")
    words = ["a", "gripping", "film", "about", "two", "beautifully", "dull", "sisters"]
    subject = subject_of(explainer, "delete", {"text": " ".join(words)}, target="POSITIVE", unit="probability")
    sets = [[], [1], [1, 5, 6], [0, 2, 3, 4, 7], list(range(8))]
    values = without(subject, *sets)[:, 0]
    for gone, value in zip(sets, values, strict=True):
        rest = [word for i, word in enumerate(words) if i not in gone]
        expected = logits_of(explainer, sentiment_ids(explainer, rest)).logits.softmax(1)[0, 1]
        torch.testing.assert_close(value, expected)


def test_a_deleted_context_still_reads_the_answers_own_tokens():
    explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
    question, context = "Who wrote it?", "Mary wrote the book in 1818 near the lake"
    why = explainer.explain(question, context, answer="book", target="start", method="input_x_gradient")
    subject = subject_of(
        explainer, "delete", {"question": question, "context": context}, answer="book", target=["start", "end"]
    )
    names = [word for word, segment in zip(why.words().tokens, why.words().segment, strict=True) if segment >= 0]
    first, book = names.index("Mary"), names.index("book")
    removable = subject.problem().baseline[0][0] == 0
    assert [names[i] for i in (~removable).nonzero()[:, 0]] == ["book"]
    for gone in ([], [first, first + 1], [0, 1, names.index("lake")], [i for i in range(len(names)) if i != book]):
        left = [" ".join(name for i, name in enumerate(names) if i in part and i not in gone)
                for part in (range(first), range(first, len(names)))]  # fmt: skip
        encoded = explainer.tokenizer(*left, return_tensors="pt", return_offsets_mapping=True)
        spans, sequence = encoded.pop("offset_mapping")[0].tolist(), encoded.sequence_ids(0)
        at = left[1].index("book")
        places = [i for i, (a, b) in enumerate(spans) if sequence[i] == 1 and at <= a and b <= at + 4]
        with torch.no_grad():
            output = explainer.model(**encoded)
        expected = torch.stack([output.start_logits[0, places[0]], output.end_logits[0, places[-1]]])
        torch.testing.assert_close(without(subject, gone)[0], expected)


def test_probabilities_of_a_deleted_context_are_over_its_own_tokens():
    explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
    subject = subject_of(
        explainer, "delete", {"question": "Who wrote it?", "context": "Mary wrote the book"},
        answer="Mary", target="start", unit="probability",
    )  # fmt: skip
    alone, beside = without(subject, [0, 1])[0], without(subject, [0, 1], [])[0]
    torch.testing.assert_close(alone, beside)


def test_an_entity_is_read_where_it_has_moved_to():
    explainer = xai_nlp.load(*tiny("bert", task="token-classification"))
    subject = subject_of(explainer, "delete", {"text": "the great film was dull"}, entity="film", target=None)
    words = ["the", "great", "film", "was", "dull"]
    assert (subject.problem().baseline[0][0] == 1).tolist() == [False, False, True, False, False]
    at_x = subject_of(explainer, "pad", {"text": " ".join(words)}, entity="film")
    torch.testing.assert_close(without(subject, []), without(at_x, []))
    ids = explainer.tokenizer("great film dull")["input_ids"]
    logits = logits_of(explainer, ids, token_type_ids=torch.zeros(1, len(ids)).long()).logits[0]
    assert float(without(subject, [0, 3])) in [pytest.approx(float(one), abs=1e-5) for one in logits[2]]


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_written_answer_follows_the_shortened_prompt(name):
    explainer = xai_nlp.load(*writing(name))
    answer = explainer.tokenizer(" plot it", add_special_tokens=False)["input_ids"]
    subject = subject_of(explainer, "delete", {"prompt": "the great film was dull"}, answer=answer)
    tokens = explainer.tokenizer(["the", " great", " film", " was", " dull"], add_special_tokens=False)["input_ids"]
    for gone in ([], [1], [1, 2, 4], range(5)):
        prompt = [token for i, own in enumerate(tokens) if i not in gone for token in own]
        prompt = prompt or [explainer.tokenizer.pad_token_id]  # it has no token to begin a text with
        logits = logits_of(explainer, [*prompt, *answer]).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        torch.testing.assert_close(without(subject, gone)[0, 0], logits[range(len(answer)), answer].sum())


def test_two_texts_that_are_read_apart_are_shortened_apart():
    explainer = encoder()
    words = ["the", "great", "film"], ["a", "dull", "long", "movie"]
    subject = subject_of(explainer, "delete", {"text": " ".join(words[0]), "pair": " ".join(words[1])})
    for gone in ([], [1], [0, 3, 4, 5]):
        left = [" ".join(w for i, w in enumerate(words[0]) if i not in gone),
                " ".join(w for i, w in enumerate(words[1], 3) if i not in gone)]  # fmt: skip
        assert float(without(subject, gone)) == pytest.approx(explainer.predict(*left)["similarity"], abs=1e-5)
    assert float(without(subject, range(7))) == pytest.approx(1, abs=1e-5)  # both are [CLS] [SEP]


def test_filled_words_are_the_likeliest_ones():
    explainer = xai_nlp.load(*tiny("bert"))
    filler = xai_nlp.load(*tiny("bert", task="fill-mask"))
    subject = subject_of(explainer, "fill", {"text": "the great film was dull"}, target="POSITIVE", filler=filler)
    ids = explainer.tokenizer("the great film was dull")["input_ids"]
    types = {"token_type_ids": torch.zeros(1, len(ids)).long()}
    for gone in ([1], [0, 2, 4]):
        masked = [filler.tokenizer.mask_token_id if i - 1 in gone else token for i, token in enumerate(ids)]
        logits = logits_of(filler, masked, **types).logits[0]
        logits[:, filler.tokenizer.all_special_ids] = -torch.inf
        filled = [int(logits[i].argmax()) if i - 1 in gone else token for i, token in enumerate(ids)]
        torch.testing.assert_close(without(subject, gone)[0, 0], logits_of(explainer, filled, **types).logits[0, 1])


def test_a_filler_takes_no_special_token():
    explainer = xai_nlp.load(*tiny("bert"))
    model, tokenizer = tiny("bert", fresh=True, task="fill-mask")
    with torch.no_grad():
        model.get_output_embeddings().bias[tokenizer.all_special_ids] = 1000.0
    fillers = [xai_nlp.load(*tiny("bert", task="fill-mask")), xai_nlp.load(model, tokenizer)]
    one, other = (
        subject_of(explainer, "fill", {"text": "the great film was dull"}, filler=filler) for filler in fillers
    )
    torch.testing.assert_close(without(one, [1, 3]), without(other, [1, 3]))


def test_a_mask_is_read_where_it_has_moved_to():
    explainer = xai_nlp.load(*tiny("bert", task="fill-mask"))
    subject = subject_of(explainer, "delete", {"text": "the [MASK] was great"}, target="film")
    shorter = explainer.explain("[MASK] was", target="film", method="input_x_gradient")
    assert float(without(subject, [0, 3])) == pytest.approx(shorter.value, abs=1e-5)


def test_a_masked_model_fills_its_own_words_but_not_the_mask_that_is_explained():
    explainer = xai_nlp.load(*tiny("bert", task="fill-mask"))
    subject = subject_of(explainer, "fill", {"text": "the [MASK] was great"}, target="film")
    assert (subject.problem().baseline[0][0] == 1).tolist() == [False, True, False, False]
    torch.testing.assert_close(without(subject, [1]), without(subject, []))
    ids, mask = explainer.tokenizer("the [MASK] was great")["input_ids"], explainer.tokenizer.mask_token_id
    types = {"token_type_ids": torch.zeros(1, len(ids)).long()}
    logits = logits_of(explainer, [mask if i in (1, 3) else token for i, token in enumerate(ids)], **types).logits[0]
    logits[:, explainer.tokenizer.all_special_ids] = -torch.inf
    filled = [int(logits[i].argmax()) if i in (1, 3) else token for i, token in enumerate(ids)]
    assert filled != ids
    expected = logits_of(explainer, filled, **types).logits[0, 2, explainer.tokenizer.convert_tokens_to_ids("film")]
    torch.testing.assert_close(without(subject, [0, 2])[0, 0], expected)


def test_a_question_is_shortened_before_its_image():
    explainer = VisualQuestionAnsweringExplainer(loaded("llava"))
    inputs = {"image": PICTURE, "question": "is the film dull"}
    subject = subject_of(explainer, "delete", inputs, answer="dull")
    shorter = explainer.explain(**{**inputs, "question": "the film"}, answer="dull", method="input_x_gradient")
    assert float(without(subject, [0, 3])) == pytest.approx(shorter.value, abs=1e-4)
    both = without(subject, [0, 3], [], [1], [4])
    torch.testing.assert_close(both[:1], without(subject, [0, 3]))


def test_a_task_that_does_not_say_where_its_tokens_are_cannot_delete_them(monkeypatch):
    explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
    monkeypatch.setattr(type(explainer), "token_axis", None)
    subject = subject_of(explainer, "delete", {"question": "Who wrote it?", "context": "Mary wrote it"})
    with pytest.raises(InvalidInput, match="changes the shape of what question answering reads"):
        without(subject, [0])
