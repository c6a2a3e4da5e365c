"""Text that a model writes: tiny random models, answers generated and given, against `generate` and plain passes."""

import math

import numpy as np
import pytest
import torch

import xai_nlp
import xai_nlp.attr as attr
from tests.models.tiny import MAX_POSITIONS
from tests.models.tiny_generation import WRITERS, writing
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import attached
from xai_nlp.methods import METHODS
from xai_nlp.tasks.text_generation import TextGenerationExplainer

PROMPT, ANSWER, OTHER = "The plot is thin", " great movie", " great food"
FLOAT32_INSIDE = ("llama", "qwen2")  # norms and rotations that round to float32 whatever the dtype


def explainer_of(name, dtype=None):
    model, tokenizer = writing(name, fresh=dtype is not None)
    return xai_nlp.load(model if dtype is None else model.to(dtype), tokenizer)


@torch.no_grad()
def logits_of(explainer, answer, prompt=PROMPT):
    """Before each token of the answer, by a pass of one's own: (n, V); and the tokens."""
    encode = explainer.tokenizer.encode
    tokens = encode(answer, add_special_tokens=False)
    logits = explainer.model(torch.tensor([encode(prompt) + tokens])).logits[0]
    return logits[-len(tokens) - 1 : -1].double(), tokens


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "keywords",
    [{}, {"answer": ANSWER}, {"target": "words", "longest": 4}, {"answer": ANSWER, "rather_than": OTHER}],
    ids=["written", "given", "words", "contrast"],
)
def test_the_prompt_shares_out_the_answer(name, keywords):
    """Within 1 % by default."""
    result = explainer_of(name).explain(PROMPT, **keywords)
    for why in result if isinstance(result, Explanations) else [result]:
        assert abs(why.residual) <= 0.0101 * max(abs(why.explained), 0.05)
        assert why.segments == (PROMPT,) and why.task == "text-generation"
        assert why.unit == "log-probability" and why.complete
        assert "".join(PROMPT[a:b] for a, b in why.offsets) == PROMPT.replace(" ", "")


def test_a_chats_own_words_are_scored(monkeypatch):
    """As if the text of the template stood around the prompt, and its words were held still."""
    explainer = explainer_of("gpt2")
    monkeypatch.setattr(explainer.tokenizer, "chat_template", "user: {{ messages[0].content }} bot:", raising=False)
    why = explainer.explain(f" {PROMPT} ", chat=True, answer=ANSWER, steps=400)
    assert "".join(why.segments[0][a:b] for a, b in why.offsets) == PROMPT.replace(" ", "")
    assert why.words().tokens == tuple(PROMPT.split())
    logits, tokens = logits_of(explainer, ANSWER, f"user:  {PROMPT}  bot:")
    assert why.value == pytest.approx(float(logits.log_softmax(-1)[range(len(tokens)), tokens].sum()), abs=1e-4)
    assert abs(why.residual) < 1e-3 * abs(why.explained)
    both = explainer.explain([PROMPT, "The plot"], chat=True, answer=ANSWER)
    assert [len(why.words().tokens) for why in both] == [4, 2]


def test_chats_that_cannot_be_had(monkeypatch):
    explainer = explainer_of("gpt2")
    with pytest.raises(InvalidInput, match="has no chat template"):
        explainer.explain(PROMPT, chat=True, answer=ANSWER)
    monkeypatch.setattr(explainer.tokenizer, "chat_template", "{{ messages[0].content | upper }}", raising=False)
    with pytest.raises(Unsupported, match="rewrites the prompt"):
        explainer.explain(PROMPT, chat=True, answer=ANSWER)
    with pytest.raises(InvalidInput, match="nothing to explain"):
        explainer.explain("  ", chat=True, answer=ANSWER)


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_exact_in_float64(name):
    explainer = explainer_of(name, torch.float64)
    for why in explainer.explain(PROMPT, answer=ANSWER, target="words", tolerance=4e-7, max_steps=2000):
        assert abs(why.residual) < (2e-5 if name in FLOAT32_INSIDE else 1e-6)
        assert abs(why.explained) > 1e-3


@pytest.mark.parametrize("name", WRITERS)
def test_forced_answers_have_the_probability_that_generate_gives(name):
    """`generate`'s own scores, step by step, in the answer that it writes."""
    explainer = explainer_of(name)
    why = explainer.explain(PROMPT, longest=5, method="occlusion")
    ids = torch.tensor([explainer.tokenizer.encode(PROMPT)])
    options = {"max_new_tokens": 5, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
    out = explainer.model.generate(ids, attention_mask=torch.ones_like(ids), **options)
    special = set(explainer.tokenizer.all_special_ids)
    written = out.sequences[0, ids.shape[1] :].tolist()
    n = next((i for i, token in enumerate(written) if token in special), len(written))
    steps = torch.stack([step[0] for step in out.logits]).double().log_softmax(-1)[range(n), written[:n]]
    assert why.value == pytest.approx(float(steps.sum()), abs=1e-4)
    assert why.outputs == {why.target.label: pytest.approx(float(steps.sum().exp()), rel=1e-4)}
    assert explainer.predict(PROMPT, longest=5) == pytest.approx(why.outputs)
    words = explainer.explain(PROMPT, longest=5, method="occlusion", target="words")
    assert [one.value for one in words] == pytest.approx(steps.tolist(), abs=1e-4)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "input_x_gradient"])
def test_tokens_add_up_to_the_answer(name, method):
    """The matrix: a row for each of the answer's tokens."""
    explainer = explainer_of(name)
    options = {"steps": 12} if method == "integrated_gradients" else {}
    words = explainer.explain(PROMPT, target="words", answer=ANSWER, method=method, **options)
    whole = explainer.explain(PROMPT, answer=ANSWER, method=method, **options)
    assert len(words) == len(explainer.tokenizer.encode(ANSWER)) and whole.target == TargetSpec(
        kind="answer", label=ANSWER.strip(), unit="log-probability"
    )
    assert [why.target.position for why in words] == list(range(len(words)))
    assert {(why.target.kind, why.target.answer) for why in words} == {("token", ANSWER.strip())}
    assert np.allclose(np.sum([why.scores for why in words], 0), whole.scores, atol=1e-5)
    assert math.fsum(why.value for why in words) == pytest.approx(whole.value, abs=1e-5)


def test_occlusion_is_a_pass_without_the_word():
    explainer = explainer_of("llama")  # positions are not embedded, so the pad's vector is all there is
    prompt = "thin"
    encode = explainer.tokenizer.encode
    logits, tokens = logits_of(explainer, ANSWER, prompt)
    why = explainer.explain(prompt, answer=ANSWER, method="occlusion")
    ids = encode(prompt)
    assert len(ids) == len(why.tokens) > 1
    for i, score in enumerate(why.scores):
        gone = [explainer.tokenizer.pad_token_id if j == i else token for j, token in enumerate(ids)]
        with torch.no_grad():
            there = explainer.model(torch.tensor([gone + tokens])).logits[0, -len(tokens) - 1 : -1].double()
        change = logits.log_softmax(-1) - there.log_softmax(-1)
        assert score == pytest.approx(float(change[range(len(tokens)), tokens].sum()), abs=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_as_captums_name_for_it_says(name):
    """LLMGradientAttribution, which reads the answer once for each of its tokens."""
    explainer = explainer_of(name)
    model, tokenizer = explainer.model, explainer.tokenizer
    llm = attr.LLMGradientAttribution(attr.LayerIntegratedGradients(model, model.get_input_embeddings()), tokenizer)
    reference = llm.attribute(attr.TextTokenInput("thin", tokenizer, tokenizer.pad_token_id), ANSWER, n_steps=20)
    options = {"target": "words", "answer": ANSWER, "steps": 20, "rule": "gauss_legendre"}
    ours = [why.scores for why in explainer.explain("thin", **options)]
    torch.testing.assert_close(torch.tensor(ours).float(), reference.token_attr, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("keywords", [{"longest": 4}, {"answer": ANSWER}, {"answer": ANSWER, "target": "words"}])
def test_other_prompts_and_rows_change_nothing(name, keywords):
    """Longer prompts beside it, fewer rows at a time, another order."""
    explainer = explainer_of(name)
    prompts = [PROMPT, "A great day", "The plot is thin and"]
    options = {"steps": 8, **keywords}
    alone = [why for p in prompts for why in _list(explainer.explain(p, **options))]
    for order, rows in (([0, 1, 2], None), ([2, 0, 1], 3)):
        together = _list(explainer.explain([prompts[i] for i in order], batch_size=rows, **options))
        by_prompt = {p: [why for why in together if why.segments == (p,)] for p in prompts}
        for ours, why in zip([w for p in prompts for w in by_prompt[p]], alone, strict=True):
            assert ours.target == why.target
            assert np.allclose(ours.scores, why.scores, atol=2e-5)


def _list(result):
    return list(result) if isinstance(result, Explanations) else [result]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_by_name(method):
    explainer = explainer_of("gpt2")
    why = explainer.explain(PROMPT, answer=ANSWER, method=method)
    assert why.method == method and len(why.scores) == len(why.tokens)
    assert any(why.scores)


def test_layers_and_attention():
    why = explainer_of("gpt2").explain(PROMPT, answer=ANSWER, layers=True, attention=True)
    assert why.layers.shape == (2, len(why.tokens))
    assert why.attention["self"].scores.shape[2:] == (len(why.tokens),) * 2


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails):
    model, tokenizer = writing("gpt2", fresh=True)
    model.train()
    explainer, before, calls = xai_nlp.load(model, tokenizer), fingerprint(model), []

    def explode(*_):
        calls.append(1)
        if fails and len(calls) > 6:
            raise ZeroDivisionError

    with attached([lambda: model.transformer.ln_f.register_forward_hook(explode)]):
        if fails:
            with pytest.raises(ZeroDivisionError):
                explainer.explain(PROMPT, longest=4, batch_size=1)
        else:
            explainer.explain(PROMPT, longest=4)
    assert fingerprint(model) == before


@pytest.mark.parametrize("name", WRITERS)
def test_loaded_by_what_its_files_say(name, tmp_path):
    model, tokenizer = writing(name)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    explainer = xai_nlp.load(tmp_path)
    assert isinstance(explainer, TextGenerationExplainer) and explainer.task.name == "text-generation"
    assert explainer.predict(PROMPT, longest=3) == pytest.approx(explainer_of(name).predict(PROMPT, longest=3))


def test_saved_and_shown(tmp_path):
    explainer = explainer_of("gpt2")
    why = explainer.explain(PROMPT, answer="<b>")
    why.save(tmp_path / "why.json")
    assert Explanation.load(tmp_path / "why.json") == why
    words = explainer.explain(PROMPT, answer="<b>", target="words")
    assert isinstance(words, Explanations) and len(words) > 1
    words.to_html(tmp_path / "why.html")
    assert "thin" in (tmp_path / "why.html").read_text()
    assert "thin" in why.to_ansi() and why.words().tokens == tuple(PROMPT.split())


@pytest.mark.parametrize(
    ("keywords", "kind", "says"),
    [
        ({"target": "POSITIVE"}, UnknownName, "answer, words"),
        ({"unit": "probability"}, UnknownName, "log-probability"),
        ({"answer": ""}, InvalidInput, "has 0 tokens"),
        ({"longest": 0}, InvalidInput, "has 0 tokens"),
        ({"answer": "dull " * MAX_POSITIONS}, InvalidInput, "there is room for"),
        ({"answer": ANSWER, "rather_than": ANSWER}, InvalidInput, "does not differ"),
        ({"method": "integrated_gradient"}, UnknownName, "integrated_gradients"),
    ],
)
def test_what_is_refused(keywords, kind, says):
    with pytest.raises(kind, match=says):
        explainer_of("gpt2").explain(PROMPT, **keywords)


def test_prompts_that_are_refused():
    explainer = explainer_of("gpt2")
    for prompt, says in (("", "nothing to explain"), ("dull " * MAX_POSITIONS, "tokens and the model takes")):
        with pytest.raises(InvalidInput, match=says):
            explainer.explain(prompt)
    full = explainer.tokenizer.decode(explainer.tokenizer.encode("dull " * 60)[:MAX_POSITIONS])
    with pytest.raises(InvalidInput, match="room for 0"):
        explainer.explain(full)
    with pytest.raises(InvalidInput, match=r"does text generation: explain\(prompt=…, model=…\); got text"):
        xai_nlp.explain(PROMPT, model=explainer)
