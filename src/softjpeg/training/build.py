"""From a recipe to its network, with the JPEG layer where the recipe puts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.models import create_model
from softjpeg.nn.feature_layer import FeatureJPEGLayer
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.table_quantizer import TableQuantizer
from softjpeg.nn.wrapping import JPEGNetwork, find_module, wrap
from softjpeg.training.data.sources import statistics
from softjpeg.training.jpeg_recipe import Jpeg
from softjpeg.training.recipe import Recipe

_DEFAULT_ALPHA = 5.0
"""JPEG-DL's sharpness on CIFAR-100 and the fine-grained sets."""


def build_network(
    recipe: Recipe, classes: int, tables: Sequence[Tensor] | None = None, *, pretrained: bool = True
) -> JPEGNetwork:
    """The recipe's network, from RGB in [0, 1] to logits.

    Args:
        recipe: its sections model, jpeg, and data for the normalization.
        classes: of the data set.
        tables: initial (luma, chroma), or (luma,) after a module; None for ones.
        pretrained: False never loads pretrained weights: a checkpoint's will follow.

    Raises:
        ValueError: an unknown network or module, or settings that do not fit.
    """
    wanted = recipe.model.pretrained and pretrained
    # One's own network may come in eval mode, whose running statistics would never move.
    model = create_model(recipe.model.name, classes, pretrained=wanted).train()
    mean, std = statistics(recipe.data.name)
    at = recipe.jpeg.at or None
    layer = _layer(recipe, model, tables) if recipe.jpeg.is_active else None
    network = wrap(
        model,
        layer,
        recipe.data.mean or mean,
        recipe.data.std or std,
        at=at if layer is not None else None,
    )
    if recipe.model.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def check_network(recipe: Recipe, classes: int) -> None:
    """Try the recipe's network on one image, before hours are spent on what it needs.

    Raises:
        ValueError: as `build_network`; or the network refuses images of `data.size`, or gives out
            something else than logits of `classes` classes.
    """
    size = recipe.data.size
    what = f"network {recipe.model.name} with data.size = {size}"
    try:
        network = build_network(recipe, classes, pretrained=False).eval()
        with torch.no_grad():
            logits = network(torch.zeros(1, 3, size, size))
    except RuntimeError as error:
        raise ValueError(f"{what} fails: {' '.join(str(error).split())}") from error
    shape = getattr(logits, "shape", type(logits).__name__)
    if shape != (1, classes):
        logits_shape = tuple(shape) if isinstance(shape, torch.Size) else shape
        raise ValueError(f"{what} must give logits (B, {classes}), got {logits_shape} for B = 1")


def module_path(network: JPEGNetwork, at: str) -> str:
    """The path in a wrapped baseline of the module that a layer would follow.

    >>> module_path(wrap(nn.Sequential(nn.ReLU()), None, [0.5], [0.5]), "0")
    'network.0'
    """
    path = f"network.{at}"
    find_module(network, path)
    return path


def _layer(recipe: Recipe, model: nn.Module, tables: Sequence[Tensor] | None) -> TableQuantizer:
    jpeg = recipe.jpeg
    if jpeg.at:
        channels = _channels(model, jpeg.at, recipe.data.size)
        return FeatureJPEGLayer(
            channels,
            None if tables is None else tables[0],
            per_channel=jpeg.per_channel,
            rounds=jpeg.rounds,
            **_settings(jpeg),
        )
    luma, chroma = (None, None) if tables is None else tables
    return JPEGLayer(
        luma, chroma, subsampling=jpeg.subsampling, rounds=jpeg.rounds, **_settings(jpeg)
    )


def _settings(jpeg: Jpeg) -> dict[str, Any]:
    sharpness: dict[str, Any] = {"alpha": jpeg.alpha or _DEFAULT_ALPHA}
    if jpeg.hardness is not None:
        sharpness = {"hardness": jpeg.hardness}
    return sharpness | {
        "quantizer": jpeg.quantizer,
        "levels": jpeg.levels or None,
        "window": jpeg.window or None,
        "zero_dc": jpeg.zero_dc,
        "train_tables": jpeg.train_tables and jpeg.quantizer != "none",
        # Only "soft" has a sharpness; a parameter without gradient would stop DDP.
        "train_hardness": jpeg.train_hardness and jpeg.quantizer == "soft",
    }


@torch.no_grad()
def _channels(model: nn.Module, at: str, size: int) -> int:
    """How many channels the module at a dotted path gives out."""
    shapes: list[tuple[int, ...]] = []

    def keep_shape(_module: nn.Module, _inputs: object, output: object) -> None:
        shapes.append(tuple(getattr(output, "shape", ())))

    was_training = model.training
    with find_module(model, at).register_forward_hook(keep_shape):
        # In eval mode running statistics stay as they are.
        model.eval()(torch.zeros(1, 3, size, size))
    model.train(was_training)
    if not shapes or len(shapes[0]) != 4:
        output_shape = shapes[0] if shapes else "nothing"
        raise ValueError(f"jpeg.at: module {at!r} must give out (B, C, H, W), got {output_shape}")
    return shapes[0][1]
