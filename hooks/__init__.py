"""Read and replace the tensors inside a model: hook points, `capture` and `edit`. Every hook comes off at the end."""

if __name__ != "xai_nlp.hooks":
    raise ImportError("this package is `xai_nlp.hooks`; the folder `hooks` is not importable by itself.")

from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.hooks.points import Points, capture, edit
from xai_nlp.hooks.scope import HookPoint, ModulePoint

__all__ = ["AttentionPoint", "HookPoint", "ModulePoint", "Points", "capture", "edit"]
