"""Checks of a model and its tokenizer as they lie there: no pass through the model is made."""

from __future__ import annotations

import unicodedata
from collections import Counter
from itertools import chain

import torch
from torch import nn

from xai_nlp.core.diagnosis import Check, error, ok, warning
from xai_nlp.core.result import SPECIAL
from xai_nlp.models.tokenization import segments_of
from xai_nlp.tasks.probe import Probe

LISTED = 3  # names that a sentence lists
PART_OF_A_CHARACTER = "\ufffd"  # what some bytes of a character are decoded to
ROUGH = {"float16": "a thousandth", "bfloat16": "a hundredth"}  # rounding of numbers of a dtype
AGREE = 0.8  # the share of tokens whose characters must be those at their offsets
WHOLE_NUMBERS = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "bitsandbytes", "torchao", "auto_gptq")


def tokenizer(probe: Probe) -> Check | None:
    """Do the tokens stand in the text where their offsets say?"""
    explainer = probe.explainer
    if explainer.tokenizer is None:
        return None
    texts, agreeing, read, tokens = explainer.texts(probe.request()), 0, 0, 0
    characters = 0
    for window in probe.windows:
        parts = segments_of(texts[window.example])
        inside: list[set[int]] = [set() for _ in parts]
        for id, (start, end), segment in zip(window.inputs["input_ids"], window.offsets, window.segment, strict=True):
            if segment != SPECIAL:
                text, piece = parts[segment][start:end], explainer.tokenizer.decode([id])
                alone = id != explainer.token_id("unk_token_id") and PART_OF_A_CHARACTER not in piece
                agrees = _letters(piece) == _letters(text) if alone else end > start
                tokens, agreeing = tokens + 1, agreeing + agrees
                inside[segment].update(i for i in range(start, end) if not parts[segment][i].isspace())
        read += sum(map(len, inside))
        characters += sum(not character.isspace() for part in parts for character in part)
    name = type(explainer.tokenizer).__name__
    if agreeing < AGREE * tokens or read < AGREE * characters:
        return error(
            f"The offsets of {name} are wrong: {agreeing} of {tokens} tokens stand where their offsets say, and "
            f"{read} of {characters} letters belong to a token. Scores would be shown under the wrong words.",
            "Load the tokenizer that was saved with the model: AutoTokenizer.from_pretrained(folder, use_fast=True). "
            "If it is that one, build its tokenizer.json anew with the `tokenizers` library.",
        )
    return ok("Each token says where it stands in the text.", tokens=tokens)


def _letters(text: str) -> str:
    """The letters and digits of a text, without case and accents, which tokenizers may drop."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if c.isalnum())


def vocabulary(probe: Probe) -> Check | None:
    """Has every token of the tokenizer a vector?"""
    explainer = probe.explainer
    if explainer.tokenizer is None:
        return None
    rows = explainer.model.get_input_embeddings().weight.shape[0]
    words = explainer.tokenizer.get_vocab()
    beyond = sorted((token for token, id in words.items() if id >= rows), key=words.__getitem__)
    sizes = {"tokens": len(words), "vectors": rows}
    if not beyond:
        return ok(f"Each of the tokenizer's {len(words):,} tokens has a vector.", **sizes)
    sentence = (
        f"{len(beyond):,} of the tokenizer's {len(words):,} tokens have no vector, such as {listed(beyond)}: the table "
        f"has {rows:,} rows."
    )
    fix = (
        "Load the tokenizer that was saved with the model. If tokens were added, "
        "model.resize_token_embeddings(len(tokenizer)), then train their vectors."
    )
    added = {*explainer.tokenizer.get_added_vocab(), *explainer.tokenizer.all_special_tokens}
    if added.issuperset(beyond):
        return warning(f"{sentence} Texts without them can be explained.", fix, **sizes)
    return error(f"{sentence} Texts that hold one are refused.", fix, **sizes)


def weights(probe: Probe) -> Check:
    """Are all weights finite numbers?"""
    model = probe.explainer.model
    running = ((name, tensor) for name, tensor in model.named_buffers() if "running_" in name)
    parameters = list(model.named_parameters())
    broken = [
        name
        for name, tensor in chain(parameters, running)
        if tensor.is_floating_point() and not tensor.is_meta and not tensor.isfinite().all()
    ]
    if broken:
        return error(
            f"{len(broken)} of {len(parameters)} weights hold NaN or infinity: {listed(broken)}.",
            "Load another checkpoint: training diverged, or the file is damaged. If the weights were converted to "
            "float16, load them with dtype='float32'.",
            broken=len(broken),
        )
    count = sum(tensor.numel() for _, tensor in parameters)
    size = sum(tensor.numel() * tensor.element_size() for _, tensor in parameters)
    return ok(f"All {count:,} numbers are finite.", parameters=count, bytes=size)


def dtype(probe: Probe) -> Check:
    """Are the weights precise enough?"""
    counts = Counter[torch.dtype]()
    for tensor in probe.explainer.model.parameters():
        if tensor.is_floating_point():
            counts[tensor.dtype] += tensor.numel()
    names = [str(kind).removeprefix("torch.") for kind, _ in counts.most_common()]
    rough = [name for name, kind in zip(names, counts, strict=False) if torch.finfo(kind).bits < 32]
    if len(names) > 1:
        return warning(
            f"The weights are partly {' and partly '.join(names)}: the coarser ones set the precision.",
            "Load all in one: xai_nlp.load(…, dtype='float32').",
        )
    if rough:
        return warning(
            f"The weights are {rough[0]}: scores carry rounding errors of about {ROUGH.get(rough[0], 'a tenth')} of "
            "the output.",
            "For exact numbers load the model with dtype='float32'.",
        )
    return ok(f"The weights are {names[0]}." if names else "There are no floating-point weights.")


def quantisation(probe: Probe) -> Check:
    """Are weights stored in few bits?"""
    model = probe.explainer.model
    settings = getattr(getattr(model, "config", None), "quantization_config", None)
    inside = {path for path, one in model.named_modules() if type(one).__module__.startswith(WHOLE_NUMBERS)}
    modules = [path for path, _ in model.named_modules() if path in inside and path.rpartition(".")[0] not in inside]
    whole = [name for name, tensor in model.named_parameters() if not tensor.is_floating_point()]
    if not (settings or modules or whole or getattr(model, "is_quantized", False)):
        return ok("No weight is quantised.")
    method = getattr(settings, "quant_method", "") or (settings or {}).get("quant_method", "") if settings else ""
    where = f": {listed(modules or whole)}" if modules or whole else ""
    return warning(
        f"The model is quantised{f' by {method}' if method else ''}{where}. Gradients may be coarse, or not pass.",
        "Explain the model as it was before quantisation. If gradients do not pass (see `gradients`), use a method "
        "without them: method='occlusion', 'shapley', 'kernel_shap' or 'lime'.",
        modules=len(modules),
    )


def devices(probe: Probe) -> Check:
    """Where are the weights?"""
    model = probe.explainer.model
    places = Counter(str(tensor.device) for tensor in chain(model.parameters(), model.buffers()))
    offloaded = places.pop("meta", 0)
    names = " and ".join(sorted(places)) or "no device"
    if offloaded:
        return warning(
            f"{offloaded} weights are offloaded, and come to {names} for each pass, which is slow.",
            "Give the model more memory (device_map, max_memory), or load it in a smaller dtype.",
        )
    return ok(f"The weights are on {names}.", devices=len(places))


def evaluation_mode(probe: Probe) -> Check:
    """Is dropout off?"""
    if not probe.training:
        return ok("The model is in evaluation mode.")
    model = probe.explainer.model
    random = [path for path in probe.training if isinstance(model.get_submodule(path), nn.modules.dropout._DropoutNd)]
    return warning(
        f"{len(probe.training)} modules, {len(random)} of them dropout, were left in training mode: the model's own "
        "predictions may be random. Those that are explained are not: explanations are made in evaluation mode.",
        "model.eval() before you use the model.",
        modules=len(probe.training),
    )


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(name or "the model itself" for name in names[:LISTED]) + more
