"""Models as PEFT and sentence-transformers make them: explained as they predict, or refused in one sentence."""

import peft
import pytest
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.errors import Unsupported

TEXT, PAIR = "a dull film", "a fine film"
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*:UserWarning:peft")


@pytest.fixture
def saved(tmp_path):
    """The folder of a tiny model of a task."""

    def save(task):
        model, tokenizer = tiny("bert", fresh=True, task=task)
        folder = tmp_path / task
        model.save_pretrained(folder), tokenizer.save_pretrained(folder)
        return folder

    return save


# PEFT ----------------------------------------------------------------------------------------------------------------

WEIGHTS = {
    "lora": peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"], init_lora_weights=False),
    "lora of the embeddings": peft.LoraConfig(
        task_type="SEQ_CLS", r=2, target_modules=["word_embeddings"], init_lora_weights=False
    ),
    "dora": peft.LoraConfig(
        task_type="SEQ_CLS", r=2, target_modules=["key"], use_dora=True, init_lora_weights=False
    ),
    "ia3": peft.IA3Config(
        task_type="SEQ_CLS", target_modules=["query"], feedforward_modules=[], init_ia3_weights=False
    ),
}  # fmt: skip
PROMPTS = {
    "prompt tuning": peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3),
    "prefix tuning": peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3),
}


def adapted(config):
    model, tokenizer = tiny("bert", fresh=True)
    return peft.get_peft_model(model, config).eval(), tokenizer


@pytest.mark.parametrize("name", WEIGHTS)
def test_an_adapter_of_weights_is_explained_as_it_predicts(name):
    model, tokenizer = adapted(WEIGHTS[name])
    why = xai_nlp.explain(TEXT, model=model, tokenizer=tokenizer, layers=True, attention=True)
    expected = model(**tokenizer(TEXT, return_tensors="pt")).logits.softmax(-1)[0]
    assert list(why.outputs.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert why.residual == pytest.approx(0, abs=1e-3)
    merged = xai_nlp.explain(TEXT, model=model.merge_and_unload(), tokenizer=tokenizer)
    assert why.scores == pytest.approx(merged.scores, abs=1e-4)


def test_an_adapters_folder_takes_its_base_and_the_bases_tokenizer(saved, tmp_path):
    base = saved("text-classification")
    model, tokenizer = adapted(WEIGHTS["lora"])
    loaded = type(model.get_base_model()).from_pretrained(base)
    model = peft.get_peft_model(loaded, WEIGHTS["lora"]).eval()
    model.save_pretrained(tmp_path / "adapter")
    why = xai_nlp.explain(TEXT, model=tmp_path / "adapter")
    expected = xai_nlp.explain(TEXT, model=model, tokenizer=tokenizer)
    assert why.scores == pytest.approx(expected.scores, abs=1e-5) and why.outputs == pytest.approx(expected.outputs)


@pytest.mark.parametrize("name", PROMPTS)
def test_learned_vectors_before_the_text_are_refused(name):
    with pytest.raises(Unsupported, match=r"puts learned vectors before the text"):
        xai_nlp.load(*adapted(PROMPTS[name]))


# sentence-transformers -----------------------------------------------------------------------------------------------


def encoder(folder, *modules, **options):
    first = Transformer(str(folder))
    return SentenceTransformer(modules=[first, Pooling(32, "mean"), *modules], device="cpu", **options)


@pytest.mark.parametrize("modules", [(), (Normalize(),), (Dense(32, 8), Normalize())], ids=len)
def test_the_similarity_is_the_librarys(saved, tmp_path, modules):
    source = encoder(saved("sentence-similarity"), *modules)
    expected = float(source.similarity(source.encode([TEXT]), source.encode([PAIR])))
    source.save(str(tmp_path / "model"))
    for model in (source, tmp_path / "model"):
        why = xai_nlp.explain(TEXT, pair=PAIR, model=model, pairs=True)
        assert why.value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompts": {"query": "query: "}, "default_prompt_name": "query"}, "puts its prompt 'query' before each text"),
        ({"truncate_dim": 4}, "keeps the first 4 numbers"),
    ],
)
def test_what_would_change_the_embedding_is_refused(saved, tmp_path, options, words):
    source = encoder(saved("sentence-similarity"), **options)
    with pytest.raises(Unsupported, match=words):
        xai_nlp.load(source)
    source.save(str(tmp_path / "model"))
    if "prompts" in options:
        with pytest.raises(Unsupported, match=words):
            xai_nlp.load(tmp_path / "model")


def test_a_cross_encoder_scores_the_pair_as_the_library_does(saved, tmp_path):
    folder = saved("text-classification")
    source = CrossEncoder(str(folder), device="cpu")
    expected = source.predict([(TEXT, PAIR)], apply_softmax=True)[0]
    source.save_pretrained(str(tmp_path / "model"))
    for model in (source, tmp_path / "model"):
        why = xai_nlp.explain(TEXT, pair=PAIR, model=model)
        assert list(why.outputs.values()) == pytest.approx(expected.tolist(), abs=1e-5)
        assert {0, 1} <= set(why.segment)
