"""A small net with its inputs and scores, for which Quantus' numbers are known.

The numbers are those of Quantus 0.6.0, from its `PixelFlipping`, `discrete_entropy`, `correlation_spearman` and
`correlation_kendall_tau`, all without normalisation. Quantus itself is no dependency, since it needs OpenCV.
"""

import torch
from torch import Tensor, nn


def net() -> nn.Module:
    """Six numbers to two outputs; the weights are a formula, so that no generator decides."""
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2))
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.sin(torch.arange(parameter.numel()) * 1.7 + k).view(parameter.shape))
    return model.eval()


def inputs() -> Tensor:
    return torch.cos(torch.arange(12.0) * 0.9).view(2, 6)


def scores() -> Tensor:
    return torch.sin(torch.arange(12.0) * 2.3 + 0.4).view(2, 6)


#: f of each example's own output, as the features with the highest scores go to zero one by one: `PixelFlipping`.
CURVES = (
    (0.7738763, -0.0729657, 0.4749126, 0.6482283, 0.9393140, 0.9927365),
    (-0.5605803, -0.8575034, -0.0853423, 0.0102112, -1.1198412, -0.8628168),
)
ENTROPIES = {100: (1.7917594692280547, 1.791759469228055), 4: (1.3296613488547582, 1.0114042647073518)}  # by bins
SPEARMAN, KENDALL = 0.2571428571428572, 0.2
