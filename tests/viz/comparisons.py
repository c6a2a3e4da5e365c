"""Comparisons of methods whose numbers are known."""

import random

from xai_nlp.core.method_comparison import Measurement, MethodComparison, MethodFailure
from xai_nlp.core.trust import LEVELS

DROPS = {"saliency": 0.6, "integrated_gradients": 1.4, "random": 0.0, "shapley": 1.41}


def compared(drops=DROPS, examples=30, noise=0.2, **options):
    """A comparison in which each method's mean drop is about the given one."""
    generator, measurements = random.Random(0), []
    for row in range(examples):
        of_row = generator.gauss(0, 0.3)  # what methods share
        for name, drop in drops.items():
            deletion = drop + of_row + generator.gauss(0, noise)
            measurements.append(
                Measurement(
                    row=row,
                    method=name,
                    deletion=deletion,
                    insertion=deletion / 2,
                    beaten=0.75,
                    comprehensiveness=deletion,
                    sufficiency=0.25,
                    residual=0.002 if drop > 1 else None,
                    level=LEVELS[row % 3],
                    flip=row % 2,
                    passes=1234,
                    milliseconds=5.6,
                )
            )
    known = {
        "task": "text-classification",
        "model": "zoo/sentiment",
        "data": "reviews.csv",
        "rows": examples + 1,
        "removal": "pad",
        "unit": "logit",
        "seed": 3,
        "orders": 20,
        "methods": tuple(drops),
        "measurements": tuple(measurements),
        "failures": (MethodFailure(row=7, message="the text is empty."),),
        "versions": {"torch": "2.13"},
    }
    return MethodComparison(**{**known, **options})
