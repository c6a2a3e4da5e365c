"""`llms.txt` and README's table, from the tables of tasks and methods: `python -m tests.recipes.llms` writes both anew.

Whether a method works on a task is tried, on a tiny random model or on the task's embedded one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.models.tiny_vision_language import vilt
from tests.recipes.choosing import said
from xai_nlp.core.fields import OptionField
from xai_nlp.core.registry import method_options
from xai_nlp.errors import XaiError
from xai_nlp.methods import METHODS
from xai_nlp.models.loading import EMBEDDED_MODELS
from xai_nlp.tasks.table import TASKS
from xai_nlp.tasks.task import COMMON_OPTIONS, Task

ROOT = Path(__file__).parents[2]
README, LLMS = ROOT / "README.md", ROOT / "llms.txt"
SCENE = ROOT / "tutorials" / "data" / "scene.png"
BEGIN, END = "<!-- table: python -m tests.recipes.llms -->\n", "<!-- end of table -->\n"
#: The columns of README's table. `random` is in none of them: it is for comparisons.
FAMILIES = {
    "integrated gradients": ("integrated_gradients", "conductance", "internal_influence"),
    "gradients": (
        *("saliency", "input_x_gradient", "smoothgrad", "smoothgrad_squared", "vargrad", "gradient_shap"),
        *("guided_backprop", "deconvolution"),
    ),
    "DeepLIFT, LRP": ("deep_lift", "lrp"),
    "SHAP, LIME, occlusion": ("shapley", "kernel_shap", "lime", "occlusion"),
    "attention": tuple(name for name in METHODS if name.startswith("attention_")),
    "Grad-CAM": ("grad_cam",),
}
FEW = {"steps": 9, "samples": 4}  # enough to see that a method runs


def inference_model() -> Any:
    """A tiny model that says whether one text entails another."""
    model, tokenizer = tiny("bert", fresh=True)
    model.config.id2label, model.config.label2id = (
        {0: "contradiction", 1: "entailment"},
        {"contradiction": 0, "entailment": 1},
    )
    return xai_nlp.load(model, tokenizer, task="zero-shot-classification")


def encoder() -> Any:
    """A tiny model that embeds a text."""
    model, tokenizer = tiny("bert")
    return xai_nlp.load(model.bert, tokenizer, task="sentence-similarity")


def tiny_model(task: str, name: str) -> Callable[[], Any]:
    return lambda: xai_nlp.load(*tiny(name, task=task), task=task)


def tiny_vilt() -> Any:
    model, tokenizer, processor = vilt()
    return xai_nlp.load(model, tokenizer, processor=processor)


#: What the trials of a task explain, and on which model; on the embedded one where none is named.
INPUTS: dict[str, Mapping[str, Any]] = {
    "text-classification": {"text": "a fine film"},
    "question-answering": {"question": "Who wrote it?", "context": "Mary wrote it."},
    "visual-question-answering": {"image": SCENE, "question": "what colour is the star?"},
    "text-generation": {"prompt": "the film was", "longest": 2},
    "token-classification": {"text": "Mary wrote the book."},
    "fill-mask": {"text": "a [MASK] film"},
    "text2text-generation": {"text": "a fine film", "longest": 2},
    "image-classification": {"image": SCENE},
    "zero-shot-classification": {"text": "a fine film", "labels": ["film", "food"]},
    "sentence-similarity": {"text": "a fine film", "pair": "a dull plot"},
}
MODELS: dict[str, Callable[[], Any]] = {
    "text-classification": tiny_model("text-classification", "bert"),
    "question-answering": tiny_model("question-answering", "bert"),
    "visual-question-answering": tiny_vilt,
    "text-generation": lambda: xai_nlp.load(*writing("gpt2")),
    "token-classification": tiny_model("token-classification", "bert"),
    "fill-mask": tiny_model("fill-mask", "bert"),
    "text2text-generation": tiny_model("text2text-generation", "t5"),
    "zero-shot-classification": inference_model,
    "sentence-similarity": encoder,
}


def works(explainer: Any, inputs: Mapping[str, Any], method: str) -> bool:
    """Does a method explain these inputs, or does it say that it does not go with them?"""
    few = {option.name: FEW[option.name] for option in method_options(method) if option.name in FEW}
    try:
        explainer.explain(**inputs, method=method, progress=False, **few)
    except XaiError:
        return False
    return True


def cell(explainer: Any, inputs: Mapping[str, Any], methods: tuple[str, ...]) -> str:
    """ "yes", "no", or the methods of a family that work."""
    working = [name for name in methods if works(explainer, inputs, name)]
    if len(working) == len(methods):
        return "yes"
    if len(working) * 2 > len(methods):
        return "all but " + ", ".join(f"`{name}`" for name in methods if name not in working)
    return ", ".join(f"`{name}`" for name in working) or "no"


def row(task: Task) -> tuple[str, ...]:
    """A task in README's table."""
    explainer = MODELS[task.name]() if task.name in MODELS else xai_nlp.load(task.embedded)
    works_on = [cell(explainer, INPUTS[task.name], methods) for methods in FAMILIES.values()]
    embedded = f"`{task.embedded}`" if task.embedded else "–"
    return (task.title, f"`{task.call}`", f"`{task.command}`", embedded, *works_on)


def task_table() -> str:
    """Markdown: a row for each task, a column for each family of methods."""
    head = ("task", "`explain(…)`", "`xai-nlp explain …`", "embedded model", *FAMILIES)
    rows = [head, ("---",) * len(head), *(row(task) for task in TASKS.values())]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in rows)


def renewed(page: str) -> str:
    """README with the table as it is now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + task_table() + END + rest.split(END)[1]


HEAD = """# xai_nlp

> A Python package that explains HuggingFace models: a signed score for each word, image region, layer and attention
> head. It runs offline, needs PyTorch, and leaves the model as it was.

This file is for coding assistants. `python -m tests.recipes.llms` writes it from the tables of tasks and methods.

## Use
```python
import xai_nlp

why = xai_nlp.explain("a fine film")              # the embedded model of the task
explainer = xai_nlp.load("./folder or hub name")  # or load(model, tokenizer); task=, processor=, device=, dtype=
why = explainer.explain("a fine film", method="integrated_gradients", target="POSITIVE", baseline="pad")
why.prediction, why.outputs, why.top(5)           # answer, probabilities, the strongest (word, score) pairs
why.tokens, why.scores, why.unit, why.residual    # why.words() merges subwords
why.image.boxes, why.image.scores                 # where there is an image
why.save("why.json"), why.to_html("why.html"), why.to_png("why.png"), why.to_pandas(), why.to_json()
```
A list, a pandas frame, a `datasets.Dataset` or a dict of columns gives `Explanations`: a sequence with `save`, `load`,
`to_html`, `to_pandas`, `summary` and, with `on_error="record"`, `errors`. Several methods or targets give one
explanation for each.

## Rules
- Install from the repository: `pip install .`, with extras `pip install '.[serve,notebook]'`. No index has the package.
- Scores are signed and in `why.unit`. Where `why.complete`, they add up to f(x) − f(x₀), but for `why.residual`.
- A wrong name or option raises a subclass of `xai_nlp.errors.XaiError`, whose message names what is allowed.
- A model whose head is untrained for the task is refused. Load it with the task that it was trained for.
- `xai_nlp.attr` has the names of `captum.attr`: only the import changes.
- Commands: `xai-nlp explain TASK`, `xai-nlp methods [NAME]`, `xai-nlp models`, `xai-nlp report`, `xai-nlp serve`,
  `xai-nlp doctor MODEL`, `xai-nlp diff MODEL_A MODEL_B --data FILE`, `xai-nlp evaluate explain DATA`.
- `explain(…, trust=True)` fills `why.trust`: `level`, `weakest.sentence`, `checks`. `why.sentence()` says all of it in
  words. `xai_nlp.doctor(model)` says what works on a model, `xai_nlp.diff(a, b, data)` whether two models agree.
"""

GUIDES = """
## Guides
- [Models](tutorials/models.md): load yours, on a GPU, in another dtype; the inside of a model
- [Data](tutorials/data.md): lists, tables and files in; files, frames and pages out
- [Methods](tutorials/choosing_a_method.md): what each needs, costs and gets wrong
- [Runs](tutorials/runs.md): a whole data set explained into a folder, stopped, gone on with, read back
- [Trust](tutorials/trust.md): how far to believe an explanation; [comparing models](tutorials/comparing_models.md)
- [Command line](tutorials/command_line.md), [web page](tutorials/web_page.md), [performance](tutorials/performance.md)
- [From Captum](tutorials/from_captum.md): every name and every difference
"""


def option_line(option: OptionField) -> str:
    """A line of a list: the option, its choices, what it does."""
    choices = f" ({' | '.join(map(str, option.choices))})" if option.choices else ""
    return f"  - `{option.name}`{choices}: {option.help}"


def task_lines(task: Task) -> Iterator[str]:
    """A task with its inputs and its own options."""
    model = f"embedded: {task.embedded}" if task.embedded else "no embedded model: name one"
    yield f"- **{task.name}**: `xai_nlp.explain({task.call})`, `xai-nlp explain {task.command}`. {task.help}"
    yield f"  Models of `{task.auto_class}`; {model}."
    yield from map(option_line, task.options)


def method_line(name: str) -> str:
    """A method: what it says, what it costs, what its options are."""
    cls = METHODS[name]
    options = ", ".join(f"`{option.name}`" for option in method_options(name))
    adds_up = "Adds up. " if cls.complete else ""
    return f"- `{name}`: {said(cls)} {adds_up}Cost: {said(cls, 'Cost')}." + (f" Options: {options}." if options else "")


def method_lines() -> Iterator[str]:
    """The methods, by the columns of README's table."""
    for family, names in FAMILIES.items():
        yield f"### {family}"
        yield from map(method_line, names)
    yield "### for comparisons"
    yield method_line("random")


def llms() -> str:
    """The text of llms.txt."""
    embedded = [f"- `{name}`: {does}" for name, does in EMBEDDED_MODELS.items()]
    tasks = [line for task in TASKS.values() for line in task_lines(task)]
    every = map(option_line, COMMON_OPTIONS)
    parts = {"Embedded models": embedded, "Tasks": tasks, "Options of every task": every, "Methods": method_lines()}
    return HEAD + "".join(f"\n## {title}\n" + "\n".join(lines) + "\n" for title, lines in parts.items()) + GUIDES


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
    LLMS.write_text(llms(), encoding="utf-8")
