"""Text classification: single texts, pairs (NLI), many labels, regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.core.training_influence import METHODS, SuspectLabels, TrainingInfluence
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import Text, TokenWindow, segments_of, windows_of_examples
from xai_nlp.tasks import run, training_influence
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.labels import LabelChoice, Labels, one_choice_each
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.task import EVERY, Task
from xai_nlp.tasks.training_influence import InfluenceOfTexts


class TextClassificationExplainer(Explainer):
    """Explains any `AutoModelForSequenceClassification`: sentiment, topics, pairs (NLI), many labels, regression."""

    task_name: ClassVar[str] = "text-classification"
    one_target: ClassVar[bool] = True
    mean_of_windows: ClassVar[bool] = True

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        super().__init__(loaded, task)
        self.labels = Labels.of(self.model.config)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}: {', '.join(self.labels.names[:6])}>"

    def explain(
        self,
        text: Text | Sequence[Text],
        pair: str | Sequence[str] | None = None,
        *,
        target: LabelChoice | Sequence[LabelChoice] = None,
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each token: how much it drove the target.

        text: a string, a pair as a tuple, or a list of those; a list gives Explanations in the same order.
        pair: the second text of each pair, if it is not given in a tuple.
        target: a label's name or index, a contrast "A-B", or None for the predicted label; a list gives one a text.
            "all" gives one explanation for each label, in the model's order, from the same passes.
        options: those of `tasks.options.ExplainOptions` and of the method. A long text is explained as the mean over
            its windows.

        Raises UnknownName for a label, method, option or layer that does not exist; InvalidInput for a text with
        nothing to read.
        """
        return self._explain({"text": text, "pair": pair}, {"target": target, **options})

    def influence(
        self,
        text: Text | Sequence[Text],
        train_dataset: Any,
        k: int = 10,
        *,
        pair: str | Sequence[str] | None = None,
        target: str | int | Sequence[str | int] | None = None,
        method: str = "word_embeddings",
        checkpoints: Any = None,
        column: str | Mapping[str, str] | None = None,
        batch_size: int = 16,
    ) -> TrainingInfluence | list[TrainingInfluence]:
        """The training texts that drove a prediction: k proponents, which made the label likelier, and k opponents.

        text, pair: as in `explain`; a list gives a list. train_dataset, column: a table with texts and labels, as in
        `explain_table`. target: the label; None for the predicted one. method: "word_embeddings" (splits over the words
        that two texts share), "all" (parameters), "last_layer", or "similarity", the baseline. checkpoints: those of
        the training, as in `xai_nlp.influence.TracInCP`, such as a Trainer's folder; None for the model as it is.
        batch_size: texts in one pass. Texts longer than the model are cut, as in training.
        A notebook shows the result; `to_html` writes it as a page, with the words in colour that two texts share.

        Raises UnknownName for a label or a method, InvalidInput for a row without a label, Unsupported for regressions.
        Source: Pruthi et al. 2020 (arXiv:2002.08484); Yeh et al. 2022 (arXiv:2202.11844).

        >>> import xai_nlp
        >>> train = {"text": ["a gripping film", "a dull film", "dull and lifeless"], "label": [1, 0, 0]}
        >>> found = xai_nlp.load("sentiment").influence("a dull plot", train, k=1)
        >>> found.label, found.proponents[0].text
        ('NEGATIVE', 'a dull film')
        """
        measure = self._influence_of_texts(train_dataset, column, method, checkpoints, batch_size)
        request = self.request({"text": text, "pair": pair}, {"target": target})
        with frozen_model(self.model, evaluate=True):
            windows = self.encode(request)
            targets = self.targets(request, windows, run.predict(self, windows, request.options.batching))
        predicted = [dict(one.outputs) for one in targets]
        found = list(training_influence.influence(self, request, predicted, measure.train, k, measure))
        return found[0] if request.single else found

    def suspect_labels(
        self,
        train_dataset: Any,
        k: int = 10,
        *,
        method: str = "last_layer",
        checkpoints: Any = None,
        column: str | Mapping[str, str] | None = None,
        batch_size: int = 16,
    ) -> SuspectLabels:
        """The k training texts whose labels are most suspect, by their influence on themselves; arguments: `influence`.

        By default they are ranked by the last layer, which is fastest and found most wrong labels where a tenth of 400
        labels of SST-2 was turned: AUC 0.94, word embeddings 0.85.
        For "similarity" the score is how many of the ten nearest texts have another label, weighted by their cosine.
        A notebook shows the result as a table; `to_html` writes it as a page.

        >>> import xai_nlp
        >>> train = {"text": ["a gripping film", "a great film", "a dull film"], "label": [1, 0, 0]}
        >>> [one.text for one in xai_nlp.load("sentiment").suspect_labels(train, k=1)]
        ['a great film']
        """
        measure = self._influence_of_texts(train_dataset, column, method, checkpoints, batch_size)
        return training_influence.suspect_labels(measure, k)

    def _influence_of_texts(
        self, source: Any, column: Any, method: str, checkpoints: Any, batch_size: int
    ) -> InfluenceOfTexts:
        check_choice("method of influence", method, list(METHODS))
        train = training_influence.training_texts(self, source, column)
        return InfluenceOfTexts(self, train, method, checkpoints, batch_size)

    def gives_several(self, request: Request) -> bool:
        return any(self._means_every(example.get("target")) for example in request.examples)

    def read(self, output: Any) -> Tensor:
        """The logits of the labels: (R, C)."""
        return self.output_field(output, "logits", ("rows", "labels"))

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        texts = self.texts(request)
        choices = [self._choices(example.get("target", request.own.get("target"))) for example in request.examples]
        unit = request.options.unit or self.unit
        link = self.labels.link(unit)
        members = windows_of_examples(windows, len(texts))
        logits = torch.stack([outputs[of_text[0]] for of_text in members])  # (N, C), the mean over each text's windows
        for e, of_text in enumerate(members):
            if len(of_text) > 1:
                logits[e] = torch.stack([outputs[w] for w in of_text]).mean(0)
        probabilities = self.labels.outputs(logits)
        owners = [e for e, of_text in enumerate(choices) for _ in of_text]
        specs, weights = self.labels.weights([one for of_text in choices for one in of_text], logits[owners], unit)
        ends = list(accumulate(map(len, choices), initial=0))
        parts = [slice(*pair) for pair in pairwise(ends)]  # of each text, its targets
        return [
            ExampleTarget(
                segments=segments_of(text),
                windows=tuple(members[e]),
                specs=tuple(specs[parts[e]]),
                weights=(weights[parts[e]],) * len(members[e]),
                link=link,
                outputs=probabilities[e],
            )
            for e, text in enumerate(texts)
        ]

    def request(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Request:
        request = super().request(inputs, options)
        choices = one_choice_each(request.own.get("target"), len(request.examples), "texts")
        pairs = zip(request.examples, choices, strict=True)
        return replace(request, examples=[_with_pair(example) | {"target": choice} for example, choice in pairs])

    def _choices(self, choice: LabelChoice) -> list[LabelChoice]:
        """One target, or every label for "all", unless a label has that name."""
        return list(range(len(self.labels.names))) if self._means_every(choice) else [choice]

    def _means_every(self, choice: LabelChoice) -> bool:
        return choice == EVERY and EVERY not in map(str.casefold, self.labels.names)

    def texts(self, request: Request) -> list[Text]:
        return [(one["text"], one["pair"]) if one.get("pair") else one["text"] for one in request.examples]


def _with_pair(example: Mapping[str, Any]) -> dict[str, Any]:
    """A pair given as a tuple, as two inputs. Raises InvalidInput if a second text is given besides."""
    text = example["text"]
    if not isinstance(text, tuple) or len(text) != 2:
        return dict(example)
    if example.get("pair"):
        raise InvalidInput("text is a pair already; leave out pair=….")
    return {"text": text[0], "pair": text[1]} if text[1] else {"text": text}
