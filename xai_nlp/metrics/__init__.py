"""How good predictions and explanations are: `captum.metrics` becomes `xai_nlp.metrics`, and answers beside it.

Perturbations are made on numbers: pixels, features, and with `layer=` word embeddings, but never on token ids.
Faithfulness is a function of a `core.subject.Subject` and of scores, one for each of its features. How words and
regions are removed is said by the subject: `tasks.removals.removal_subject`.
"""

from xai_nlp.metrics.agreement import Agreement, agreement, rank_correlation, sign_flips, top_k_overlap
from xai_nlp.metrics.deletion import (
    RemovalCurve,
    aopc,
    comprehensiveness,
    deletion_curve,
    insertion_curve,
    sufficiency,
)
from xai_nlp.metrics.infidelity import feature_infidelity, infidelity, infidelity_perturb_func_decorator
from xai_nlp.metrics.leave_one_out import leave_one_out_tau, monotonicity
from xai_nlp.metrics.orders import (
    NormalizedAOPC,
    OrderBounds,
    RandomOrders,
    best_and_worst_order,
    naopc,
    random_orders,
    random_scores,
)
from xai_nlp.metrics.out_of_distribution import OutOfDistribution, out_of_distribution
from xai_nlp.metrics.randomization import EfficientRandomizationTest, RandomizationTest, emprt, mprt, smprt
from xai_nlp.metrics.rationales import (
    PrecisionRecall,
    RationaleExample,
    RationaleScores,
    auprc,
    inside_boxes,
    iou_f1,
    pointing_game,
    rationale_scores,
    read_eraser,
    token_f1,
)
from xai_nlp.metrics.sensitivity import input_sensitivity, sensitivity_max
from xai_nlp.metrics.soft import soft_comprehensiveness, soft_sufficiency

__all__ = [
    "Agreement",
    "EfficientRandomizationTest",
    "NormalizedAOPC",
    "OrderBounds",
    "OutOfDistribution",
    "PrecisionRecall",
    "RandomOrders",
    "RandomizationTest",
    "RationaleExample",
    "RationaleScores",
    "RemovalCurve",
    "agreement",
    "aopc",
    "auprc",
    "best_and_worst_order",
    "comprehensiveness",
    "deletion_curve",
    "emprt",
    "feature_infidelity",
    "infidelity",
    "infidelity_perturb_func_decorator",
    "input_sensitivity",
    "insertion_curve",
    "inside_boxes",
    "iou_f1",
    "leave_one_out_tau",
    "monotonicity",
    "mprt",
    "naopc",
    "out_of_distribution",
    "pointing_game",
    "random_orders",
    "random_scores",
    "rank_correlation",
    "rationale_scores",
    "read_eraser",
    "sensitivity_max",
    "sign_flips",
    "smprt",
    "soft_comprehensiveness",
    "soft_sufficiency",
    "sufficiency",
    "token_f1",
    "top_k_overlap",
]
