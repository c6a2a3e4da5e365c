"""Language models elsewhere: a server on this machine that speaks as vLLM does, over a real socket."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import signature

import captum.attr as captum
import pytest
import torch

import xai_nlp.attr as ours
from tests.models.tiny_generation import writing

PROMPT, ANSWER = "The plot is thin", " great movie"


class Served:
    """A tiny model behind completions: what is asked is kept, and what is answered may be spoilt."""

    def __init__(self):
        self.model, self.tokenizer = writing("gpt2")
        self.asked, self.keys, self.spoil = [], [], None
        self.models = [{"id": "tiny"}, {"id": "other"}]
        handler = type("Handler", (_Handler,), {"served": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def complete(self, asked):
        ids = self.tokenizer.encode(asked["prompt"], return_tensors="pt")
        with torch.no_grad():
            told = self.model(ids).logits[0].double().log_softmax(-1)
            whole = self.model.generate(ids, max_new_tokens=asked["max_tokens"], do_sample=False)
        each = [None] + [{str(int(t)): {"logprob": float(told[i, t])}} for i, t in enumerate(ids[0, 1:])]
        choice = {"text": self.tokenizer.decode(whole[0, ids.shape[1] :])}
        return {"choices": [choice | ({"prompt_logprobs": each} if "prompt_logprobs" in asked else {})]}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._say({"data": self.served.models} if self.path == "/v1/models" else None)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.served.asked.append(asked)
        self.served.keys.append(self.headers["Authorization"])
        self._say(self.served.complete(asked) if self.path == "/v1/completions" else None)

    def _say(self, what):
        said = what if what is None or self.served.spoil is None else self.served.spoil(what)
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(404 if said is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def served():
    made = Served()
    yield made
    made.server.shutdown()
    made.server.server_close()


def remote(method, provider, tokenizer, **options):
    cls = ours.RemoteLLMAttribution
    return cls(getattr(ours, method)(cls.placeholder_model), tokenizer, provider, **options)


@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValueSampling", "ShapleyValues", "Lime", "KernelShap"])
@pytest.mark.parametrize("attr_target", ["log_prob", "prob"])
def test_far_away_is_as_near_by(served, method, attr_target):
    """The same model by its address and in this process: equal scores."""
    tokenizer = served.tokenizer
    inp = ours.TextTemplateInput("{} was {}", ["The film", "gripping"], ["It", "dull"])
    if method == "FeatureAblation":
        inp = ours.TextTokenInput(PROMPT, tokenizer, baselines=tokenizer.encode("?")[0])  # merges with nothing
    options = {} if method in ("FeatureAblation", "ShapleyValues") else {"n_samples": 5}
    torch.manual_seed(0)
    near = ours.LLMAttribution(getattr(ours, method)(served.model), tokenizer, attr_target=attr_target)
    expected = near.attribute(inp, ANSWER, **options)
    torch.manual_seed(0)
    far = remote(method, ours.VLLMProvider(served.url), tokenizer, attr_target=attr_target)
    result = far.attribute(inp, ANSWER, **options)
    torch.testing.assert_close(result.seq_attr, expected.seq_attr, atol=1e-5, rtol=1e-4)
    assert result.output_tokens == expected.output_tokens and result.input_tokens == expected.input_tokens
    if expected.token_attr is not None:
        torch.testing.assert_close(result.token_attr, expected.token_attr, atol=1e-5, rtol=1e-4)


class Scripted:
    """A provider without a socket, for both libraries."""

    def __init__(self, lib, numbers=None):
        class Provider(lib.RemoteLLMProvider):
            api_url = ""

            def generate(self, prompt, **gen_args):
                self.given = gen_args
                return ANSWER

            def get_logprobs(self, input_prompt, target_str, tokenizer=None):
                count = len(tokenizer.encode(target_str, add_special_tokens=False))
                return numbers or [-0.01 * len(input_prompt) / (k + 1) for k in range(count)]

        self.provider = Provider()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValueSampling", "ShapleyValues", "Lime", "KernelShap"])
@pytest.mark.parametrize("attr_target", ["log_prob", "prob"])
@pytest.mark.parametrize("target", [ANSWER, None])
def test_any_provider_as_captum_takes_it(method, attr_target, target):
    _, tokenizer = writing("gpt2")
    found = []
    for lib in (captum, ours):
        torch.manual_seed(0)
        cls, provider = lib.RemoteLLMAttribution, Scripted(lib).provider
        llm = cls(getattr(lib, method)(cls.placeholder_model), tokenizer, provider, attr_target)
        inp = lib.TextTemplateInput("{} was {} and {}", ["The film", "gripping", "so"])
        found.append(llm.attribute(inp, target))
        if target is None:
            assert provider.given["max_new_tokens"] == 25
    torch.testing.assert_close(found[1].seq_attr, found[0].seq_attr, atol=1e-5, rtol=1e-5)
    assert found[1].output_tokens == found[0].output_tokens
    if found[0].token_attr is not None:
        torch.testing.assert_close(found[1].token_attr, found[0].token_attr, atol=1e-5, rtol=1e-5)


def test_what_is_sent(served, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    provider = ours.VLLMProvider(f" {served.url}/ ")
    assert provider.model_name == "tiny"
    assert provider.generate(PROMPT, max_new_tokens=3, do_sample=False, temperature=None, top_p=0.9)
    assert served.asked[-1] == {
        "model": "tiny", "prompt": PROMPT, "max_tokens": 3, "temperature": 0.0, "top_p": 0.9
    }  # fmt: skip
    assert ours.VLLMProvider(served.url, "other").generate(PROMPT, max_tokens=2, temperature=0.5)
    assert served.asked[-1] == {"model": "other", "prompt": PROMPT, "max_tokens": 2, "temperature": 0.5}
    provider.get_logprobs(PROMPT, ANSWER, served.tokenizer)
    assert served.asked[-1]["prompt"] == PROMPT + ANSWER and served.asked[-1]["prompt_logprobs"] == 0
    assert served.keys == ["Bearer secret"] * 3


def test_an_answer_is_generated_there(served):
    tokenizer = served.tokenizer
    inp = ours.TextTemplateInput("{} was {}", ["The film", "gripping"])
    far = remote("FeatureAblation", ours.VLLMProvider(served.url), tokenizer)
    result = far.attribute(inp, gen_args={"max_new_tokens": 4, "do_sample": False})
    assert served.asked[0]["prompt"] == "The film was gripping" and served.asked[0]["max_tokens"] == 4
    assert len(result.output_tokens) == len(tokenizer.encode(served.complete(served.asked[0])["choices"][0]["text"]))


SPOILT = {
    "no choices": ({"choices": []}, KeyError),
    "no log-probabilities": ({"choices": [{"text": "a"}]}, KeyError),
    "other entries": ({"choices": [{"prompt_logprobs": [{"1": {"p": 1}}] * 9}]}, IndexError),
    "no entries": ({"choices": [{"prompt_logprobs": [None] * 9}]}, ValueError),
    "too few": ({"choices": [{"prompt_logprobs": [{"1": {"logprob": -1.0}}]}]}, ValueError),
    "two tokens each": (
        {"choices": [{"prompt_logprobs": [{"1": {"logprob": 0}, "2": {"logprob": 0}}] * 9}]},
        ValueError,
    ),
    "a list": ([1], ValueError),
    "no JSON": (b"<html>", ValueError),
    "nothing there": (None, ConnectionError),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_the_other_side_may_say(served, what):
    provider = ours.VLLMProvider(served.url)
    said, kind = SPOILT[what]
    served.spoil = lambda _: said
    with pytest.raises(kind) as caught:
        provider.get_logprobs(PROMPT, ANSWER, served.tokenizer)
    assert served.url in str(caught.value) or "log" in str(caught.value)
    assert not str(caught.value).startswith('"')


def test_a_text_without_choices(served):
    provider = ours.VLLMProvider(served.url)
    for said in ({"choices": []}, {}, {"choices": [{"logprobs": None}]}):
        served.spoil = lambda _, said=said: said
        with pytest.raises(KeyError, match="'text'"):
            provider.generate(PROMPT)


def test_what_is_refused(served):
    for url in ("", "  ", "file:///etc/hosts"):
        with pytest.raises(ValueError, match="http"):
            ours.VLLMProvider(url)
    served.models = []
    with pytest.raises(ValueError, match="no model"):
        ours.VLLMProvider(served.url)
    provider = ours.VLLMProvider(served.url, "tiny")
    with pytest.raises(ValueError, match="tokenizer"):
        provider.get_logprobs(PROMPT, ANSWER)
    with pytest.raises(ValueError, match="empty"):
        provider.get_logprobs(PROMPT, "", served.tokenizer)
    with pytest.raises(ConnectionError, match="404"):
        ours.VLLMProvider(served.url.replace("/v1", "/v2"))


def test_nobody_there():
    with pytest.raises(ConnectionError, match="does not answer"):
        ours.VLLMProvider("http://127.0.0.1:9/v1")


@pytest.mark.parametrize("lib", [captum, ours])
def test_another_number_of_tokens(lib):
    _, tokenizer = writing("gpt2")
    cls = lib.RemoteLLMAttribution
    llm = cls(lib.FeatureAblation(cls.placeholder_model), tokenizer, Scripted(lib, [-1.0]).provider)
    with pytest.raises(ValueError, match="token"):
        llm.attribute(lib.TextTokenInput(PROMPT, tokenizer), ANSWER)
    with pytest.raises(AssertionError):
        llm.attribute("a text", ANSWER)
    with pytest.raises(TypeError):
        lib.RemoteLLMProvider()


def test_captums_provider_is_made_the_same_way():
    for name in ("__init__", "generate", "get_logprobs"):
        reference, own = (signature(getattr(lib.VLLMProvider, name)).parameters for lib in (captum, ours))
        assert [(p.name, p.default, p.kind) for p in own.values()] == [
            (p.name, p.default, p.kind) for p in reference.values()
        ]
