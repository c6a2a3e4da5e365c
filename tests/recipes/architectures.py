"""`tutorials/architectures.md`: what works on each architecture. `python -m tests.recipes.architectures` writes it.

The doctor examines a tiny random model of each.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

import xai_nlp
from tests.models import tiny_images, tiny_vision_language
from tests.models.tiny import RECIPES, tiny
from tests.models.tiny_generation import WRITERS, writing
from tests.recipes.llms import inference_model
from xai_nlp.core.diagnosis import Diagnosis
from xai_nlp.methods import METHODS
from xai_nlp.tasks.pass_checks import first_sentence
from xai_nlp.tasks.table import TASKS
from xai_nlp.viz.text.diagnosis_lines import refused, working

PAGE = Path(__file__).parents[2] / "tutorials" / "architectures.md"
ENCODER_DECODERS = ("bart", "t5")
#: Tasks that are shown on one architecture: their models differ in the head alone.
OF_BERT = ("question-answering", "token-classification", "fill-mask")
HEAD = ("architecture", "task", "layers", "attention", "methods that work", "refused, and why", "warnings")


def of_task(name: str, task: str) -> Any:
    return xai_nlp.load(*tiny(name, task=task), task=task)


def of_loaded(loaded: Any) -> Any:
    return xai_nlp.load(loaded.model, loaded.tokenizer, processor=loaded.processor, task=loaded.task)


def similarity() -> Any:
    model, tokenizer = tiny("bert")
    return xai_nlp.load(model.bert, tokenizer, task="sentence-similarity")


#: (architecture, task) -> a tiny model.
MODELS: dict[tuple[str, str], Callable[[], Any]] = {
    **{(name, "text-classification"): partial(of_task, name, "text-classification") for name in RECIPES},
    **{("bert", task): partial(of_task, "bert", task) for task in OF_BERT},
    ("bert", "zero-shot-classification"): inference_model,
    ("bert", "sentence-similarity"): similarity,
    **{(name, "text-generation"): lambda name=name: xai_nlp.load(*writing(name)) for name in WRITERS},
    **{(name, "text2text-generation"): partial(of_task, name, "text2text-generation") for name in ENCODER_DECODERS},
    **{
        (name, "visual-question-answering"): lambda name=name: of_loaded(tiny_vision_language.loaded(name))
        for name in tiny_vision_language.FAMILIES
    },
    **{
        (name, "image-classification"): lambda name=name: of_loaded(tiny_images.loaded(name))
        for name in tiny_images.ARCHITECTURES
    },
}


def row(name: str, task: str) -> str:
    """A row of the table: what the doctor says of one tiny model."""
    diagnosis = xai_nlp.doctor(MODELS[name, task](), progress=False)
    assert diagnosis.healthy, diagnosis
    cells = (f"`{name}`", TASKS[task].title.lower(), *cells_of(diagnosis))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def cells_of(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Layers, attention, methods, reasons and warnings."""
    layers, attention = diagnosis["layers"], diagnosis["attention"].measured
    how = "known" if "known by name" in layers.sentence else "inferred"
    matrices = int(attention.get("matrices", 0))
    idle = f", {attention['idle']} idle" if attention.get("idle") else ""
    works, reasons = working(diagnosis), refused(diagnosis)
    warned = [f"{check.name}: {check.sentence}" for check in diagnosis.of_level("warning") if check.name != "methods"]
    return (
        f"{int(layers.measured['layers'])}, {how}",
        f"{matrices} × {attention['heads']} heads{idle}" if matrices else "none",
        "all" if len(works) == len(METHODS) else f"{len(works)} of {len(METHODS)}",
        "; ".join(f"{named(methods)}: {first_sentence(reason).rstrip('.')}" for reason, methods in reasons) or "–",
        "; ".join(warned) or "–",
    )


def named(methods: list[str]) -> str:
    """The names of methods; those over attention together where all are among them."""
    attention = [name for name in METHODS if METHODS[name].operates_on == "attention"]
    if len(attention) > 1 and set(attention) <= set(methods):
        rest = [f"`{name}`" for name in methods if name not in attention]
        return ", ".join(["all methods over attention", *rest])
    return ", ".join(f"`{name}`" for name in methods)


PROSE = """# What works on each architecture

Written on {date} by `python -m tests.recipes.architectures`, with transformers {transformers}, torch {torch} and
xai_nlp {xai_nlp}.

`xai-nlp doctor` examined a tiny random model of each architecture, and tried all {methods} methods on a short input.
Every one is healthy: its embeddings, layers and attention change the prediction, gradients reach the input, and neither
padding nor the rest of a batch changes the output. Layers are known by name, or inferred from the modules. Attention
matrices are idle where the model's head does not read them.

Examine a model of your own, by its name, its folder, or as an object with its tokenizer. A notebook draws the result:

```python
import xai_nlp

diagnosis = xai_nlp.doctor("sentiment")
print(diagnosis.healthy, diagnosis["layers"].sentence)
```

On a command line, with exit code 0 for a healthy model and 1 for an error:

```sh
xai-nlp doctor sentiment
xai-nlp doctor sentiment --json --method integrated_gradients
```

| {head} |
|{line}
"""


def page() -> str:
    """The page with the table as it is now."""
    prose = PROSE.format(
        date=date.today().isoformat(),
        transformers=transformers.__version__,
        torch=torch.__version__.partition("+")[0],
        xai_nlp=xai_nlp.__version__,
        methods=len(METHODS),
        head=" | ".join(HEAD),
        line="---|" * len(HEAD),
    )
    return prose + "".join(row(*key) for key in MODELS)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
