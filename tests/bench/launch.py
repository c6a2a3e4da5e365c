"""What a call costs where operations are short: ours against Captum 0.9 in one run, with operations and Python calls.

Deep, narrow models, a BERT and a GPT-2 (12 layers, 32 wide), and one text of 16 tokens: hardly anything is computed, so
Python and the launch of operations decide, as they do on a GPU. Where there is a GPU, BERT-base runs on it too. Every
name of `xai_nlp.attr` that Captum has, and every registered method through `explain`, beside Captum's loop where there
is one. The counts do not depend on the machine: operations are what torch dispatches, calls are functions that Python
calls.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import captum.attr as captum
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
)

import xai_nlp
import xai_nlp.attr as ours
from tests.bench.measure import operations, paired, python_calls
from tests.bench.methods import EVERY, PROMPTS, Made, Scene, quiet, seed, text_scene
from xai_nlp.errors import XaiError
from xai_nlp.methods import METHODS

TEXT = "a gripping, beautifully acted film that never once talks down to its audience"
WIDTH, HEADS, LAYERS = 32, 2, 12
REFUSED = {"LRP", "LayerLRP"}  # by Captum, on any model with norms
#: method -> the name that Captum's loop calls
LOOPS = {
    "saliency": "Saliency",
    "input_x_gradient": "InputXGradient",
    "integrated_gradients": "IntegratedGradients",
    "gradient_shap": "GradientShap",
    "smoothgrad": "NoiseTunnel",
    "deep_lift": "DeepLift",
    "guided_backprop": "GuidedBackprop",
    "deconvolution": "Deconvolution",
    "occlusion": "FeatureAblation",
    "shapley": "ShapleyValueSampling",
    "kernel_shap": "KernelShap",
    "lime": "Lime",
    "grad_cam": "LayerGradCam",
}


def bert(tokenizer: Any, **size: int) -> tuple[Any, Any, Any]:
    """A classifier, its word embeddings, and a layer in the middle."""
    model = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **size)).eval()
    return model, model.bert.embeddings.word_embeddings, model.bert.encoder.layer[LAYERS // 2].output


def narrow_bert(tokenizer: Any) -> tuple[Any, Any, Any]:
    return bert(
        tokenizer,
        num_hidden_layers=LAYERS,
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
    )


def narrow_gpt2(tokenizer: Any) -> tuple[Any, Any, Any]:
    ends = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), tokenizer.pad_token_id)
    config = GPT2Config(vocab_size=len(tokenizer), n_layer=LAYERS, n_embd=WIDTH, n_head=HEADS, **ends)
    model = GPT2ForSequenceClassification(config).eval()
    return model, model.transformer.wte, model.transformer.h[LAYERS // 2]


MODELS: dict[str, Callable[[Any], tuple[Any, Any, Any]]] = {"BERT": narrow_bert, "GPT-2": narrow_gpt2}


def on(device: str, scene: Scene) -> Scene:
    """The scene's model and tensors on a device."""
    scene.model.to(device)
    return Scene(*(part.to(device) if isinstance(part, Tensor) else part for part in scene))


def works(scene: Scene, which: str) -> dict[str, dict[str, Made]]:
    """Name -> ours and Captum's call."""
    names = EVERY | (PROMPTS if which == "GPT-2" else {})
    both = {"ours": ours, "captum": captum}
    return {
        name: {whose: quiet(bind(package, scene)) for whose, package in both.items() if (name, whose) not in ALONE}
        for name, bind in names.items()
    }


ALONE = {(name, "captum") for name in REFUSED}


def explained(scene: Scene, explainer: Any) -> dict[str, dict[str, Made]]:
    """Method -> `explain` of a text, and Captum's loop: tokens, embeddings, the label, scores."""

    def ours_of(method: str) -> Any:
        return explainer.explain(TEXT, method=method).scores

    def loop(name: str) -> Any:
        ids = explainer.tokenizer(TEXT, return_tensors="pt")["input_ids"].to(scene.x.device)
        with torch.no_grad():
            x, label = explainer.model.get_input_embeddings()(ids), int(scene.model(ids).argmax())
        words = torch.arange(ids.shape[1], device=ids.device)[None]
        x0 = torch.zeros_like(x)
        one = scene._replace(x=x, x0=x0, words=ids, words0=torch.zeros_like(ids), mask=words, inside=words[:, :, None])
        grouped = {"feature_mask": words} if name == "FeatureAblation" else {}
        return partial(EVERY[name](captum, one), target=label, **grouped)()

    table: dict[str, dict[str, Made]] = {}
    for method in METHODS:
        table[method] = {"ours": partial(ours_of, method)}
        if method in LOOPS:
            table[method]["captum"] = quiet(partial(loop, LOOPS[method]))
    return table


def row(name: str, calls: Mapping[str, Made], seconds: float, device: str) -> str:
    """Milliseconds, ratio, operations and calls of Python."""
    clock = timer(device)
    try:
        start = clock()
        for _ in range(2):
            seed(), *(run() for run in calls.values())
        once = (clock() - start) / 2
    except XaiError as error:
        return f"| {name} | {str(error).partition(chr(10))[0][:80]} |" + " |" * 6
    rounds = max(3, min(200, int(seconds / once)))
    pair = paired(calls["ours"], calls.get("captum", lambda: None), rounds, clock, seed)
    counts = [f"{count(run):,}" for count in (operations, python_calls) for run in calls.values()]
    if "captum" not in calls:
        return f"| {name} | {1e3 * pair.ours:.2f} | | | {counts[0]} | | {counts[1]} | |"
    return f"| {name} | {1e3 * pair.ours:.2f} | {1e3 * pair.theirs:.2f} | {pair.ratio:.2f} | {' | '.join(counts)} |"


def timer(device: str) -> Callable[[], float]:
    """Seconds of the processor, since others may run on the machine; on a GPU the time until its work is done."""
    if device == "cpu":
        return time.process_time

    def now() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return now


def passes_alone(model: nn.Module, run: Made) -> Made:
    """The passes of a call without the call: the model on the same inputs, and its gradient where one was taken."""
    passes: list[tuple[Tensor, bool]] = []

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        passes.append((args[0].detach(), torch.is_grad_enabled()))

    handle = model.register_forward_pre_hook(note)
    seed()
    run()
    handle.remove()

    def again() -> None:
        for given, with_gradient in passes:
            with torch.set_grad_enabled(with_gradient):
                x = given.detach().requires_grad_(with_gradient)
                y = model(x)
                if with_gradient:
                    torch.autograd.grad(y[:, 0].sum(), x)

    return again


def ceiling(name: str, calls: Mapping[str, Made], model: nn.Module, seconds: float, device: str) -> str:
    """How many times as fast as Captum a call would be if it took no longer than its passes."""
    calls["ours"]()  # the first call of an instance learns
    pair = paired(passes_alone(model, calls["ours"]), calls["captum"], max(3, int(100 * seconds)), timer(device), seed)
    return f"| {name} | {1e3 * pair.ours:.2f} | {1e3 * pair.theirs:.2f} | {pair.ratio:.2f} |"


#: Names whose passes start at the inputs, and with gradients of vectors.
FROM_INPUTS = ("IntegratedGradients", "FeatureAblation", "FeaturePermutation", "Occlusion", "Saliency", "DeepLift")
CEILING = "| name | the passes alone ms | Captum ms | ratio |\n|---|--:|--:|--:|"
HEADER = "| name | ours ms | Captum ms | ratio | our operations | Captum's | our calls | Captum's |\n|---|" + "--:|" * 7


def run(given: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    tokenizer = xai_nlp.load("sentiment").tokenizer
    print(f"torch {torch.__version__}, threads: {torch.get_num_threads()}")
    models = {f"A narrow {name}": (name, partial(make, tokenizer), "cpu") for name, make in MODELS.items()}
    if torch.cuda.is_available():
        models[f"BERT-base on {torch.cuda.get_device_name()}"] = ("BERT", partial(bert, tokenizer), "cuda")
    for title, (which, make, device) in models.items():
        torch.manual_seed(0)
        scene = on(device, text_scene(*make(), given.tokens))
        if given.ceiling:
            print(f"\n{title}, {given.tokens} tokens\n\n{CEILING}")
            for name, calls in works(scene, which).items():
                if name in (given.only or FROM_INPUTS):
                    print(ceiling(name, calls, scene.model, given.seconds, device), flush=True)
            continue
        explainer = xai_nlp.load(scene.model.model, tokenizer)
        for part, table in (("", works(scene, which)), (", through `explain`", explained(scene, explainer))):
            chosen = {name: calls for name, calls in table.items() if not given.only or name in given.only}
            if chosen:
                print(f"\n{title}, {given.tokens} tokens{part}\n\n{HEADER}")
            for name, calls in chosen.items():
                print(row(name, calls, given.seconds, device), flush=True)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("launch", help=__doc__)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--only", nargs="*", help="names or methods; all without")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each name, at least three rounds")
    parser.add_argument("--ceiling", action="store_true", help="instead, the ratio that passes alone would have")
    parser.set_defaults(run=run)
