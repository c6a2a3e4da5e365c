"""A comparison of two models in words: the verdict, the facts behind it, and what became of an example."""

from __future__ import annotations

from collections.abc import Iterator

from xai_nlp.core.model_diff import ExampleDiff, ModelDiff, WordChange
from xai_nlp.core.result import Explanation
from xai_nlp.core.statistics import Spread, WordEffect
from xai_nlp.viz.text.number_format import MINUS, SPACE, count, percent, signed, unsigned
from xai_nlp.viz.text.text_spans import strongest
from xai_nlp.viz.text.wording import ANSWERS, Fact, output_text, quoted, shortened, target_text

SHARE = "Each word’s score is shown as its share of all scores, in %, so that two models have one scale."
LEAST = 0.0005  # a smaller change of a share is not listed: it would read as 0.0
MOVED = "The part that moved is half the sum of all changes of share: 0 % where none moved, 100 % where all did."


def verdict(diff: ModelDiff) -> str:
    """Whether the models differ, in one or two sentences."""
    examples = len(diff.examples)
    alone = sum(one.missing != "both" for one in diff.failures)
    flips, changed = len(diff.label_flips), len(diff.changed)
    counts = [f"{flips:,} of {examples:,} predictions change{'s' * (flips == 1)}"]
    counts.append(f"{changed:,} of {examples:,} explanations change{'s' * (changed == 1)} beyond the thresholds")
    if alone:
        counts.append(f"{count(alone, 'example')} {'is' if alone == 1 else 'are'} explained by one model alone")
    if not diff.same:
        word = most_moved_word(diff)
        most = f" {quoted(shortened(word.word, 24))} moves most." if word else ""
        return f"The two models differ: {', and '.join(counts)}.{most}"
    if not flips and not any(one.moved for one in diff.examples):
        return f"The two models say the same for the same reasons: nothing changes in {count(examples, 'example')}."
    return f"The two models agree within the thresholds: {', and '.join(counts)}."


def most_moved_word(diff: ModelDiff) -> WordEffect | None:
    """The word whose share changed most, over all examples."""
    totals = {
        effect: abs(effect.overall) * of_label.examples
        for of_label in diff.words().values()
        for effect in of_label.effects[:1]
    }
    return max(totals, key=lambda effect: totals[effect], default=None)


def facts(diff: ModelDiff) -> list[Fact]:
    """Predictions that changed, and each number of agreement, with 95 % intervals."""
    rate = diff.flip_rate
    low, high = rate.interval or (rate.mean, rate.mean)
    flips = Fact(
        f"{len(diff.label_flips):,} of {rate.count:,}", f"predictions changed: {percent(low)} to {percent(high)}"
    )
    names = {
        "moved": ("of an explanation moved, on average", percent),
        "rank_correlation": ("rank correlation of the words", correlation),
        "sign_flips": ("of the words changed sign", percent),
        "top_overlap": (f"of the {diff.top} strongest words are shared", percent),
    }
    listed = [(label, text, diff.agreement[name]) for name, (label, text) in names.items() if name in diff.agreement]
    return [
        flips,
        *(Fact(text(spread.mean.mean), f"{label}{_interval(spread, text)}") for label, text, spread in listed),
    ]


def _interval(spread: Spread, text: object) -> str:
    assert callable(text)
    low, high = spread.mean.interval or (None, None)
    return ": one example" if low is None else f": {text(low)} to {text(high)}"


def correlation(number: float) -> str:
    """A rank correlation with two decimals."""
    return f"{MINUS if number < 0 else ''}{unsigned(abs(number), 1.0)}"


def said(why: Explanation) -> str:
    """What a model says, and how surely: “NEGATIVE 93 %”."""
    label = why.prediction
    if why.target.kind == "output":
        return signed(why.value)
    name = quoted(shortened(label)) if why.target.kind in ANSWERS else shortened(label) or "nothing"
    return f"{name} {output_text(why, label)}" if label in why.outputs else name


def outcome(example: ExampleDiff) -> str:
    """What became of the prediction: “NEGATIVE 93 % → POSITIVE 61 %”, “NEGATIVE 93 % → 91 %”."""
    after = said(example.after)
    if example.predictions[0] == example.predictions[1]:
        after = after.split(" ")[-1] if example.after.prediction in example.after.outputs else after
    return f"{said(example.before)} → {after}"


def points(change: float) -> str:
    """A change of a share, in points: “+31.2”."""
    return signed(100 * change, 10.0)


def share_text(share: float) -> str:
    """A share with its sign: “−9.0 %”."""
    return f"{signed(100 * share, 10.0)}{SPACE}%"


def agreement_text(example: ExampleDiff) -> Iterator[str]:
    """How far the two explanations agree, in a few words each."""
    if example.moved is None:
        yield f"the two explain different targets, {example.before.target} and {example.after.target}"
        return
    explained = target_text(example.before)
    if explained != example.before.prediction:
        yield f"explained is {shortened(explained)}"
    yield f"{percent(example.moved)} moved"
    if example.rank_correlation is not None:
        yield f"rank correlation {correlation(example.rank_correlation)}"
    if example.sign_flips is not None:
        yield f"{percent(example.sign_flips)} changed sign"
    if example.top_overlap is not None:
        yield f"{percent(example.top_overlap)} of the strongest words shared"


def word_text(one: WordChange) -> str:
    """The word in one line, with how often it occurs if it does several times."""
    word = " ".join(one.word.split())
    return f"{word} ×{one.count}" if one.count > 1 else word


def strongest_of_both(example: ExampleDiff, top: int) -> Iterator[str]:
    """The strongest words of each explanation, for its own target: “for POSITIVE: film +57.0 %, a −3.0 %”."""
    for why, shares in zip((example.before, example.after), example.shares, strict=True):
        listed = [f"{shortened(example.names[k], 24)} {share_text(shares[k])}" for k in strongest(shares, top)]
        yield f"for {target_text(why)}: {', '.join(listed) or 'nothing'}"


def thresholds_text(diff: ModelDiff) -> list[str]:
    """What may change before two models differ, and when an explanation counts as changed."""
    limits = diff.thresholds
    conditions = [
        (limits.most_moved, "more than {} of it moved", percent),
        (limits.most_sign_flips, "more than {} of its words changed sign", percent),
        (limits.least_correlation, "its rank correlation is below {}", correlation),
        (limits.least_overlap, "fewer than {} of its strongest words are shared", percent),
    ]
    changed = " or ".join(text.format(number(limit)) for limit, text, number in conditions if limit is not None)
    return [
        f"predictions that may change: {percent(limits.most_label_flips)}",
        f"explanations that may change: {percent(limits.most_changed)}",
        f"an explanation is changed if {changed}" if changed else "no explanation counts as changed",
    ]
