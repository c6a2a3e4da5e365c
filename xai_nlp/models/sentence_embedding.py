"""Sentence embeddings: what follows an encoder in a model of sentence-transformers, from its files or its object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from xai_nlp.errors import UnknownName, UnreadableFile, Unsupported

#: name of a pooling -> the key that says so in the config of a sentence-transformers model, in the order of its outputs
POOLINGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "Identity": nn.Identity, "Tanh": nn.Tanh, "ReLU": nn.ReLU, "GELU": nn.GELU, "SiLU": nn.SiLU, "Sigmoid": nn.Sigmoid
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """A linear layer and its activation, with weights that take no gradient."""

    weight: Tensor  # (E, D)
    bias: Tensor | None
    activation: nn.Module

    def __call__(self, pooled: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(pooled)
        return self.activation(linear(pooled, self.weight.to(pooled), bias))


def unit_length(pooled: Tensor) -> Tensor:
    """Vectors (R, E) divided by their lengths; in operations that every method has a rule for."""
    return pooled * (pooled * pooled).sum(-1, keepdim=True).clamp_min(1e-24).rsqrt()


@dataclass(frozen=True, eq=False)
class EmbeddingHead:
    """From an encoder's hidden states to one vector for each text.

    poolings: keys of POOLINGS; several are put one after another. layers: what follows: dense layers, normalisation.
    """

    poolings: tuple[str, ...] = ("mean",)
    layers: tuple[Callable[[Tensor], Tensor], ...] = ()

    def __call__(self, hidden: Tensor, mask: Tensor, pooling: str | None = None) -> Tensor:
        """The embeddings (R, E) of hidden states (R, L, D); mask: (R, L), 1 for tokens and 0 for padding.

        pooling: another pooling than the model's own. Sums are in float32 or wider.
        """
        hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        mask = mask[:, :, None].to(hidden)
        pooled = torch.cat([_pool(name, hidden, mask) for name in ([pooling] if pooling else self.poolings)], -1)
        for layer in self.layers:
            pooled = layer(pooled)
        return pooled

    @classmethod
    def of_object(cls, modules: Sequence[Any]) -> EmbeddingHead:
        """The head of a `SentenceTransformer`, from its modules after the encoder.

        Raises Unsupported for a module that is none of Pooling, Dense and Normalize.
        """
        return _head([(type(module).__name__, *_object_module(module)) for module in modules])

    @classmethod
    def of_files(cls, where: str | Path, **options: Any) -> EmbeddingHead:
        """The head that a folder or a hub name describes, or mean pooling if it describes none.

        options: of `transformers.utils.cached_file`. Raises Unsupported as `of_object`, and for a prompt that goes
        before each text; UnreadableFile for broken JSON.
        """
        from transformers.utils import cached_file

        optional = {**options, "_raise_exceptions_for_missing_entries": False}

        def path_of(name: str) -> Path | None:
            found = cached_file(where, name, **optional)
            return None if found is None else Path(found)

        listed = _json(path_of("modules.json"))
        if not isinstance(listed, list):
            return cls()
        _check_prompt((_json(path_of("config_sentence_transformers.json")) or {}).get("default_prompt_name"))
        modules = []
        for one in listed[1:]:  # after the encoder
            folder, name = one.get("path", ""), str(one.get("type", "")).rpartition(".")[2]
            config = _json(path_of(f"{folder}/config.json")) or {}
            weights = path_of(f"{folder}/model.safetensors") if name == "Dense" else None
            modules.append((name, config, _weights(weights, folder) if name == "Dense" else {}))
        return _head(modules)


def _pool(name: str, hidden: Tensor, mask: Tensor) -> Tensor:
    if name == "cls":
        return hidden[:, 0]
    if name == "max":
        return hidden.masked_fill(mask == 0, -torch.inf).amax(1)
    return (hidden * mask).sum(1) / mask.sum(1)


def _head(modules: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Tensor]]]) -> EmbeddingHead:
    """The head made of modules: the name of the class, the config, and the weights of each."""
    poolings: tuple[str, ...] = ()
    layers: list[Callable[[Tensor], Tensor]] = []
    for name, config, weights in modules:
        if name == "Pooling" and not poolings:
            poolings = _poolings(config)
        elif name == "Dense" and poolings:
            layers.append(_dense(config, weights))
        elif name == "Normalize":
            layers.append(unit_length)
        else:
            raise Unsupported(
                f"this sentence-transformers model has a module {name!r} at a place where it is not supported; "
                "supported are Pooling, then Dense and Normalize."
            )
    return EmbeddingHead(poolings or ("mean",), tuple(layers))


def _poolings(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The poolings that a config asks for. Raises Unsupported for another one than those in POOLINGS."""
    if isinstance(config.get("pooling_mode"), str):
        chosen = config["pooling_mode"].split("+")
    else:
        short = {key: name for name, key in POOLINGS.items()}
        keys = [*short, *(key for key in config if key.startswith("pooling_mode_") and key not in short)]
        chosen = [short.get(key, key.removeprefix("pooling_mode_")) for key in keys if config.get(key)]
    for name in chosen:
        if name not in POOLINGS:
            raise Unsupported(f"this model pools by {name!r}; supported are {', '.join(POOLINGS)}.")
    return tuple(chosen) or ("mean",)


def _dense(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> DenseLayer:
    name = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if name not in ACTIVATIONS:
        raise UnknownName("activation of a dense layer", name, ACTIVATIONS)
    return DenseLayer(weights["linear.weight"], weights.get("linear.bias"), ACTIVATIONS[name]())


def _object_module(module: Any) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    """The config and the weights of a module object, as its files would hold them."""
    if hasattr(module, "linear"):
        weights = {f"linear.{name}": p.detach() for name, p in module.linear.named_parameters()}
        return {"activation_function": type(module.activation_function).__name__}, weights
    read = getattr(module, "get_config_dict", None)
    return (read() if read else vars(module)), {}


def _json(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableFile(f"{path} is no JSON: {error}.") from None


def _weights(path: Path | None, folder: str) -> Mapping[str, Tensor]:
    """The weights of a dense layer. Raises Unsupported without a safetensors file: others may run code."""
    if path is None:
        raise Unsupported(f"the weights in {folder!r} are not in a safetensors file; save the model again with them.")
    from safetensors.torch import load_file

    return load_file(path)


def _check_prompt(name: str | None) -> None:
    """Refuse a model that puts a prompt before each text: the explained text would be another one."""
    if name is not None:
        raise Unsupported(
            f"this model puts its prompt {name!r} before each text. Put it there yourself, "
            "and set default_prompt_name=None."
        )


def encoder_of_object(source: Any) -> tuple[Any, Any, EmbeddingHead | None]:
    """The model inside an object of sentence-transformers, its tokenizer, and its head; None of another kind of object.

    A `SentenceTransformer` is a sequence of modules: the encoder, then pooling and others. A `CrossEncoder` holds a
    classifier and its tokenizer, and in newer versions is a sequence of this one module. The library is not needed: the
    attributes tell. Raises Unsupported for a prompt that goes before each text, and for shortened embeddings.
    """
    modules = list(source) if isinstance(source, nn.Sequential) else []
    encoder = getattr(modules[0], "auto_model", getattr(modules[0], "model", None)) if modules else None
    if isinstance(encoder, nn.Module) and hasattr(source, "tokenizer"):
        _check_prompt(getattr(source, "default_prompt_name", None))
        if (size := getattr(source, "truncate_dim", None)) is not None:
            raise Unsupported(f"this model keeps the first {size} numbers of an embedding; set truncate_dim=None.")
        return encoder, source.tokenizer, EmbeddingHead.of_object(modules[1:]) if modules[1:] else None
    inner = getattr(source, "model", None)
    if isinstance(inner, nn.Module) and getattr(source, "tokenizer", None) is not None:
        return inner, source.tokenizer, None
    return source, None, None
