"""Running a network: its outputs on uint8 images, where it is, and checks of what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.common.image_files import ImageFiles
from softjpeg.common.image_sequence import Images, in_place, same_size_groups
from softjpeg.common.scratch import scratch_tensor


@torch.no_grad()
def outputs_of(model: nn.Module, images: Images, batch_size: int = 32) -> Tensor:
    """The network's output on images, batch by batch.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1], on its own device.
        images: uint8, of any sizes that it reads.
        batch_size: images per forward pass, at most; those of one size are read together.

    Returns:
        (N, ...) on the CPU.

    Raises:
        ValueError: the network cannot read such images, or its output is no finite tensor (N, ...)
            or of another shape for some of them; a file is named.
    """
    device = device_of(model)
    outputs: Tensor | None = None
    for start in range(0, len(images), batch_size):
        groups = same_size_groups(images[start : start + batch_size])
        read = [
            (places, _output(model, group.to(device).float() / 255, images, start + places[0]))
            for places, group in groups
        ]
        known = [] if outputs is None else [outputs]
        found = {tuple(output.shape[1:]) for output in [*known, *(each for _, each in read)]}
        if len(found) > 1:
            shapes = ", ".join(sorted(map(str, found)))
            raise ValueError(f"the network's output must be of one shape, got {shapes}")
        output = in_place(read)
        if outputs is None:
            outputs = scratch_tensor((len(images), *output.shape[1:]), output.dtype)
        outputs[start : start + batch_size] = output.cpu()
    assert outputs is not None
    return outputs


def _output(model: nn.Module, batch: Tensor, images: Images, first: int) -> Tensor:
    """Of a batch of one size, whose first is `images[first]`."""
    try:
        output = model(batch)
    # Networks of other sizes raise RuntimeError, AssertionError, IndexError and more.
    except Exception as error:
        what = f"images of {batch.shape[-1]}x{batch.shape[-2]} pixels"
        if isinstance(images, ImageFiles):
            what += f", as {images.paths[first]} is"
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"the network cannot read {what}: {reason}") from error
    if not isinstance(output, Tensor) or len(output) != len(batch):
        raise ValueError(f"the network's output must be a tensor (N, ...), got {type(output)}")
    if not torch.isfinite(output).all():
        raise ValueError("the network's output on the uncompressed images is not finite")
    return output


def check_inputs(images: Images, labels: Tensor | None, batch_size: int) -> None:
    """Refuse what no network can be asked about.

    Args:
        images: uint8, (N, 3, H, W) or at least one (3, H, W); of files only the first is looked at.
        labels: (N,), or None.
        batch_size: at least 1.

    Raises:
        ValueError: one of them is of another shape, type or range; it is named.
    """
    if isinstance(images, Tensor):
        if not _is_rgb(images, 4):
            raise ValueError(f"images must be uint8 of shape (N, 3, H, W), got {_called(images)}")
    elif not isinstance(images, Sequence):
        raise ValueError(f"images must be a tensor or a sequence of them, got {_called(images)}")
    elif not len(images):
        raise ValueError("images must be at least one, got none")
    else:
        for image in images[:1] if isinstance(images, ImageFiles) else images:
            if not _is_rgb(image, 3):
                raise ValueError(f"images must be uint8 of shape (3, H, W), got {_called(image)}")
    if labels is not None:
        if not isinstance(labels, Tensor) or labels.is_floating_point():
            raise ValueError(f"labels must be a tensor of class indices, got {_called(labels)}")
        if labels.shape != (len(images),):
            raise ValueError(f"labels must have shape ({len(images)},), got {tuple(labels.shape)}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")


def _is_rgb(images: Any, dimensions: int) -> bool:
    return (
        isinstance(images, Tensor)
        and images.dtype == torch.uint8
        and images.ndim == dimensions
        and images.shape[-3] == 3
        and images.numel() > 0
    )


def _called(value: Any) -> str:
    """A tensor's shape and type of number, or the name of what is no tensor."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {value.dtype}"
    return type(value).__name__


def check_labels(labels: Tensor, outputs: Tensor) -> None:
    """Raise ValueError unless every label is a class of `outputs` (N, classes)."""
    classes = outputs.shape[-1]
    wrong = (labels >= classes) | (labels < -1)
    if wrong.any():
        raise ValueError(f"labels must be below {classes} classes, got {int(labels[wrong][0])}")


def device_of(model: nn.Module) -> torch.device:
    """Where a network's parameters are; the CPU for one that has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))
