"""Captum's names for explaining a language model on a server, from the log-probabilities that it returns."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from torch import Tensor

from xai_nlp.attr.interpretable import InterpretableInput, token_ids
from xai_nlp.attr.llm import LLMAttribution
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput, XaiError

TIMEOUT = 600.0  # seconds
MAX_NEW_TOKENS = 25  # by default


class Unreachable(XaiError, ConnectionError):
    """The server does not answer, or refuses the request; the message holds its reason."""


class UnexpectedAnswer(InvalidInput, KeyError, IndexError):
    """The server's answer does not hold the requested numbers or text."""

    __str__ = Exception.__str__  # KeyError's would quote it


class RemoteLLMProvider(ABC):
    """A language model on a server: it generates texts, and returns the log-probabilities of an answer."""

    api_url: str

    @abstractmethod
    def generate(self, prompt: str, **gen_args: Any) -> str:
        """The text that the model writes after the prompt."""

    @abstractmethod
    def get_logprobs(self, input_prompt: str, target_str: str, tokenizer: Any | None = None) -> list[float]:
        """The log-probability of each token of the target, after the prompt."""


class VLLMProvider(RemoteLLMProvider):
    """A model served by vLLM, or by any server that returns `prompt_logprobs` through OpenAI's completions.

    api_url: up to the version, as "http://localhost:8000/v1". model_name: None takes the first one that is served.
    The environment's OPENAI_API_KEY is sent, "EMPTY" if there is none. No package but the standard library is needed.
    Raises ValueError for an address or a model that there is not, ConnectionError if the server does not answer.
    """

    def __init__(self, api_url: str, model_name: str | None = None) -> None:
        if not api_url.strip().lower().startswith(("http://", "https://")):
            raise InvalidInput(f"the address of the API begins with http:// or https://; got {api_url!r}.")
        self.api_url = api_url.strip()
        if model_name is None:
            served = self._request("models").get("data")
            if not served:
                raise InvalidInput(f"no model is served at {self.api_url}; start one, or give its model_name.")
            model_name = served[0]["id"]
        self.model_name = model_name

    def generate(self, prompt: str, **gen_args: Any) -> str:
        """The text that the model writes after the prompt.

        gen_args: options of the API, and max_new_tokens and do_sample=False; None leaves an option to the server.
        """
        options = {name: value for name, value in gen_args.items() if value is not None}
        max_tokens = options.pop("max_new_tokens", MAX_NEW_TOKENS)
        greedy = {"temperature": 0.0} if options.pop("do_sample", None) is False else {}
        return self._completion({"prompt": prompt, "max_tokens": max_tokens, **greedy, **options}, "text")

    def get_logprobs(self, input_prompt: str, target_str: str, tokenizer: Any | None = None) -> list[float]:
        """The log-probability of each token of the target, after the prompt: n numbers.

        Raises ValueError without a tokenizer or a target; UnexpectedAnswer if the server does not return them.
        """
        if tokenizer is None:
            raise InvalidInput("the target's tokens are counted by a tokenizer; give the model's.")
        if not target_str:
            raise InvalidInput("the target is empty: it has no token.")
        count = len(token_ids(tokenizer, target_str, add_special_tokens=False))
        request = {"prompt": input_prompt + target_str, "temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0}
        returned = self._completion(request, "prompt_logprobs")[-count:]
        try:
            log_probs = [next(iter(of_token.values()))["logprob"] for of_token in returned if len(of_token) == 1]
        except (KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswer(f"log-probabilities come as {{token: {{'logprob': number}}}}: {error!r}.") from None
        if len(log_probs) != count:
            raise UnexpectedAnswer(f"{count} tokens need one log-probability each; {self.api_url} gave {returned}.")
        return log_probs

    def _completion(self, request: dict[str, Any], name: str) -> Any:
        """One entry of the first completion."""
        choices = self._request("completions", {"model": self.model_name, **request}).get("choices")
        if not choices or choices[0].get(name) is None:
            raise UnexpectedAnswer(f"the answer of {self.api_url} holds no {name!r} of a completion.")
        return choices[0][name]

    def _request(self, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """The server's answer, by POST if there is data and by GET otherwise."""
        address = f"{self.api_url.rstrip('/')}/{path}"
        headers = {
            "Authorization": f"Bearer {os.getenv('OPENAI_API_KEY', 'EMPTY')}",
            "Content-Type": "application/json",
        }
        try:
            request = Request(address, None if data is None else json.dumps(data).encode(), headers)
            with urlopen(request, timeout=TIMEOUT) as response:
                answer = json.load(response)
        except HTTPError as error:
            raise Unreachable(f"{address} refused: {error.code} {error.read(500).decode(errors='replace')}") from error
        except OSError as error:
            raise Unreachable(f"{address} does not answer: {getattr(error, 'reason', error)}.") from error
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer of {address} is not JSON: {error}.") from None
        if not isinstance(answer, dict):
            raise UnexpectedAnswer(f"the answer of {address} is a {type(answer).__name__}, not an object.")
        return answer


class PlaceholderModel:
    """Takes the place of a method's model, if the model is on a server."""

    device = torch.device("cpu")

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        return 0


class RemoteLLMAttribution(LLMAttribution):
    """`LLMAttribution` of a model on a server: each perturbed prompt is a request to the provider.

    `attr_method` is made with `RemoteLLMAttribution.placeholder_model`. The server splits prompt and answer into tokens
    as one text; `forward_in_tokens` and `use_cached_outputs` have no effect.
    Raises ValueError if the provider returns another number of log-probabilities than the answer has tokens.
    """

    placeholder_model = PlaceholderModel()

    def __init__(
        self, attr_method: Any, tokenizer: Any, provider: RemoteLLMProvider, attr_target: str = "log_prob"
    ) -> None:
        super().__init__(attr_method, tokenizer, attr_target)
        self.provider = provider

    def _generate(self, inp: InterpretableInput, gen_args: dict[str, Any]) -> Tensor:
        if not callable(getattr(self.provider, "generate", None)):
            raise CaptumAssertion(f"{type(self.provider).__name__} cannot generate; give the answer: target='…'.")
        text = self.provider.generate(self._prompt(inp.to_model_input()), **gen_args)
        return token_ids(self.tokenizer, text, add_special_tokens=False)

    def _log_probs(self, prompts: Sequence[Any], tokens: Tensor, read: Callable[..., Tensor]) -> Tensor:
        answer = self.tokenizer.decode(tokens)
        options = {"target_str": answer, "tokenizer": self.tokenizer}
        by_prompt = [list(self.provider.get_logprobs(input_prompt=self._prompt(p), **options)) for p in prompts]
        for log_probs in by_prompt:
            if len(log_probs) != len(tokens):
                raise InvalidInput(f"the answer has {len(tokens)} tokens; the provider returned {len(log_probs)}.")
        return torch.tensor(by_prompt, device=self.device)

    def _prompt(self, prompt: Any) -> Any:
        """Token ids as text; the provider gets anything else as it is."""
        return self._as_text(prompt) if isinstance(prompt, Tensor) else prompt
