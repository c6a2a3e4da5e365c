"""Text classification: single texts, pairs (NLI), many labels, regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import Text, TokenWindow, segments_of
from xai_nlp.tasks.explainer import Aim, Explainer, How
from xai_nlp.tasks.labels import Labels

Wanted = str | int | None


class TextClassificationExplainer(Explainer):
    """Explains any `AutoModelForSequenceClassification`: sentiment, topics, pairs (NLI), many labels, regression."""

    task: ClassVar[str] = "text-classification"

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.labels = Labels.of(self.model.config)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}: {', '.join(self.labels.names[:6])}>"

    def read(self, output: Any) -> Tensor:
        return output.logits

    def explain(
        self, text: Text | Sequence[Text], *, target: Wanted | Sequence[Wanted] = None, **how: Any
    ) -> Explanation | Explanations:
        """One signed score a token: how much each drove the target.

        text: a string, a pair as a tuple, or a list of those; a list gives Explanations, in the same order.
        target: a label's name or index, a contrast "A-B", or None for the predicted label; a list gives one a text.
        how: the fields of `tasks.explainer.How` (method, baseline, unit, layer, layers, attention, …) and the options
            of the method. Long texts are explained as the mean over their windows.

        Raises UnknownName for a label, method, option or layer that does not exist; InvalidInput for a text with
        nothing to read.
        """
        asked = How.of(how)
        single = isinstance(text, (str, tuple))
        texts: list[Text] = [text] if single else list(text)  # type: ignore[list-item]
        if not texts:
            raise InvalidInput("there is nothing to explain: no texts were given.")
        wanted: list[Wanted] = list(target) if isinstance(target, (list, tuple)) else [target] * len(texts)  # type: ignore[list-item]
        if len(wanted) != len(texts):
            raise InvalidInput(f"{len(texts)} texts need as many targets, or one for all; got {len(wanted)}.")
        self.labels.link(asked.unit)  # refuses a unit that the model does not have before it runs

        def aims(rows: list[TokenWindow], outputs: list[Tensor]) -> list[Aim]:
            return [self._aim(e, text, wanted[e], asked.unit, rows, outputs) for e, text in enumerate(texts)]

        found = self._explained(texts, asked, aims)
        return found[0] if single and len(asked.methods) == 1 and isinstance(asked.method, str) else found

    def _aim(
        self,
        example: int,
        text: Text,
        wanted: Wanted,
        unit: str,
        rows: Sequence[TokenWindow],
        outputs: Sequence[Tensor],
    ) -> Aim:
        mine = tuple(r for r, row in enumerate(rows) if row.example == example)
        logits = torch.stack([outputs[r] for r in mine]).mean(0)
        target, weights = self.labels.weights(wanted, logits, unit)
        weights = weights[None].to(logits.device)
        return Aim(
            segments=segments_of(text),
            rows=mine,
            targets=(target,),
            weights=(weights,) * len(mine),
            link=self.labels.link(unit),
            outputs=self.labels.shown(logits),
        )

    def predict(self, text: Text | Sequence[Text]) -> dict[str, float] | list[dict[str, float]]:
        """Every label's probability, or raw output for a regression; a list for a list of texts."""
        single = isinstance(text, (str, tuple))
        texts: list[Text] = [text] if single else list(text)  # type: ignore[list-item]
        with frozen_model(self.model, evaluate=True):
            rows = self._encode(texts)
            outputs = self._outputs(rows)
        of_text = [[o for o, row in zip(outputs, rows, strict=True) if row.example == e] for e in range(len(texts))]
        shown = [self.labels.shown(torch.stack(mine).mean(0)) for mine in of_text]
        return shown[0] if single else shown
