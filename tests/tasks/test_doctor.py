"""The doctor: each planted fault is found by its own check, what is sound is healthy, and the model is handed back."""

import re

import pytest
import torch

import xai_nlp
from tests.models import faulty
from tests.models.broken_folders import BREAKS, all_of, content, good_folder
from tests.models.tiny import tiny
from tests.recipes.architectures import MODELS
from xai_nlp.core.diagnosis import Diagnosis
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS
from xai_nlp.tasks.doctor import OF_OUTPUTS, doctor

EXAMPLE = {"text": "a dull film"}
FEW = ["integrated_gradients", "occlusion", "attention_rollout"]

#: Planted fault -> its check, the level, words of the sentence, and other checks that may see it too.
FAULTS = {
    faulty.slow_tokenizer: ("tokenizer offsets", "error", "does not give the offsets", set()),
    faulty.wrong_offsets: ("tokenizer offsets", "error", "offsets of .* are wrong", {"methods"}),
    faulty.table_too_small: ("vocabulary", "error", "2 of the tokenizer's", set()),
    faulty.added_tokens: ("vocabulary", "warning", "such as xai", set()),
    faulty.nan_weights: ("weights", "error", r"1 of \d+ weights hold NaN.*layer.1.output.dense.weight", {"prediction"}),
    faulty.infinite_weights_apart: ("weights", "error", "word_embeddings.weight", set()),
    faulty.training_mode: ("evaluation mode", "warning", "left in training mode", set()),
    faulty.half_precision: ("dtype", "warning", "bfloat16", set()),
    faulty.two_dtypes: ("dtype", "warning", "partly float32 and partly float64", set()),
    faulty.int8: ("quantisation", "warning", "quantised", {"gradients", "methods", "padding", "batch order"}),
    faulty.random_output: ("prediction", "error", "random numbers", set()),
    faulty.embedding_called_but_not_used: (
        "embeddings", "error", "embeddings elsewhere", {"gradients", "positions and types", "methods"},
    ),
    faulty.positions_not_used: ("positions and types", "warning", "position .* changes nothing", set()),
    faulty.layer_skipped: ("layers", "error", "Replacing the output of encoder.layer.1 changes nothing", {"attention"}),
    faulty.attention_not_replaced: ("attention", "error", "read, but not replaced", {"methods"}),
    faulty.attention_out_of_reach: ("attention", "warning", "cannot be reached", {"methods"}),
    faulty.gradient_detached: ("gradients", "error", "0 everywhere|does not depend", {"methods"}),
    faulty.without_gradient: ("gradients", "error", "does not depend on the inputs", {"methods"}),
    faulty.gradient_of_a_part: ("gradients", "warning", "apart from a difference quotient", set()),
    faulty.padding_read: ("padding", "error", "Padding changes", set()),
    faulty.without_pad: ("padding", "warning", "pad token", {"batch order", "methods"}),
    faulty.batch_statistics: ("batch order", "error", "runs beside it", set()),
    faulty.batch_order: ("batch order", "error", "its place in the batch", set()),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found_by_its_own_check(plant):
    name, level, words, others = FAULTS[plant]
    diagnosis = doctor(*plant(), example=EXAMPLE, methods=FEW, progress=False)
    check = diagnosis[name]
    assert check.level == level
    assert re.search(words, check.sentence), check.sentence
    assert check.fix
    assert diagnosis.healthy == (level != "error" and not [c for c in diagnosis if c.level == "error"])
    assert {one.name for one in diagnosis if one.level != "ok"} <= {name, *others}, list(diagnosis)
