"""Synthetic scenes: small images of shapes with questions, answers, and the boxes that each answer depends on.

They train a small model and test explanations: the evidence for an answer is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from xai_nlp.errors import InvalidInput, UnknownName

SIZE = 96  # pixels of a side
SUPERSAMPLING = 4  # scenes are painted this many times as large, and averaged down
RADII = (8, 9, 10, 13, 14, 15)  # small ones and large ones
GAP = 3  # pixels between two shapes at least, and between a shape and the edge
MIN_DIFFERENCE = 7  # pixels between two shapes' places, or diameters, that a question may compare
MAX_SHAPES = 5  # in a scene

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

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom, in pixels; right and bottom excluded


@dataclass(frozen=True)
class Shape:
    """A coloured shape around a centre."""

    kind: str
    colour: str
    x: int
    y: int
    radius: int

    @property
    def box(self) -> PixelBox:
        """The pixels of the shape."""
        return self.x - self.radius, self.y - self.radius, self.x + self.radius + 1, self.y + self.radius + 1


@dataclass(frozen=True)
class Scene:
    """Shapes that do not overlap, on a muted background."""

    shapes: tuple[Shape, ...]
    background: str
    tone: int  # seeds the background's colours

    def image(self) -> Image.Image:
        """The image in RGB, SIZE × SIZE pixels. The same scene gives the same pixels."""
        canvas = _background(self.background, self.tone).resize(
            (SIZE * SUPERSAMPLING, SIZE * SUPERSAMPLING), Image.Resampling.NEAREST
        )
        draw = ImageDraw.Draw(canvas)
        for shape in self.shapes:
            _PAINT[shape.kind](draw, shape)
        return canvas.resize((SIZE, SIZE), Image.Resampling.BOX)


@dataclass(frozen=True)
class Question:
    """A question about a scene, with its answer and the shapes that the answer depends on."""

    type: str  # a key of TYPES
    text: str
    answer: str
    evidence: tuple[int, ...]  # indices of those shapes


@dataclass(frozen=True)
class SceneExample:
    """A scene and a question about it."""

    scene: Scene
    question: Question

    @property
    def boxes(self) -> tuple[PixelBox, ...]:
        """The boxes of the shapes that the answer depends on."""
        return tuple(self.scene.shapes[i].box for i in self.question.evidence)


@dataclass(frozen=True)
class LabelledScene:
    """A scene in which one shape is clearly larger than all others: its kind is the scene's label."""

    scene: Scene
    largest: int  # the index of that shape

    @property
    def label(self) -> str:
        """The kind of the largest shape."""
        return self.scene.shapes[self.largest].kind

    @property
    def boxes(self) -> tuple[PixelBox, ...]:
        """The box of the largest shape."""
        return (self.scene.shapes[self.largest].box,)


def labelled_scenes(count: int, *, seed: int = 0) -> Iterator[LabelledScene]:
    """`count` scenes with labels, the same for the same seed; the kinds of the largest shape are equally likely.

    Raises InvalidInput for a negative count.

    >>> example = next(labelled_scenes(1, seed=3))
    >>> example.label, [shape.radius for shape in example.scene.shapes], example.largest
    ('cross', [13, 10, 10], 0)
    """
    if count < 0:
        raise InvalidInput(f"a number of examples is at least 0; got {count}.")
    draws = np.random.default_rng(seed)
    for _ in range(count):
        kind = KINDS[draws.integers(len(KINDS))]
        while True:
            scene = random_scene(draws)
            largest = _clearly_largest(scene.shapes)
            if largest is not None and scene.shapes[largest].kind == kind:
                yield LabelledScene(scene, largest)
                break


def scenes(count: int, *, seed: int = 0, types: Sequence[str] | None = None) -> Iterator[SceneExample]:
    """`count` examples, the same for the same seed; types, and answers within a type, are equally likely.

    types: keys of TYPES; None for all. Raises UnknownName for another, InvalidInput for a negative count.

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


def _example(draws: np.random.Generator, name: str, answer: str, ask: QuestionMaker) -> SceneExample:
    """The first random scene that allows a question of this type with this answer."""
    while True:
        scene = random_scene(draws)
        questions = [q for q in ask(scene.shapes) if q.answer == answer]
        if questions:
            question = questions[draws.integers(len(questions))]
            wordings = question.text.split("|")
            return SceneExample(scene, replace(question, type=name, text=wordings[draws.integers(len(wordings))]))


def random_scene(draws: np.random.Generator) -> Scene:
    """One to MAX_SHAPES shapes of a few kinds and colours, so that counts differ from 0 and 1."""
    count = int(draws.integers(1, MAX_SHAPES + 1))
    kinds = draws.permutation(KINDS)[: draws.integers(1, len(KINDS) + 1)]
    colours = draws.permutation(list(COLOURS))[: draws.integers(1, len(COLOURS) + 1)]
    shapes: list[Shape] = []
    for _ in range(60):
        if len(shapes) == count:
            break
        radius = RADII[draws.integers(len(RADII))]
        low, high = radius + GAP, SIZE - radius - GAP
        x, y = (int(v) for v in draws.integers(low, high, 2))
        if all(max(abs(x - s.x), abs(y - s.y)) > radius + s.radius + GAP for s in shapes):
            kind, colour = str(kinds[draws.integers(len(kinds))]), str(colours[draws.integers(len(colours))])
            shapes.append(Shape(kind, colour, x, y, radius))
    return Scene(tuple(shapes), BACKGROUNDS[draws.integers(len(BACKGROUNDS))], int(draws.integers(2**31)))


# Questions. Each function gives every question of its type that the shapes allow; "|" separates wordings.

QuestionMaker = Callable[[Sequence[Shape]], list[Question]]


def _question(text: str, answer: str, evidence: Sequence[int]) -> Question:
    return Question("", text, answer, tuple(evidence))


def _indices(shapes: Sequence[Shape], **fields: str) -> list[int]:
    """Indices of the shapes with this kind or colour."""
    return [i for i, shape in enumerate(shapes) if all(getattr(shape, name) == v for name, v in fields.items())]


def _colour(shapes: Sequence[Shape]) -> list[Question]:
    return [
        _question(
            f"what colour is the {kind}?|what is the colour of the only {kind}?|which colour does the {kind} have?",
            shapes[of_kind[0]].colour,
            of_kind,
        )
        for kind in KINDS
        if len(of_kind := _indices(shapes, kind=kind)) == 1
    ]


def _shape(shapes: Sequence[Shape]) -> list[Question]:
    return [
        _question(
            f"what shape is the {colour} one?|which shape is {colour}?|what is the {colour} object?",
            shapes[of_colour[0]].kind,
            of_colour,
        )
        for colour in COLOURS
        if len(of_colour := _indices(shapes, colour=colour)) == 1
    ]


def _count(shapes: Sequence[Shape]) -> list[Question]:
    by_kind = [(f"{kind}s" if kind != "cross" else "crosses", _indices(shapes, kind=kind)) for kind in KINDS]
    by_colour = [(f"{colour} objects", _indices(shapes, colour=colour)) for colour in COLOURS]
    return [
        _question(
            f"how many {name} are there?|how many {name} do you see?|count the {name}.", str(len(counted)), counted
        )
        for name, counted in by_kind + by_colour
        if len(counted) < len(COUNTS)
    ]


def _exists(shapes: Sequence[Shape]) -> list[Question]:
    """A shape that is missing shares its kind with one shape and its colour with another, so that both matter."""
    known_kinds, known_colours = {s.kind for s in shapes}, {s.colour for s in shapes}
    return [
        _question(f"is there a {colour} {kind}?|do you see a {colour} {kind}?", YES_NO[bool(named)], named)
        for kind in KINDS
        for colour in COLOURS
        if (named := _indices(shapes, kind=kind, colour=colour)) or (kind in known_kinds and colour in known_colours)
    ]


def _beside(shapes: Sequence[Shape]) -> list[Question]:
    """One shape lies on that side of the only one of its kind, and each shape is clearly on one side or the other."""
    questions = []
    for i, anchor in enumerate(shapes):
        if len(_indices(shapes, kind=anchor.kind)) != 1:
            continue
        for side, (dx, dy) in SIDES.items():
            by = [dx * (s.x - anchor.x) + dy * (s.y - anchor.y) for s in shapes]
            beyond = [j for j, distance in enumerate(by) if j != i and distance > 0]
            if len(beyond) == 1 and all(abs(d) >= MIN_DIFFERENCE for j, d in enumerate(by) if j != i):
                text = f"what is {side} the {anchor.kind}?|which shape is {side} the {anchor.kind}?"
                questions.append(_question(text, shapes[beyond[0]].kind, (i, beyond[0])))
    return questions


def _more(shapes: Sequence[Shape]) -> list[Question]:
    questions = []
    for kind in KINDS:
        for other in KINDS:
            first, second = _indices(shapes, kind=kind), _indices(shapes, kind=other)
            if kind != other and first and second:
                plural, than = (f"{k}s" if k != "cross" else "crosses" for k in (kind, other))
                text = f"are there more {plural} than {than}?|do you see more {plural} than {than}?"
                questions.append(_question(text, YES_NO[len(first) > len(second)], first + second))
    return questions


def _by_size(shapes: Sequence[Shape]) -> list[int]:
    """The indices of the shapes, the largest first."""
    return sorted(range(len(shapes)), key=lambda i: -shapes[i].radius)


def _clearly_largest(shapes: Sequence[Shape]) -> int | None:
    """The index of the shape that is clearly larger than all others; None if there is none, or no other."""
    order = _by_size(shapes)
    if len(shapes) < 2 or 2 * (shapes[order[0]].radius - shapes[order[1]].radius) < MIN_DIFFERENCE - 1:
        return None
    return order[0]


def _largest(shapes: Sequence[Shape]) -> list[Question]:
    if _clearly_largest(shapes) is None:
        return []
    order = _by_size(shapes)
    text = "what colour is the largest shape?|which colour does the biggest object have?"
    return [_question(text, shapes[order[0]].colour, order)]


#: question type -> (its answers, the function that makes its questions)
TYPES: dict[str, tuple[tuple[str, ...], QuestionMaker]] = {
    "colour": (tuple(COLOURS), _colour),
    "shape": (KINDS, _shape),
    "count": (COUNTS, _count),
    "exists": (YES_NO, _exists),
    "beside": (KINDS, _beside),
    "more": (YES_NO, _more),
    "largest": (tuple(COLOURS), _largest),
}
ANSWERS = tuple(dict.fromkeys(answer for answers, _ in TYPES.values() for answer in answers))


# Painting


def _background(name: str, tone: int) -> Image.Image:
    """A background of muted greys and beiges, unlike the colours of shapes."""
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


def _circle_of(shape: Shape) -> tuple[float, float, float]:
    """Centre and radius in the supersampled image; a pixel's centre is in its middle."""
    return (shape.x + 0.5) * SUPERSAMPLING, (shape.y + 0.5) * SUPERSAMPLING, (shape.radius + 0.5) * SUPERSAMPLING - 1


def _circle(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    x, y, r = _circle_of(shape)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=COLOURS[shape.colour])


def _square(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    x, y, r = _circle_of(shape)
    r *= 0.88
    draw.rectangle((x - r, y - r, x + r, y + r), fill=COLOURS[shape.colour])


def _polygon(corners: Sequence[tuple[float, float]]) -> Callable[[ImageDraw.ImageDraw, Shape], None]:
    def paint(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
        x, y, r = _circle_of(shape)
        draw.polygon([(x + r * a, y + r * b) for a, b in corners], fill=COLOURS[shape.colour])

    return paint


def _round(points: int, inner: float) -> list[tuple[float, float]]:
    """Corners on two circles in turn, the first at the top."""
    radii = [1.0, inner] * points
    return [
        (radius * math.sin(math.pi * i / points), -radius * math.cos(math.pi * i / points))
        for i, radius in enumerate(radii)
    ]


_ARM = 0.34
_PAINT: dict[str, Callable[[ImageDraw.ImageDraw, Shape], None]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _polygon([(0, -1), (0.95, 0.85), (-0.95, 0.85)]),
    "star": _polygon(_round(5, 0.42)),
    "cross": _polygon(
        [(-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM), (_ARM, 1), (-_ARM, 1),
         (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)]
    ),
}  # fmt: skip
