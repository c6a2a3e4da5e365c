"""What is asked of the server: one validated value, and how an explainer takes it."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from xai_nlp.errors import InvalidInput
from xai_nlp.methods import find_method
from xai_nlp.web.limits import Limits

LIMITS = Limits()
KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # images that are opened; nothing that could hold a script

Long = Annotated[str, Field(max_length=LIMITS.letters)]
Short = Annotated[str, Field(max_length=LIMITS.words)]

#: task -> (what it needs, what it may have)
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "text-classification": (("text",), ("pair",)),
    "question-answering": (("question", "context"), ("answer", "rather_than")),
    "visual-question-answering": (
        ("image", "question"),
        ("answer", "rather_than", "regions", "image_baseline", "moves"),
    ),
    "text-generation": (("prompt",), ("answer", "rather_than")),
}
INPUTS = ("text", "pair", "question", "context", "image", "prompt", "answer", "rather_than")
SETTINGS = ("regions", "image_baseline", "moves")


class ExplainRequest(BaseModel):
    """One thing to explain: an input for a model's task, and how.

    Which inputs are needed goes by the model's task: `text` (and `pair`); `question` and `context`; `image` (base64)
    and `question`; `prompt`. Anything else is refused.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: Short
    text: Long | None = None
    pair: Long | None = None
    question: Short | None = None
    context: Long | None = None
    prompt: Long | None = None
    image: Annotated[str, Field(max_length=2 * LIMITS.image)] | None = None
    answer: Short | None = None
    rather_than: Short | None = None
    methods: Annotated[list[Short], Field(min_length=1, max_length=LIMITS.methods)] = ["integrated_gradients"]
    target: Short | None = None
    baseline: Short | None = None
    unit: Short | None = None
    layers: bool = False
    attention: bool = False
    regions: Annotated[str, Field(pattern=r"^(auto|patches|slic|grid:[1-9][0-9]?)$")] | None = None
    image_baseline: Short | None = None
    moves: Short | None = None

    def checked(self, task: str, limits: Limits = LIMITS) -> ExplainRequest:
        """Itself, if it is one for that task. Raises InvalidInput or UnknownName before anything is computed."""
        needed, allowed = FIELDS[task]
        for name in needed:
            if not (getattr(self, name) or "").strip():
                raise InvalidInput(f"{name} is empty: {task.replace('-', ' ')} needs {' and '.join(needed)}.")
        for name in (*INPUTS, *SETTINGS):
            if getattr(self, name) is not None and name not in (*needed, *allowed):
                raise InvalidInput(f"{name} does not belong to {task.replace('-', ' ')}; leave it out.")
        if len(set(self.methods)) < len(self.methods):
            raise InvalidInput("a method is named twice; name each once.")
        for method in self.methods:
            find_method(method)
        if self.image is not None:
            image_bytes(self.image, limits)
        return self

    def inputs(self, task: str) -> tuple[Any, ...]:
        """What the task's explainer takes first."""
        if task == "text-classification":
            return ((self.text, self.pair) if self.pair else self.text,)
        if task == "visual-question-answering":
            return (image_bytes(self.image or ""), self.question)
        return tuple(getattr(self, name) for name in FIELDS[task][0])

    def options(self, task: str) -> dict[str, Any]:
        """What it takes by name; what was not chosen is left to the task."""
        chosen = (*(name for name in FIELDS[task][1] if name != "pair"), "target", "baseline", "unit")
        given = {name: value for name in chosen if (value := getattr(self, name))}
        method = self.methods[0] if len(self.methods) == 1 else self.methods
        return {**given, "method": method, "layers": self.layers, "attention": self.attention}

    @property
    def title(self) -> str:
        """How it is called in the history until somebody names it."""
        said = " ".join((self.text or self.question or self.prompt or "").split())
        return said if len(said) <= 80 else said[:79] + "…"


def image_bytes(encoded: str, limits: Limits = LIMITS) -> bytes:
    """An image as it was sent, once its kind and size are known to be fine. Raises InvalidInput."""
    from PIL import Image, UnidentifiedImageError

    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("the image is not base64; send the file's bytes as base64.") from None
    if len(content) > limits.image:
        raise InvalidInput(f"the image has {len(content):,} bytes; at most {limits.image:,} are read.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(io.BytesIO(content), formats=KINDS) as opened:
                width, height = opened.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InvalidInput(f"this is no image of a kind that is opened here: {', '.join(KINDS)}.") from None
    if width * height > limits.pixels:
        raise InvalidInput(f"the image has {width} × {height} pixels; at most {limits.pixels:,} are read.")
    return content
