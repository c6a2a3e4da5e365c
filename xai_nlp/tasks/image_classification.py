"""Image classification: which regions of an image made the model choose its label."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.registry import Method
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.image_models import ImageClassifier
from xai_nlp.models.images import read_image
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.batch import WindowBatch
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import BATCH_ENTRIES, Explainer
from xai_nlp.tasks.image_inputs import ImageBatch, ImageInput
from xai_nlp.tasks.labels import LabelChoice, Labels, one_choice_each
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.task import Task


class ImageClassificationExplainer(Explainer):
    """Explains any `AutoModelForImageClassification`: ViT, DeiT, Swin, ResNet, ConvNeXt.

    There is no text: an explanation has no tokens, and the scores of the image's regions add up to f(x) − f(x₀) where
    the method promises that.
    """

    task_name: ClassVar[str] = "image-classification"
    one_target: ClassVar[bool] = True

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        super().__init__(loaded, task)
        if loaded.processor is None:
            raise InvalidInput("a model that looks at images needs its processor: load(model, processor=…).")
        self.family = ImageClassifier(self.model, loaded.processor)
        self.labels = Labels.of(self.model.config)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}: {', '.join(self.labels.names[:6])}>"

    def explain(
        self,
        image: Any,
        *,
        target: LabelChoice | Sequence[LabelChoice] = None,
        regions: Any = "auto",
        image_baseline: str = "grey",
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each region of the image: how much it drove the target.

        image: a path, bytes, a PIL image or an array; a list of them gives Explanations in the same order.
        target: a label's name or index, a contrast "A-B", or None for the predicted label; a list gives one an image.
        regions: "auto" (the model's patches, or a grid where they are too many), "patches", a number of cells along the
            longer side, "slic", or an array (height, width) of whole numbers, one for each region: with
            method="occlusion" this is feature ablation by a mask.
        image_baseline: "grey", "black", "white", "mean", "blur" or "noise".
        options: those of `tasks.options.ExplainOptions` and of the method; those about words are refused.

        Raises InvalidInput for an image that cannot be read, UnknownName for a label, method or option that does not
        exist, Unsupported for a method that needs attention over the whole image where the model has none.
        """
        own = {"target": target, "regions": regions, "image_baseline": image_baseline}
        return self._explain({"image": image}, {**own, **options})

    def request(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Request:
        request = super().request(inputs, options)
        given = request.options
        if given.baseline is not None:
            raise InvalidInput("an image is compared with another image: image_baseline='grey'; leave out baseline=….")
        for name in ("parts", "layers", "attention"):
            if getattr(given, name):
                raise InvalidInput(f"{name}=True shows words, and an image has none; leave it out.")
        for method in request.methods:
            if not self.takes(method):
                raise Unsupported(
                    f"{method.name!r} reads attention over the whole image, which {self.adapter.architecture} does "
                    "not compute; choose another method, such as 'grad_cam' or 'integrated_gradients'."
                )
        choices = one_choice_each(request.own.get("target"), len(request.examples), "images")
        pairs = zip(request.examples, choices, strict=True)
        return replace(request, examples=[{**example, "target": choice} for example, choice in pairs])

    def baseline_name(self, request: Request) -> str:
        return str(request.own.get("image_baseline", "grey"))

    def takes(self, method: Method | type[Method]) -> bool:
        return method.operates_on != "attention" or self.family.one_scale

    def gives_several(self, request: Request) -> bool:
        return False

    # Encode and run -------------------------------------------------------------------------------------------------

    def encode(self, request: Request) -> list[TokenWindow]:
        """A window without a token for each image."""
        images = [ImageInput.of(self.family, read_image(one["image"]), request) for one in request.examples]
        nowhere, nothing = np.zeros((0, 2)), np.zeros(0)
        return [TokenWindow(e, {}, (), nowhere, nothing, image=image) for e, image in enumerate(images)]

    def read(self, output: Any) -> Tensor:
        """The logits of the labels: (R, C)."""
        return self.output_field(output, "logits", ("rows", "labels"))

    def batch(self, windows: Sequence[TokenWindow]) -> WindowBatch:
        device, images = device_of(self.model), [window.image for window in windows]
        patches = len(images[0].regions.patch_regions) if self.family.one_scale else None
        nothing = torch.zeros(len(windows), 0, dtype=torch.bool, device=device)
        return WindowBatch(windows, {}, nothing, ImageBatch.of(images, device, patches=patches))

    def batch_key(self, window: TokenWindow) -> Hashable:
        return window.image.key

    def divide(self, windows: Sequence[TokenWindow], *, matrices: bool) -> list[list[int]]:
        count = max(1, BATCH_ENTRIES // windows[0].image.baseline.numel())
        return [list(range(len(windows)))[start : start + count] for start in range(0, len(windows), count)]

    def row_entries(self, batch: WindowBatch) -> int:
        assert batch.images is not None
        return batch.images.pixels[0].numel()

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        """The logits (R, C) of rows that belong to `owner` (R,)."""
        assert batch.images is not None
        return self.read(self.family.output(batch.images.arguments(arguments, owner)))

    # Targets --------------------------------------------------------------------------------------------------------

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        unit, logits = request.options.unit or self.unit, torch.stack(list(outputs))
        link = self.labels.link(unit)
        choices = [example["target"] for example in request.examples]
        specs, weights = self.labels.weights(choices, logits, unit)
        return [
            ExampleTarget(
                segments=(),
                windows=(e,),
                specs=(specs[e],),
                weights=(weights[e][None],),
                link=link,
                outputs=shown,
                notes={"image_baseline": request.own.get("image_baseline", "grey")},
            )
            for e, shown in enumerate(self.labels.outputs(logits))
        ]
