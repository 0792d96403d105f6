"""Put a JPEG layer into a network: in front of it, or after one of its modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from softjpeg.table_quantizer import TableQuantizer


class JPEGNetwork(nn.Module):
    """``network((jpeg(x) - mean) / std)``; made by `wrap`.

    Attributes:
        jpeg: the layer in front; `torch.nn.Identity` where there is none.
        network: the network itself; it may hold a layer inside.
        mean, std: (C, 1, 1), not part of the state dict.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, jpeg: nn.Module, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.jpeg, self.network = jpeg, network
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    @property
    def layer(self) -> TableQuantizer | None:
        """The JPEG layer, wherever it stands; None where there is none."""
        return next((m for m in self.modules() if isinstance(m, TableQuantizer)), None)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) RGB in [0, 1] → what the network makes of it."""
        output: Tensor = self.network((self.jpeg(image) - self.mean) / self.std)
        return output


def wrap(
    model: nn.Module,
    layer: nn.Module | None,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    at: str | None = None,
) -> JPEGNetwork:
    """A network behind a JPEG layer and the normalization it expects.

    Args:
        model: takes normalized (B, C, H, W). With `at` it is changed in place.
        layer: a `JPEGLayer`, or with `at` a `FeatureJPEGLayer`; None for the baseline.
        mean, std: one number per channel, of images in [0, 1].
        at: dotted path of the module whose output the layer takes, as "conv1" or
            "features.0"; default: the layer stands in front and takes the images.

    Returns:
        A module from RGB in [0, 1] to the model's output.

    Raises:
        ValueError: the model has no module `at`, or `at` is given without a layer.

    >>> from softjpeg import JPEGLayer
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    >>> wrapped = wrap(network, JPEGLayer(alpha=5.0), mean=[0.5] * 3, std=[0.25] * 3)
    >>> tuple(wrapped(torch.rand(2, 3, 16, 16)).shape)
    (2, 10)
    """
    if at is None:
        return JPEGNetwork(model, nn.Identity() if layer is None else layer, mean, std)
    if layer is None:
        raise ValueError(f"layer must be given to stand at {at!r}, got None")
    insert_after(model, at, layer)
    return JPEGNetwork(model, nn.Identity(), mean, std)


def insert_after(model: nn.Module, at: str, layer: nn.Module) -> None:
    """Replace the module at a dotted path by itself followed by `layer`.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> insert_after(model, "0", nn.Identity())
    >>> model[0]
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
    )
    """
    parent, _, name = at.rpartition(".")
    inner = find_module(model, at)
    setattr(find_module(model, parent) if parent else model, name, nn.Sequential(inner, layer))


def find_module(model: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path.

    Raises:
        ValueError: there is none; the sentence names those that could be meant.

    >>> find_module(nn.Sequential(nn.ReLU()), "0")
    ReLU()
    """
    try:
        if path:
            return model.get_submodule(path)
    except AttributeError:
        pass
    names = [name for name, _ in model.named_modules() if name]
    known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise ValueError(f"the network has no module {path!r}; its modules are {known}")
