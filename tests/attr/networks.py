"""Small random networks and inputs, of one tensor or two, for comparisons with Captum."""

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Two inputs or one, a layer of one tensor, a layer of two, and an in-place ReLU behind a layer."""

    def __init__(self, width: int, classes: int, *, smooth: bool) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.second = nn.Linear(3, width)
        self.act = nn.Tanh() if smooth else nn.ReLU(inplace=True)
        self.pair = Pair(width)
        self.out = nn.Linear(width, classes)

    def forward(self, a: Tensor, b: Tensor | None = None, scale: Tensor | float = 1.0) -> Tensor:
        hidden = self.first(a) if b is None else self.first(a) * 1.0 + self.second(b)
        left, right = self.pair(self.act(hidden))
        mixed = left * right + left
        factor = scale[:, None] if isinstance(scale, Tensor) else scale
        return self.out(mixed) * factor


class Pair(nn.Module):
    """A layer that gives out two tensors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.left(hidden), torch.tanh(self.right(hidden))


class Toy(nn.Module):
    """The model of Captum's README."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1, self.relu, self.lin2 = nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)
        self.lin1.weight = nn.Parameter(torch.arange(-4.0, 5.0).view(3, 3))
        self.lin1.bias = nn.Parameter(torch.zeros(1, 3))
        self.lin2.weight = nn.Parameter(torch.arange(-3.0, 3.0).view(2, 3))
        self.lin2.bias = nn.Parameter(torch.ones(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(self.relu(self.lin1(x)))


class NumberNet(nn.Module):
    """One number in and one out for each example: (B,) -> (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.act, self.last = nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.left(x[:, None])))[:, 0]


class TwoPools(nn.Module):
    """The convolutional net of Captum's documentation; with weights of 1, many maxima of its pooling are ties."""

    def __init__(self, *, ones: bool, biases: bool = False) -> None:
        super().__init__()
        self.conv1, self.relu1, self.pool1 = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)
        self.conv2, self.relu2, self.pool2 = nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2)
        self.fc1, self.relu3, self.fc2 = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10)
        for layer in (self.conv1, self.conv2, self.fc1):
            layer.weight.data = torch.ones_like(layer.weight) if ones else layer.weight.data
            layer.bias.data *= biases

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.pool1(self.relu1(self.conv1(x)))
        hidden = self.pool2(self.relu2(self.conv2(hidden))).flatten(1)
        return self.fc2(self.relu3(self.fc1(hidden)))


IMAGES = {
    "rising": torch.arange(100.0).view(1, 1, 10, 10) / 10,
    "constant": torch.ones(1, 1, 10, 10),
    "stripes": (torch.arange(100) % 3).float().view(1, 1, 10, 10),
    "bits": (torch.arange(100) * 37 % 7 < 3).float().view(1, 1, 10, 10),
}
