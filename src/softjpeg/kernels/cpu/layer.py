"""The fused JPEG layer on the CPU: each pixel is read once and written once, in float32.

C code (``c/fused_layer.c``) takes 16 blocks at a time through colour conversion, DCT, all rounds of
the soft quantizer and back. The backward pass computes them again from the image, all that is kept.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from softjpeg.kernels.arguments import DTYPES, MAX_INDEX, check_layer
from softjpeg.kernels.library import library, opened

_LAYOUTS = {
    "4:4:4": (0, 1, 1),
    "4:2:2": (0, 1, 2),
    "4:2:0": (0, 2, 2),
    "gray": (1, 1, 1),
    "planes": (2, 1, 1),
}
"""As in c/layer.h: what the channels are, and luma rows and columns for one of chroma."""

_DIMENSIONS = ("batch", "channels", "height", "width")
_SETTINGS = (
    *("layout", "v", "h", "rounding", "zero_dc", "levels", "window", "rounds", "kinds"),
    "threads",
)


class _Layer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in _DIMENSIONS),
        *((name, ctypes.c_int32) for name in _SETTINGS),
        ("steps", ctypes.c_void_p),
        ("alphas", ctypes.c_void_p),
    ]


class _Image(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", ctypes.c_int64 * 4)]


# Opened here, where no compiler follows; PyTorch comes first and brings the OpenMP that it shares.
if (_OPENED := opened("_layer")) is not None:
    _OPENED.layer_tasks.restype = ctypes.c_int64


def forward(
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool = False,
    levels: int | None = None,
    window: int | None = None,
    zero_dc: bool = False,
) -> Tensor:
    """What a decoder shows of images.

    Args:
        image: (B, C, H, W) float on the CPU, any strides; half precision is computed in float32.
        steps, alphas: (rounds, kinds, 8, 8) q > 0 and sharpness α.
        layout, rounding, levels, window, zero_dc: of `softjpeg.functional.jpeg_layer`.

    Returns:
        Like `image`.

    Raises:
        ValueError: an argument that the C code cannot trust.

    >>> one = torch.ones(1, 1, 8, 8)
    >>> x = torch.full((1, 1, 8, 8), 2.5)
    >>> forward(x, 16 * one, one, "planes").round(decimals=3).unique().tolist()
    [2.0]
    """
    layer = _layer(image, steps, alphas, layout, rounding, levels, window, zero_dc)
    wide = _wide(image)
    shown = torch.empty_like(wide)
    _check(
        library("_layer").layer_forward(*map(ctypes.byref, (layer, _image(wide), _image(shown))))
    )
    return shown.to(image.dtype)


def backward(
    gradient: Tensor,
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool = False,
    levels: int | None = None,
    window: int | None = None,
    zero_dc: bool = False,
    of_image: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of image, steps (at fixed α) and alphas. Sums do not depend on the threads.

    Args:
        gradient: of the result, (B, C, H, W).
        image, steps, alphas, layout, rounding, levels, window, zero_dc: what `forward` was called
            with.
        of_image: whether the first is wanted; else it is empty.
    """
    if gradient.device != image.device or gradient.dtype not in DTYPES:
        found = f"{gradient.dtype} on {gradient.device}"
        raise ValueError(f"gradient must be of floats on {image.device}, got {found}")
    _check_strided("gradient", gradient)
    if gradient.shape != image.shape:
        shapes = f"{tuple(image.shape)}, got {tuple(gradient.shape)}"
        raise ValueError(f"gradient must have the image's shape {shapes}")
    layer = _layer(image, steps, alphas, layout, rounding, levels, window, zero_dc)
    wide, wide_gradient = _wide(image), _wide(gradient)
    image_gradient = torch.empty_like(wide) if of_image else wide.new_empty(0, 1, 1, 1)
    kernels = library("_layer")
    tasks = kernels.layer_tasks(ctypes.byref(layer))
    kind, _, _ = _LAYOUTS[layout]
    slots = 2 if kind == 0 else 1
    sums = torch.zeros(tasks, 2, len(steps), slots, 8, 8, dtype=torch.float64)
    images = map(_image, (wide, wide_gradient, image_gradient))
    sums_at = ctypes.c_void_p(sums.data_ptr())
    _check(kernels.layer_backward(ctypes.byref(layer), *map(ctypes.byref, images), sums_at))
    kinds = steps.shape[1]
    if kind == 2 and kinds > 1:
        # Each kind has tasks of its own, one kind after the other.
        by_kind = sums.reshape(kinds, tasks // kinds, *sums.shape[1:])
        total = by_kind.sum(1)[..., 0, :, :].movedim(0, 2)
    else:
        total = torch.zeros(2, *steps.shape, dtype=torch.float64)
        total[:, :, :slots] = sums.sum(0) / (1 if kind == 2 else 255)
    to_steps, to_alphas = (gradient.to(steps.dtype) for gradient in total)
    shaped = image_gradient if of_image else image_gradient.reshape(0)
    return shaped.to(image.dtype), to_steps, to_alphas


def _layer(
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool,
    levels: int | None,
    window: int | None,
    zero_dc: bool,
) -> _Layer:
    check_layer(image, steps, alphas, layout)
    if image.dtype not in DTYPES:
        raise ValueError(f"image must be float32, bfloat16 or float16, got {image.dtype}")
    if image.device.type != "cpu":
        raise ValueError(f"image must lie on the CPU, got {image.device}")
    for name, tensor in (("image", image), ("steps", steps), ("alphas", alphas)):
        _check_strided(name, tensor)
    for name, count in (("levels", levels), ("window", window)):
        if not 0 <= (count or 0) <= MAX_INDEX:
            raise ValueError(f"{name} must be from 1 to {MAX_INDEX} or None, got {count}")
    tables = [_wide(t.detach()).contiguous() for t in (steps, alphas)]
    numbers = (
        *(*image.shape, *_LAYOUTS[layout], rounding, zero_dc, levels or 0, window or 0),
        *(*steps.shape[:2], torch.get_num_threads()),
    )
    layer = _Layer(*numbers, *(t.data_ptr() for t in tables))
    layer.tables = tables  # Keeps them alive as long as their addresses.
    return layer


def _check_strided(name: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_neg():
        raise ValueError(f"{name} must be numbers in memory, got {tensor.layout}")


def _wide(tensor: Tensor) -> Tensor:
    """In float32, at an address that C may read numbers at."""
    wide = tensor.float()
    return wide.clone() if wide.data_ptr() % wide.element_size() else wide


def _image(tensor: Tensor) -> _Image:
    return _Image(tensor.data_ptr(), (ctypes.c_int64 * 4)(*tensor.stride()))


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("the JPEG layer found no memory")
