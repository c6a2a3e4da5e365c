"""`xai-nlp explain` and `xai-nlp attention`: why a model says what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from xai_nlp.cli.options import (
    Baseline,
    Html,
    Json,
    Layer,
    Method,
    Model,
    Options,
    Seed,
    Tokens,
    Unit,
    options_of,
    read_text,
    several_of,
    shown,
    told,
)
from xai_nlp.errors import InvalidInput

if TYPE_CHECKING:
    from xai_nlp import Explanations

explain_app = typer.Typer(help="Explain a model's answer.", no_args_is_help=True)
attention_app = typer.Typer(help="Through which layers, heads and pairs of tokens.", no_args_is_help=True)

Question = Annotated[str, typer.Option(help="The question.")]
Context = Annotated[str | None, typer.Option(help="The text that holds the answer.")]
ContextFile = Annotated[Path | None, typer.Option(help="A file with that text; - for stdin.")]
Answer = Annotated[str | None, typer.Option(help="Explain this answer instead of the model's own.")]
RatherThan = Annotated[str | None, typer.Option(help="Why the answer is not this one.")]
Unanswerable = Annotated[bool, typer.Option(help="The model may say that there is no answer (SQuAD 2).")]
Target = Annotated[str | None, typer.Option(help='A label, or a contrast "A-B"; the prediction if not given.')]
AttentionMethod = Annotated[str, typer.Option(help="One of the methods over attention: `xai-nlp methods`.")]
Show = tuple[Path | None, Path | None, bool]  # a page, JSON, tokens instead of words
INTEGRATED = "integrated_gradients"


def read_texts(given: list[str] | None, file: Path | None) -> list[str]:
    """The texts of the command line, or the lines of a file ("-" is stdin). Raises InvalidInput for none, or both."""
    if bool(given) == bool(file):
        raise typer.BadParameter("give texts, or --file with one text a line (- for stdin).")
    if given:
        return given
    assert file is not None
    texts = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    if not texts:
        raise InvalidInput(f"{file} holds no text.")
    return texts


def context_of(given: str | None, file: Path | None) -> str:
    """The context, as given or from a file."""
    if bool(given) == bool(file):
        raise typer.BadParameter("give --context, or --context-file (- for stdin).")
    return given or read_text(Path(str(file)))


def tell(
    task: str,
    inputs: tuple[Any, ...],
    model: str,
    method: list[str] | None,
    option: list[str] | None,
    seed: int,
    show: Show,
    **given: Any,
) -> Explanations:
    """Explain, and show what was found where it was asked for."""
    from xai_nlp import load
    from xai_nlp.core.batching import progress_bar

    names = method or [INTEGRATED]
    options = options_of(option, names, seed)
    explainer = load(model, task=task)
    with progress_bar("explaining") as progress:
        found = explainer.explain(
            *inputs, method=names[0] if len(names) == 1 else names, progress=progress, **given, **options
        )
    html, json_to, tokens = show
    shown(several_of(found), html=html, json_to=json_to, tokens=tokens)
    return several_of(found)


@explain_app.command()
def sentiment(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to explain.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one text a line; - for stdin.")] = None,
    pair: Annotated[str | None, typer.Option(help="The second text of a pair, for models that read two.")] = None,
    model: Model = "sentiment",
    method: Method = None,
    target: Target = None,
    baseline: Baseline = None,
    unit: Unit = "logit",
    layer: Layer = None,
    option: Options = None,
    html: Html = None,
    json_to: Json = None,
    tokens: Tokens = False,
    seed: Seed = 0,
) -> None:
    """Which words made a classifier say what it says."""
    with told():
        read = read_texts(texts, file)
        tell(
            "text-classification",
            ([(text, pair) for text in read] if pair else read,),
            model, method, option, seed, (html, json_to, tokens),
            target=target, baseline=baseline, unit=unit, layer=layer,
        )  # fmt: skip


@explain_app.command()
def qa(
    question: Question,
    context: Context = None,
    context_file: ContextFile = None,
    answer: Answer = None,
    rather_than: RatherThan = None,
    unanswerable: Unanswerable = False,
    target: Annotated[list[str] | None, typer.Option(help="start, end or span; repeat for several.")] = None,
    model: Model = "qa",
    method: Method = None,
    baseline: Baseline = None,
    unit: Unit = "logit",
    layer: Layer = None,
    layers: Annotated[bool, typer.Option("--layers", help="What flows through every layer, on the page.")] = False,
    attention: Annotated[bool, typer.Option("--attention", help="And through every attention matrix.")] = False,
    parts: Annotated[bool, typer.Option("--parts", help="Word, position and type embeddings apart.")] = False,
    option: Options = None,
    html: Html = None,
    json_to: Json = None,
    tokens: Tokens = False,
    seed: Seed = 0,
) -> None:
    """Which words of a question and its context made a model give its answer."""
    with told():
        tell(
            "question-answering",
            (question, context_of(context, context_file)),
            model, method, option, seed, (html, json_to, tokens),
            target=target or "span", answer=answer, rather_than=rather_than, unanswerable=unanswerable,
            baseline=baseline, unit=unit, layer=layer, layers=layers, attention=attention, parts=parts,
        )  # fmt: skip


Image = Annotated[Path, typer.Option(help="The image: PNG, JPEG, WebP, GIF, …", exists=True, dir_okay=False)]


@explain_app.command()
def vqa(
    image: Image,
    question: Question,
    answer: Annotated[str | None, typer.Option(help='Explain this answer, or a contrast "red-blue".')] = None,
    rather_than: RatherThan = None,
    model: Model = "vqa",
    method: Method = None,
    regions: Annotated[str, typer.Option(help="auto, patches, grid:N or slic.")] = "auto",
    image_baseline: Annotated[str, typer.Option(help="grey, black, white, mean, blur or noise.")] = "grey",
    moves: Annotated[str, typer.Option(help="both, or text or image alone.")] = "both",
    baseline: Baseline = None,
    unit: Annotated[str | None, typer.Option(help="logit, probability or log-probability.")] = None,
    layer: Layer = None,
    attention: Annotated[bool, typer.Option("--attention", help="Which regions each word drew on, too.")] = False,
    option: Options = None,
    html: Html = None,
    json_to: Json = None,
    tokens: Tokens = False,
    seed: Seed = 0,
) -> None:
    """Which words of a question, and which regions of an image, made a model give its answer."""
    with told():
        tell(
            "visual-question-answering",
            (image, question),
            model, method, option, seed, (html, json_to, tokens),
            answer=answer, rather_than=rather_than, regions=regions, image_baseline=image_baseline, moves=moves,
            baseline=baseline, layer=layer, attention=attention, **({"unit": unit} if unit else {}),
        )  # fmt: skip


@explain_app.command()
def generation(
    prompt: Annotated[str, typer.Argument(help="What the model goes on from.")],
    model: Annotated[str, typer.Option(help="A folder or a hub name of a model that writes.")],
    answer: Annotated[str | None, typer.Option(help="Explain this answer instead of the model's own.")] = None,
    rather_than: RatherThan = None,
    target: Annotated[str, typer.Option(help="answer, or words: each of its tokens.")] = "answer",
    chat: Annotated[bool, typer.Option("--chat", help="The prompt is a user's message in the chat template.")] = False,
    longest: Annotated[int, typer.Option(help="Tokens of the answer at most.")] = 25,
    method: Method = None,
    baseline: Baseline = None,
    unit: Annotated[str, typer.Option(help="log-probability or logit.")] = "log-probability",
    option: Options = None,
    html: Html = None,
    json_to: Json = None,
    tokens: Tokens = False,
    seed: Seed = 0,
) -> None:
    """Which words of a prompt made a model write what it wrote."""
    with told():
        tell(
            "text-generation",
            (prompt,),
            model, method, option, seed, (html, json_to, tokens),
            answer=answer, rather_than=rather_than, target=target, chat=chat, longest=longest,
            baseline=baseline, unit=unit,
        )  # fmt: skip


# Attention ----------------------------------------------------------------------------------------------------------


def tell_attention(
    task: str,
    inputs: tuple[Any, ...],
    model: str,
    method: str,
    option: list[str] | None,
    show: Show,
    **given: Any,
) -> None:
    """Explain through attention, and show heads and pairs of words too."""
    from xai_nlp.methods import find_method
    from xai_nlp.viz.terminal.heads import render_attention

    if find_method(method).name not in over_attention():
        raise InvalidInput(f"{method!r} does not look at attention; choose one of {', '.join(over_attention())}.")
    found = tell(task, inputs, model, [method], option, 0, show, **given)
    _, json_to, tokens = show
    if str(json_to) != "-":
        for why in found:
            Console().print(render_attention(why if tokens else why.words()))


def over_attention() -> list[str]:
    """The methods that look at attention."""
    from xai_nlp.methods import METHODS

    return sorted(name for name, cls in METHODS.items() if cls.operates_on not in ("inputs", "layer"))


@attention_app.command(name="sentiment")
def attention_sentiment(
    text: Annotated[str, typer.Argument(help="The text to explain.")],
    model: Model = "sentiment",
    method: AttentionMethod = "attention_integrated_gradients",
    target: Target = None,
    option: Options = None,
    html: Html = None,
    json_to: Json = None,
    tokens: Tokens = False,
) -> None:
    """Through which heads a classifier came to its label."""
    with told():
        show = (html, json_to, tokens)
        tell_attention("text-classification", (text,), model, method, option, show, target=target)


@attention_app.command(name="qa")
def attention_qa(
    question: Question,
    context: Context = None,
    context_file: ContextFile = None,
    answer: Answer = None,
    rather_than: RatherThan = None,
    unanswerable: Unanswerable = False,
    target: Annotated[str, typer.Option(help="start, end or span.")] = "span",
    model: Model = "qa",
    method: AttentionMethod = "attention_integrated_gradients",
    option: Options = None,
    html: Html = None,
    json_to: Json = None,
    tokens: Tokens = False,
) -> None:
    """Through which heads a model came to its answer."""
    with told():
        tell_attention(
            "question-answering",
            (question, context_of(context, context_file)),
            model, method, option, (html, json_to, tokens),
            answer=answer, rather_than=rather_than, unanswerable=unanswerable, target=target,
        )  # fmt: skip


@attention_app.command(name="vqa")
def attention_vqa(
    image: Image,
    question: Question,
    answer: Answer = None,
    rather_than: RatherThan = None,
    model: Model = "vqa",
    method: AttentionMethod = "attention_integrated_gradients",
    option: Options = None,
    html: Html = None,
    json_to: Json = None,
    tokens: Tokens = False,
) -> None:
    """Which words drew on which regions of an image, and through which heads."""
    with told():
        tell_attention(
            "visual-question-answering",
            (image, question),
            model, method, option, (html, json_to, tokens),
            answer=answer, rather_than=rather_than,
        )  # fmt: skip
