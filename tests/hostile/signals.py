"""SIGINT at a random time of a call: the call ends, and the model is as it was."""

import _thread
import threading
import time

import torch

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
    seconds = {call: duration(call, explainer) for call in CALLS}

    def run(call, after):
        assert interrupted_after(after, call, explainer), "the interrupt was lost"
        assert fingerprint(explainer.model) == before, "the model was changed"

    while True:
        call = random.choice(CALLS)
        after = random.uniform(0, seconds[call])
        yield Trial(f"{call.__name__} after {after:.6f} s", lambda call=call, after=after: run(call, after))
