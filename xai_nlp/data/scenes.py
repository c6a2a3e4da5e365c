"""Small drawn scenes with questions about them, whose answers, and the objects they depend on, are known.

Made to train a small model and to test explanations: an answer's evidence lies in boxes that the generator names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from xai_nlp.errors import InvalidInput, UnknownName

SIZE = 96  # pixels of a side
FINE = 4  # drawn so many times as large, and made small smoothly
RADII = (8, 9, 10, 13, 14, 15)  # small ones and large ones
GAP = 3  # pixels between two shapes, and between a shape and the edge
CLEAR = 7  # pixels by which one shape has to lie further left, or be larger across, to be called so
MOST = 5  # shapes in a scene

KINDS = ("circle", "square", "triangle", "star", "cross")
COLOURS = {
    "red": (214, 48, 49),
    "green": (39, 160, 84),
    "blue": (45, 108, 223),
    "yellow": (242, 196, 15),
    "purple": (142, 68, 173),
    "black": (35, 35, 40),
}
BACKGROUNDS = ("plain", "gradient", "stripes", "noise")
SIDES = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
COUNTS = ("0", "1", "2", "3", "4")
YES_NO = ("no", "yes")

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels; right and bottom excluded


@dataclass(frozen=True)
class Shape:
    """A coloured shape around a centre."""

    kind: str
    colour: str
    x: int
    y: int
    radius: int

    @property
    def box(self) -> Box:
        return self.x - self.radius, self.y - self.radius, self.x + self.radius + 1, self.y + self.radius + 1


@dataclass(frozen=True)
class Scene:
    """Shapes that do not overlap, on a muted background."""

    shapes: tuple[Shape, ...]
    background: str
    tone: int  # seeds the background's colours

    def image(self) -> Image.Image:
        """The scene drawn: SIZE × SIZE, RGB. The same scene gives the same pixels."""
        canvas = _background(self.background, self.tone).resize((SIZE * FINE, SIZE * FINE), Image.Resampling.NEAREST)
        draw = ImageDraw.Draw(canvas)
        for shape in self.shapes:
            _DRAWN[shape.kind](draw, shape)
        return canvas.resize((SIZE, SIZE), Image.Resampling.BOX)


@dataclass(frozen=True)
class Question:
    """A question about a scene, with its answer and the shapes that the answer depends on."""

    type: str  # a key of TYPES
    text: str
    answer: str
    evidence: tuple[int, ...]  # which shapes


@dataclass(frozen=True)
class Example:
    """A scene and a question about it."""

    scene: Scene
    question: Question

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where the shapes are that the answer depends on."""
        return tuple(self.scene.shapes[i].box for i in self.question.evidence)


def scenes(count: int, *, seed: int = 0, types: Sequence[str] | None = None) -> Iterator[Example]:
    """`count` examples: question types, and the answers within each type, drawn evenly; the same for the same seed.

    types: keys of TYPES to draw from; all if None. Raises UnknownName for another, InvalidInput for a negative count.

    >>> example = next(scenes(1, seed=3))
    >>> example.question.text, example.question.answer, example.boxes == tuple(
    ...     example.scene.shapes[i].box for i in example.question.evidence)
    ('do you see more squares than crosses?', 'no', True)
    """
    if count < 0:
        raise InvalidInput(f"a number of examples is at least 0; got {count}.")
    names = tuple(TYPES) if types is None else tuple(types)
    for name in names:
        if name not in TYPES:
            raise UnknownName("question type", name, TYPES)
    draws = np.random.default_rng(seed)
    for _ in range(count):
        name = names[draws.integers(len(names))]
        answers, ask = TYPES[name]
        yield _example(draws, name, answers[draws.integers(len(answers))], ask)


def _example(draws: np.random.Generator, name: str, answer: str, ask: Asker) -> Example:
    """A scene drawn again until there is a question of this type with this answer."""
    while True:
        scene = random_scene(draws)
        found = [q for q in ask(scene.shapes) if q.answer == answer]
        if found:
            question = found[draws.integers(len(found))]
            wordings = question.text.split("|")
            return Example(scene, replace(question, type=name, text=wordings[draws.integers(len(wordings))]))


def random_scene(draws: np.random.Generator) -> Scene:
    """One to five shapes from a few kinds and colours, so that counting and comparing make sense."""
    wanted = int(draws.integers(1, MOST + 1))
    kinds = draws.permutation(KINDS)[: draws.integers(1, len(KINDS) + 1)]
    colours = draws.permutation(list(COLOURS))[: draws.integers(1, len(COLOURS) + 1)]
    shapes: list[Shape] = []
    for _ in range(60):
        if len(shapes) == wanted:
            break
        radius = RADII[draws.integers(len(RADII))]
        low, high = radius + GAP, SIZE - radius - GAP
        x, y = (int(v) for v in draws.integers(low, high, 2))
        if all(max(abs(x - s.x), abs(y - s.y)) > radius + s.radius + GAP for s in shapes):
            kind, colour = str(kinds[draws.integers(len(kinds))]), str(colours[draws.integers(len(colours))])
            shapes.append(Shape(kind, colour, x, y, radius))
    return Scene(tuple(shapes), BACKGROUNDS[draws.integers(len(BACKGROUNDS))], int(draws.integers(2**31)))


# Questions: every one of a type that the shapes allow; wordings are separated by "|" ---------------------------------

Asker = Callable[[Sequence[Shape]], list[Question]]


def _asked(text: str, answer: str, evidence: Sequence[int]) -> Question:
    return Question("", text, answer, tuple(evidence))


def _where(shapes: Sequence[Shape], **wanted: str) -> list[int]:
    return [i for i, shape in enumerate(shapes) if all(getattr(shape, name) == v for name, v in wanted.items())]


def _colour(shapes: Sequence[Shape]) -> list[Question]:
    return [
        _asked(
            f"what colour is the {kind}?|what is the colour of the only {kind}?|which colour does the {kind} have?",
            shapes[of_kind[0]].colour,
            of_kind,
        )
        for kind in KINDS
        if len(of_kind := _where(shapes, kind=kind)) == 1
    ]


def _shape(shapes: Sequence[Shape]) -> list[Question]:
    return [
        _asked(
            f"what shape is the {colour} one?|which shape is {colour}?|what is the {colour} object?",
            shapes[of_colour[0]].kind,
            of_colour,
        )
        for colour in COLOURS
        if len(of_colour := _where(shapes, colour=colour)) == 1
    ]


def _count(shapes: Sequence[Shape]) -> list[Question]:
    by_kind = [(f"{kind}s" if kind != "cross" else "crosses", _where(shapes, kind=kind)) for kind in KINDS]
    by_colour = [(f"{colour} objects", _where(shapes, colour=colour)) for colour in COLOURS]
    return [
        _asked(f"how many {name} are there?|how many {name} do you see?|count the {name}.", str(len(found)), found)
        for name, found in by_kind + by_colour
        if len(found) < len(COUNTS)
    ]


def _exists(shapes: Sequence[Shape]) -> list[Question]:
    """A shape that is not there shares its kind or its colour with one that is, so that both have to be looked at."""
    known = {s.kind for s in shapes}, {s.colour for s in shapes}
    return [
        _asked(f"is there a {colour} {kind}?|do you see a {colour} {kind}?", YES_NO[bool(found)], found)
        for kind in KINDS
        for colour in COLOURS
        if (found := _where(shapes, kind=kind, colour=colour)) or (kind in known[0] and colour in known[1])
    ]


def _beside(shapes: Sequence[Shape]) -> list[Question]:
    """Exactly one shape lies clearly on that side of the only one of its kind, and no other is in doubt."""
    found = []
    for i, anchor in enumerate(shapes):
        if len(_where(shapes, kind=anchor.kind)) != 1:
            continue
        for side, (dx, dy) in SIDES.items():
            by = [dx * (s.x - anchor.x) + dy * (s.y - anchor.y) for s in shapes]
            there = [j for j, distance in enumerate(by) if j != i and distance > 0]
            if len(there) == 1 and all(abs(d) >= CLEAR for j, d in enumerate(by) if j != i):
                text = f"what is {side} the {anchor.kind}?|which shape is {side} the {anchor.kind}?"
                found.append(_asked(text, shapes[there[0]].kind, (i, there[0])))
    return found


def _more(shapes: Sequence[Shape]) -> list[Question]:
    found = []
    for kind in KINDS:
        for other in KINDS:
            mine, theirs = _where(shapes, kind=kind), _where(shapes, kind=other)
            if kind != other and mine and theirs:
                plural, than = (f"{k}s" if k != "cross" else "crosses" for k in (kind, other))
                text = f"are there more {plural} than {than}?|do you see more {plural} than {than}?"
                found.append(_asked(text, YES_NO[len(mine) > len(theirs)], mine + theirs))
    return found


def _largest(shapes: Sequence[Shape]) -> list[Question]:
    """Only where one is clearly larger than all others."""
    order = sorted(range(len(shapes)), key=lambda i: -shapes[i].radius)
    if len(shapes) < 2 or 2 * (shapes[order[0]].radius - shapes[order[1]].radius) < CLEAR - 1:
        return []
    text = "what colour is the largest shape?|which colour does the biggest object have?"
    return [_asked(text, shapes[order[0]].colour, order)]


#: question type -> (its answers, every question of that type about some shapes)
TYPES: dict[str, tuple[tuple[str, ...], Asker]] = {
    "colour": (tuple(COLOURS), _colour),
    "shape": (KINDS, _shape),
    "count": (COUNTS, _count),
    "exists": (YES_NO, _exists),
    "beside": (KINDS, _beside),
    "more": (YES_NO, _more),
    "largest": (tuple(COLOURS), _largest),
}
ANSWERS = tuple(dict.fromkeys(answer for answers, _ in TYPES.values() for answer in answers))


# Drawing -------------------------------------------------------------------------------------------------------------


def _background(name: str, tone: int) -> Image.Image:
    """Muted greys and beiges, so that no shape's colour is met there."""
    draws = np.random.default_rng(tone)
    base, other = (draws.integers(150, 236) + draws.integers(-10, 11, 3) for _ in range(2))
    down, across = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)
    if name == "plain":
        share = np.zeros((SIZE, SIZE))
    elif name == "gradient":
        angle = draws.uniform(0, 2 * math.pi)
        share = ((across - 0.5) * math.cos(angle) + (down - 0.5) * math.sin(angle)) / math.sqrt(2) + 0.5
    elif name == "stripes":
        angle, wide = draws.uniform(0, math.pi), draws.uniform(0.08, 0.2)
        share = 0.5 * (np.floor((across * math.cos(angle) + down * math.sin(angle)) / wide) % 2)
    else:
        share = draws.uniform(0, 0.8, (SIZE, SIZE))
    colours = base + share[:, :, None] * (other - base)
    return Image.fromarray(np.clip(np.rint(colours), 0, 255).astype(np.uint8))


def _around(shape: Shape) -> tuple[float, float, float]:
    """Centre and radius in the fine drawing; a pixel's centre is in its middle."""
    return (shape.x + 0.5) * FINE, (shape.y + 0.5) * FINE, (shape.radius + 0.5) * FINE - 1


def _circle(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    x, y, r = _around(shape)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=COLOURS[shape.colour])


def _square(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    x, y, r = _around(shape)
    r *= 0.88
    draw.rectangle((x - r, y - r, x + r, y + r), fill=COLOURS[shape.colour])


def _polygon(corners: Sequence[tuple[float, float]]) -> Callable[[ImageDraw.ImageDraw, Shape], None]:
    def drawn(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
        x, y, r = _around(shape)
        draw.polygon([(x + r * a, y + r * b) for a, b in corners], fill=COLOURS[shape.colour])

    return drawn


def _round(points: int, inner: float) -> list[tuple[float, float]]:
    """Corners on two circles in turn, the first at the top."""
    radii = [1.0, inner] * points
    return [
        (radius * math.sin(math.pi * i / points), -radius * math.cos(math.pi * i / points))
        for i, radius in enumerate(radii)
    ]


_ARM = 0.34
_DRAWN: dict[str, Callable[[ImageDraw.ImageDraw, Shape], None]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _polygon([(0, -1), (0.95, 0.85), (-0.95, 0.85)]),
    "star": _polygon(_round(5, 0.42)),
    "cross": _polygon(
        [(-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM), (_ARM, 1), (-_ARM, 1),
         (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)]
    ),
}  # fmt: skip
