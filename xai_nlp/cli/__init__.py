"""`xai-nlp`: parse, call one function, show. Results on stdout, progress on stderr; exit codes 0, 1 failed, 2 usage."""

from xai_nlp.cli.app import app, make_app

__all__ = ["app", "make_app"]
