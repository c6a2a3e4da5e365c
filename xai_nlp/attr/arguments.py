"""The arguments that `attribute` methods share, described once; each method's docstring is completed from here."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import cleandoc, signature
from typing import Any, NamedTuple


class Argument(NamedTuple):
    """What an argument is, with shape and unit, and the error for a value that does not fit."""

    text: str
    error: str = ""


SIZES = "CaptumAssertion: not as many {} as inputs, or one whose shape does not fit its input."

#: By name, or by the name of the type where a type changes the meaning.
ARGUMENTS = {
    "inputs": Argument(
        "the examples, a tensor or a tuple of tensors: (B, …) each.",
        "CaptumAssertion: inputs that are not tensors of one batch size.",
    ),
    "baselines": Argument(
        "what the inputs are compared with: tensors of their shape, or of one row; or numbers, 0 by default.",
        SIZES.format("baselines"),
    ),
    "BaselineDistribution": Argument(
        "tensors to take baselines from, (N, …) for each input; or a function that returns them, of the inputs or of "
        "nothing.",
        "CaptumAssertion: a distribution that does not consist of tensors with the shape of its input's rows.",
    ),
    "target": Argument(
        "the entry of the output that is explained: an index for all examples, or a list or tensor with one for each; "
        "None if the output is one number for each example.",
        "TargetOutOfRange or CaptumAssertion: a target that the output does not have.",
    ),
    "additional_forward_args": Argument(
        "further arguments of the forward function, a tuple if there are several. Those with B rows follow their "
        "examples; none of them is explained."
    ),
    "n_steps": Argument(
        "the number of points on the path from baseline to input.",
        "CaptumAssertion: fewer than one step, or than two of riemann_trapezoid.",
    ),
    "method": Argument(
        "the quadrature rule: gausslegendre, riemann_trapezoid, riemann_left, riemann_middle or riemann_right.",
        "UnknownChoice: another rule.",
    ),
    "internal_batch_size": Argument("rows for each forward pass; None chooses by the size of a row and the device."),
    "return_convergence_delta": Argument("also return Σ scores − (f(x) − f(x₀)) of each example, (B,), as in a pair."),
    "attribute_to_layer_input": Argument("explain what enters the layer, instead of what leaves it."),
    "attribute_to_neuron_input": Argument("select the neuron from what enters the layer, instead of what leaves it."),
    "grad_kwargs": Argument(
        "options of torch.autograd.grad: allow_unused and materialize_grads, which are always on.",
        "UnknownOption: another option.",
    ),
    "neuron_selector": Argument(
        "the neuron's index in the layer's output, (…) without the batch; slices select several, which are summed; or "
        "a function of the layer's output that returns (B,) or (B, …).",
        "TargetOutOfRange or CaptumAssertion: a selector that does not name neurons of the layer.",
    ),
    "feature_mask": Argument(
        "numbers that say to which feature an entry belongs, of a shape that broadcasts to its input; a feature may "
        "span several inputs. None makes each entry a feature.",
        SIZES.format("masks"),
    ),
    "perturbations_per_eval": Argument(
        "perturbed copies of all examples for each forward pass; 1 lets the engine choose. Scores do not depend on it.",
        "CaptumAssertion: a number of perturbations below 1.",
    ),
    "show_progress": Argument("show a progress bar on stderr."),
    "n_samples": Argument("the number of samples for each example.", "CaptumAssertion: fewer than one sample."),
    "stdevs": Argument(
        "standard deviation of the normal noise on the inputs, in their unit: a number, or one for each input.",
        "CaptumAssertion: not as many deviations as inputs.",
    ),
    "custom_attribution_func": Argument(
        "makes scores from multipliers, inputs and baselines, tuples of (B, …); it may take only the first one or two.",
        "CaptumAssertion: a function that takes none of them, or more.",
    ),
    "return_input_shape": Argument("spread the features' scores over their entries; otherwise one score per feature."),
    "verbose": Argument("print each module and its rule."),
}


def document(attribute: Callable[..., Any]) -> None:
    """Complete a docstring: its first paragraph, a line for each argument, errors, and then its other paragraphs.

    A paragraph of lines `name: text` in the docstring itself describes arguments that are this method's own.
    """
    first, *others = re.split(r"\n\n+", cleandoc(attribute.__doc__ or ""))
    parameters = {name: p.annotation for name, p in signature(attribute).parameters.items() if name != "self"}
    own: dict[str, str] = {}
    notes = []
    for paragraph in others:
        entries = re.split(r"\n(?=\w+: )", paragraph)
        names = [entry.partition(": ")[0] for entry in entries]
        if set(names) <= set(parameters):
            own.update(zip(names, entries, strict=True))
        else:
            notes.append(paragraph)
    lines, errors = [], {}
    for name, annotation in parameters.items():
        shared = ARGUMENTS.get(str(annotation)) or ARGUMENTS.get(name)
        lines.append(own.get(name, f"{name}: {shared.text if shared else ''}"))
        if shared and shared.error:
            errors[shared.error] = None
    sections = [first, "Args:\n" + _indented(lines)]
    if errors:
        sections.append("Raises:\n" + _indented(errors))
    attribute.__doc__ = "\n\n".join([*sections, *notes])


def _indented(lines: Any) -> str:
    return "\n".join("    " + line.replace("\n", "\n    ") for line in lines)
