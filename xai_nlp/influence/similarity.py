"""Similarity: training examples whose tensors at a layer are nearest to an input's. The baseline of influence."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from xai_nlp.core.captum_types import CaptumAssertion, TensorOrTuple
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.scope import ModulePoint, captured
from xai_nlp.influence.activation_files import ActivationFiles
from xai_nlp.influence.batches import Batch, device_of
from xai_nlp.influence.data_influence import DataInfluence, check_k, given, progress
from xai_nlp.influence.tracin import module_of

Metric = Callable[[Tensor, Tensor], Tensor]


def euclidean_distance(test: Tensor, train: Tensor) -> Tensor:
    """The distance of each of (A, *) from each of (B, *): (A, B)."""
    return torch.cdist(test.flatten(1), train.flatten(1))


def cosine_similarity(test: Tensor, train: Tensor, replace_nan: int = 0) -> Tensor:
    """The cosine between each of (A, *) and each of (B, *): (A, B); `replace_nan` where one of both is zero."""
    first, second = test.flatten(1), train.flatten(1)
    lengths = first.norm(dim=1)[:, None] * second.norm(dim=1)
    return torch.where(lengths > 0, first @ second.T / lengths, torch.full_like(lengths, replace_nan))


class SimilarityInfluence(DataInfluence):
    """The training examples most similar to an input at a layer.

    module: the model. layers: the name of a layer, or a list of names. influence_src_dataset: the training examples; of
        a tuple the first entry is the model's input, of a dict all but labels. activation_dir: the folder in which
        tensors at the layers are kept, as safetensors; they are computed again when weights or data have changed.
    model_id: a name for the model in that folder. similarity_metric: function of (A, *) and (B, *) that gives (A, B).
    similarity_direction: is the most similar "max" or "min"? batch_size: training examples in one pass.
    replace_nan: the cosine with a zero vector; -2, or 2 where the smallest is sought.

    Raises InvalidInput for another direction, CaptumAssertion for a metric that gives another shape.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     similarity = SimilarityInfluence(nn.Sequential(nn.Identity()), "0", torch.eye(3), folder)
    ...     similarity.influence(torch.tensor([[0.0, 2.0, 1.0]]), top_k=2)["0"][0]
    tensor([[1, 2]])
    """

    def __init__(
        self,
        module: nn.Module,
        layers: str | list[str],
        influence_src_dataset: Dataset[Any],
        activation_dir: str,
        model_id: str = "",
        similarity_metric: Metric = cosine_similarity,
        similarity_direction: str = "max",
        batch_size: int = 1,
        **kwargs: Any,
    ) -> None:
        if similarity_direction not in ("max", "min"):
            raise InvalidInput(f"similarity_direction must be 'max' or 'min'; got {similarity_direction!r}.")
        self.module, self.influence_src_dataset = module, influence_src_dataset
        self.layers = [layers] if isinstance(layers, str) else layers
        self.activation_dir, self.model_id = activation_dir, model_id
        self.similarity_direction, self.batch_size = similarity_direction, batch_size
        self.replace_nan: float | None = None
        if similarity_metric is cosine_similarity:
            chosen = kwargs.get("replace_nan", -2 if similarity_direction == "max" else 2)
            self.replace_nan = chosen
            self.similarity_metric: Metric = lambda test, train: cosine_similarity(test, train, chosen)
        else:
            self.similarity_metric = similarity_metric
        self.influence_src_dataloader = DataLoader(influence_src_dataset, batch_size, shuffle=False)

    def influence(  # type: ignore[override]
        self,
        inputs: TensorOrTuple | Mapping[str, Any],
        top_k: int = 1,
        additional_forward_args: Any | None = None,
        load_src_from_disk: bool = True,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """For each layer the indices (B, top_k) of the most similar training examples, and their similarities.

        inputs: a tensor, a tuple of tensors, or a dict of keywords. additional_forward_args: further arguments.
        load_src_from_disk: use what is kept in the folder. If a vector of zeros was compared by its cosine, a warning
        says so, and "zero_acts-LAYER" has the pairs (index of the input, of the training example) of it.
        """
        check_k(top_k)
        points = {layer: ModulePoint(module_of(self.module, layer)) for layer in self.layers}
        extra = additional_forward_args
        extra = () if extra is None else extra if isinstance(extra, tuple) else (extra,)
        tests: dict[str, Tensor] = {}
        self._run([_as_call(given(inputs), extra)], points, tests.__setitem__)
        sources = self._sources(points, load_src_from_disk)
        influences: dict[str, Any] = {}
        for layer in self.layers:
            scores, zero = self._similarities(tests[layer], sources[layer])
            count = min(top_k, scores.shape[1])
            values, indices = torch.topk(scores, count, dim=1, largest=self.similarity_direction == "max")
            influences[layer] = (indices, values)
            if self.replace_nan is not None and zero.any():
                key = f"zero_acts-{layer}"
                warnings.warn(
                    f"layer {layer} is zero for some examples, which have no cosine; {key!r} has pairs of indices.",
                    RuntimeWarning,
                    stacklevel=2,
                )
                influences[key] = zero.nonzero()
        return influences

    def _similarities(self, test: Tensor, source: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """The similarity of each of A inputs with each of N training examples, and is one of both zero? (A, N)."""
        parts, zeros = [], []
        for train in source:
            for some in train.to(test.device).split(max(1, self.batch_size)):
                part = self.similarity_metric(test, some)
                if tuple(part.shape) != (len(test), len(some)):
                    raise CaptumAssertion(
                        "similarity_metric must give one number for each pair, "
                        f"{len(test), len(some)} for a batch; got the shape {tuple(part.shape)}."
                    )
                parts.append(part)
                zeros.append((test.flatten(1) == 0).all(1)[:, None] | (some.flatten(1) == 0).all(1))
        return torch.cat(parts, 1), torch.cat(zeros, 1)

    def _sources(self, points: Mapping[str, ModulePoint], from_disk: bool) -> dict[str, ActivationFiles]:
        """The tensors of the training examples at the layers, in files; those of the folder if they are of now."""
        key = _digest(self.module.state_dict().items(), self.influence_src_dataloader)
        folder = Path(self.activation_dir, self.model_id)
        files = {layer: ActivationFiles(folder / f"{layer}.{key}") for layer in points}
        if from_disk and all(file.complete() for file in files.values()):
            return files
        batches = progress(self.influence_src_dataloader, False, self.get_name())
        try:
            self._run((_as_source(data) for data in batches), points, lambda layer, tensor: files[layer].add(tensor))
            for file in files.values():
                file.finish()
        except BaseException:  # also Ctrl-C
            for file in files.values():
                file.discard()
            raise
        return files

    def _run(
        self, calls: Iterable[Batch], points: Mapping[str, ModulePoint], keep: Callable[[str, Tensor], None]
    ) -> None:
        """Runs the model; `keep` is called with each layer and its tensor (B, *), call by call."""
        device = device_of(self.module)
        with torch.no_grad(), frozen_model(self.module):
            for call in calls:
                call = (
                    Batch.of((*call.args, None), device)
                    if call.args
                    else Batch.of(dict(call.kwargs), device, own_loss=True)
                )
                with captured(list(points.values()), differentiable=None) as at:
                    self.module(*call.args, **call.kwargs)
                for layer, point in points.items():
                    tensor = at[point]
                    tensor = tensor[0] if isinstance(tensor, tuple) else tensor
                    keep(layer, tensor)


def _as_call(inputs: Any, extra: tuple[Any, ...]) -> Batch:
    if isinstance(inputs, Mapping):
        return Batch((), {**inputs}, None)
    return Batch((*(inputs if isinstance(inputs, tuple) else (inputs,)), *extra), {}, None)


def _as_source(data: Any) -> Batch:
    """The model's input in a batch of the training data, without labels."""
    if isinstance(data, Mapping):
        return Batch((), Batch.of(data, torch.device("cpu")).kwargs, None)
    first = data[0] if isinstance(data, (tuple, list)) else data
    return _as_call(tuple(first) if isinstance(first, (tuple, list)) else first, ())


def _digest(weights: Iterable[tuple[str, Tensor]], batches: Iterable[Any]) -> str:
    """A name for weights and data: other ones have another name."""
    digest = hashlib.blake2b(digest_size=8)

    def add(tensor: Tensor) -> None:
        digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)

    for _, tensor in weights:
        add(tensor)
    for batch in batches:
        for tensor in _as_source(batch).tensors:
            add(tensor)
    return digest.hexdigest()
