"""Tiny models with one planted fault each, for the checks of the doctor."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import NormalizedString, pre_tokenizers
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

import xai_nlp
from tests.models import tiny_images
from tests.models.tiny import tiny

Faulty = tuple[Any, Any]  # a model and its tokenizer


def model() -> Faulty:
    return tiny("bert", fresh=True)


def embedding_called_but_not_used() -> Faulty:
    """The encoder reads embeddings of its own; those of the model's embedding layer go nowhere."""
    bert, tokenizer = model()
    own, forward, ids = copy.deepcopy(bert.bert.embeddings), bert.bert.encoder.forward, []

    def read_ids(module: Any, args: Any, kwargs: Any) -> None:
        ids[:] = [kwargs["input_ids"]]

    bert.bert.embeddings.register_forward_pre_hook(read_ids, with_kwargs=True)
    bert.bert.encoder.forward = lambda hidden, *args, **kwargs: forward(own(ids[0]), *args, **kwargs)
    return bert, tokenizer


def positions_not_used() -> Faulty:
    """The table of positions is called, and its output multiplied by zero."""
    bert, tokenizer = model()
    embeddings = bert.bert.embeddings

    def forward(input_ids: Any = None, token_type_ids: Any = None, position_ids: Any = None, **_: Any) -> Any:
        kinds = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        places = embeddings.position_embeddings(torch.arange(input_ids.shape[1])[None])
        total = embeddings.word_embeddings(input_ids) + embeddings.token_type_embeddings(kinds) + places * 0
        return embeddings.LayerNorm(total)

    embeddings.forward = forward
    return bert, tokenizer


def wrong_offsets() -> Faulty:
    """Each word is a string of its own to the tokenizer, so that offsets begin anew."""

    class Apart:
        def pre_tokenize(self, text: Any) -> None:
            text.split(lambda _, part: [NormalizedString(word) for word in str(part).split()])

    bert, tokenizer = model()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(Apart())
    return bert, tokenizer


def slow_tokenizer() -> Faulty:
    """A tokenizer in Python, which gives no offsets."""
    return model()[0], SimpleNamespace(is_fast=False, pad_token_id=0)


def table_too_small() -> Faulty:
    """The last words of the tokenizer have no vector; the example holds none of them."""
    bert, tokenizer = model()
    table = bert.bert.embeddings.word_embeddings
    table.weight = nn.Parameter(table.weight[:-2].detach())
    return bert, tokenizer


def added_tokens() -> Faulty:
    """Tokens were added, and the table was not resized."""
    bert, tokenizer = model()
    tokenizer.add_tokens(["xai"])
    return bert, tokenizer


def training_mode() -> Faulty:
    bert, tokenizer = model()
    return bert.train(), tokenizer


def nan_weights() -> Faulty:
    bert, tokenizer = model()
    bert.bert.encoder.layer[1].output.dense.weight.data[3, 5] = torch.nan
    return bert, tokenizer


def infinite_weights_apart() -> Faulty:
    """The vector of a word that the example does not hold."""
    bert, tokenizer = model()
    bert.bert.embeddings.word_embeddings.weight.data[-1] = torch.inf
    return bert, tokenizer


def attention_not_replaced() -> Faulty:
    """Attention goes through transformers' interface, and its result is thrown away."""
    bert, tokenizer = model()
    for layer in bert.bert.encoder.layer:
        _computes_its_own(layer.attention.self)
    return bert, tokenizer


def _computes_its_own(attention: Any) -> None:
    interface = attention.forward

    def forward(hidden: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
        _, weights = interface(hidden, attention_mask, **kwargs)
        shape = (*hidden.shape[:2], attention.num_attention_heads, -1)
        q, k, v = (
            part(hidden).view(shape).transpose(1, 2) for part in (attention.query, attention.key, attention.value)
        )
        scores = q @ k.transpose(2, 3) * attention.scaling
        if attention_mask is not None:
            boolean = attention_mask.dtype == torch.bool
            scores = scores.masked_fill(~attention_mask, -1e9) if boolean else scores + attention_mask
        return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2), weights

    attention.forward = forward


def attention_of_its_own_kind() -> Faulty:
    """A registered attention function that transformers' own does not equal: it halves the scores."""
    bert, tokenizer = model()

    def halved(module: Any, q: Any, k: Any, v: Any, mask: Any, scaling: Any = None, **_: Any) -> Any:
        weights = (q @ k.transpose(2, 3) * scaling / 2 + (0 if mask is None else mask)).softmax(-1)
        return (weights @ v).transpose(1, 2), weights

    AttentionInterface.register("halved", halved)
    AttentionMaskInterface.register("halved", eager_mask)
    bert.set_attn_implementation("halved")
    return bert, tokenizer


def image_not_read() -> Any:
    """A classifier of images that sees black whatever it is given."""
    vit = copy.deepcopy(tiny_images.loaded("vit"))
    embeddings, forward = vit.model.vit.embeddings, vit.model.vit.embeddings.forward
    embeddings.forward = lambda pixel_values, *args, **kwargs: forward(pixel_values * 0, *args, **kwargs)
    return xai_nlp.load(vit.model, processor=vit.processor, task="image-classification")


def attention_out_of_reach() -> Faulty:
    """Attention is computed in a way of its own: neither by the interface nor by a family that is known."""
    bert, tokenizer = model()

    class Own(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.query, self.key, self.value = inner.query, inner.key, inner.value
            self.num_attention_heads, self.scaling = inner.num_attention_heads, inner.scaling
            self.forward = lambda hidden, *args, **kwargs: (None, None)
            _computes_its_own(self)
            self.eval()

    for layer in bert.bert.encoder.layer:
        layer.attention.self = Own(layer.attention.self)
    return bert, tokenizer


def padding_read() -> Faulty:
    """The attention mask is thrown away."""
    bert, tokenizer = model()
    forward = bert.forward
    bert.forward = lambda input_ids, attention_mask=None, **kwargs: forward(input_ids, **kwargs)
    return bert, tokenizer


class AfterHead(nn.Module):
    """A classifier whose logits are changed by a function of the batch."""

    def __init__(self, head: nn.Module, change: Any) -> None:
        super().__init__()
        self.head, self.change = head, change

    def forward(self, hidden: Any) -> Any:
        return self.change(self.head(hidden))


def changed_logits(change: Any) -> Faulty:
    bert, tokenizer = model()
    bert.classifier = AfterHead(bert.classifier, change)
    return bert.eval(), tokenizer


def batch_statistics() -> Faulty:
    """Logits are compared with the mean of their batch, as batch norm without running statistics does."""
    return changed_logits(lambda logits: logits - logits.mean(0, keepdim=True) / 2)


def batch_order() -> Faulty:
    """Logits depend on their row's number."""
    return changed_logits(lambda logits: logits + 0.1 * torch.arange(len(logits))[:, None])


def random_output() -> Faulty:
    """Noise in every pass, whatever the model's mode."""
    return changed_logits(lambda logits: logits + torch.randn_like(logits))


def gradient_detached() -> Faulty:
    bert, tokenizer = model()
    forward = bert.bert.encoder.forward
    bert.bert.encoder.forward = lambda hidden, *args, **kwargs: forward(hidden.detach(), *args, **kwargs)
    return bert, tokenizer


def gradient_rounded_away() -> Faulty:
    """Hidden states are rounded, as in quantisation without a gradient of its own: it is 0."""
    bert, tokenizer = model()
    forward = bert.bert.encoder.forward
    bert.bert.encoder.forward = lambda hidden, *args, **kwargs: forward((hidden * 1e3).round() / 1e3, *args, **kwargs)
    return bert, tokenizer


def gradient_of_a_part() -> Faulty:
    """The residual connection of the first layer is cut."""
    bert, tokenizer = model()
    output = bert.bert.encoder.layer[0].attention.output
    output.forward = lambda hidden, inputs: output.LayerNorm(output.dense(hidden) + inputs.detach())
    return bert, tokenizer


def without_gradient() -> Faulty:
    bert, tokenizer = model()
    bert.forward = torch.no_grad()(bert.forward)
    return bert, tokenizer


def layer_skipped() -> Faulty:
    """The last layer runs, and the pooler reads the one before it."""
    bert, tokenizer = model()
    last = bert.bert.encoder.layer[-1]
    bert.bert.encoder.register_forward_pre_hook(lambda *_: kept.clear())
    kept: list[Any] = []
    last.register_forward_pre_hook(lambda module, args: kept.append(args[0]))
    forward = bert.bert.pooler.forward
    bert.bert.pooler.forward = lambda hidden: forward(kept[0])
    return bert, tokenizer


def int8() -> Faulty:
    bert, tokenizer = model()
    return torch.ao.quantization.quantize_dynamic(bert, {nn.Linear}, dtype=torch.qint8).eval(), tokenizer


def half_precision() -> Faulty:
    bert, tokenizer = model()
    return bert.to(torch.bfloat16), tokenizer


def two_dtypes() -> Faulty:
    """Weights of two dtypes; a cast stands between them."""
    bert, tokenizer = model()
    bert.classifier = AfterHead(bert.classifier.to(torch.float64), lambda logits: logits).eval()
    head = bert.classifier.forward
    bert.classifier.forward = lambda hidden: head(hidden.double())
    return bert, tokenizer


def without_pad() -> Faulty:
    gpt, tokenizer = tiny("gpt2", fresh=True)
    tokenizer.pad_token = None
    gpt.config.pad_token_id = None
    return gpt, tokenizer
