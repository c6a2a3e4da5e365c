"""Language models: Captum's own numbers, and what a cache, a batch or a pass at once must not change."""

import random
from collections import namedtuple
from functools import cache

import captum.attr as captum
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import xai_nlp.attr as ours
from tests.attr.llm_cases import BOTH, WordModel, WordTokenizer, alike
from tests.models.tiny_generation import WRITERS, writing
from xai_nlp.attr.llm import token_texts
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint

quick = settings(max_examples=35, deadline=None, suppress_health_check=list(HealthCheck))


seeds = st.integers(0, 10_000)


TEXTS = ("The plot is thin", "Who wrote the book?", "A great day", "dull, lifeless food")


ANSWERS = (" great movie", "!", " near the lake", " the film was dull")


PERTURBING = ("FeatureAblation", "ShapleyValueSampling", "ShapleyValues", "Lime", "KernelShap")


plain = pytest.mark.filterwarnings("ignore")  # Captum warns of its own ways


def same(own, reference):
    """Two results, number by number and name by name."""
    assert own.input_tokens == reference.input_tokens
    assert own.output_tokens == reference.output_tokens
    assert (own.token_attr is None) == (reference.token_attr is None)
    pairs = [(own.seq_attr, reference.seq_attr)]
    pairs += [] if reference.token_attr is None else [(own.token_attr, reference.token_attr)]
    for here, there in pairs:
        assert here.shape == there.shape
        torch.testing.assert_close(here.float(), there.float(), atol=1e-5, rtol=1e-5)


def template(lib, dice, draws=False):
    """A text with three gaps; baselines are `draws` where the order in which they are asked for is Captum's."""
    text = dice.choice(["{} was {} and {}", "The {} is {}.{}"])
    mask = dice.choice([None, [0, 1, 0], [5, 3, 4]])
    several = lib.ProductBaselines([["it", "he"], ["dull"], ["so", "", "?"]])
    baselines = dice.choice([None, ["it", "dull", "so"], *[several] * draws])
    return lib.TextTemplateInput(text, ["film", "great", "gripping"], baselines, mask)


def tokens(lib, dice, tokenizer):
    skipped = dice.choice([None, None, [tokenizer.encode("t")[0]], ["e", "th"]])
    return lib.TextTokenInput(dice.choice(TEXTS), tokenizer, dice.choice([0, 3, "<unk>"]), skipped)


@cache
def exact(name):
    """In float64, so that what is left of a difference is one."""
    model, tokenizer = writing(name, fresh=True)
    return model.double(), tokenizer


def drawn(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    return random.Random(seed)


@plain
@pytest.mark.parametrize("method", PERTURBING)
@given(seed=seeds)
@quick
def test_perturbations_are_captums(method, seed):
    """Any model, prompt, answer and options; Captum without its cache, which transformers 5 has outgrown."""
    found = []
    for lib in BOTH:
        dice = drawn(seed)
        model, tokenizer = exact(dice.choice(WRITERS))
        draws = method == "FeatureAblation"
        inp = template(lib, dice, draws) if dice.random() < 0.5 else tokens(lib, dice, tokenizer)
        if method == "ShapleyValues" and inp.n_itp_features > 5:
            inp = template(lib, dice)
        options = {"n_samples": dice.randint(3, 9)} if method not in ("FeatureAblation", "ShapleyValues") else {}
        llm = lib.LLMAttribution(getattr(lib, method)(model), tokenizer, dice.choice(["log_prob", "prob"]))
        target = dice.choice(ANSWERS)
        if dice.random() < 0.3:
            target = torch.tensor(tokenizer.encode(target)[:2])
        found.append(
            llm.attribute(
                inp,
                target,
                num_trials=dice.choice([1, 1, 2]),
                use_cached_outputs=dice.random() < 0.5 and lib is ours,
                forward_in_tokens=dice.random() < 0.5,
                **options,
            )
        )
    same(*found[::-1])


@plain
@pytest.mark.parametrize("method", ["LayerIntegratedGradients", "LayerGradientXActivation", "LayerGradientShap"])
@given(seed=seeds)
@quick
def test_gradients_are_captums(method, seed):
    found = []
    for lib in BOTH:
        dice = drawn(seed)
        model, tokenizer = exact(dice.choice(WRITERS))
        layers = [model.get_input_embeddings(), next(m for m in model.modules() if isinstance(m, nn.ModuleList))[1]]
        inp = tokens(lib, dice, tokenizer)
        options = {
            "LayerIntegratedGradients": {"n_steps": dice.randint(2, 9)},
            "LayerGradientXActivation": {},
            "LayerGradientShap": {"baselines": torch.zeros_like(inp.to_tensor()), "n_samples": dice.randint(1, 4)},
        }[method]
        target = dice.choice(ANSWERS)
        if options.get("n_samples", 1) > 1:  # of more than one sample, Captum explains another token than it should
            target = "!"
        layer = layers[dice.random() < 0.2 and method != "LayerGradientShap"]
        layer = layers[0] if inp.itp_mask is not None else layer
        llm = lib.LLMGradientAttribution(getattr(lib, method)(model, layer), tokenizer)
        found.append(llm.attribute(inp, target, **options))
    same(*found[::-1])


def test_every_sample_is_of_its_own_token():
    """Half-present words are absent, so all samples are one; Captum repeats the answer's tokens for each of them."""
    model, tokenizer = writing("gpt2")
    inp = ours.TextTokenInput(TEXTS[0], tokenizer)
    llm = ours.LLMGradientAttribution(ours.LayerGradientShap(model, model.transformer.wte), tokenizer)
    nothing = torch.zeros_like(inp.to_tensor())
    one, three = (llm.attribute(inp, " near the lake", baselines=nothing, n_samples=n).token_attr for n in (1, 3))
    torch.testing.assert_close(one, three, atol=1e-5, rtol=1e-4)


GRADIENTS = {
    "LayerIntegratedGradients": {"n_steps": 7},
    "LayerGradientXActivation": {},
    "LayerGradientShap": {"n_samples": 3},
}


def by_gradients(method, model, layer, tokenizer, answer=" the film was dull"):
    """Scores of each token of an answer; draws begin anew."""
    drawn(0)
    inp = ours.TextTokenInput(TEXTS[0], tokenizer)
    options = dict(GRADIENTS[method])
    if method == "LayerGradientShap":
        options["baselines"] = torch.randint(2, (5, inp.n_itp_features))
    llm = ours.LLMGradientAttribution(getattr(ours, method)(model, layer), tokenizer)
    return llm.attribute(inp, answer, **options).token_attr


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("method", GRADIENTS)
@pytest.mark.parametrize("inside", [False, True], ids=["embedding", "block"])
def test_one_sweep_gives_what_a_call_for_each_token_gives(name, method, inside, monkeypatch):
    model, tokenizer = exact(name)
    blocks = next(m for m in model.modules() if isinstance(m, nn.ModuleList))
    layer = blocks[0] if inside else model.get_input_embeddings()
    together = by_gradients(method, model, layer, tokenizer)
    assert len(together) > 3
    monkeypatch.setattr(ours.LLMGradientAttribution, "_is_causal", lambda *_: False)
    one_by_one = by_gradients(method, model, layer, tokenizer)
    torch.testing.assert_close(together, one_by_one, atol=1e-9, rtol=0)
    assert together.abs().max() > 1e-3


@pytest.mark.parametrize(("method", "rows"), [("LayerGradientXActivation", 1), ("LayerIntegratedGradients", 7)])
def test_an_answer_is_read_in_one_sweep(method, rows):
    """Rows of which a gradient is taken: as many as for one token. Without one, as many as for two at most."""
    model, tokenizer = writing("gpt2")
    seen = []

    def count(module, args, kwargs):
        seen.append((len(kwargs["input_ids"]), torch.is_grad_enabled()))

    counts = []
    handle = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        for answer in ("!", " the film was dull"):
            seen.clear()
            scores = by_gradients(method, model, model.transformer.wte, tokenizer, answer)
            counts.append((len(scores), *(sum(n for n, grad in seen if grad is kind) for kind in (True, False))))
    finally:
        handle.remove()
    (one, rows_of_one, passes_of_one), (several, rows_of_several, passes_of_several) = counts
    assert one == 1 and several > 3
    assert rows_of_one == rows_of_several == rows
    assert passes_of_several == passes_of_one + 2  # two passes show that the model is causal


@plain
@pytest.mark.parametrize("method", ["LayerIntegratedGradients", "LayerGradientXActivation"])
def test_a_model_that_looks_ahead_is_asked_for_each_token(method):
    """Its log-probabilities depend on the tokens that follow, so each token needs the answer cut behind it."""
    _, tokenizer = writing("gpt2")
    torch.manual_seed(0)
    model = Strange(len(tokenizer)).double()
    results = []
    for lib in BOTH:
        llm = lib.LLMGradientAttribution(getattr(lib, method)(model, model.embed), tokenizer)
        results.append(llm.attribute(lib.TextTokenInput(TEXTS[0], tokenizer), " the film"))
    same(*results[::-1])


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("method", ["FeatureAblation", "Lime"])
def test_how_the_answer_is_read_changes_nothing(name, method):
    """In one pass, token by token, with a cache, and however many perturbations go together."""
    model, tokenizer = writing(name)
    inp = ours.TextTemplateInput("{} was {} and {}", ["The film", "great", "gripping"])  # lengths differ
    found = []
    for how in (
        {"forward_in_tokens": False},
        {"use_cached_outputs": False},
        {"use_cached_outputs": True},
        {"use_cached_outputs": True, "perturbations_per_eval": 2},
    ):
        torch.manual_seed(0)
        how |= {"n_samples": 150} if method == "Lime" else {}
        llm = ours.LLMAttribution(getattr(ours, method)(model), tokenizer)
        found.append(llm.attribute(inp, " a wonderful day", **how).seq_attr)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=2e-5, rtol=1e-4)


def test_ablation_is_what_generate_itself_says():
    """An independent route: the scores that `generate` gives to the answer that it writes."""
    model, tokenizer = writing("gpt2")
    inp = ours.TextTokenInput(TEXTS[0], tokenizer)
    with torch.no_grad():
        out = model.generate(
            inp.inp_tensor, max_new_tokens=4, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
    ids = out.sequences[0, inp.inp_tensor.shape[1] :]
    whole = torch.stack([step[0] for step in out.logits]).log_softmax(-1)[range(4), ids]
    result = ours.LLMAttribution(ours.FeatureAblation(model), tokenizer).attribute(
        inp, gen_args={"max_new_tokens": 4, "do_sample": False}
    )
    assert result.token_attr.shape == (4, inp.n_itp_features)
    without = inp.inp_tensor.clone()
    without[0, 2] = 0
    with torch.no_grad():
        logits = model(torch.cat([without, ids[None]], 1)).logits[0, -5:-1]
    expected = whole - logits.log_softmax(-1)[range(4), ids]
    torch.testing.assert_close(result.token_attr[:, 2], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(result.seq_attr, result.token_attr.sum(0), atol=1e-5, rtol=1e-4)
    assert len(result.output_tokens) == 4


def test_shapley_values_share_out_the_answer():
    model, tokenizer = writing("llama")
    inp = ours.TextTemplateInput("{} was {}", ["The film", "great"], ["It", "dull"])
    seen = {}
    result = ours.LLMAttribution(ours.ShapleyValues(model), tokenizer).attribute(
        inp, " so", _inspect_forward=lambda prompt, answer, probs: seen.update({prompt: (answer, probs)})
    )
    assert set(seen) >= {"The film was great", "It was dull"}
    ends = [np.log(seen[text][1][0]) for text in ("The film was great", "It was dull")]
    assert float(result.seq_attr.sum()) == pytest.approx(ends[0] - ends[1], abs=1e-5)
    assert all(answer == " so" and probs[0] == pytest.approx(np.prod(probs[1:])) for answer, probs in seen.values())


Read = namedtuple("Read", ["logits", "past_key_values"])


class Strange(nn.Module):
    """A model of no library: it attends both ways, and what it keeps are its vectors, or nothing."""

    device = torch.device("cpu")

    def __init__(self, vocabulary, keeps=True):
        super().__init__()
        self.embed, self.mix, self.head = nn.Embedding(vocabulary, 8), nn.Linear(8, 8), nn.Linear(8, vocabulary)
        self.keeps, self.lengths = keeps, []

    def forward(self, input_ids, *args, past_key_values=None, **kwargs):
        self.lengths.append(input_ids.shape[1])
        vectors = self.embed(input_ids)
        vectors = vectors if past_key_values is None else torch.cat([past_key_values, vectors], 1)
        mixed = torch.tanh(self.mix(vectors)) + vectors.mean(1, keepdim=True)
        return Read(self.head(mixed), vectors if self.keeps else None)


@plain
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("steps", [True, False])
def test_a_model_of_ones_own(keeps, steps):
    _, tokenizer = writing("gpt2")
    torch.manual_seed(0)
    model = Strange(len(tokenizer), keeps)
    found = []
    for lib in BOTH:
        llm = lib.LLMAttribution(lib.FeatureAblation(model), tokenizer)
        cached = {"use_cached_outputs": lib is ours}
        found.append(llm.attribute(lib.TextTokenInput(TEXTS[0], tokenizer), " film", forward_in_tokens=steps, **cached))
        model.lengths.append(0)
    same(*found[::-1])
    own = model.lengths[model.lengths.index(0) + 1 : -1]
    assert (1 in own) == (keeps and steps)  # what was kept is not read again


class Looker(nn.Module):
    """Reads words and the colour of an image."""

    device = torch.device("cpu")

    def __init__(self, vocabulary):
        super().__init__()
        self.embed, self.colour, self.head = nn.Embedding(vocabulary, 8), nn.Linear(3, 8), nn.Linear(8, vocabulary)

    def forward(self, input_ids, pixel_values=None, attention_mask=None, use_cache=None):
        assert attention_mask.shape == input_ids.shape
        seen = self.colour(pixel_values.mean((2, 3)))[:, None] + pixel_values[:, :, :2, :2].mean()
        return Read(self.head(self.embed(input_ids).cumsum(1) + seen), None)


@plain
@pytest.mark.parametrize("mask", ["numbers", "list", None])
def test_images(mask):
    _, tokenizer = writing("gpt2")
    torch.manual_seed(1)
    model = Looker(len(tokenizer))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8))
    halves = torch.zeros(6, 8, dtype=torch.int32)
    halves[:, 4:] = 7
    masks = {"numbers": {"mask": halves}, "list": {"mask_list": [halves == 0, halves == 7]}, None: {}}[mask]
    prompt = tokenizer.encode("who is it", return_tensors="pt")

    def processed(image):
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        return {"input_ids": prompt, "pixel_values": pixels}

    results = []
    for lib in BOTH:
        inp = lib.ImageMaskInput(image, processor_fn=processed, **masks)
        llm = lib.LLMAttribution(lib.FeatureAblation(model), tokenizer)
        results.append(llm.attribute(inp, " film", use_cached_outputs=False, forward_in_tokens=False))
    same(*results[::-1])
    for options in (
        {},
        {"target_token_pos": 0},
        {"target_token_pos": (0, 2), "border_width": 0},
        {"show_legends": False},
    ):
        reference, own = (result.plot_image_heatmap(**options)[1] for result in results)
        alike(own, reference)


@pytest.mark.parametrize("lib", BOTH)
def test_what_is_refused(lib):
    model, tokenizer = writing("gpt2")
    inp = lib.TextTokenInput(TEXTS[0], tokenizer)
    embedding = model.get_input_embeddings()
    perturbing = lib.LLMAttribution(lib.FeatureAblation(model), tokenizer)
    gradients = lib.LLMGradientAttribution(lib.LayerIntegratedGradients(model, embedding), tokenizer)
    for call in (
        lambda: lib.LLMAttribution(lib.LayerIntegratedGradients(model, embedding), tokenizer),
        lambda: lib.LLMAttribution(lib.LayerFeatureAblation(model, embedding), tokenizer),
        lambda: lib.LLMGradientAttribution(lib.FeatureAblation(model), tokenizer),
        lambda: lib.LLMAttribution(lib.FeatureAblation(model), tokenizer, "logit"),
        lambda: perturbing.attribute(inp, "a", gen_args={"max_new_tokens": 1}),
        lambda: perturbing.attribute("a text"),
        lambda: gradients.attribute(lib.TextTemplateInput("{}", ["a"]), "a"),
        lambda: lib.LLMAttribution(lib.FeatureAblation(nn.Linear(2, 2)), tokenizer).attribute(inp),
    ):
        with pytest.raises(AssertionError):
            call()
    for llm in (perturbing, gradients):
        with pytest.raises(TypeError):
            llm.attribute(inp, 3)
        with pytest.raises(NotImplementedError):
            llm.attribute_future()


def test_an_empty_answer_is_refused():
    model, tokenizer = writing("gpt2")
    llm = ours.LLMAttribution(ours.FeatureAblation(model), tokenizer)
    with pytest.raises(InvalidInput, match="no token in the answer"):
        llm.attribute(ours.TextTokenInput(TEXTS[0], tokenizer), "")


@pytest.mark.parametrize("kind", ["perturbing", "gradients"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_the_method_come_back_as_they_were(kind, fails):
    model, tokenizer = writing("gpt2", fresh=True)
    if kind == "perturbing":
        method = ours.FeatureAblation(model)
        llm = ours.LLMAttribution(method, tokenizer)
    else:
        method = ours.LayerIntegratedGradients(model, model.transformer.wte)
        llm = ours.LLMGradientAttribution(method, tokenizer)
    before = fingerprint(model)
    inp = ours.TextTokenInput(TEXTS[0], tokenizer)
    if fails:
        with pytest.raises((IndexError, RuntimeError)):
            llm.attribute(inp, torch.tensor([3, 10**6]))
    else:
        llm.attribute(inp, " film")
    assert fingerprint(model) == before
    assert method.forward_func is model


def test_tokens_read_as_they_stand_in_the_text():
    _, tokenizer = writing("gpt2")
    assert token_texts(tokenizer.encode("the\nfilm"), tokenizer)[-1] != ""
    ids = tokenizer.encode("ï")
    assert len(ids) == 2 and token_texts(ids, tokenizer) == ["ï", "ï [OVERLAP]"]
    assert token_texts(ids[::-1], tokenizer) == ["�", "�"]
    assert token_texts([*ids, *ids[:1]], tokenizer) == ["ï", "ï [OVERLAP]", "�"]  # no text is split into these


# A tokenizer and a model that are not of transformers -----------------------------------------------------------------

PROMPT_OF_WORDS = "this film is good"
SKIPPED = {"none": None, "ids": [0, 3], "texts": ["<s>", "film"]}
TARGETS = {"text": "good film", "ids": torch.tensor([2, 4]), "generated": None}


def of_words(lib, name, *, tensors, skipped, target, offsets=True, **options):
    """Scores of a prompt by a method, from the same seeds."""
    drawn(5)
    tokenizer, model = WordTokenizer(tensors=tensors, offsets=offsets), WordModel().double()
    tokenizer.encode(PROMPT_OF_WORDS)
    inp = lib.TextTokenInput(PROMPT_OF_WORDS, tokenizer, skip_tokens=skipped)
    if name.startswith("Layer"):
        method = lib.LLMGradientAttribution(getattr(lib, name)(model, model.embedding), tokenizer)
        baselines = {"baselines": torch.ones_like(inp.to_tensor()), "n_samples": 1}
        options |= baselines if name == "LayerGradientShap" else {}
    else:
        method = lib.LLMAttribution(getattr(lib, name)(model), tokenizer)
        options |= {"use_cached_outputs": False}
        options |= {"n_samples": 7} if name in ("ShapleyValueSampling", "Lime", "KernelShap") else {}
    return method.attribute(inp, target, **options)


@plain
@pytest.mark.parametrize(
    "name", [*PERTURBING, "LayerIntegratedGradients", "LayerGradientXActivation", "LayerGradientShap"]
)
@pytest.mark.parametrize("skipped", SKIPPED)
@pytest.mark.parametrize("target", TARGETS)
def test_tokenizers_whose_encode_returns_lists(name, skipped, target):
    """Ours with lists is Captum's with tensors, which it needs; tokens to skip may be a tensor."""
    call = {"skipped": SKIPPED[skipped], "target": TARGETS[target]}
    ways = [{}] if name.startswith("Layer") else [{}, {"forward_in_tokens": False}]
    for way in ways:
        reference = of_words(captum, name, tensors=True, **call, **way)
        for tensors in (False, True):
            same(of_words(ours, name, tensors=tensors, **call, **way), reference)
        if skipped == "ids":
            as_tensor = {**call, "skipped": torch.tensor(SKIPPED["ids"])}
            same(of_words(ours, name, tensors=False, **as_tensor, **way), reference)
    without = of_words(ours, name, tensors=False, offsets=False, **call)
    assert without.output_tokens == reference.output_tokens
    assert torch.equal(without.seq_attr, of_words(ours, name, tensors=False, **call).seq_attr)


def test_options_of_a_method_reach_it(capsys):
    """Those that Captum's tutorials give: prompts for each pass, trials, generation, and a bar of progress."""
    call = {"tensors": False, "skipped": [0], "target": None, "gen_args": {"max_new_tokens": 2}}
    one = of_words(ours, "FeatureAblation", **call)
    several = of_words(ours, "FeatureAblation", **call, perturbations_per_eval=3, num_trials=2, show_progress=True)
    same(several, one)
    assert len(one.output_tokens) == 2
    assert "Feature Ablation attribution: 100%" in capsys.readouterr().err


def test_kernel_shap_of_several_baselines_goes_with_prompts():
    """Absent features are 0, whatever the number of rows that say so."""
    tokenizer, model = WordTokenizer(), WordModel()
    inp, results = ours.TextTokenInput(PROMPT_OF_WORDS, tokenizer), []
    for method, options in (
        (ours.KernelShap, {}),
        (ours.RandomBaselineKernelShap, {"baselines": torch.zeros(3, 5).long()}),
    ):
        drawn(1)
        llm = ours.LLMAttribution(method(model), tokenizer)
        results.append(llm.attribute(inp, "good film", n_samples=9, **options).seq_attr)
    torch.testing.assert_close(*results, atol=1e-4, rtol=0)
