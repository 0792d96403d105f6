"""A trained network behind its layer as trained, with hard rounding, and behind real .jpg files."""

from __future__ import annotations

import copy
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from softjpeg.codec.file_sizes import bits_per_pixel
from softjpeg.common.files import write_atomically
from softjpeg.common.image_sequence import pixel_count
from softjpeg.common.image_set import from_image
from softjpeg.common.progress import track
from softjpeg.functional.rate.entropy import entropy_bits
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.writer import write_coefficients
from softjpeg.models.inference import outputs_of
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.wrapping import JPEGNetwork

if TYPE_CHECKING:
    from rich.table import Table

_HARD = 1e9
"""A sharpness α at which the entropy estimate sees hard rounding."""


@dataclass(frozen=True)
class LayerVersion:
    """One way of putting JPEG before the network.

    Attributes:
        name: "as trained", "hard rounding", "real JPEG" or "no layer".
        top1: share of images whose label the network gives.
        agreement: share on which it gives the answer it gives behind the layer as trained.
        bpp: bits per pixel of the indices the layer passes: the entropy estimate, or, for real
            JPEG, whole files. None where nothing is quantized.
        images: how many there were.
        note: why a version could not be measured; top1 and agreement are then NaN.
    """

    name: str
    top1: float
    agreement: float
    bpp: float | None
    images: int
    note: str = ""


def layer_versions(
    network: JPEGNetwork,
    images: Tensor,
    labels: Tensor,
    *,
    batch_size: int = 32,
    progress: bool = False,
) -> list[LayerVersion]:
    """Measure every version of a network's layer.

    Args:
        network: in eval mode; it is left as it is.
        images: (N, 3, H, W) uint8.
        labels: (N,) class indices.
        batch_size: images per forward pass.
        progress: show a progress bar.

    Returns:
        The layer as trained, with hard rounding (q·round(z/q), bounded by its levels), as files
        that Pillow decodes, and no layer; only the first and the last for a network without one.

    Raises:
        ValueError: images and labels of different lengths.
    """
    if len(images) != len(labels):
        raise ValueError(f"labels must be {len(images)}, one per image, got {len(labels)}")
    trained = _answers(network, images, batch_size)
    versions = [_version("as trained", trained, trained, labels, None)]
    layer = network.layer
    if layer is None:
        return versions
    if layer.quantizer not in ("none", "clip"):
        hard = copy.deepcopy(network)
        assert hard.layer is not None
        hard.layer.quantizer = "hard"
        front = hard.layer if isinstance(hard.layer, JPEGLayer) else None
        bpp = None
        # Without a bound, steps far below 1 have more indices than a histogram can hold.
        if front is not None and front.levels is not None:
            bpp = _entropy_bpp(front, images, batch_size)
        answers = _answers(hard, images, batch_size)
        versions.append(_version("hard rounding", answers, trained, labels, bpp))
        versions.append(_real(network, images, labels, trained, batch_size, progress))
    bypassed = copy.deepcopy(network)
    bypass(bypassed)
    answers = _answers(bypassed, images, batch_size)
    versions.append(_version("no layer", answers, trained, labels, None))
    return versions


def bypass(network: nn.Module) -> None:
    """Replace every JPEG layer inside by the identity, in place.

    >>> from softjpeg import JPEGLayer, wrap
    >>> network = wrap(nn.Identity(), JPEGLayer(), [0.5] * 3, [0.5] * 3)
    >>> bypass(network)
    >>> network.layer is None
    True
    """
    from softjpeg.nn.table_quantizer import TableQuantizer

    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, TableQuantizer):
                setattr(parent, name, nn.Identity())


def why_not_a_file(layer: nn.Module) -> str:
    """Why an ordinary .jpg cannot hold what a layer does; empty where it can.

    >>> why_not_a_file(nn.Identity())
    'the layer stands inside the network'
    """
    if isinstance(layer, JPEGLayer):
        return layer.why_not_a_file()
    return "the layer stands inside the network"


def versions_table(versions: Sequence[LayerVersion], title: str | None = None) -> Table:
    """A row for each version."""
    from rich.table import Table

    view = Table(title=title)
    for column in ("layer", "top-1 %", "agree %", "bpp", ""):
        view.add_column(column, justify="left" if column in ("layer", "") else "right")
    for v in versions:
        numbers = ["", ""] if v.note else [f"{100 * v.top1:.2f}", f"{100 * v.agreement:.2f}"]
        view.add_row(v.name, *numbers, "" if v.bpp is None else f"{v.bpp:.3f}", v.note)
    return view


def save_versions(
    versions: Sequence[LayerVersion], path: str | os.PathLike[str], provenance: Mapping[str, Any]
) -> None:
    """Write the versions as JSON, all of it or none.

    Args:
        versions: of `layer_versions`.
        path: of the file.
        provenance: where they come from, anything JSON can hold.
    """
    measured = [
        {k: None if v.note and k in ("top1", "agreement") else x for k, x in asdict(v).items()}
        for v in versions
    ]
    body = {"provenance": dict(provenance), "versions": measured}
    write_atomically(path, (json.dumps(body, indent=2) + "\n").encode())


def _version(
    name: str, answers: Tensor, trained: Tensor, labels: Tensor, bpp: float | None
) -> LayerVersion:
    right, same = (answers == labels).float().mean(), (answers == trained).float().mean()
    return LayerVersion(name, right.item(), same.item(), bpp, len(labels))


def _answers(network: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    return outputs_of(network, images, batch_size=batch_size).argmax(1)


def _real(
    network: JPEGNetwork,
    images: Tensor,
    labels: Tensor,
    trained: Tensor,
    batch_size: int,
    progress: bool,
) -> LayerVersion:
    layer = network.layer
    assert layer is not None
    reason = why_not_a_file(layer)
    if reason or not isinstance(layer, JPEGLayer):
        return LayerVersion("real JPEG", float("nan"), float("nan"), None, len(images), reason)
    shown, size = torch.empty_like(images), 0
    for i in track(range(len(images)), "writing files", enabled=progress):
        data = layer_file(layer, images[i])
        size += len(data)
        with Image.open(io.BytesIO(data)) as file:
            shown[i] = from_image(file)
    without = copy.deepcopy(network)
    bypass(without)
    answers = _answers(without, shown, batch_size)
    return _version(
        "real JPEG", answers, trained, labels, bits_per_pixel(size, pixel_count(images))
    )


@torch.no_grad()
def layer_file(layer: JPEGLayer, image: Tensor) -> bytes:
    """An ordinary .jpg of the indices that a layer passes, bounded by its levels.

    Args:
        layer: of one round, its steps at least 0.5; they are rounded to integers.
        image: (3, H, W) uint8.

    Returns:
        The file, its Huffman tables optimized.
    """
    size = (image.shape[-2], image.shape[-1])
    steps = layer.steps()[0].round().clamp(1, 255)
    z = image_to_coefficients(image[None].float() / 255, layer.subsampling, rounding=True)
    bound = layer.levels or 1023
    planes = []
    for component, c in enumerate(z):
        if layer.zero_dc:
            c = c.clone()
            c[..., 0, 0] = 0
        indices = (c / steps[min(component, 1)]).round().clamp(-bound, bound)
        planes.append(indices[0].to(torch.int16).cpu().numpy())
    tables = [np.asarray(t.cpu(), dtype=np.int64) for t in (steps[0], steps[1], steps[1])]
    return write_coefficients(planes, tables, size=size, subsampling=layer.subsampling)


@torch.no_grad()
def _entropy_bpp(hard: JPEGLayer, images: Tensor, batch_size: int) -> float:
    """Entropy of the last round's indices, DC predicted, mean over batches."""
    total, pixels = 0.0, images.shape[-2] * images.shape[-1]
    luma, chroma = hard.steps()[-1]
    tables = (luma, chroma, chroma)
    alphas = [_HARD / q**2 for q in tables]
    for part in images.split(batch_size):  # type: ignore[no-untyped-call]
        z = image_to_coefficients(part.to(luma.device).float() / 255, hard.subsampling)
        total += float(entropy_bits(hard.quantize(z), tables, alphas)) * len(part)
    return total / (len(images) * pixels)
