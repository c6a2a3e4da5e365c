"""SIGINT at a random time of a call: the call ends, and the model and the files that it reads are as they were."""

import _thread
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file

import xai_nlp
import xai_nlp.attr as attr
from tests.hostile.trial import Trial, family
from tests.models.tiny import tiny
from xai_nlp.hooks.model_state import fingerprint


def explain_with_attention(explainer):
    explainer.explain("a dull film", attention=True, steps=4)


def explain_layer(explainer):
    explainer.explain("a dull film", layer=1, steps=3, method="integrated_gradients")


def deeplift(explainer):
    explainer.explain("a dull film", method="deep_lift")


def captum_face(explainer):
    ids = explainer.tokenizer("a dull film", return_tensors="pt")["input_ids"]
    layer = attr.LayerIntegratedGradients(lambda i: explainer.model(input_ids=i).logits, xai_nlp.points(explainer).word)
    layer.attribute(ids, baselines=torch.zeros_like(ids), target=1, n_steps=3)


def influence(checkpoint, explainer):
    explainer.influence("a dull film", TRAIN, k=2, checkpoints=checkpoint)


def suspect_labels(checkpoint, explainer):
    explainer.suspect_labels(TRAIN, method="all", checkpoints=checkpoint)


TRAIN = {"text": ["a gripping film", "a dull movie", "the plot was dull"], "label": [1, 0, 0]}
CALLS = (explain_with_attention, explain_layer, deeplift, captum_face)


def duration(call, explainer):
    """Seconds of a call, the shortest of several."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        call(explainer)
        times.append(time.perf_counter() - started)
    return min(times)


def interrupted_after(seconds, call, explainer):
    """Whether a SIGINT that comes after so many seconds ends the call."""
    timer = threading.Timer(seconds, _thread.interrupt_main)
    try:
        timer.start()
        call(explainer)
        timer.join()  # one that comes late ends here
    except KeyboardInterrupt:
        return True
    return False


@family("signals", quick=500, long=3000)
def trials(random):
    explainer = xai_nlp.load(*tiny("bert", fresh=True))
    before = fingerprint(explainer.model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.safetensors")
        save_file({key: value.clone() for key, value in explainer.model.state_dict().items()}, file)
        calls = {call.__name__: call for call in CALLS}
        calls |= {call.__name__: partial(call, file) for call in (influence, suspect_labels)}
        seconds = {name: duration(call, explainer) for name, call in calls.items()}
        content = file.read_bytes()

        def run(name, after):
            assert interrupted_after(after, calls[name], explainer), "the interrupt was lost"
            assert fingerprint(explainer.model) == before, "the model was changed"
            assert {one.name: one.read_bytes() for one in Path(folder).iterdir()} == {file.name: content}

        while True:
            name = random.choice(list(calls))
            after = random.uniform(0, seconds[name])
            yield Trial(f"{name} after {after:.6f} s", partial(run, name, after))
