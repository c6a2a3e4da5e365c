"""The request that made an explanation, put together from the explanation itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.methods import METHODS
from xai_nlp.models.images import IMAGE_BASELINES
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.options import Request

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

TEXT_KINDS = ("text", "long text")  # kinds of input


def explanation_request(explainer: Explainer, explanation: Explanation, call: Mapping[str, Any]) -> Request:
    """The request that leads to the same target by the same method.

    call: inputs and options that the explanation does not hold, such as the image. They go before what it holds.
    Raises InvalidInput for an explanation whose method does not exist, and what the explainer's `request` raises.
    """
    named = {**_inputs_of(explainer, explanation), **_options_of(explanation), **call}
    return explainer.request(*explainer.named_inputs((), named))


def _inputs_of(explainer: Explainer, explanation: Explanation) -> dict[str, Any]:
    """The texts, and the labels, by the names of the task's inputs."""
    inputs = explainer.task.inputs
    texts = dict(zip((one.name for one in inputs if one.kind in TEXT_KINDS), explanation.segments, strict=False))
    return texts | {one.name: list(explanation.outputs) for one in inputs if one.kind == "list"}


def _options_of(explanation: Explanation) -> dict[str, Any]:
    """The options that lead to the same target, by the same method."""
    target, params = explanation.target, explanation.params
    method = METHODS.get(explanation.method)
    if method is None:
        raise InvalidInput(f"no method is named {explanation.method!r}; choose one of {', '.join(sorted(METHODS))}.")
    own = {one.name: params[one.name] for one in fields(method) if one.name in params}  # type: ignore[arg-type]
    label = target.label if target.contrast is None else f"{target.label}-{target.contrast}"
    span = explanation.answer[1] if explanation.answer else None
    written = params.get("answer_ids")  # its text may be cut into other tokens
    of_kind: dict[str, dict[str, Any]] = {
        "label": {"target": label},
        "answer": {"answer": written or target.label, "rather_than": target.contrast},
        "token": {"target": "words", "answer": written or target.answer},
        "word": {"target": target.label, "rather_than": target.contrast},
        "entity": {"entity": span, "target": target.label, "rather_than": target.contrast},
    }
    of_text = {"target": target.kind, "answer": span or target.label, "rather_than": target.contrast}
    options = of_kind.get(target.kind, {} if target.kind == "output" else of_text)
    unit = None if target.unit == "output" else target.unit
    baseline = None if explanation.baseline in ("none", *IMAGE_BASELINES) else explanation.baseline
    same = {"unit": unit, "baseline": baseline, "precision": params.get("precision")}
    return {**own, **options, "method": explanation.method, **same}


def same_target(explainer: Explainer, targets: Sequence[ExampleTarget], explanation: Explanation) -> ExampleTarget:
    """The explanation's own target alone. Raises InvalidInput if it is not there, or if outputs are others."""
    for target in targets:
        for t, spec in enumerate(target.specs):
            same = spec == explanation.target and target.notes.get("answer_ids") == explanation.params.get("answer_ids")
            if same and _alike(target.outputs, explanation.outputs):
                return replace(target, specs=(spec,), weights=tuple(one[t : t + 1] for one in target.weights))
    raise InvalidInput(
        f"{explainer.name} does not give the outputs of this explanation of {explanation.target}: it was made by "
        "another model, from another input, or with options that it does not hold. Give them by name, or call "
        "explain(…, trust=True)."
    )


def _alike(outputs: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return outputs.keys() == others.keys() and all(
        math.isclose(outputs[name], others[name], rel_tol=1e-2, abs_tol=1e-3) for name in outputs
    )
