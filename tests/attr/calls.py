"""What every attribution name is called with, and on which networks: the table behind the random comparison.

Options are drawn from the case. Where Captum refuses a network, or answers otherwise than ours for a reason, the row
says so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from captum._utils.models.linear_model import SkLearnLinearRegression
from torch import Tensor, nn

from tests.attr.drawn import KINDS, Case

EACH = 12  # cases of a name on a kind of network
LEAST = 30  # cases of a name

ANY = tuple(KINDS)
FLOATS = tuple(kind for kind in KINDS if kind != "embedding")  # ids have no gradient
CONVOLVED = ("convolutional",)
# Captum's LRP knows no recurrent layer and refuses a module with weights that is used twice.
PROPAGATED = ("linear", "convolutional", "inputs", "outputs", "in place")
# Captum's DeepLIFT goes through a recurrent layer by its slope, as ours does; a module used twice it refuses.
LIFTED = FLOATS

Call = tuple[list[Any], dict[str, Any]]  # what is given to the constructor behind the network, and to `attribute`


@dataclass(frozen=True)
class Row:
    """How a name is called, and on what."""

    call: Callable[[Case], Call]
    kinds: tuple[str, ...] = FLOATS
    each: int = EACH
    plain: Callable[[nn.Module], nn.Module] | None = None  # what Captum is given instead of the network
    single: bool = True  # in float32 too


def without_places(net: nn.Module) -> nn.Module:
    """A copy with nothing done in place."""
    made = copy.deepcopy(net)
    for module in made.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return made


def unrolled(net: Any) -> nn.Module:
    return net.unroll() if hasattr(net, "unroll") else net


def layer(case: Case, names: tuple[str, ...] = ("left", "act", "last")) -> str:
    """The name of a layer; of one used twice both mean something else: Captum's its last call, ours its first."""
    return case.draw.choice([name for name in names if case.kind != "reused" or name != "act"])


def in_layer(case: Case) -> dict[str, Any]:
    return {"attribute_to_layer_input": case.kind != "embedding" and case.flag()}


def selector(case: Case, name: str) -> Any:
    """A neuron, some, or a function of the layer's output."""
    axes = 1 if name == "last" else {"convolutional": 3, "embedding": 2}.get(case.kind, 1)
    index = case.draw.choice([0, slice(0, 2), None])
    if index is None:
        return lambda hidden: hidden.flatten(1)[:, 1]
    return (*[0] * (axes - 1), index) if axes > 1 or isinstance(index, slice) or case.flag() else index


def inputs_only(case: Case) -> Call:
    return [], case.at


def saliency(case: Case) -> Call:
    return [], {**case.at, "abs": case.flag()}


def integrated(case: Case) -> Call:
    return [case.flag()], {
        **case.at, **case.steps(), "baselines": case.baselines, "return_convergence_delta": case.flag(),
    }  # fmt: skip


def expected(case: Case) -> dict[str, Any]:
    return {
        "baselines": case.distribution(), "n_samples": case.draw.randint(1, 5),
        "stdevs": case.draw.choice([0.0, 0.2]), "additional_forward_args": case.extra,
    }  # fmt: skip


def gradient_shap(case: Case) -> Call:
    return [case.flag()], {**expected(case), "target": case.target, "return_convergence_delta": case.flag()}


def guided_cam(case: Case) -> Call:
    how = {"interpolate_mode": case.draw.choice(["nearest", "bilinear"]), "attribute_to_layer_input": case.flag()}
    return [layer(case, ("left", "act", "mid"))], {**case.at, **how}


def customised(case: Case) -> dict[str, Any]:
    return {
        "additional_forward_args": case.extra,
        "custom_attribution_func": case.draw.choice([None, None, lambda m: m, lambda m, x, x0: m]),
    }


def lifted(case: Case) -> Call:
    how = {"target": case.target, "baselines": case.baselines, "return_convergence_delta": case.flag()}
    return [case.flag()], {**customised(case), **how}


def lifted_from_many(case: Case) -> Call:
    make, how = lifted(case)
    return make, {**how, "baselines": case.distribution()}


def relevance(case: Case) -> Call:
    if isinstance(case.net.act, nn.Sigmoid):
        case.net.act = nn.Tanh()  # Captum's LRP has no rule for the other
    return [], {"target": case.target, "return_convergence_delta": case.flag()}


def perturbed(case: Case) -> dict[str, Any]:
    per_eval = case.draw.randint(1, 3)
    if case.kind == "outputs" and case.mask_of_each:
        per_eval = 1  # with several numbers an example and masks of their own Captum mixes up its axes
    return {**case.at, "baselines": case.baselines, "feature_mask": case.mask, "perturbations_per_eval": per_eval}


def ablation(case: Case) -> Call:
    return [], perturbed(case)


def permutation(case: Case) -> Call:
    how = perturbed(case)
    del how["baselines"]
    return [], how


def sampled(case: Case) -> Call:
    return [], {**perturbed(case), "n_samples": case.draw.randint(1, 3)}


def few_features(case: Case) -> dict[str, Any]:
    how = perturbed(case)
    if how["feature_mask"] is None and case.kind in ("convolutional", "recurrent", "inputs"):  # 9! orders
        how["feature_mask"] = case.shaped(
            [torch.arange(t.shape[-1]).repeat(1, *t.shape[1:-1], 1) for t in case.tensors]
        )
    return how


def exact(case: Case) -> Call:
    return [], few_features(case)


def surrogate(case: Case) -> dict[str, Any]:
    """A tensor of one number as a target is cut into examples by Captum, which it has none of."""
    how = perturbed(case)
    if isinstance(how["target"], Tensor) and not how["target"].ndim:
        how["target"] = int(how["target"])
    return {**how, "return_input_shape": case.flag()}


def lime(case: Case) -> Call:
    return [], {**surrogate(case), "n_samples": case.draw.randint(3, 20)}


def kernel_shap(case: Case) -> Call:
    return [], {**surrogate(case), "n_samples": case.draw.randint(5, 30)}


def lime_base(case: Case) -> Call:
    """Of one example, whose samples are drawn around it, or in a space of two numbers."""
    there = case.flag()
    case.inputs = case.shaped(t[:1] for t in case.tensors)

    def first(given):
        return given[0] if isinstance(given, tuple) else given

    def each(given: Any, change: Callable[[Tensor], Tensor]) -> Any:
        return tuple(map(change, given)) if isinstance(given, tuple) else change(given)

    def similarity(inputs: Any, sample: Any, known: Tensor, *, width: float) -> Tensor:
        return torch.exp(-(known if there else first(inputs) - first(sample)).double().square().sum() / width)

    def perturb(inputs: Any, *, width: float) -> Any:
        return torch.randn(1, 2) * width if there else each(inputs, lambda t: t + torch.randn_like(t) * width)

    def into(known: Tensor, inputs: Any, *, width: float) -> Any:
        return each(inputs, lambda t: t * known[0, 0] + known[0, 1])

    def back(sample: Any, inputs: Any, *, width: float) -> Tensor:
        return first(sample)[:, :2] * width

    make = [SkLearnLinearRegression(), similarity, perturb, there, into, back]
    how = {"target": case.draw.randrange(3), "additional_forward_args": case.draw.choice([None, (2.0,)])}
    return make, {**how, "n_samples": case.draw.randint(4, 12), "width": 0.7}


def occlusion(case: Case) -> Call:
    windows = [(1, 2, case.draw.randint(1, 2)) if t.ndim == 4 else (2,) * (t.ndim - 1) for t in case.tensors]
    how = perturbed(case)
    del how["feature_mask"]
    if len(windows) > 1:
        how["perturbations_per_eval"] = 1  # Captum numbers the windows of several inputs wrongly otherwise
    strides = [case.draw.randint(1, min(window)) for window in windows]
    return [], {**how, "sliding_window_shapes": case.shaped(windows), "strides": case.shaped(strides)}


TUNNELLED: dict[str, Callable[[Case], Call]] = {
    "Saliency": saliency,
    "InputXGradient": inputs_only,
    "IntegratedGradients": integrated,
    "LayerConductance": lambda case: layer_conductance(case),
    "NeuronGradient": lambda case: neuron_gradient(case),
}


def tunnel(case: Case) -> Call:
    """Over a method whose name is the first thing given; what it is made with, the second."""
    name = case.draw.choice(list(TUNNELLED))
    make, how = TUNNELLED[name](case)
    noise = {
        "nt_type": case.draw.choice(["smoothgrad", "smoothgrad_sq", "vargrad"]),
        "nt_samples": case.draw.randint(1, 5),
        "nt_samples_batch_size": case.draw.choice([None, 1, 2]),
        "stdevs": case.draw.choice([0.0, 0.3]),
    }
    return [name, make], {**how, **noise}


# At layers ------------------------------------------------------------------------------------------------------------


def layer_activation(case: Case) -> Call:
    return [layer(case)], {"additional_forward_args": case.extra, **in_layer(case)}


def layer_gradient(case: Case) -> Call:
    return [layer(case), None, case.flag(), case.flag()], {**case.at, **in_layer(case)}


def layer_integrated(case: Case) -> Call:
    make, how = integrated(case)
    return [layer(case), None, *make], {**how, **in_layer(case)}


def layer_conductance(case: Case) -> Call:
    return [layer(case)], {**integrated(case)[1], **in_layer(case)}


def layer_influence(case: Case) -> Call:
    return [layer(case)], {**case.at, **case.steps(), "baselines": case.baselines, **in_layer(case)}


def layer_shap(case: Case) -> Call:
    make, how = gradient_shap(case)
    return [layer(case), None, *make], {**how, **in_layer(case)}


def layer_lifted(case: Case) -> Call:
    make, how = lifted(case)
    name = layer(case)
    # At an activation's input Captum reads the gradient behind its own hook: the activation goes by its slope there.
    return [name, *make], {**how, "attribute_to_layer_input": name != "act" and in_layer(case)[LAYER_INPUT]}


def layer_lifted_from_many(case: Case) -> Call:
    make, how = layer_lifted(case)
    return make, {**how, "baselines": case.distribution()}


LAYER_INPUT = "attribute_to_layer_input"


def layer_relevance(case: Case) -> Call:
    return [layer(case, ("left", "last"))], {**relevance(case)[1], **in_layer(case)}


def layer_ablation(case: Case) -> Call:
    how = {
        **case.at, **in_layer(case), "layer_baselines": case.draw.choice([None, 0.25]),
        "perturbations_per_eval": case.draw.randint(1, 3),
    }  # fmt: skip
    if isinstance(case.target, (list, Tensor)):
        how["perturbations_per_eval"] = 1  # Captum does not repeat the targets
    return [layer(case)], how


def layer_permutation(case: Case) -> Call:
    """Without a target: Captum applies it twice, and refuses."""
    return [layer(case)], {"additional_forward_args": case.extra, "perturbations_per_eval": case.draw.randint(1, 3)}


def layer_cam(case: Case) -> Call:
    how = {"relu_attributions": case.flag(), "attr_dim_summation": case.flag()}
    return [layer(case)], {**case.at, **in_layer(case), **how}


# Of neurons -----------------------------------------------------------------------------------------------------------


def neuron(case: Case) -> tuple[str, dict[str, Any]]:
    """A layer that every input has a way to, and a neuron of it: of its output, whose shape is known."""
    name = layer(case)
    return name, {"neuron_selector": selector(case, name), "additional_forward_args": case.extra}


def neuron_gradient(case: Case) -> Call:
    name, how = neuron(case)
    return [name], how


def neuron_integrated(case: Case) -> Call:
    name, how = neuron(case)
    return [name, None, case.flag()], {**how, **case.steps(), "baselines": case.baselines}


def neuron_conductance(case: Case) -> Call:
    make, how = neuron_integrated(case)
    return make, {**how, "target": case.target}


def neuron_shap(case: Case) -> Call:
    name, how = neuron(case)
    return [name, None, case.flag()], {**how, **expected(case)}


def neuron_lifted(case: Case) -> Call:
    name, how = neuron(case)
    return [name, case.flag()], {**customised(case), **how, "baselines": case.baselines}


def neuron_lifted_from_many(case: Case) -> Call:
    make, how = neuron_lifted(case)
    return make, {**how, "baselines": case.distribution()}


def neuron_ablation(case: Case) -> Call:
    name, how = neuron(case)
    given = {key: value for key, value in perturbed(case).items() if key != "target"}
    if case.mask_of_each:
        given["perturbations_per_eval"] = 1  # Captum does not repeat the selector
    return [name], {**given, **how}


ROWS: dict[str, Row] = {
    "Saliency": Row(saliency),
    "InputXGradient": Row(inputs_only),
    "IntegratedGradients": Row(integrated),
    "GradientShap": Row(gradient_shap),
    "GuidedBackprop": Row(inputs_only, plain=unrolled),
    "Deconvolution": Row(inputs_only, plain=unrolled),
    "GuidedGradCam": Row(guided_cam, CONVOLVED, LEAST),
    "DeepLift": Row(lifted, LIFTED, plain=unrolled),
    "DeepLiftShap": Row(lifted_from_many, LIFTED, plain=unrolled),
    "LRP": Row(relevance, PROPAGATED),
    "FeatureAblation": Row(ablation, ANY),
    "FeaturePermutation": Row(permutation, ANY),
    "Occlusion": Row(occlusion, FLOATS),
    "ShapleyValues": Row(exact, ANY),
    "ShapleyValueSampling": Row(sampled, ANY),
    "Lime": Row(lime, ANY),
    "KernelShap": Row(kernel_shap, ANY, single=False),  # fitted with weights of a million, which shows single's noise
    "LimeBase": Row(lime_base, ("linear", "inputs", "in place", "reused"), single=False),
    "NoiseTunnel": Row(tunnel, each=2 * EACH),
    "LayerActivation": Row(layer_activation, ANY),
    "LayerGradientXActivation": Row(layer_gradient, ANY),
    "LayerIntegratedGradients": Row(layer_integrated, ANY, plain=without_places),
    "LayerConductance": Row(layer_conductance),
    "InternalInfluence": Row(layer_influence),
    "LayerGradientShap": Row(layer_shap),
    "LayerDeepLift": Row(layer_lifted, LIFTED, plain=unrolled),
    "LayerDeepLiftShap": Row(layer_lifted_from_many, LIFTED, plain=unrolled),
    "LayerLRP": Row(layer_relevance, PROPAGATED),
    "LayerFeatureAblation": Row(layer_ablation, ANY, plain=without_places),
    "LayerFeaturePermutation": Row(layer_permutation, ANY, plain=without_places),
    "LayerGradCam": Row(layer_cam),
    "NeuronGradient": Row(neuron_gradient),
    "NeuronIntegratedGradients": Row(neuron_integrated),
    "NeuronConductance": Row(neuron_conductance),
    "NeuronGradientShap": Row(neuron_shap),
    "NeuronDeepLift": Row(neuron_lifted, LIFTED, plain=unrolled),
    "NeuronDeepLiftShap": Row(neuron_lifted_from_many, LIFTED, plain=unrolled),
    "NeuronGuidedBackprop": Row(neuron_gradient, plain=unrolled),
    "NeuronDeconvolution": Row(neuron_gradient, plain=unrolled),
    "NeuronFeatureAblation": Row(neuron_ablation, ANY),
}
