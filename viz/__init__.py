"""Explanations as HTML, figures and terminal text. `tokens`, `image` and `attention` draw plain arrays.

>>> from xai_nlp import viz
>>> print(viz.tokens(["not", "bad"], [-0.4, 0.9]))
<Drawing: 2 tokens; 'bad' +0.9, 'not' -0.4>
"""

from typing import TYPE_CHECKING, Any

if __name__ != "xai_nlp.viz":
    raise ImportError("this package is `xai_nlp.viz`; the folder `viz` is not importable by itself.")

if TYPE_CHECKING:
    from xai_nlp.viz.drawings import Drawing, attention, image, tokens

__all__ = ["Drawing", "attention", "image", "tokens"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'xai_nlp.viz' has no attribute {name!r}")
    from xai_nlp.viz import drawings

    return getattr(drawings, name)
