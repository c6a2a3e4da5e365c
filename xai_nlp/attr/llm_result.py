"""The result of explaining a language model: scores of a prompt's features for an answer and for its tokens."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from xai_nlp.attr.interpretable import ImageMaskInput, InterpretableInput, finished
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.viz.figure import image_views as views

if TYPE_CHECKING:
    import numpy as np

    from xai_nlp.viz.figure.image_views import Axes, Figure

POSITIVE, NEGATIVE = "#4772b3", "#d0365b"  # colours of bars
OPACITY = 0.8  # of the scores over the image


#: Attributes that hold a tensor with a dimension for each of these lists of tokens, or None.
TOKEN_TENSORS = {
    "seq_attr": ("input_tokens",),  # for the answer
    "token_attr": ("output_tokens", "input_tokens"),  # for each of its tokens
    "output_probs": ("output_tokens",),
}


class LLMAttributionResult:
    """Scores of a prompt's features for an answer (M,), and for each of its tokens (n, M) if the method scores them.

    >>> result = LLMAttributionResult(input_tokens=["not", "bad"], output_tokens=["ok"], seq_attr=[2.0, -1.0])
    >>> result.seq_attr_dict
    {'not': 2.0, 'bad': -1.0}
    """

    seq_attr: Any = None  # these three are tensors, see TOKEN_TENSORS
    token_attr: Any = None
    output_probs: Any = None
    inp: InterpretableInput | None = None

    def __init__(
        self,
        *,
        input_tokens: list[str],
        output_tokens: list[str],
        seq_attr: Any,
        token_attr: Any = None,
        output_probs: Any = None,
        inp: InterpretableInput | None = None,
    ) -> None:
        if seq_attr is None:
            raise CaptumAssertion("seq_attr is a number for each of the input's tokens; got None.")
        self.input_tokens, self.output_tokens = input_tokens, output_tokens
        self.seq_attr, self.token_attr, self.output_probs = seq_attr, token_attr, output_probs
        self.inp = inp

    def __setattr__(self, name: str, value: Any) -> None:
        lists = TOKEN_TENSORS.get(name)
        if lists and value is not None:
            value = value if isinstance(value, Tensor) else torch.tensor(value)
            expected = tuple(len(getattr(self, tokens)) for tokens in lists)
            if value.shape != expected:
                raise CaptumAssertion(f"{name} goes with {' × '.join(lists)}: {expected}; got {tuple(value.shape)}.")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        shown = "".join(self.output_tokens[:8])
        return f"<LLMAttributionResult {len(self.input_tokens)} features × {len(self.output_tokens)} tokens: {shown!r}>"

    @property
    def seq_attr_dict(self) -> dict[str, float]:
        """The answer's scores by the features' names; the last one's for features of the same name."""
        return dict(zip(self.input_tokens, self.seq_attr.tolist(), strict=True))

    def plot_token_attr(self, show: bool = False) -> tuple[Figure, Axes] | None:
        """Draw the scores of the answer's tokens by the input's features: figure and axes, or None after `show`.

        Raises InvalidInput if the method does not score tokens.
        """
        import numpy as np

        scores = self._per_token().cpu().numpy()
        rows, columns = scores.shape
        figure, (ax,) = views.panels(1, fig_size=(max(columns * 1.3, 6.4), max(rows / 2.5, 4.8)), pyplot=True)
        heat_map = _draw_heat_map(ax, scores, "Token Attribution", aspect="auto")
        self._name_features(ax)
        ax.set_yticks(range(rows), labels=[repr(token)[1:-1] for token in self.output_tokens])
        ax.tick_params(left=True)
        for (row, column), score in np.ndenumerate(scores):
            dark = not 0.2 < heat_map.norm(score) < 0.8
            ax.text(column, row, f"{score:.4f}", ha="center", va="center", color="white" if dark else "black")
        return finished(figure, ax, show)

    def plot_seq_attr(self, show: bool = False) -> tuple[Figure, Axes] | None:
        """Draw a bar for each of the input's features: figure and axes, or None after `show`."""
        scores = self.seq_attr.cpu().numpy()
        count = len(scores)
        figure, (ax,) = views.panels(1, fig_size=(max(count / 2, 6.4), max(count / 4, 4.8)), pyplot=True)
        self._name_features(ax)
        for side, colour in ((scores.clip(min=0), POSITIVE), (scores.clip(max=0), NEGATIVE)):
            ax.bar(range(count), side, align="center", color=colour)
        ax.set_ylabel("Sequence Attribution", rotation=90, va="bottom")
        return finished(figure, ax, show)

    def plot_image_heatmap(
        self,
        show: bool = False,
        target_token_pos: int | tuple[int, int] | None = None,
        border_width: int = 2,
        show_legends: bool = True,
    ) -> tuple[Figure, Axes] | None:
        """Draw the image under its regions' scores: figure and axes, or None after `show`.

        target_token_pos: a token of the answer, or the range of tokens whose scores are summed; None is all of it.
        Raises InvalidInput for another input than an image, or if the method does not score tokens.
        """
        import numpy as np

        image = self.inp
        if not isinstance(image, ImageMaskInput):
            raise CaptumAssertion(f"the heat map needs an ImageMaskInput; the input was {type(image).__name__}.")
        if target_token_pos is None:
            scores = self.seq_attr
        elif isinstance(target_token_pos, int):
            scores = self._per_token()[target_token_pos]
        else:
            scores = self._per_token()[slice(*target_token_pos)].sum(0)
        figure, (ax,) = views.panels(1, fig_size=(6.4, 4.8), pyplot=True)
        ax.imshow(np.array(image.image).mean(axis=2), cmap="gray")
        heat_map = _draw_heat_map(ax, image.format_pixel_attr(scores).cpu().numpy(), "Attribution", alpha=OPACITY)
        colours = heat_map.cmap(heat_map.norm(scores.cpu().numpy()))  # (M, 4)
        darker = np.concatenate([0.7 * colours[:, :3], np.full((len(colours), 1), OPACITY)], 1)
        image.draw_regions(ax, darker, border_width, show_legends)
        return finished(figure, ax, show)

    def _per_token(self) -> Tensor:
        if self.token_attr is None:
            raise CaptumAssertion(
                "this method scored the answer as a whole; use plot_seq_attr, or no token's position."
            )
        return self.token_attr

    def _name_features(self, ax: Axes) -> None:
        """Names of the features along the top, slanted."""
        names = [shorten(repr(token)[1:-1], width=50, placeholder="...") for token in self.input_tokens]
        ax.set_xticks(range(len(names)), labels=names, rotation=-30, ha="right", rotation_mode="anchor")
        ax.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False)


def _draw_heat_map(
    ax: Axes, scores: np.ndarray, name: str, aspect: Literal["equal", "auto"] = "equal", alpha: float | None = None
) -> Any:
    """Scores in the colours of the other figures, on their own scale, centred on zero, with a named bar of colours."""
    views.draw_view(ax, scores, sign="all", outlier_perc=0)
    heat_map = ax.images[-1]
    most = abs(scores).max() or 1.0
    heat_map.set(data=scores, clim=(-most, most), alpha=alpha)
    ax.set_aspect(aspect)
    ax.figure.colorbar(heat_map, ax=ax).ax.set_ylabel(name, rotation=-90, va="bottom")
    return heat_map
