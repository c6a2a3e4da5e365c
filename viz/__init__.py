"""Results in; HTML, figures and terminal text out. Takes results and arrays, never models."""

if __name__ != "xai_nlp.viz":
    raise ImportError("this package is `xai_nlp.viz`; the folder `viz` is not importable by itself.")
