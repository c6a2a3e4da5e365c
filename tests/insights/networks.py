"""Small models of several inputs whose scores can be worked out by hand."""

import torch
from torch import nn

from xai_nlp.insights import AttributionVisualizer, Batch, GeneralFeature


class Weighed(nn.Module):
    """Class k's output is the sum of the inputs times the k-th row of weights."""

    def __init__(self, *weights):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.tensor(one)) for one in weights)

    def forward(self, *inputs):
        return sum(x.flatten(1) @ w.T for x, w in zip(inputs, self.weights, strict=True))


def numbers(rows, labels, **options):
    """A visualizer of two numbers p and q, whose classes a and b have p and q for their outputs."""
    data = [Batch(torch.tensor(rows), None if labels is None else torch.tensor(labels))]
    features = GeneralFeature("numbers", ["p", "q"])
    model = Weighed([[1.0, 0.0], [0.0, 1.0]])
    return AttributionVisualizer(model, ["a", "b"], features, options.pop("dataset", data), **options)
