"""How good predictions and explanations are: `captum.metrics` becomes `xai_nlp.metrics`, and answers beside it.

Perturbations are made on numbers: pixels, features, and with `layer=` word embeddings, but never on token ids.
"""

from xai_nlp.metrics.infidelity import infidelity, infidelity_perturb_func_decorator
from xai_nlp.metrics.sensitivity import sensitivity_max

__all__ = ["infidelity", "infidelity_perturb_func_decorator", "sensitivity_max"]
