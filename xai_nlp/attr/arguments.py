"""The arguments that `attribute` methods share. `document` completes the docstring of each method from this list.

inputs: the examples, a tensor or a tuple of tensors: (B, …) each.
    CaptumAssertion: inputs that are not tensors of one batch size.
baselines: what the inputs are compared with: tensors of their shape, or of one row; or numbers, 0 by default.
    CaptumAssertion: not as many baselines as inputs, or one whose shape does not fit its input.
BaselineDistribution: tensors to take baselines from, (N, …) for each input; or a function that returns them, of the
    inputs or of nothing.
    CaptumAssertion: a distribution that does not consist of tensors with the shape of its input's rows.
target: the entry of the output that is explained: an index for all examples, or a list or tensor with one for each;
    None if the output is one number for each example.
    TargetOutOfRange or CaptumAssertion: a target that the output does not have.
additional_forward_args: further arguments of the forward function, a tuple if there are several. Those with B rows
    follow their examples; none of them is explained.
n_steps: the number of points on the path from baseline to input.
    CaptumAssertion: fewer than one step, or than two of riemann_trapezoid.
method: the quadrature rule: gausslegendre, riemann_trapezoid, riemann_left, riemann_middle or riemann_right.
    UnknownChoice: another rule.
internal_batch_size: rows for each forward pass; None chooses by the size of a row and the device.
return_convergence_delta: also return Σ scores − (f(x) − f(x₀)) of each example, (B,), as in a pair.
attribute_to_layer_input: explain the tensors that enter the layer, instead of those that leave it.
attribute_to_neuron_input: select the neuron from the tensors that enter the layer, instead of those that leave it.
grad_kwargs: options of torch.autograd.grad: allow_unused and materialize_grads, which are always on.
    UnknownOption: another option.
neuron_selector: the neuron's index in the layer's output, (…) without the batch; slices select several, which are
    summed; or a function of the layer's output that returns (B,) or (B, …), or one number, a sum over the batch.
    TargetOutOfRange or CaptumAssertion: a selector that does not name neurons of the layer.
feature_mask: the number of the feature that each entry belongs to, of a shape that broadcasts to its input; a feature
    may span several inputs. None makes each entry a feature.
    CaptumAssertion: not as many masks as inputs, or one whose shape does not fit its input.
perturbations_per_eval: perturbed copies of all examples for each forward pass; 1 lets the engine choose, and gives a
    function of the whole batch (a loss) one copy, of the batch's size. Scores do not depend on it.
    CaptumAssertion: a number of perturbations below 1.
show_progress: show a progress bar on stderr.
n_samples: the number of samples for each example.
    CaptumAssertion: fewer than one sample.
stdevs: standard deviation of the normal noise on the inputs, in their unit: a number, or one for each input.
    CaptumAssertion: not as many deviations as inputs.
custom_attribution_func: makes scores from multipliers, inputs and baselines, tuples of (B, …); it may take only the
    first one or two.
    CaptumAssertion: a function that takes none of them, or more.
verbose: print each module and its rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import cleandoc, signature
from typing import Any

ERROR = re.compile(r"\n    (\w+(?: or \w+)?: .*)$")


def entries(paragraph: str) -> dict[str, str]:
    """The entries `name: text` of a paragraph by name, with the lines that are indented below them."""
    return {entry.partition(": ")[0]: entry for entry in re.split(r"\n(?=\S)", paragraph)}


#: By name; under the name of its type where an argument means something else for another type.
SHARED = entries((__doc__ or "").partition("\n\n")[2].strip())


def document(attribute: Callable[..., Any]) -> None:
    """Complete a docstring: its first paragraph, a line for each argument, the errors, and its other paragraphs.

    A paragraph of entries `name: text` in the docstring itself describes the arguments that are this method's own.
    """
    summary, *paragraphs = re.split(r"\n\n+", cleandoc(attribute.__doc__ or ""))
    parameters = {name: p.annotation for name, p in signature(attribute).parameters.items() if name != "self"}
    described: dict[str, str] = {}
    errors: dict[str, None] = {}  # in order, each once
    for name, annotation in parameters.items():
        text = SHARED.get(str(annotation)) or SHARED.get(name, "")
        for error in ERROR.findall(text):
            errors[error] = None
        described[name] = name + ERROR.sub("", text).removeprefix(text.partition(": ")[0])
    notes = []
    for paragraph in paragraphs:
        own = entries(paragraph)
        if own.keys() <= parameters.keys():
            described |= own
        else:
            notes.append(paragraph)
    sections = {"Args:": described.values(), "Raises:": errors}
    listed = ["\n".join([title, *lines]).replace("\n", "\n    ") for title, lines in sections.items() if lines]
    attribute.__doc__ = "\n\n".join([summary, *listed, *notes])
