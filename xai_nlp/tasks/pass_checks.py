"""Checks that run the model: what explanations rely on is tried by replacing tensors and comparing outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from xai_nlp.core.diagnosis import Check, error, ok, warning
from xai_nlp.errors import Unsupported
from xai_nlp.hooks.points import edit
from xai_nlp.hooks.scope import HookPoint
from xai_nlp.methods import METHODS
from xai_nlp.models.layout import LAYOUTS, VISION_LAYOUTS
from xai_nlp.tasks.model_checks import listed
from xai_nlp.tasks.probe import Probe, difference, other_numbers

REPORT = "Give a Layout that names the modules of this architecture (xai_nlp.models.layout), or report it."
BATCH_OF_ONE = "Explain with batch_size=1 until the model is mended"
SLOPES_AGREE = 0.2  # relative difference of a gradient and a difference quotient that may be curvature
SMALL_VALUE = 0.1  # values below it are held to its rounding
STEP = 1e-3  # of the inputs' length, for the difference quotient


def prediction(probe: Probe) -> Check:
    """Does the model give a finite output for a short input, and the same one again?"""
    label = str(probe.target.specs[0])
    if probe.noise > probe.rounding:
        return error(
            f"Passes of the same input differ by {probe.noise:.2g}: the model draws random numbers.",
            "Look for dropout that does not follow model.eval(), such as F.dropout(x) without training=self.training, "
            "or for a random order of tokens.",
            difference=probe.noise,
        )
    return ok(f"Equal passes give equal outputs; explained is {label!r}.")


def embeddings(probe: Probe) -> Check | None:
    """Do word embeddings pass where they are replaced?"""
    points = probe.explainer.points
    if not probe.batch.has_text:
        return None
    places = [point for point in dict.fromkeys((points.word, points.embeddings)) if point is not None]
    idle = [str(point) for point in places if not probe.moves_output([point], other_numbers)]
    if idle:
        return error(
            f"Replacing {listed(idle)} changes nothing: the model computes its embeddings elsewhere, and every score "
            "would be 0.",
            f"Look at the model's forward: which module's output does it read? {REPORT}",
        )
    names = " or ".join(point.name or str(point) for point in places)
    return ok(f"Replacing {names} changes the prediction.")


def image(probe: Probe) -> Check | None:
    """Do the pixels reach the output?"""
    images = probe.batch.images
    if images is None:
        return None
    changed = probe.run(probe.batch, arguments={"image": other_numbers(images.pixels)})
    if difference(changed, probe.output) <= 2 * probe.noise:
        return error(
            f"Replacing {images.argument!r} changes nothing: no region would have a score.",
            "Look at the model's forward: does it read the processor's pixels?",
        )
    return ok(f"Replacing {images.argument!r} changes the prediction.")


def parts(probe: Probe) -> Check | None:
    """Do position and type embeddings pass where they are replaced?"""
    points = probe.explainer.points
    if not probe.batch.has_text:
        return None
    there: dict[str, HookPoint | None] = {"position": points.position, "type": points.types}
    found = [(name, point) for name, point in there.items() if point is not None]
    idle = [f"{name} ({point})" for name, point in found if not probe.moves_output([point], other_numbers)]
    if idle:
        return warning(
            f"Replacing the embeddings of {' and '.join(idle)} changes nothing.",
            f"parts=True scores them 0; leave it out. {REPORT}",
        )
    if not found:
        return ok("Positions are relative or rotary: there is no table of them.")
    names = " or ".join(name for name, _ in found)
    return ok(f"Replacing those of {names} changes the prediction.")


def layers(probe: Probe) -> Check:
    """Are the layers known, and does each carry the output?"""
    explainer = probe.explainer
    points, architecture = explainer.points.layers, explainer.adapter.architecture
    if not points:
        return warning(
            f"The layers of {architecture} were not found: layer=… and layers=True are refused.",
            "Pass a Layout that names its blocks: Adapter.of(model, Layout(…)).",
            layers=0,
        )
    idle = [str(point) for point in points if not probe.moves_output([point], other_numbers)]
    if idle:
        return error(
            f"Replacing {listed(idle)} changes nothing: the model reads something else.", REPORT,
            layers=len(points),
        )  # fmt: skip
    known = architecture in {**LAYOUTS, **VISION_LAYOUTS}
    how = "known by name" if known else "inferred from the modules"
    noun = "layer" if len(points) == 1 else "layers"
    return ok(f"{len(points)} {noun}, {how}; replacing any changes the prediction.", layers=len(points))


def attention(probe: Probe) -> Check:
    """Can attention be read without a change, and replaced with one?"""
    try:
        points = probe.subject.attention
    except Unsupported:
        name = probe.explainer.adapter.architecture
        if not probe.explainer.takes(METHODS["attention_probabilities"]):
            return ok(f"{name} computes no attention over the whole input, and needs none.", matrices=0)
        return warning(
            f"The attention of {name} cannot be reached: it is not computed in a way that is known here.",
            "Methods without attention work: integrated_gradients, shapley, deep_lift. For attention, load the model "
            "with attn_implementation='eager', or a version of it that looks its attention function up in "
            "transformers.",
            matrices=0,
        )
    with edit({point: lambda probabilities: None for point in points}):
        read = probe.run(probe.batch)
    heads = points[0].heads
    if not probe.is_same(read):
        return error(
            f"Reading the attention changes the output by {difference(read, probe.output):.2g}: the model computes it "
            "in another way than its config says.",
            "Load the model with attn_implementation='eager', and report it.",
            matrices=len(points),
        )
    idle = [str(point) for point in points if not probe.moves_output([point], torch.zeros_like, read)]
    numbers = {"matrices": len(points), "heads": heads, "idle": len(idle)}
    if len(idle) == len(points):
        return error(
            "Attention can be read, but not replaced: zeros in its place change nothing, so that methods "
            "over attention would score matrices that the model does not use.",
            "Choose a method without attention, and look at the attention module's forward: does it use what its "
            "attention function returns?",
            **numbers,
        )
    if idle:
        return warning(
            f"{len(idle)} of {len(points)} matrices do not reach the prediction: {listed(idle)}.",
            "Their scores are 0, which is right if the model's head does not read them.",
            **numbers,
        )
    noun = "matrix" if len(points) == 1 else "matrices"
    return ok(f"{len(points)} {noun} can be read; replacing any changes the prediction.", **numbers)


def gradients(probe: Probe) -> Check:
    """Do gradients of the explained number reach what moves, and are they its slopes?"""
    problem = probe.subject.problem()
    names = list(probe.subject.inputs)
    found = problem.slope_at_x().gradients
    fix = (
        "Look for .detach(), .data, torch.no_grad() or rounding in the model's forward. Until then use a method "
        "without gradients: method='occlusion', 'shapley', 'kernel_shap' or 'lime'."
    )
    for name, gradient in zip(names, found, strict=True):
        if not gradient.isfinite().all():
            return error(f"The gradient of the output by the {name} is NaN or infinite.", "Load it in float32.")
        if not gradient.any():
            return error(f"The gradient of the output by the {name} is 0 everywhere: it is cut on its way.", fix)
    apart = _apart_from_quotient(probe, [gradient[:, 0] for gradient in found])
    if apart is not None and apart > SLOPES_AGREE:
        return warning(
            f"The gradient is {apart:.0%} apart from a difference quotient: a part of it is cut, or the output jumps.",
            fix,
            difference=apart,
        )
    same = "" if apart is None else ", and agree with a difference quotient"
    return ok(f"They reach the {' and the '.join(names)}{same}.", difference=apart or 0.0)


def _apart_from_quotient(probe: Probe, gradient: Sequence[Tensor]) -> float | None:
    """The relative difference of |gradient| and the difference quotient along it; None where rounding hides it."""
    problem, everyone = probe.subject.problem(), probe.subject.everyone
    length, step = _size(gradient), STEP * _size(problem.x)

    def value(sign: float) -> float:
        z = [x + (sign * step / length * g).to(x) for x, g in zip(problem.x, gradient, strict=True)]
        return float(problem.values(tuple(z), everyone)[0, 0])

    up, down = value(1), value(-1)
    digits = torch.finfo(problem.x[0].dtype).eps
    rounding = 100 * digits * max(abs(up), abs(down), SMALL_VALUE) + 2 * probe.noise
    if 2 * step * length < 20 * rounding:
        return None
    return abs((up - down) / (2 * step) - length) / length


def _size(tensors: Sequence[Tensor]) -> float:
    """The Euclidean length of several tensors together, which may be on several devices."""
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))


def padding(probe: Probe) -> Check | None:
    """Is the output of a text the same when it is filled up?"""
    explainer, window = probe.explainer, probe.window
    if not probe.repeated_inputs or not probe.batch.has_text:
        return None
    if explainer.pad is None:
        return warning(
            "Neither tokenizer nor model has a pad token: texts of several lengths share no batch, which is slow.",
            "tokenizer.pad_token = tokenizer.eos_token; model.config.pad_token_id = tokenizer.pad_token_id",
        )
    longer = probe.longer(2)
    if not probe.share_a_batch(longer):
        return ok("Each input is a batch of its own: nothing is padded.")
    filled = probe.run(explainer.batch([window, longer]))
    apart = difference(filled, probe.output)
    if not probe.is_same(filled):
        return error(
            f"Padding changes the output by {apart:.2g}: in a batch, an explanation would depend on the longest text.",
            f"{BATCH_OF_ONE}. Does it use the attention mask, and is pad_token_id the same in model.config and "
            "tokenizer?",
            difference=apart,
        )
    return ok("Padding changes nothing.", difference=apart)


def batch_order(probe: Probe) -> Check | None:
    """Is the output of an input the same whatever runs beside it, and in which order?"""
    explainer, window = probe.explainer, probe.window
    beside = probe.longer(2) if probe.repeated_inputs and explainer.pad is not None else window
    together = explainer.batch([window, beside if probe.share_a_batch(beside) else window])
    alone = probe.run(together, [0])
    apart = max(
        difference(probe.run(together, rows)[rows.index(0)][None], alone) for rows in ([0, 1], [1, 0], [1, 0, 1, 1])
    )
    if apart > probe.rounding:
        return error(
            f"The output of an input changes by {apart:.2g} with what runs beside it, or with its place in the batch.",
            f"{BATCH_OF_ONE}. Look for batch norm without running statistics, and for operations over the batch axis.",
            difference=apart,
        )
    return ok("Inputs beside it, and their order, change nothing.", difference=apart)


def first_sentence(message: str) -> str:
    """The part of a message that says what was wrong."""
    return message.partition(". ")[0].rstrip(".")[:400] + "."
