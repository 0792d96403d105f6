"""One page on a trained network: what its JPEG layer learned, and what that does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.models.inference import check_inputs, check_labels, outputs_of
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.table_quantizer import TableQuantizer
from softjpeg.report.bound_plot import bound_plot
from softjpeg.report.feature_maps import (
    bypassed,
    channel_grid,
    feature_maps,
    grad_cam,
    overlay,
    spatial_modules,
)
from softjpeg.report.layer_effect import effect_maps, effect_pictures, layer_effect
from softjpeg.report.layer_tables import table_maps
from softjpeg.report.page import as_markup, render_template
from softjpeg.report.pictures import png

_CHANNELS, _COLUMNS, _GRIDS = 12, 4, 2


def run_page(
    model: nn.Module,
    layer: TableQuantizer | None,
    images: Tensor,
    names: Sequence[str],
    *,
    title: str,
    labels: Tensor | None = None,
    initial: Tensor | None = None,
    class_name: Callable[[int], str] = str,
    feature_module: str | None = None,
    cam_module: str | None = None,
    facts: Mapping[str, str] | None = None,
    shown: int = 4,
    batch_size: int = 32,
) -> str:
    """A trained network as HTML, self-contained, to be saved with `write_atomically`.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes); put in eval mode.
        layer: the JPEG layer, wherever in the model it stands; None for a network without.
        images: (N, 3, H, W) uint8; what the layer removes is measured on all of them.
        names: of the images.
        title: of the page.
        labels: (N,) true classes, the ones of the class-activation maps; None for those that the
            network answers with its layer.
        initial: (rounds, kinds, 8, 8) the layer's steps before training.
        class_name: of a class index.
        feature_module: dotted path of the module whose output is shown; None for the layer itself
            where it stands inside, else for the first convolution.
        cam_module: dotted path for Grad-CAM; None for the last module with a spatial output.
        facts: how it was made, a line each: network, data, ...
        shown: how many images are shown, the first ones.
        batch_size: images at a time.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
        ValueError: images of the wrong shape or type, or no module of a given path.
    """
    check_inputs(images, labels, batch_size)
    if len(names) != len(images):
        raise ValueError(f"names must be as many as images, {len(images)}, got {len(names)}")
    model.eval()
    images, few = images.cpu(), images[:shown].cpu()
    pictured = names[: len(few)]
    modules = spatial_modules(model, few)
    cam_module = cam_module or (modules[-1] if modules else None)
    feature_module = feature_module or _feature_module(model, layer, modules)
    values: dict[str, Any] = {"tables": [], "effect": None, "grids": [], "cams": []}
    if layer is not None:
        in_front = isinstance(layer, JPEGLayer)
        steps = layer.steps().detach()
        rows = table_maps(steps, initial, layer.levels, pixels=in_front)
        if all(len(maps) == 1 for _, maps in rows):
            # One map each: side by side they say more.
            side_by_side = [replace(maps[0], caption=name) for name, maps in rows]
            rows = [("learned steps", side_by_side)]
        values["tables"] = rows
        values |= {
            "kinds": steps.shape[1],
            "compared": initial is not None,
            "bounded": layer.levels is not None,
        }
    if isinstance(layer, JPEGLayer):
        values["effect"] = _effect(layer, images, few, pictured, batch_size)
    if layer is not None and feature_module is not None:
        values["grids"] = _grids(model, layer, few[:_GRIDS], pictured, feature_module)
    if cam_module is not None:
        values["cams"] = _cams(model, layer, few, pictured, labels, cam_module, class_name)
    return render_template(
        "run_page.html",
        title=title,
        layer=None if layer is None else f"{type(layer).__name__}({layer.extra_repr()})",
        count=len(images),
        feature_module=feature_module,
        cam_module=cam_module,
        labelled=labels is not None,
        facts=facts or {},
        **values,
    )


def _feature_module(
    model: nn.Module, layer: nn.Module | None, modules: Sequence[str]
) -> str | None:
    named = dict(model.named_modules())
    inside = None if isinstance(layer, JPEGLayer) else layer
    wanted = [n for n in modules if named[n] is inside or isinstance(named[n], nn.Conv2d)]
    layer_names = [n for n in wanted if named[n] is inside]
    return next(iter(layer_names + wanted), None)


def _effect(
    layer: JPEGLayer, images: Tensor, few: Tensor, names: Sequence[str], batch_size: int
) -> dict[str, Any]:
    effect = layer_effect(layer, images, batch_size)
    pictures, gain = effect_pictures(layer, names, few)
    plot = None
    if layer.levels is not None:
        # The tightest of several rounds.
        bound = layer.levels * layer.steps().detach().amin(0)
        plot = as_markup(bound_plot(effect.spread, bound))
    return {
        "plot": plot,
        "maps": effect_maps(effect),
        "zero": effect.zero.mean((1, 2)).tolist(),
        "bounded": None if effect.bounded is None else effect.bounded.mean((1, 2)).tolist(),
        "pictures": pictures,
        "gain": gain,
    }


def _grids(
    model: nn.Module, layer: nn.Module, images: Tensor, names: Sequence[str], module: str
) -> list[dict[str, Any]]:
    """The channels that the layer changes most, each on one scale with and without it."""
    active = feature_maps(model, images, module)
    with bypassed(layer):
        plain = feature_maps(model, images, module)
    both = torch.stack([plain, active])
    low, high = both.amin((0, 3, 4)), both.amax((0, 3, 4))
    change = (active - plain).abs().mean((2, 3)) / (high - low).clamp_min(1e-12)
    chosen = change.mean(0).topk(min(_CHANNELS, active.shape[1])).indices.sort().values

    def grid(features: Tensor, i: int) -> bytes:
        return png(channel_grid(features[i, chosen], low[i, chosen], high[i, chosen], _COLUMNS))

    return [
        {
            "name": name,
            "channels": ", ".join(str(int(c)) for c in chosen),
            "pictures": {"without the layer": grid(plain, i), "with it": grid(active, i)},
        }
        for i, name in enumerate(names[: len(images)])
    ]


def _cams(
    model: nn.Module,
    layer: nn.Module | None,
    images: Tensor,
    names: Sequence[str],
    labels: Tensor | None,
    module: str,
    class_name: Callable[[int], str],
) -> list[dict[str, Any]]:
    """Class-activation maps of the true class, or of the one the network answers with its layer."""
    answers = outputs_of(model, images)
    if labels is not None:
        check_labels(labels, answers)
    classes = answers.argmax(-1) if labels is None else labels[: len(images)].cpu()
    rows: list[dict[str, Any]] = [
        {"name": name, "class": class_name(int(c)), "original": png(image), "views": []}
        for name, c, image in zip(names, classes, images, strict=True)
    ]
    ways: list[tuple[str, nn.Module | None]] = [("the network", None)]
    if layer is not None:
        ways = [("without the layer", layer), ("with the layer", None)]
    for way, off in ways:
        with bypassed(off):
            maps = grad_cam(model, images, classes, module)
            answers = outputs_of(model, images).softmax(-1)
        for row, image, cam, answer, class_index in zip(
            rows, images, maps, answers, classes, strict=True
        ):
            view = {
                "way": way,
                "png": png(overlay(image, cam)),
                "answer": class_name(int(answer.argmax())),
                "probability": float(answer.max()),
                "right": None if labels is None else int(answer.argmax()) == int(class_index),
            }
            row["views"].append(view)
    return rows
