"""Lend a model's insides and give them back: context managers, nothing else."""

if __name__ != "xai_nlp.hooks":
    raise ImportError("this package is `xai_nlp.hooks`; the folder `hooks` is not importable by itself.")
