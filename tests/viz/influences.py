"""Results of influence made by hand."""

import numpy as np

from tests.viz.samples import made
from xai_nlp.core.training_influence import SuspectLabels, TrainingExample, TrainingInfluence


def places(text):
    """The tokens of a text, as `samples.made` cuts it."""
    item = made(text) if isinstance(text, str) else made(text[0], pair=text[1])
    return {"tokens": item.tokens, "offsets": item.offsets, "segment": item.segment}


def example(text, query, score=1.0, *, index=0, label="POSITIVE", splits=True):
    """A training example whose score is shared by the words of both texts, evenly, and by [CLS], which has a half."""
    if not splits:
        return TrainingExample(index=index, text=text, label=label, score=score)
    own, other = places(text), places(query)
    shared = (set(own["tokens"]) & set(other["tokens"])) - {"[CLS]", "[SEP]"}
    parts = {token: score / 2 / len(shared) for token in shared} | {"[CLS]": score / 2 if shared else score}

    def scores(tokens):
        return tuple(parts.get(token, 0.0) / tokens.count(token) for token in tokens)

    both = {"token_scores": scores(own["tokens"]), "query_token_scores": scores(other["tokens"])}
    return TrainingExample(index=index, text=text, label=label, score=score, **own, **both)


def traced(proponents=("a fine film", "so fine"), opponents=("a dull film",), query="a film", **more):
    """Influence on a text: 1, 1/2, 1/3 … of the proponents, −1/2, −1/4 … of the opponents."""
    method = more.pop("method", "word_embeddings")
    splits = method == "word_embeddings"
    pros = [example(t, query, 1 / (i + 1), index=i, splits=splits) for i, t in enumerate(proponents)]
    cons = [
        example(t, query, -0.5 / (i + 1), index=100 + i, label="NEGATIVE", splits=splits)
        for i, t in enumerate(opponents)
    ]
    values = dict(
        text=query, label="POSITIVE", method=method, proponents=tuple(pros), opponents=tuple(cons),
        scores=np.zeros(200), model="zoo/sentiment", **(places(query) if splits else {}),
    )  # fmt: skip
    return TrainingInfluence(**{**values, **more})


def suspects(texts=("a fine film", "so dull"), method="word_embeddings", **more):
    """Suspect labels of these texts: 10, 5, 10/3 …"""
    examples = [TrainingExample(index=i, text=t, label="NEGATIVE", score=10 / (i + 1)) for i, t in enumerate(texts)]
    values = dict(examples=tuple(examples), method=method, total=200, model="zoo/sentiment")
    return SuspectLabels(**{**values, **more})
