"""Captum's names for what in a prompt drove a language model's answer, by any of the other methods here.

Teacher forcing: the model reads the answer after the prompt, and the log-probabilities of its tokens are explained.
Perturbed prompts of one length are read together. The numbers are Captum's, except where Captum 0.9 is wrong: with a
cache it gives models of transformers 5 the whole prompt again at every token; and several samples of LayerGradientShap
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
from xai_nlp.attr.gradient import LayerGradientXActivation
from xai_nlp.attr.interpretable import ImageMaskInput, InterpretableInput, TextTemplateInput, TextTokenInput, token_ids
from xai_nlp.attr.llm_result import LLMAttributionResult
from xai_nlp.attr.noise import LayerGradientShap
from xai_nlp.attr.path import LayerIntegratedGradients
from xai_nlp.attr.perturbation import FeatureAblation, ShapleyValues, ShapleyValueSampling
from xai_nlp.attr.surrogate import KernelShap, Lime
from xai_nlp.core.batching import Batching
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.hooks.onednn import onednn_products
from xai_nlp.models import teacher_forcing
from xai_nlp.models.layout import text_config

DEFAULT_GEN_ARGS: dict[str, Any] = {"max_new_tokens": 25, "do_sample": False, "temperature": None, "top_p": None}
PROMPTS_AT_ONCE = 64  # prompts that are made together; images among them take memory
TOKEN_WIDTH = 1024  # entries of a token, for a model whose config does not name its width
INCOMPLETE = "\ufffd"  # the decoded form of bytes that are not a whole character

ModelInputs = dict[str, Any]  # arguments of a model
InspectForward = Callable[[str, str, list[float]], None]  # prompt, answer, probabilities of it and of its tokens


class WrongType(InvalidInput, TypeError):
    """A target that is neither a text nor tokens."""


class BaseLLMAttribution(Attribution):
    """An attribution method of a language model, its tokenizer, and an answer that is given or generated."""

    SUPPORTED_METHODS: ClassVar[tuple[type[Attribution], ...]]
    SUPPORTED_INPUTS: ClassVar[tuple[type[InterpretableInput], ...]]

    def __init__(self, attr_method: Any, tokenizer: Any) -> None:
        if not isinstance(attr_method, self.SUPPORTED_METHODS):
            raise CaptumAssertion(
                f"{type(self).__name__} goes with {_names(self.SUPPORTED_METHODS)}; got {attr_method!r}."
            )
        super().__init__(attr_method.forward_func)
        self.attr_method = copy(attr_method)
        self.model = cast(Any, attr_method.forward_func)
        self.tokenizer = tokenizer
        self.device = device_of(self.model) if isinstance(self.model, nn.Module) else self.model.device

    def _answer(self, inp: InterpretableInput, target: str | Tensor | None, gen_args: dict[str, Any] | None) -> Tensor:
        """The token ids of the answer: (n,)."""
        if not isinstance(inp, self.SUPPORTED_INPUTS):
            raise CaptumAssertion(
                f"{type(self).__name__} explains {_names(self.SUPPORTED_INPUTS)}; got {type(inp).__name__}."
            )
        if target is not None and gen_args is not None:
            raise CaptumAssertion(
                "gen_args say how to generate an answer, and one is given as the target; leave out either."
            )
        if target is None:
            tokens = self._generate(inp, gen_args or DEFAULT_GEN_ARGS)
        elif isinstance(target, str):
            tokens = token_ids(self.tokenizer, target, add_special_tokens=False)
        elif isinstance(target, Tensor):
            tokens = target
        else:
            raise WrongType(f"the target is a text, a tensor of token ids, or None; got {type(target).__name__}.")
        if not len(tokens):
            raise CaptumAssertion("there is no token in the answer to explain.")
        return tokens.to(self.device)

    def _generate(self, inp: InterpretableInput, gen_args: dict[str, Any]) -> Tensor:
        if not callable(getattr(self.model, "generate", None)):
            raise CaptumAssertion(f"{type(self.model).__name__} cannot generate; give the answer: target='…'.")
        inputs = self._model_inputs(inp.to_model_input())
        return self.model.generate(**inputs, **gen_args)[0][inputs["input_ids"].shape[1] :]

    def _model_inputs(self, prompt: str | Tensor | Mapping[str, Any]) -> ModelInputs:
        """A text, token ids, or the output of a processor, as arguments of the model."""
        if isinstance(prompt, str):
            prompt = token_ids(self.tokenizer, prompt)[None]
        if isinstance(prompt, Tensor):
            prompt = {"input_ids": prompt}
        if not isinstance(prompt, Mapping):
            raise CaptumAssertion(
                f"a prompt is a text, token ids, or the output of a processor; got {type(prompt).__name__}."
            )
        return {name: t.to(self.device) if isinstance(t, Tensor) else t for name, t in prompt.items()}

    def _result(
        self, inp: InterpretableInput, tokens: Tensor, seq_attr: Tensor, token_attr: Tensor | None
    ) -> LLMAttributionResult:
        return LLMAttributionResult(
            seq_attr=seq_attr,
            token_attr=token_attr,
            input_tokens=inp.values,
            output_tokens=token_texts(tokens.tolist(), self.tokenizer),
            inp=inp,
        )


class LLMAttribution(BaseLLMAttribution):
    """Scores of a prompt's features by ablation, Shapley values, LIME or kernel SHAP.

    attr_target: "log_prob", or "prob" for probabilities. LIME and kernel SHAP only score the answer as a whole.
    Raises CaptumAssertion for another method, UnknownChoice for another attr_target.
    """

    SUPPORTED_METHODS = (FeatureAblation, ShapleyValueSampling, ShapleyValues, Lime, KernelShap)
    SUPPORTED_PER_TOKEN_ATTR_METHODS = (FeatureAblation, ShapleyValueSampling, ShapleyValues)
    SUPPORTED_INPUTS = (TextTemplateInput, TextTokenInput, ImageMaskInput)

    def __init__(self, attr_method: Any, tokenizer: Any, attr_target: str = "log_prob") -> None:
        super().__init__(attr_method, tokenizer)
        if isinstance(attr_method, InternalAttribution):
            raise CaptumAssertion(
                f"features of a prompt are ablated at the input, not at a layer; got {attr_method!r}."
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
        _inspect_forward: InspectForward | None = None,
        forward_in_tokens: bool = True,
        **kwargs: Any,
    ) -> LLMAttributionResult:
        """Scores of the prompt's M features, in nats or as probabilities: seq_attr (M,) and token_attr (n, M) or None.

        inp: the prompt and its features.
        target: the answer, a text or token ids (n,); None lets the model generate one.
        num_trials: the number of calls of the method, whose mean is returned.
        gen_args: options of the model's `generate`; by default up to 25 tokens, without sampling.
        use_cached_outputs: keep the model's cache from one token of the answer to the next, if it has one.
        _inspect_forward: called with each prompt, the answer, and the probabilities of it and of its tokens.
        forward_in_tokens: read the answer token by token, as the model would write it; False reads it in one pass.
        kwargs: options of the method's `attribute`.

        Raises CaptumAssertion for another kind of input or an empty answer, TypeError for a target of another type.
        """
        tokens = self._answer(inp, target, gen_args)
        read = teacher_forcing.answer_log_probs
        if forward_in_tokens:
            read = partial(teacher_forcing.answer_log_probs_stepwise, cached=use_cached_outputs)
        method: Any = copy(self.attr_method)
        values = partial(self._values, inp=inp, tokens=tokens, read=read, inspect=_inspect_forward)
        method.forward_func = method._rowwise = values  # it gives a row for each prompt
        count = 1 + len(tokens) if self.include_per_token_attr else 1
        with onednn_products(self.model):
            trials = [
                method.attribute(inp.to_tensor().to(self.device), **kwargs).reshape(count, inp.n_itp_features)
                for _ in range(num_trials)
            ]
        scores = inp.format_attr(torch.stack(trials).mean(0))
        return self._result(inp, tokens, scores[0], scores[1:] if self.include_per_token_attr else None)

    @torch.no_grad()
    def _values(
        self,
        features: Tensor,
        *,
        inp: InterpretableInput,
        tokens: Tensor,
        read: Callable[..., Tensor],
        inspect: InspectForward | None,
    ) -> Tensor:
        """The target for rows of features (R, M): of the whole answer and of its tokens (R, 1 + n), or only (R,)."""
        parts = []
        for part in features.split(PROMPTS_AT_ONCE):
            prompts = [inp.to_model_input(row[None]) for row in part]
            of_tokens = self._log_probs(prompts, tokens, read)
            parts.append(torch.cat([of_tokens.sum(1, keepdim=True), of_tokens], 1))
            for prompt, probabilities in zip(prompts, parts[-1].exp().tolist(), strict=True):
                if inspect:
                    inspect(self._as_text(prompt), self.tokenizer.decode(tokens), probabilities)
        values = torch.cat(parts)
        values = values if self.include_per_token_attr else values[:, 0]
        return values if self.attr_target == "log_prob" else values.exp()

    def _as_text(self, prompt: Any) -> Any:
        """A prompt's text, decoded from token ids if it has any."""
        ids = prompt["input_ids"] if isinstance(prompt, Mapping) else prompt
        return self.tokenizer.decode(ids.flatten()) if isinstance(ids, Tensor) else ids

    def _log_probs(self, prompts: Sequence[Any], tokens: Tensor, read: Callable[..., Tensor]) -> Tensor:
        """The log-probability of each token of the answer, after each prompt: (R, n)."""
        by_prompt: dict[int, Tensor] = {}
        width = getattr(text_config(self.model), "hidden_size", TOKEN_WIDTH)
        for numbers, inputs in _batches([self._model_inputs(prompt) for prompt in prompts]):

            def work(part: slice, inputs: ModelInputs = inputs) -> Tensor:
                several = len(inputs["input_ids"]) > 1
                return read(self.model, {"input_ids": inputs["input_ids"][part]} if several else inputs, tokens)

            entries = (inputs["input_ids"].shape[1] + len(tokens)) * width
            for part, log_probs in Batching().chunks(len(numbers), entries, self.device, work):
                by_prompt.update(zip(numbers[part], log_probs, strict=True))
        return torch.stack([by_prompt[i] for i in range(len(prompts))])


class LLMGradientAttribution(BaseLLMAttribution):
    """Scores of a prompt's tokens by gradients at a layer, as a rule the embedding layer.

    One sweep over prompt and answer gives the log-probabilities of all of the answer's tokens, and a backward pass each
    the scores, if the model is causal. A model whose log-probabilities depend on later tokens gets a sweep for each.
    Raises CaptumAssertion for another method.
    """

    SUPPORTED_METHODS = (LayerGradientShap, LayerGradientXActivation, LayerIntegratedGradients)
    SUPPORTED_INPUTS = (TextTokenInput,)

    def attribute(
        self,
        inp: InterpretableInput,
        target: str | Tensor | None = None,
        gen_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> LLMAttributionResult:
        """Scores of the prompt's M tokens, in nats: token_attr (n, M) for each token of the answer, seq_attr their sum.

        inp: the prompt.
        target: the answer, a text or token ids (n,); None lets the model generate one.
        gen_args: options of the model's `generate`; by default up to 25 tokens, without sampling.
        kwargs: options of the method's `attribute`.

        Raises CaptumAssertion for another kind of input or an empty answer, TypeError for a target of another type.
        """
        tokens = self._answer(inp, target, gen_args)
        assert isinstance(inp, TextTokenInput)
        with frozen_model(self.model):
            if self._is_causal(inp, tokens):
                scores = self._token_scores(inp, tokens, len(tokens), **kwargs)
            else:
                prefixes = [tokens[: k + 1] for k in range(len(tokens))]
                scores = torch.cat([self._token_scores(inp, prefix, 1, **kwargs) for prefix in prefixes])
        if inp.itp_mask is not None:
            scores = scores[:, inp.itp_mask[0].to(scores.device)]
        return self._result(inp, tokens, scores.sum(0), scores)

    def _token_scores(self, inp: TextTokenInput, tokens: Tensor, count: int, **kwargs: Any) -> Tensor:
        """Scores of the prompt's positions for the last `count` of the tokens, from one sweep: (count, L)."""
        method, features = copy(self.attr_method), inp.to_tensor().to(self.device)
        method.forward_func = partial(self._answer_log_probs, inp=inp, tokens=tokens, count=count)
        if isinstance(method, LayerGradientShap):  # each token has random points of its own, so it is an example
            method._draws_by_example = True
            scores = method.attribute(features.expand(count, -1), target=list(range(count)), **kwargs)
        else:
            method._several_targets = True
            scores = method.attribute(features, **kwargs)[0]
        in_answer = len(tokens) - 1  # the last positions
        return scores[:, : scores.shape[1] - in_answer].detach().sum(-1)

    def _answer_log_probs(self, features: Tensor, inp: TextTokenInput, tokens: Tensor, count: int) -> Tensor:
        """The log-probabilities of the last `count` of the tokens, after the prompt with these features: (R, count)."""
        inputs = teacher_forcing.append_answer(self._model_inputs(inp.to_model_input(features)), tokens[:-1])
        logits, _ = teacher_forcing.last_logits(self.model, inputs, count)
        return teacher_forcing.token_log_probs(logits, tokens[-count:])

    @torch.no_grad()
    def _is_causal(self, inp: TextTokenInput, tokens: Tensor) -> bool:
        """True if the first tokens' log-probabilities are the same when later tokens follow. It takes two passes."""
        if len(tokens) == 1:
            return True
        features, first = inp.to_tensor().to(self.device), len(tokens) // 2
        alone = self._answer_log_probs(features, inp, tokens[:first], first)
        followed = self._answer_log_probs(features, inp, tokens, len(tokens))[:, :first]
        dtype = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), alone.dtype)
        return torch.allclose(alone, followed, rtol=0, atol=torch.finfo(dtype).eps ** 0.5 * float(alone.abs().max()))


def _batches(prompts: Sequence[ModelInputs]) -> Iterator[tuple[list[int], ModelInputs]]:
    """The numbers and the inputs of prompts that are read together: token ids of one length; others go alone."""
    groups: dict[Any, list[int]] = {}
    for i, inputs in enumerate(prompts):
        groups.setdefault(inputs["input_ids"].shape if inputs.keys() == {"input_ids"} else i, []).append(i)
    for numbers in groups.values():
        if len(numbers) == 1:
            yield numbers, prompts[numbers[0]]
        else:
            yield numbers, {"input_ids": torch.cat([prompts[i]["input_ids"] for i in numbers])}


def token_texts(ids: Sequence[int], tokenizer: Any) -> list[str]:
    """The text of each token, cut from their joint text; parts of one character are marked as an overlap."""
    text = tokenizer.decode(torch.as_tensor(ids))
    try:
        again = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        spans = [*again["offset_mapping"], (len(text), len(text))]
    except (KeyError, NotImplementedError, TypeError):  # it does not tell offsets
        return _decoded_alone(ids, tokenizer)
    texts: list[str] = []
    last = -1
    for i, token in enumerate(again["input_ids"]):
        start, end = spans[i]
        end = spans[i + 1][0] if start == end else end
        if len(texts) < len(ids) and token == ids[len(texts)]:  # a tokenizer may begin with a space of its own
            texts.append(_one_line(text[start:end]) + " [OVERLAP]" * (last > start))
            last = end
    return texts if len(texts) == len(ids) else _decoded_alone(ids, tokenizer)


def _decoded_alone(ids: Sequence[int], tokenizer: Any) -> list[str]:
    """The text of each token, for tokens that their joint text is not split into again."""
    texts: list[str] = []
    while len(texts) < len(ids):
        start = len(texts)
        joint = [
            tokenizer.decode(torch.as_tensor(ids[start : start + n])) for n in range(1, min(4, len(ids) - start) + 1)
        ]
        more = next((n for n, text in enumerate(joint) if INCOMPLETE not in text), 0)
        texts += [_one_line(joint[more]), *[f"{_one_line(joint[more])} [OVERLAP]"] * more]
    return texts


def _one_line(token: str) -> str:
    return token.replace("\n", "\\n").strip()


def _names(kinds: Sequence[type]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
