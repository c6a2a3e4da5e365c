"""An explanation in words: the sentence, the question, names, outputs and the residual."""

import pytest

from tests.recipes.saved import DOUBT
from tests.viz.images import small
from tests.viz.samples import answered, label, made
from xai_nlp.viz.page.html import page
from xai_nlp.viz.text.wording import (
    explained_fact,
    explained_labels,
    gives_probabilities,
    headline,
    output_text,
    segment_names,
    sentence,
    shortened,
    target_text,
    unexplained,
)

SCORES = [0.0, 1.0, -0.5, 0.375, 0.0]


def said(*explanations):
    return "".join(text for text, _ in sentence([why.words() for why in explanations])).replace("\u00a0", " ")


def written_word():
    return small(target=label("red", kind="token", answer="two red"), outputs={"two red": 0.25})


# The sentence --------------------------------------------------------------------------------------------------------


def test_it_names_the_words_for_and_against():
    assert said(made(scores=SCORES)) == (
        "The model says POSITIVE (75 %). “a” and “film” speak for it most; “fine” speaks against it."
    )
    parts = sentence([made(scores=SCORES)])
    assert [part for part in parts if part[1]] == [("POSITIVE", "em"), ("“a”", "p"), ("“film”", "p"), ("“fine”", "n")]


def test_a_target_that_the_model_does_not_say():
    assert said(made(scores=SCORES, target=label("NEGATIVE"))).startswith(
        "The model says POSITIVE (75 %). Explained is NEGATIVE (25 %). “a” and “film” speak for it most;"
    )
    contrast = made(scores=SCORES, target=label("POSITIVE", "NEGATIVE"))
    assert said(contrast).startswith(
        "The model says POSITIVE (75 %). Explained is POSITIVE rather than NEGATIVE. “a” and “film” speak for it most;"
    )


def test_weak_words_are_not_named_and_repeated_ones_once():
    scores = [0.0, 1.0, 0.24, 0.9, -0.1, 1.0, 0.95, 0.9, 0.0]
    why = made("good x old y good new last", scores=scores)
    assert said(why) == "The model says POSITIVE (75 %). “good”, “new” and “old” speak for it most."


def test_one_sign_only_and_none():
    assert said(made(scores=[0.0, -1.0, 0.0, 0.0, 0.0])).endswith("Nothing speaks for it; “a” speaks against it.")
    assert said(made(scores=[0.0] * 5)).endswith("Nothing counts for or against it.")


def test_methods_without_a_sign_say_what_matters():
    why = made(scores=[0.5, 1.0, 0.5, 0.1, 0.0], unit="", complete=False, method="attention_rollout")
    assert said(why).endswith("“a” and “fine” matter most for it.")


def test_raw_outputs_and_unknown_ones():
    assert said(made(outputs={"stars": 4.25}, target=label("stars"), scores=SCORES)).startswith(
        "The model says stars (+4.25)."
    )
    assert said(made(outputs={})).startswith("The score of POSITIVE is +1.50 logit.")


def test_answers_from_a_text():
    assert said(answered("span")) == (
        "The model answers “Ada Lovelace” (75 %) to “Who wrote it?” “Lovelace”, “it” and “wrote” speak for it most."
    )
    both = said(answered("end"), answered("start"))
    assert both.endswith("speak for its start most. “Lovelace”, “it” and “wrote” speak for its end most.")
    silent = answered("span", answer_text="", answer=None, outputs={"": 0.8, "Ada": 0.2})
    assert said(silent).startswith("The model gives no answer (80 %) to “Who wrote it?” ")


def test_answers_about_an_image_name_the_strongest_region():
    assert said(small()) == (
        "The model answers “red” (93 %) to “what colour is the star?” "
        "“star”, “colour” and row 2 column 2 of the image speak for it most."
    )
    against = said(small((0.0, -1.0, 0.0, 0.0)))
    assert against.endswith("“star” and “colour” speak for it most; row 1 column 2 of the image speaks against it.")


def test_a_word_of_a_written_answer():
    why = written_word()
    assert "Explained is “red”." in said(why)
    assert explained_labels(why) == ("two red",)


def test_methods_say_what_they_agree_on():
    says = "The model says POSITIVE (75 %). "
    why, alike = made(scores=SCORES), made(scores=SCORES, method="occlusion")
    own = said(why).removeprefix(says).replace(" most", "")
    assert said(why, alike) == f"{says}Both methods agree: {own}"
    other = made(scores=[-score for score in SCORES], method="shapley")
    assert said(why, alike, other) == f"{says}3 methods name no word in common."
    assert said(*[why] * 4) == f"{says}4 explanations follow."


def test_the_tokens_of_a_written_answer_are_counted():
    answer = {"answer": "ein Film", "kind": "token"}
    words = [
        made(target=label(token, **answer), outputs={"ein Film": 0.5}, task="text2text-generation")
        for token in ("ein", "Film")
    ]
    assert said(*words) == "The model writes “ein Film” (50 %). Its 2 tokens are explained one by one."


# The question --------------------------------------------------------------------------------------------------------


def test_the_question_is_about_the_target():
    assert headline(made()) == "Why POSITIVE?"
    assert headline(made(target=label("NEGATIVE"))) == "Why NEGATIVE?"
    assert headline(made(target=label("POSITIVE", "NEGATIVE"))) == "Why POSITIVE rather than NEGATIVE?"
    assert headline(answered()) == "Why “Ada Lovelace”?"
    assert headline(answered(answer_text="", answer=None, outputs={"": 0.8, "Ada": 0.2})) == "Why no answer?"
    assert headline(answered(answer_text="it", answer=(1, (19, 21)))) == "Why “it”?"
    assert headline(written_word()) == "Why “red” in “two red”?"


@pytest.mark.parametrize(
    ("sides", "question", "labels"),
    [
        (("red", None), "Why “red”?", ("red",)),
        (("blue", None), "Why “blue”?", ("blue",)),  # not the answer that the model gives
        (("red", "blue"), "Why “red” rather than “blue”?", ("red", "blue")),
        (("blue", "red"), "Why “blue” rather than “red”?", ("blue", "red")),
        (("red", "teal"), "Why “red” rather than “teal”?", ("red", "teal")),  # written: “teal” has no probability
    ],
)
def test_the_question_names_the_answer_that_is_explained(sides, question, labels):
    why = small(target=label(*sides, kind="answer"))
    assert headline(why) == question
    assert explained_labels(why) == labels
    assert segment_names(why) == ("Question",)


def test_labels_may_hold_a_hyphen():
    assert headline(made(target=label("non-toxic"))) == "Why non-toxic?"
    assert headline(made(target=label("non-toxic", "toxic"))) == "Why non-toxic rather than toxic?"
    assert headline(answered("span", "it")) == "Why “Ada Lovelace” rather than “it”?"
    assert headline(answered("span", "")) == "Why “Ada Lovelace” rather than no answer?"


def test_targets_of_one_input_are_told_apart_in_a_few_words():
    assert [target_text(answered(*spec)) for spec in (("start",), ("end", "it"))] == ["start", "end rather than it"]
    assert target_text(made(target=label("POSITIVE", "NEGATIVE"))) == "POSITIVE rather than NEGATIVE"


def test_a_long_text_is_shortened():
    assert shortened("short") == "short"
    assert shortened("word " * 40).endswith("…")
    assert len(shortened("word " * 40)) <= 80
    question = "word " * 40
    assert f"to “{shortened(question)}”" in said(answered("span", segments=(question, "Ada Lovelace wrote it")))


def test_the_documents_title_is_the_question():
    assert "<title>Why POSITIVE rather than NEGATIVE? · xai_nlp</title>" in page(
        [made(target=label("POSITIVE", "NEGATIVE"))]
    )


# Names and numbers ---------------------------------------------------------------------------------------------------


def test_pairs_are_named_by_what_they_are():
    labels = {"ENTAILMENT": 0.7, "contradiction": 0.3}
    assert segment_names(made("a", pair="b", outputs=labels)) == ("Premise", "Hypothesis")
    assert segment_names(made("a", pair="b")) == ("Text 1", "Text 2")
    assert segment_names(made("a", pair="b", task="question-answering")) == ("Question", "Context")
    assert segment_names(made("a")) == ("",)


def test_what_is_left_is_a_share_of_what_was_to_be_explained():
    fact = unexplained(made(scores=[0.0, 1.0, -0.5, 0.375, 0.0]))  # 1 to explain, 0.875 explained
    assert (fact.value, fact.verdict) == ("12\u00a0%", "poor")
    fact = unexplained(made(scores=[0.0, 1.0, 0.0, 0.0, 0.0]))
    assert (fact.value, fact.verdict) == ("0\u00a0%", "good")
    fact = unexplained(made(scores=[0.0, 1.0, 0.03, 0.0, 0.0]))  # too much explained is as bad as too little
    assert (fact.value, fact.verdict) == ("3.0\u00a0%", "fair")


def test_a_share_of_nothing_is_given_as_a_number():
    fact = unexplained(made(scores=[0.0, 0.25, 0.0, 0.0, 0.0], value=2.0, baseline_value=2.0))
    assert (fact.value, fact.verdict) == ("0.250\u00a0logit", "poor")
    fact = unexplained(made(scores=[0.0] * 5, value=2.0, baseline_value=2 - 2**-10))  # 100 % of next to nothing
    assert (fact.value, fact.verdict) == ("0.000977\u00a0logit", "good")
    fact = unexplained(made(scores=[0.0] * 5, value=0.0, baseline_value=0.0))
    assert (fact.value, fact.verdict) == ("0\u00a0logit", "good")


def test_nothing_is_said_to_be_left_where_nothing_was_promised():
    assert unexplained(made(complete=False)) is None


def test_without_a_baseline_the_number_itself_is_shown():
    assert explained_fact(made()).value == "+1.00\u00a0logit"
    fact = explained_fact(made(baseline="none", unit=""))
    assert (fact.value, fact.label) == ("+1.50", "f(x)")


def test_only_probabilities_are_percentages():
    assert gives_probabilities(made(outputs={"a": 0.7, "b": 0.6}))  # several labels may hold
    assert not gives_probabilities(made(outputs={"stars": 0.8}))
    assert not gives_probabilities(made(outputs={"a": 1.2, "b": -0.2}))
    assert output_text(made(outputs={"stars": 4.25}), "stars") == "+4.25"
    assert output_text(made(), "POSITIVE") == "75\u00a0%"
    assert output_text(written_word(), "two red") == "25\u00a0%"
    assert output_text(made(outputs={"score": 0.25}), "score") == "+0.250"  # a regression's


# Entities, words at a mask, written texts ----------------------------------------------------------------------------


def entity(kind="PER", text="Angela Merkel", contrast=None, **outputs):
    target = label(kind, contrast, "entity", answer=text)
    shares = outputs or {"O": 0.005, "PER": 0.99, "ORG": 0.005}
    return made(
        scores=SCORES, target=target, outputs=shares, task="token-classification", answer=(0, (2, 2 + len(text)))
    )


def test_an_entity_is_read_as_its_type():
    assert said(entity()).startswith("The model reads “Angela Merkel” as PER (99 %). “a” and “film” speak for it most;")
    parts = sentence([entity()])
    assert [text for text, kind in parts if kind == "em"] == ["Angela Merkel".join("“”"), "PER"]
    assert headline(entity()) == "Why PER for “Angela Merkel”?"
    assert target_text(entity("PER", contrast="ORG")) == "“Angela Merkel” as PER rather than ORG"
    assert explained_labels(entity()) == ("PER",)


def test_an_entity_of_another_type_than_the_model_reads():
    assert said(entity("ORG")).startswith(
        "The model reads “Angela Merkel” as PER (99 %). Explained is ORG (0.50 %). “a” and “film” speak for it most;"
    )
    assert "Explained is PER rather than ORG." in said(entity("PER", contrast="ORG"))
    assert said(entity("PER", O=0.9, PER=0.1)).startswith("The model reads “Angela Merkel” as no entity (90 %).")


def test_several_entities_are_listed():
    two = [entity(), entity("LOC", "Paris", LOC=0.75, PER=0.25)]
    assert said(*two) == "The model reads “Angela Merkel” as PER (99 %) and “Paris” as LOC (75 %)."
    names = "abcdef"
    many = said(*(entity("LOC", "x" * (n + 1), LOC=0.75, PER=0.25) for n in range(len(names))))
    assert many.endswith("“xxxx” as LOC (75 %) and 2 more.")


def test_a_word_at_a_mask():
    outputs = {"Paris": 0.38, "London": 0.04}
    why = made(scores=SCORES, target=label("Paris", kind="word"), outputs=outputs, task="fill-mask")
    assert said(why).startswith("At the mask the model expects “Paris” (38 %). “a” and “film” speak for it most;")
    other = made(scores=SCORES, target=label("London", kind="word"), outputs=outputs, task="fill-mask")
    assert "(38 %). Explained is “London” (4.0 %)." in said(other)
    assert headline(why) == "Why “Paris”?"


def test_a_written_text():
    why = made(
        scores=SCORES, target=label("ein Film", kind="answer"), outputs={"ein Film": 0.5}, task="text2text-generation"
    )
    assert said(why).startswith("The model writes “ein Film” (50 %). “a” and “film” speak for it most;")
    assert segment_names(why) == ("Text",)
    word = made(scores=SCORES, target=label("Film", kind="token", answer="ein Film"), outputs={"ein Film": 0.5},
                task="text2text-generation")  # fmt: skip
    assert "(50 %). Explained is “Film”." in said(word)


def test_of_several_labels_the_sentence_is_about_the_predicted_one():
    against = made(scores=[-score for score in SCORES], target=label("NEGATIVE"))
    assert said(against, made(scores=SCORES)) == said(made(scores=SCORES)) != said(against)
    assert (
        said(against, made(scores=SCORES), made(scores=SCORES, method="occlusion"))
        .split(": ")[0]
        .endswith("Both methods agree")
    )


def test_an_explanation_says_itself_with_residual_and_verdict():
    plain, doubtful = made(), made(trust=DOUBT)
    assert plain.sentence().startswith("The model says POSITIVE (75 %). “fine” speaks for it most")
    assert plain.sentence().endswith("unexplained.")
    assert doubtful.sentence() == f"{plain.sentence()} This explanation holds in part. Some random orders do as well."
    assert "unexplained" not in made(complete=False).sentence()
    assert "\u00a0" not in plain.sentence()
