"""Language models behind an address: Captum's names for the same scores, by what the other side says of an answer."""

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

from xai_nlp.attr.interpretable import InterpretableInput
from xai_nlp.attr.llm import LLMAttribution
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput, XaiError

WAIT = 600.0  # seconds for an answer
LONGEST = 25  # tokens that are generated where nothing is said


class Unreachable(XaiError, ConnectionError):
    """The other side does not answer, or refuses to; the message says with what."""


class UnexpectedAnswer(InvalidInput, KeyError, IndexError):
    """What the other side says is not what was asked for."""

    __str__ = Exception.__str__  # KeyError's would quote it


class RemoteLLMProvider(ABC):
    """A language model that is asked from afar: what it writes, and what it would have given to an answer."""

    api_url: str

    @abstractmethod
    def generate(self, prompt: str, **gen_args: Any) -> str:
        """The text that the model writes after the prompt."""

    @abstractmethod
    def get_logprobs(self, input_prompt: str, target_str: str, tokenizer: Any | None = None) -> list[float]:
        """The log-probability of each token of the target, after the prompt."""


class VLLMProvider(RemoteLLMProvider):
    """A model served by vLLM, or by anything that gives `prompt_logprobs` through OpenAI's completions.

    api_url: up to the version, as "http://localhost:8000/v1". model_name: the first one served, if not given.
    The environment's OPENAI_API_KEY is sent, "EMPTY" if there is none. No package but the standard library is needed.
    Raises ValueError for no address or no model, ConnectionError where the other side does not answer.
    """

    def __init__(self, api_url: str, model_name: str | None = None) -> None:
        if not api_url.strip().lower().startswith(("http://", "https://")):
            raise InvalidInput(f"the address of the API begins with http:// or https://; got {api_url!r}.")
        self.api_url = api_url.strip()
        if model_name is None:
            served = self._ask("models").get("data")
            if not served:
                raise InvalidInput(f"no model is served at {self.api_url}; start one, or give its model_name.")
            model_name = served[0]["id"]
        self.model_name = model_name

    def generate(self, prompt: str, **gen_args: Any) -> str:
        """The text that the model writes after the prompt.

        gen_args: those of the API; max_new_tokens and do_sample=False are understood, None leaves it to the server.
        """
        asked = {name: value for name, value in gen_args.items() if value is not None}
        longest = asked.pop("max_new_tokens", LONGEST)
        greedy = {"temperature": 0.0} if asked.pop("do_sample", None) is False else {}
        return self._choice({"prompt": prompt, "max_tokens": longest, **greedy, **asked}, "text")

    def get_logprobs(self, input_prompt: str, target_str: str, tokenizer: Any | None = None) -> list[float]:
        """The log-probability of each token of the target, after the prompt: n numbers.

        Raises ValueError without a tokenizer or a target; KeyError, IndexError and ValueError in one for an answer that
        does not hold them.
        """
        if tokenizer is None:
            raise InvalidInput("the target's tokens are counted by a tokenizer; give the model's.")
        if not target_str:
            raise InvalidInput("the target is empty: there is no token to ask about.")
        count = len(tokenizer.encode(target_str, add_special_tokens=False))
        asked = {"prompt": input_prompt + target_str, "temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0}
        told = self._choice(asked, "prompt_logprobs")[-count:]
        try:
            found = [next(iter(of_token.values()))["logprob"] for of_token in told if len(of_token) == 1]
        except (KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswer(f"log-probabilities come as {{token: {{'logprob': number}}}}: {error!r}.") from None
        if len(found) != count:
            raise UnexpectedAnswer(f"{count} tokens need one log-probability each; {self.api_url} gave {told}.")
        return found

    def _choice(self, asked: dict[str, Any], name: str) -> Any:
        """One entry of the first completion."""
        choices = self._ask("completions", {"model": self.model_name, **asked}).get("choices")
        if not choices or choices[0].get(name) is None:
            raise UnexpectedAnswer(f"the answer of {self.api_url} holds no {name!r} of a completion.")
        return choices[0][name]

    def _ask(self, what: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the API answers: to a question if there is data, to a look otherwise."""
        address = f"{self.api_url.rstrip('/')}/{what}"
        headers = {
            "Authorization": f"Bearer {os.getenv('OPENAI_API_KEY', 'EMPTY')}",
            "Content-Type": "application/json",
        }
        try:
            with urlopen(
                Request(address, None if data is None else json.dumps(data).encode(), headers), timeout=WAIT
            ) as answer:
                said = json.load(answer)
        except HTTPError as error:
            raise Unreachable(f"{address} refused: {error.code} {error.read(500).decode(errors='replace')}") from error
        except OSError as error:
            raise Unreachable(f"{address} does not answer: {getattr(error, 'reason', error)}.") from error
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer of {address} is not JSON: {error}.") from None
        if not isinstance(said, dict):
            raise UnexpectedAnswer(f"the answer of {address} is a {type(said).__name__}, not an object.")
        return said


class _NoModel:
    """Stands for the model of a method, where the model is elsewhere."""

    device = torch.device("cpu")

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        return 0


class RemoteLLMAttribution(LLMAttribution):
    """`LLMAttribution` of a model elsewhere: each perturbed prompt is a question to the provider.

    `attr_method` is made with `RemoteLLMAttribution.placeholder_model`. The other side splits prompt and answer into
    tokens as one text; how it reads them (`forward_in_tokens`, `use_cached_outputs`) is its own affair.
    Raises ValueError for a number of log-probabilities other than the answer's tokens.
    """

    placeholder_model = _NoModel()

    def __init__(
        self, attr_method: Any, tokenizer: Any, provider: RemoteLLMProvider, attr_target: str = "log_prob"
    ) -> None:
        super().__init__(attr_method, tokenizer, attr_target)
        self.provider = provider

    def _generated(self, inp: InterpretableInput, gen_args: dict[str, Any]) -> Tensor:
        if not callable(getattr(self.provider, "generate", None)):
            raise CaptumAssertion(f"{type(self.provider).__name__} cannot generate; give the answer: target='…'.")
        text = self.provider.generate(self._asked(inp.to_model_input()), **gen_args)
        return torch.tensor(self.tokenizer.encode(text, add_special_tokens=False), dtype=torch.long)

    def _read(self, prompts: Sequence[Any], tokens: Tensor, read: Callable[..., Tensor]) -> Tensor:
        answer, found = self.tokenizer.decode(tokens), []
        for prompt in prompts:
            asked = {"input_prompt": self._asked(prompt), "target_str": answer, "tokenizer": self.tokenizer}
            found.append(list(self.provider.get_logprobs(**asked)))
            if len(found[-1]) != len(tokens):
                raise InvalidInput(f"the answer has {len(tokens)} tokens; the provider told of {len(found[-1])}.")
        return torch.tensor(found, device=self.device)

    def _asked(self, prompt: Any) -> Any:
        """Token ids as text; anything else as it is, for the provider to know what to do with."""
        return self._as_text(prompt) if isinstance(prompt, Tensor) else prompt
