"""The task table: what each task reads, what can be chosen, and what data sets call its columns.

Every face is generated from it: the command line, the web app's schema and form, the Insights form, the reader of
records, and `xai_nlp.explain`. A new task is one row here and one short file that reads the model's outputs. Importing
the table imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.tasks.task import Task

_TEXT = InputField(
    name="text",
    kind="long text",
    help="The text to explain.",
    columns=("text", "sentence", "sentence1", "review", "content", "premise", "document"),
)
_ANSWER = OptionField(name="answer", type=str, help="Explain this answer instead of the model's own.")
_CONTRAST = OptionField(name="rather_than", type=str, help="Explain why the answer is not this one.")
_GOLD_ANSWERS = ("answers", "answer", "gold_answer")

_REGIONS = OptionField(name="regions", type=str, default="auto", help="auto, patches, grid:N or slic.")
_IMAGE_BASELINE = OptionField(
    name="image_baseline",
    type=str,
    default="grey",
    choices=("grey", "black", "white", "mean", "blur", "noise"),
    help="What the image is compared with.",
)
_IMAGE = InputField(
    name="image",
    kind="image",
    help="The image: PNG, JPEG, WebP, GIF, …",
    columns=("image", "img", "picture"),
    sample="scene.png",
)

TASKS: dict[str, Task] = {}


def register_task(task: Task) -> Task:
    """Add a task to the table. Raises InvalidInput if its name or command is taken."""
    for other in TASKS.values():
        if task.name == other.name or task.command == other.command:
            raise InvalidInput(f"a task named {other.name!r} with the command {other.command!r} exists already.")
    TASKS[task.name] = task
    return task


def find_task(name: str) -> Task:
    """The task of that name or command. Raises UnknownName."""
    task = next((task for key, task in TASKS.items() if name in (key, task.command)), None)
    if task is None:
        raise UnknownName("task", name, TASKS)
    return task


def task_for_inputs(names: Iterable[str]) -> Task:
    """The first task that reads these inputs. Raises InvalidInput, which lists what tasks need."""
    present = set(names)
    for task in TASKS.values():
        if task.reads(present):
            return task
    calls = ", ".join(dict.fromkeys(f"explain({task.call})" for task in TASKS.values()))
    raise InvalidInput(f"give the inputs of one task: {calls}; got {' and '.join(sorted(present)) or 'none'}.")


register_task(
    Task(
        name="text-classification",
        title="Text classification",
        command="classify",
        help="Which words made a classifier choose its label.",
        inputs=(
            _TEXT,
            InputField(
                name="pair",
                kind="long text",
                required=False,
                help="The second text, for models that read two.",
                columns=("pair", "text_pair", "sentence2", "hypothesis"),
            ),
        ),
        options=(
            OptionField(
                name="target", type=str, help='A label, a contrast "A-B", or all; the predicted label if not given.'
            ),
        ),
        gold=("label", "labels", "sentiment", "category", "gold", "target", "class"),
        auto_class="AutoModelForSequenceClassification",
        class_endings=("ForSequenceClassification",),
        embedded="sentiment",
        explainer="xai_nlp.tasks.text_classification:TextClassificationExplainer",
    )
)
register_task(
    Task(
        name="question-answering",
        title="Question answering",
        command="qa",
        help="Which words of a question and its context drove the answer.",
        inputs=(
            InputField(
                name="question", kind="text", help="The question.", columns=("question",), sample="Who wrote it?"
            ),
            InputField(
                name="context",
                kind="long text",
                help="The text that holds the answer.",
                columns=("context", "passage", "paragraph"),
                sample="Ada Lovelace wrote it in 1843.",
            ),
        ),
        options=(
            OptionField(
                name="target",
                type=str,
                default="span",
                choices=("span", "start", "end"),
                repeatable=True,
                help="The start of the answer, its end, or both; repeat it for several.",
            ),
            _ANSWER,
            _CONTRAST,
            OptionField(
                name="unanswerable", type=bool, default=False, help="The model may say that there is no answer."
            ),
            OptionField(name="longest", type=int, default=30, advanced=True, help="Tokens of an answer at most."),
        ),
        gold=_GOLD_ANSWERS,
        auto_class="AutoModelForQuestionAnswering",
        class_endings=("ForQuestionAnswering",),
        embedded="qa",
        explainer="xai_nlp.tasks.question_answering:QuestionAnsweringExplainer",
    )
)
register_task(
    Task(
        name="visual-question-answering",
        title="Visual question answering",
        command="vqa",
        help="Which words of a question and which regions of an image drove the answer.",
        inputs=(
            _IMAGE,
            InputField(
                name="question",
                kind="text",
                help="The question.",
                columns=("question",),
                sample="what colour is the star?",
            ),
        ),
        options=(
            _ANSWER,
            _CONTRAST,
            OptionField(
                name="target",
                type=str,
                advanced=True,
                help='An answer, a contrast "red-blue"; "words" for each written token.',
            ),
            OptionField(name="rank", type=int, default=1, advanced=True, help="Explain the answer of this rank."),
            _REGIONS,
            _IMAGE_BASELINE,
            OptionField(
                name="moves",
                type=str,
                default="both",
                choices=("both", "text", "image"),
                help="Explain question and image, or one of them.",
            ),
            OptionField(
                name="longest", type=int, default=20, advanced=True, help="Tokens of a written answer at most."
            ),
        ),
        gold=_GOLD_ANSWERS,
        auto_class="AutoModelForImageTextToText",
        class_endings=("ForImageTextToText",),
        embedded="vqa",
        explainer="xai_nlp.tasks.visual_question_answering:VisualQuestionAnsweringExplainer",
    )
)
register_task(
    Task(
        name="image-classification",
        title="Image classification",
        command="image",
        help="Which regions of an image made a classifier choose its label.",
        inputs=(_IMAGE,),
        options=(
            OptionField(
                name="target", type=str, help='A label, or a contrast "A-B"; the predicted label if not given.'
            ),
            _REGIONS,
            _IMAGE_BASELINE,
        ),
        gold=("label", "labels", "category", "gold", "target", "class"),
        auto_class="AutoModelForImageClassification",
        class_endings=("ForImageClassification", "ForImageClassificationWithTeacher"),
        embedded="image",
        explainer="xai_nlp.tasks.image_classification:ImageClassificationExplainer",
    )
)
register_task(
    Task(
        name="text-generation",
        title="Text generation",
        command="generation",
        help="Which words of a prompt drove the text that the model writes.",
        inputs=(
            InputField(
                name="prompt",
                kind="long text",
                help="The prompt.",
                columns=("prompt", "instruction", "input"),
                sample="The plot is",
            ),
        ),
        options=(
            OptionField(
                name="target",
                type=str,
                default="answer",
                choices=("answer", "words"),
                help="The whole answer, or each of its tokens.",
            ),
            _ANSWER,
            _CONTRAST,
            OptionField(name="chat", type=bool, default=False, help="Put the prompt into the chat template."),
            OptionField(name="longest", type=int, default=25, advanced=True, help="Tokens of the answer at most."),
        ),
        gold=_GOLD_ANSWERS,
        auto_class="AutoModelForCausalLM",
        class_endings=("ForCausalLM", "LMHeadModel"),
        explainer="xai_nlp.tasks.text_generation:TextGenerationExplainer",
    )
)
register_task(
    Task(
        name="token-classification",
        title="Token classification",
        command="entities",
        help="Which words made the model read an entity of a text as it does.",
        inputs=(_TEXT,),
        options=(
            OptionField(name="entity", type=str, help="A stretch of the text, or all; the surest entity if not given."),
            OptionField(name="target", type=str, help="A type, such as PER; the one that is read if not given."),
            _CONTRAST,
            OptionField(
                name="aggregation",
                type=str,
                default="simple",
                choices=("simple", "first", "average", "max"),
                advanced=True,
                help="How tokens become entities, as in the pipeline of transformers.",
            ),
        ),
        gold=("entity_type", "type"),
        auto_class="AutoModelForTokenClassification",
        class_endings=("ForTokenClassification",),
        examples=({"text": "Ada Lovelace was born in London."},),
        explainer="xai_nlp.tasks.token_classification:TokenClassificationExplainer",
    )
)
register_task(
    Task(
        name="fill-mask",
        title="Masked language modelling",
        command="mask",
        help="Which words made the model expect a word at the mask.",
        inputs=(replace(_TEXT, help="A text that holds the mask token, such as [MASK]."),),
        options=(
            OptionField(name="target", type=str, help="A word; the one that the model expects if not given."),
            _CONTRAST,
            OptionField(name="mask", type=int, default=1, advanced=True, help="Which mask of the text, from 1 on."),
        ),
        gold=("word", "answer", "label"),
        auto_class="AutoModelForMaskedLM",
        class_endings=("ForMaskedLM",),
        examples=({"text": "The film was [MASK]."},),
        explainer="xai_nlp.tasks.fill_mask:FillMaskExplainer",
    )
)
register_task(
    Task(
        name="text2text-generation",
        title="Text to text",
        command="text2text",
        help="Which words of a text drove its translation, summary or answer.",
        inputs=(replace(_TEXT, columns=("text", "source", "article", "document", "dialogue", "prompt", "input")),),
        options=(
            OptionField(
                name="target",
                type=str,
                default="answer",
                choices=("answer", "words"),
                help="The whole answer, or each of its tokens.",
            ),
            _ANSWER,
            _CONTRAST,
            OptionField(name="longest", type=int, default=60, advanced=True, help="Tokens of the answer at most."),
        ),
        gold=("target", "summary", "translation", *_GOLD_ANSWERS),
        auto_class="AutoModelForSeq2SeqLM",
        class_endings=("ForConditionalGeneration", "MarianMTModel"),
        examples=({"text": "translate English to German: The house is small."},),
        explainer="xai_nlp.tasks.text2text:Text2TextExplainer",
    )
)
register_task(
    Task(
        name="zero-shot-classification",
        title="Zero-shot classification",
        command="zero-shot",
        help="Which words made a model of inference choose one of your labels.",
        inputs=(
            _TEXT,
            InputField(
                name="labels",
                kind="list",
                help="The labels to choose from, with commas between them.",
                columns=("labels", "candidate_labels", "classes"),
                sample="film, food",
            ),
        ),
        options=(
            OptionField(name="target", type=str, help="One of the labels, or all; the best one if not given."),
            OptionField(
                name="template",
                type=str,
                default="This example is {}.",
                help="The hypothesis about a label, with {} in the place of the label.",
            ),
            OptionField(
                name="multi_label", type=bool, default=False, help="Several labels may be true, each by itself."
            ),
        ),
        gold=("label", "gold", "category", "class"),
        auto_class="AutoModelForSequenceClassification",
        explainer="xai_nlp.tasks.zero_shot_classification:ZeroShotClassificationExplainer",
    )
)
register_task(
    Task(
        name="sentence-similarity",
        title="Sentence similarity",
        command="similarity",
        help="Which words of two texts make their embeddings alike.",
        inputs=(
            replace(_TEXT, help="The first text."),
            InputField(
                name="pair",
                kind="long text",
                help="The text that it is compared with.",
                columns=("pair", "text_pair", "sentence2", "passage", "answer"),
                sample="a dull plot",
            ),
        ),
        options=(
            OptionField(
                name="moves",
                type=str,
                default="both",
                choices=("both", "text", "pair"),
                help="Explain both texts together, or one against the other.",
            ),
            OptionField(name="pairs", type=bool, default=False, help="Also score every pair of a word of each text."),
            OptionField(
                name="pooling",
                type=str,
                choices=("mean", "cls", "max"),
                advanced=True,
                help="How hidden states become one vector; the model's own if not given, or the mean.",
            ),
        ),
        gold=("score", "similarity"),
        auto_class="AutoModel",
        class_endings=(
            *("BertModel", "RobertaModel", "MPNetModel", "AlbertModel", "ElectraModel", "DebertaModel"),
            *("DebertaV2Model", "CamembertModel", "EncoderModel", "GPT2Model", "LlamaModel", "MistralModel"),
            *("Qwen2Model", "Qwen3Model"),
        ),
        explainer="xai_nlp.tasks.sentence_similarity:SentenceSimilarityExplainer",
    )
)
