"""The project's own networks: grey pixels [B, 1, S, S] -> features [B, F], without a head."""

from typing import Any

from torch import nn

CHANNELS = (32, 64, 128, 128, 256)  # of the blocks of cnn
CHANNELS_10 = (16, 32, 64, 128, 256)  # of those of cnn10
BLOCKS = len(CHANNELS)  # of both; each halves the side
FEATURES = 256  # of the fully connected layer of cnn


class Cnn(nn.Sequential):
    """Five blocks of convolution, ReLU and max-pooling, flattened into a fully connected layer.

    [B, 1, S, S] -> [B, 256]. Without the batch normalisation before each ReLU, RMSprop learns far more slowly.
    """

    def __init__(self, input_size: int, dropout: float) -> None:
        blocks: list[nn.Module] = []
        for entering, leaving in zip((1, *CHANNELS), CHANNELS, strict=False):
            blocks += [nn.Conv2d(entering, leaving, 3, padding=1), nn.BatchNorm2d(leaving), nn.ReLU(), nn.MaxPool2d(2)]
        side = input_size // 2**BLOCKS
        super().__init__(
            *blocks,
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(CHANNELS[-1] * side**2, FEATURES),
            nn.ReLU(),
        )


class Cnn10(nn.Sequential):
    """Five blocks of two convolutions, each with batch normalisation and ReLU, and max-pooling; then the global mean.

    [B, 1, S, S] -> [B, 256]. A mean over all places depends less on framing than what is flattened.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        entering = 1
        for leaving in CHANNELS_10:
            for _ in range(2):
                layers += [nn.Conv2d(entering, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()]
                entering = leaving
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


NETWORKS: dict[str, Any] = {  # name -> (body of an input size and dropout, its features)
    "cnn": (Cnn, FEATURES),
    "cnn10": (lambda input_size, dropout: Cnn10(), CHANNELS_10[-1]),
}
