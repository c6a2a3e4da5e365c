"""Several explanations as one picture: one under the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from xai_nlp.core.files import write_file
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.figure.plots import save_tokens


def save_column(explanations: Sequence[Explanation], path: str | os.PathLike[str]) -> None:
    """Write the pictures of several explanations into one PNG, one under the other.

    Raises InvalidInput for no explanation, and for a file of another kind.
    """
    from PIL import Image

    if not explanations or Path(path).suffix.lower() != ".png":
        raise InvalidInput(
            f"a picture of several explanations is a .png of at least one; got {len(explanations)}, {path}."
        )
    with tempfile.TemporaryDirectory() as folder:
        pictures = []
        for number, item in enumerate(explanations):
            save_tokens(item, file := Path(folder) / f"{number}.png")
            with Image.open(file) as opened:
                pictures.append(opened.convert("RGB"))
        size = (max(one.width for one in pictures), sum(one.height for one in pictures))
        column, top = Image.new("RGB", size, "white"), 0
        for one in pictures:
            column.paste(one, (0, top))
            top += one.height
        column.save(whole := Path(folder) / "column.png")
        write_file(path, whole.read_bytes())
