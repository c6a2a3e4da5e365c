"""The names that Captum and we share."""

import inspect

import captum.attr as captum

import xai_nlp.attr as ours

SHARED = sorted(set(captum.__all__) & set(ours.__all__))


CLASSES = [name for name in SHARED if inspect.isclass(getattr(captum, name))]
