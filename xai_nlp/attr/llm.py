"""Captum's names for what in a prompt drove the answer of a language model, by any of the other methods here.

The answer is forced: the model reads it after the prompt, and what is scored is the log-probability of its tokens.
Several perturbed prompts of one length are read at once. The numbers are Captum's but where Captum 0.9 is wrong: with a
cache it hands models of transformers 5 the whole prompt again at every token; and several samples of LayerGradientShap
repeat the answer's tokens too, so that all but the first are scored for another token than their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from xai_nlp.attr.base import Attribution, InternalAttribution
from xai_nlp.attr.interpretable import ImageMaskInput, InterpretableInput, TextTemplateInput, TextTokenInput
from xai_nlp.attr.layers import LayerGradientXActivation, LayerIntegratedGradients
from xai_nlp.attr.llm_result import LLMAttributionResult
from xai_nlp.attr.noise import LayerGradientShap
from xai_nlp.attr.perturbation import FeatureAblation, ShapleyValues, ShapleyValueSampling
from xai_nlp.attr.surrogate import KernelShap, Lime
from xai_nlp.core.batching import Batching
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.hooks.onednn import onednn_products
from xai_nlp.models.layout import text_config
from xai_nlp.models.teacher_forcing import (
    answer_log_probs,
    answer_log_probs_stepwise,
    append_answer,
    last_logits,
    token_log_probs,
)

DEFAULT_GEN_ARGS: dict[str, Any] = {"max_new_tokens": 25, "do_sample": False, "temperature": None, "top_p": None}
AT_ONCE = 64  # prompts that are made ready, and read if there is room; images among them take some
WIDTH = 1024  # entries of a token, in a model that does not tell
BROKEN = "\ufffd"  # what bytes are decoded to that are not a whole character

Inputs = dict[str, Any]  # arguments of a model
Inspect = Callable[[str, str, list[float]], None]  # prompt, answer, and the probabilities of it and of its tokens


class WrongType(InvalidInput, TypeError):
    """A target that is neither a text nor tokens."""


class BaseLLMAttribution(Attribution):
    """What both kinds share: a method of a model, the model's tokenizer, and an answer that is given or generated."""

    SUPPORTED_METHODS: ClassVar[tuple[type[Attribution], ...]]
    SUPPORTED_INPUTS: ClassVar[tuple[type[InterpretableInput], ...]]

    def __init__(self, attr_method: Attribution, tokenizer: Any) -> None:
        if not isinstance(attr_method, self.SUPPORTED_METHODS):
            raise CaptumAssertion(
                f"{type(self).__name__} goes with {_listed(self.SUPPORTED_METHODS)}; got {attr_method!r}."
            )
        super().__init__(attr_method.forward_func)
        self.attr_method = copy(attr_method)
        self.model = cast(Any, attr_method.forward_func)
        self.tokenizer = tokenizer
        self.device = device_of(self.model) if isinstance(self.model, nn.Module) else self.model.device

    def _target(self, inp: InterpretableInput, target: str | Tensor | None, gen_args: dict[str, Any] | None) -> Tensor:
        """The tokens of the answer, given or generated: (n,)."""
        if not isinstance(inp, self.SUPPORTED_INPUTS):
            raise CaptumAssertion(
                f"{type(self).__name__} takes {_listed(self.SUPPORTED_INPUTS)}; got {type(inp).__name__}."
            )
        if target is not None and gen_args is not None:
            raise CaptumAssertion(
                "gen_args say how to generate an answer, and one is given as the target; leave out either."
            )
        if target is None:
            tokens = self._generated(inp, gen_args or DEFAULT_GEN_ARGS)
        elif isinstance(target, str):
            tokens = torch.tensor(self.tokenizer.encode(target, add_special_tokens=False), dtype=torch.long)
        elif isinstance(target, Tensor):
            tokens = target
        else:
            raise WrongType(f"the target is a text, a tensor of token ids, or None; got {type(target).__name__}.")
        if not len(tokens):
            raise CaptumAssertion("there is no token in the answer to explain.")
        return tokens.to(self.device)

    def _generated(self, inp: InterpretableInput, gen_args: dict[str, Any]) -> Tensor:
        if not callable(getattr(self.model, "generate", None)):
            raise CaptumAssertion(f"{type(self.model).__name__} cannot generate; give the answer: target='…'.")
        inputs = self._inputs(inp.to_model_input())
        return self.model.generate(**inputs, **gen_args)[0][inputs["input_ids"].shape[1] :]

    def _inputs(self, given: str | Tensor | Mapping[str, Any]) -> Inputs:
        """A text, token ids, or what a processor made, as arguments of the model."""
        if isinstance(given, str):
            given = self.tokenizer.encode(given, return_tensors="pt")
        if isinstance(given, Tensor):
            given = {"input_ids": given}
        if not isinstance(given, Mapping):
            raise CaptumAssertion(
                f"a prompt is a text, token ids, or what a processor gives; got {type(given).__name__}."
            )
        return {name: t.to(self.device) if isinstance(t, Tensor) else t for name, t in given.items()}

    def attribute_future(self) -> Callable[[], LLMAttributionResult]:
        """Raises Unsupported: there is no asynchronous form."""
        return super().attribute_future()


class LLMAttribution(BaseLLMAttribution):
    """What the answer loses when features of the prompt are absent: ablation, Shapley values, LIME or kernel SHAP.

    attr_target: "log_prob", or "prob" for probabilities. LIME and kernel SHAP score the answer as a whole alone.
    Raises CaptumAssertion for another method, UnknownChoice for another attr_target.
    """

    SUPPORTED_METHODS = (FeatureAblation, ShapleyValueSampling, ShapleyValues, Lime, KernelShap)
    SUPPORTED_PER_TOKEN_ATTR_METHODS = (FeatureAblation, ShapleyValueSampling, ShapleyValues)
    SUPPORTED_INPUTS = (TextTemplateInput, TextTokenInput, ImageMaskInput)

    def __init__(self, attr_method: Any, tokenizer: Any, attr_target: str = "log_prob") -> None:
        super().__init__(attr_method, tokenizer)
        if isinstance(attr_method, InternalAttribution):
            raise CaptumAssertion(
                f"features of a prompt are taken away at the input, not at a layer; got {attr_method!r}."
            )
        if attr_target not in ("log_prob", "prob"):
            raise UnknownChoice("attr_target", attr_target, ("log_prob", "prob"))
        self.attr_target = attr_target
        self.include_per_token_attr = isinstance(attr_method, self.SUPPORTED_PER_TOKEN_ATTR_METHODS)

    def attribute(
        self,
        inp: InterpretableInput,
        target: str | Tensor | None = None,
        num_trials: int = 1,
        gen_args: dict[str, Any] | None = None,
        use_cached_outputs: bool = True,
        _inspect_forward: Inspect | None = None,
        forward_in_tokens: bool = True,
        **kwargs: Any,
    ) -> LLMAttributionResult:
        """Scores of the prompt's features, the mean of `num_trials`.

        target: the answer, as a text or as token ids (n,); None lets the model generate one by `gen_args`.
        forward_in_tokens: the answer is read token by token, as it would be written; without, in one pass.
        use_cached_outputs: token by token, what was read is not read again, where the model keeps it.
        kwargs: options of the method's `attribute`.
        Raises CaptumAssertion for another kind of input or an empty answer, TypeError for a target of another type.
        """
        tokens = self._target(inp, target, gen_args)
        read = partial(answer_log_probs_stepwise, cached=use_cached_outputs) if forward_in_tokens else answer_log_probs
        method = copy(self.attr_method)
        method.forward_func = partial(self._values, inp=inp, tokens=tokens, read=read, inspect=_inspect_forward)
        count = 1 + len(tokens) if self.include_per_token_attr else 1
        with onednn_products(self.model):
            trials = [
                method.attribute(inp.to_tensor().to(self.device), **kwargs).reshape(count, inp.n_itp_features)
                for _ in range(num_trials)
            ]
        scores = inp.format_attr(torch.stack(trials).mean(0))
        return LLMAttributionResult(
            seq_attr=scores[0],
            token_attr=scores[1:] if self.include_per_token_attr else None,
            input_tokens=inp.values,
            output_tokens=readable(tokens.tolist(), self.tokenizer),
            inp=inp,
        )

    @torch.no_grad()
    def _values(
        self,
        features: Tensor,
        *,
        inp: InterpretableInput,
        tokens: Tensor,
        read: Callable[..., Tensor],
        inspect: Inspect | None,
    ) -> Tensor:
        """What is scored where these features (R, M) are present: (R, 1 + n), the answer as a whole first; or (R,)."""
        parts = []
        for part in features.split(AT_ONCE):
            prompts = [inp.to_model_input(row[None]) for row in part]
            each = self._read(prompts, tokens, read)
            parts.append(torch.cat([each.sum(1, keepdim=True), each], 1))
            for prompt, probabilities in zip(prompts, parts[-1].exp().tolist(), strict=True):
                if inspect:
                    inspect(self._as_text(prompt), self.tokenizer.decode(tokens), probabilities)
        told = torch.cat(parts)
        told = told if self.include_per_token_attr else told[:, 0]
        return told if self.attr_target == "log_prob" else told.exp()

    def _as_text(self, prompt: Any) -> Any:
        """Token ids as the text they are; a text is one."""
        ids = prompt["input_ids"] if isinstance(prompt, Mapping) else prompt
        return self.tokenizer.decode(ids.flatten()) if isinstance(ids, Tensor) else ids

    def _read(self, prompts: Sequence[Any], tokens: Tensor, read: Callable[..., Tensor]) -> Tensor:
        """The log-probability of each token of the answer, after each prompt: (R, n)."""
        found: dict[int, Tensor] = {}
        for where, inputs in _together([self._inputs(prompt) for prompt in prompts]):
            width = getattr(text_config(self.model), "hidden_size", WIDTH)
            entries = (inputs["input_ids"].shape[1] + len(tokens)) * width

            def work(part: slice, inputs: Inputs = inputs) -> Tensor:
                many = len(inputs["input_ids"]) > 1
                return read(self.model, {n: t[part] for n, t in inputs.items()} if many else inputs, tokens)

            for part, each in Batching().chunks(len(where), entries, self.device, work):
                found.update(zip(where[part], each, strict=True))
        return torch.stack([found[i] for i in range(len(prompts))])


class LLMGradientAttribution(BaseLLMAttribution):
    """Scores of the prompt's tokens by gradients at a layer, as a rule the embedding layer: for each token of the
    answer, and their sum for the answer.

    One sweep over prompt and answer gives the log-probabilities of all of the answer's tokens, and a backward pass each
    the scores, if the model is causal. A model whose log-probabilities depend on later tokens gets a sweep for each.
    Raises CaptumAssertion for another method.
    """

    SUPPORTED_METHODS = (LayerGradientShap, LayerGradientXActivation, LayerIntegratedGradients)
    SUPPORTED_INPUTS = (TextTokenInput,)

    def __init__(self, attr_method: Any, tokenizer: Any) -> None:
        super().__init__(attr_method, tokenizer)

    def attribute(
        self,
        inp: InterpretableInput,
        target: str | Tensor | None = None,
        gen_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> LLMAttributionResult:
        """Scores of the prompt's tokens; arguments and errors are those of `LLMAttribution.attribute`."""
        tokens = self._target(inp, target, gen_args)
        assert isinstance(inp, TextTokenInput)
        with frozen_model(self.model):
            if self._is_causal(inp, tokens):
                scores = self._token_scores(inp, tokens, len(tokens), **kwargs)
            else:
                prefixes = [tokens[: k + 1] for k in range(len(tokens))]
                scores = torch.cat([self._token_scores(inp, prefix, 1, **kwargs) for prefix in prefixes])
        if inp.itp_mask is not None:
            scores = scores[:, inp.itp_mask[0].to(scores.device)]
        return LLMAttributionResult(
            seq_attr=scores.sum(0),
            token_attr=scores,
            input_tokens=inp.values,
            output_tokens=readable(tokens.tolist(), self.tokenizer),
            inp=inp,
        )

    def _token_scores(self, inp: TextTokenInput, tokens: Tensor, count: int, **kwargs: Any) -> Tensor:
        """Scores of the prompt's positions for the last `count` of the tokens, from one sweep: (count, L)."""
        method, features = copy(self.attr_method), inp.to_tensor().to(self.device)
        method.forward_func = partial(self._log_probs, inp=inp, tokens=tokens, count=count)
        if isinstance(method, LayerGradientShap):  # each token has random points of its own, so it is an example
            method._draws_by_example = True
            scores = method.attribute(features.expand(count, -1), target=list(range(count)), **kwargs)
        else:
            method._several_targets = True
            scores = method.attribute(features, **kwargs)[0]
        earlier = len(tokens) - 1  # positions of the answer
        return scores[:, : scores.shape[1] - earlier].detach().sum(-1)

    def _log_probs(self, features: Tensor, inp: TextTokenInput, tokens: Tensor, count: int) -> Tensor:
        """The log-probabilities of the last `count` of the tokens, after the prompt with these features: (R, count)."""
        inputs = append_answer(self._inputs(inp.to_model_input(features)), tokens[:-1])
        return token_log_probs(last_logits(self.model, inputs, count)[0], tokens[-count:])

    @torch.no_grad()
    def _is_causal(self, inp: TextTokenInput, tokens: Tensor) -> bool:
        """Are the first tokens' log-probabilities the same whether or not later tokens follow? Costs two passes."""
        if len(tokens) == 1:
            return True
        features, first = inp.to_tensor().to(self.device), len(tokens) // 2
        alone = self._log_probs(features, inp, tokens[:first], first)
        followed = self._log_probs(features, inp, tokens, len(tokens))[:, :first]
        dtype = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), alone.dtype)
        return torch.allclose(alone, followed, rtol=0, atol=torch.finfo(dtype).eps ** 0.5 * float(alone.abs().max()))


def _together(prompts: Sequence[Inputs]) -> Iterator[tuple[list[int], Inputs]]:
    """Which prompts go into one pass, and their inputs: token ids of one length do, anything else goes alone."""
    groups: dict[Any, list[int]] = {}
    for i, inputs in enumerate(prompts):
        groups.setdefault(inputs["input_ids"].shape if inputs.keys() == {"input_ids"} else i, []).append(i)
    for where in groups.values():
        alone = prompts[where[0]]
        yield where, {"input_ids": torch.cat([prompts[i]["input_ids"] for i in where])} if len(where) > 1 else alone


def readable(ids: Sequence[int], tokenizer: Any) -> list[str]:
    """What each token says, cut from the text they make together; parts of one character are marked as an overlap."""
    text = tokenizer.decode(ids)
    again = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    spans = [*again["offset_mapping"], (len(text), len(text))]
    names: list[str] = []
    last = -1
    for i, token in enumerate(again["input_ids"]):
        start, end = spans[i]
        end = spans[i + 1][0] if start == end else end
        if len(names) < len(ids) and token == ids[len(names)]:  # a tokenizer may begin with a space of its own
            names.append(_tidy(text[start:end]) + " [OVERLAP]" * (last > start))
            last = end
    return names if len(names) == len(ids) else _one_by_one(ids, tokenizer)


def _one_by_one(ids: Sequence[int], tokenizer: Any) -> list[str]:
    """The same for tokens that the text they make is not split into again."""
    names: list[str] = []
    while len(names) < len(ids):
        at = len(names)
        pieces = [tokenizer.decode(ids[at : at + n]) for n in range(1, min(4, len(ids) - at) + 1)]
        whole = next((n for n, piece in enumerate(pieces) if BROKEN not in piece), 0)
        names += [_tidy(pieces[whole]), *[f"{_tidy(pieces[whole])} [OVERLAP]"] * whole]
    return names


def _tidy(token: str) -> str:
    return token.replace("\n", "\\n").strip()


def _listed(kinds: Sequence[type]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
