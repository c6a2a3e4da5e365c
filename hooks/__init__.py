"""Lend a model's internals and give them back: hook points, capture, edit, and nothing left behind."""

if __name__ != "xai_nlp.hooks":
    raise ImportError("this package is `xai_nlp.hooks`; the folder `hooks` is not importable by itself.")

from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.hooks.points import Points, capture, edit
from xai_nlp.hooks.scope import HookPoint, ModulePoint

__all__ = ["AttentionPoint", "HookPoint", "ModulePoint", "Points", "capture", "edit"]
