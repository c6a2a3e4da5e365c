"""Diagnoses for the tests of their pictures."""

from xai_nlp.core.diagnosis import Check, Diagnosis, MethodTrial

FILES = Check(name="files", level="ok", sentence="1 file of safetensors, 1.0 MB, and no pickle.")
DTYPE = Check(name="dtype", level="warning", sentence="The weights are float16.", fix="Load it with dtype='float32'.")
PADDING = Check(name="padding", level="error", sentence="Padding changes <b>all</b>.", fix="Use the mask & rest.")
METHODS = (
    MethodTrial(method="shapley", outcome="works", seconds=1.26),
    MethodTrial(method="saliency", outcome="works", seconds=0.012),
    MethodTrial(method="lime", outcome="refused", reason="'lime' reads no such text."),
    MethodTrial(method="lrp", outcome="refused", reason="'lrp' reads no such text."),
    MethodTrial(method="deep_lift", outcome="not tried"),
)
ABOUT = {"task": "text-classification", "architecture": "bert", "versions": {"torch": "2.13"}, "seconds": 2.04}


def diagnosis(*checks, **more):
    """The diagnosis of "m" with these checks, or all of them."""
    return Diagnosis(model="m", checks=checks or (FILES, DTYPE, PADDING), **{**ABOUT, "methods": METHODS, **more})
