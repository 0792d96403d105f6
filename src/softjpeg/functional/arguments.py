"""What functions and layers ask of the tensors they are given: numbers, and pixels in [0, 1]."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.utils import _python_dispatch

_LOWEST, _HIGHEST = -1.0, 2.0
"""Noise added to an image stays within, and neither 0..255 nor an image less its mean does."""


def check_floats(**tensors: Tensor) -> None:
    """Raise ValueError for a tensor that is not of floating point numbers; it is named.

    Sums, steps and rounding of integers would be other ones, without a word.

    >>> check_floats(z=torch.zeros(2))
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(f"{name} must be of floating point numbers, got {tensor.dtype}")


def without_autocast(tensor: Tensor) -> torch.autocast:
    """Full precision where a tensor is, though its caller asked for less; "meta" is nowhere.

    >>> with torch.autocast("cpu", torch.bfloat16), without_autocast(torch.ones(1)):
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.float32
    """
    return torch.autocast("cpu" if tensor.is_meta else tensor.device.type, enabled=False)


def warn_once_of_range(module: nn.Module, image: Tensor) -> None:
    """Warn where the first image that a module is given is not in [0, 1], as of bytes 0..255.

    Args:
        module: remembers that it has seen one; in a traced or transformed call it does not look.
        image: (B, C, H, W).

    >>> warn_once_of_range(nn.Identity(), torch.rand(1, 3, 8, 8))
    """
    if getattr(module, "_has_seen_an_image", False) or not _can_be_looked_at(image):
        return
    module._has_seen_an_image = True  # type: ignore[assignment]
    lowest, highest = (float(x) for x in image.detach().aminmax())
    if lowest < _LOWEST or highest > _HIGHEST:
        warnings.warn(
            f"image should be RGB or gray in [0, 1], got values from {lowest:.4g} to {highest:.4g}"
            f" (said once for each {type(module).__name__})",
            stacklevel=4,
        )


def _can_be_looked_at(image: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and _python_dispatch._get_current_dispatch_mode() is None
        and type(image) in (Tensor, nn.Parameter)
        and torch.func.debug_unwrap(image, recurse=False) is image
        and not image.is_meta
        and image.numel() > 0
        and not (image.is_cuda and torch.cuda.is_current_stream_capturing())
    )
