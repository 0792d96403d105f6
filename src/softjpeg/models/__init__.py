"""Networks: made, loaded, run, and how far two of their answers are apart."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

CIFAR_NAMES = (
    *(f"resnet{depth}" for depth in (8, 14, 20, 32, 44, 56, 110)),
    "vgg8",
    "vgg13",
    "mobilenetv2",
    "shufflenetv2",
)


def create_model(spec: str, classes: int, *, pretrained: bool = False) -> nn.Module:
    """A network from normalized (B, 3, H, W) to logits (B, classes), in training mode.

    Args:
        spec: one of

            * ``cifar:NAME``: one of `CIFAR_NAMES`, or resnetN for any depth N = 6n + 2;
            * ``torchvision:NAME``, ``timm:NAME``: a classifier of theirs;
            * ``FILE.py:FACTORY``: what a function in a Python file returns for ``classes=classes``.

        classes: how many, at least 1.
        pretrained: with the library's weights, downloaded when needed; where the number of classes
            is another than theirs, the classifier is a fresh one.

    Raises:
        ValueError: no such network (the nearest known one is named), or weights that cannot be had.
        ImportError: torchvision or timm is needed and not installed.

    >>> model = create_model("cifar:resnet8", classes=100)
    >>> sum(p.numel() for p in model.parameters())
    83892
    """
    if classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes}")
    source, _, name = spec.rpartition(":")
    if source in ("torchvision", "timm"):
        from softjpeg.models import libraries

        create = libraries.torchvision_model if source == "torchvision" else libraries.timm_model
        return create(name, classes, pretrained)
    if source != "cifar" and not source.endswith(".py"):
        raise ValueError(
            "network must be cifar:NAME, torchvision:NAME, timm:NAME or FILE.py:FACTORY, "
            f"got {spec!r}"
        )
    if pretrained:
        raise ValueError(
            f"pretrained weights are for torchvision:NAME and timm:NAME, {spec!r} has none"
        )
    if source == "cifar":
        return _cifar_model(name, classes)
    from softjpeg.models.network import module_from_file

    return module_from_file(Path(source), name, classes=classes)


def check_known(source: str, name: str, known: Iterable[str]) -> None:
    """Refuse an unknown network.

    Args:
        source: the word before the colon, for the error.
        name: of the network.
        known: all names of that source.

    Raises:
        ValueError: `name` is not known; the nearest known one is named.

    >>> check_known("cifar", "vgg12", CIFAR_NAMES)
    Traceback (most recent call last):
    ValueError: unknown network 'cifar:vgg12'; the nearest known one is cifar:vgg13
    """
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"unknown network '{source}:{name}'; the nearest known one is {source}:{near}"
        )


def _cifar_model(name: str, classes: int) -> nn.Module:
    depth = re.fullmatch(r"resnet(\d{1,9})", name)
    if depth and int(depth[1]) >= 8 and int(depth[1]) % 6 == 2:
        from softjpeg.models.resnet import ResNet

        return ResNet(int(depth[1]), classes)
    check_known("cifar", name, CIFAR_NAMES)
    if name in ("vgg8", "vgg13"):
        from softjpeg.models.vgg import VGG

        return VGG(int(name.removeprefix("vgg")), classes)
    if name == "mobilenetv2":
        from softjpeg.models.mobilenetv2 import MobileNetV2

        return MobileNetV2(classes)
    from softjpeg.models.shufflenetv2 import ShuffleNetV2

    return ShuffleNetV2(classes)
