"""Images to coefficients and back in C, on arrays: what `softjpeg.functional.transform` defines.

Arrays of coefficients are (batch, rows, columns, 8, 8) float32; a subsampling is given as the
factors (h, v) of `softjpeg.jpeg.subsampling.luma_factors`. Each function has its adjoint, which
takes gradients back through it; rounding and clamping have the gradient 1.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.library import library

Array = npt.NDArray[Any]
Factors = tuple[int, int]
_LEVEL = 128.0


class _Transform(ctypes.Structure):
    """As in c/transform.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "channels", "height", "width")),
        ("stride", ctypes.c_int64 * 4),
        *((name, ctypes.c_int32) for name in ("v", "h", "is_float", "rounding")),
        ("level", ctypes.c_float),
    )


def image_to_coefficients(
    image: Array, factors: Factors, *, rounding: bool, linear: bool = False
) -> list[Array]:
    """DCT coefficients of every component.

    Args:
        image: (B, 3 or 1, H, W) uint8, or float32 in [0, 1]; any strides.
        factors: (h, v), ignored for gray.
        rounding: round the samples as libjpeg does before its DCT.
        linear: without the level shift, so that the function is linear.

    Returns:
        (Y, Cb, Cr) or (Y,).

    >>> image = np.full((1, 3, 8, 16), 128, dtype=np.uint8)
    >>> [x.shape for x in image_to_coefficients(image, (2, 1), rounding=True)]
    [(1, 1, 2, 8, 8), (1, 1, 1, 8, 8), (1, 1, 1, 8, 8)]
    """
    if image.dtype != np.uint8:
        _check_floats("image", image, 4)
    _check_image(image)
    image = _in_elements(image)
    coefficients = [
        np.empty(shape, np.float32) for shape in coefficient_shapes(image.shape, factors)
    ]
    call = _call(image, factors, rounding, linear)
    _run("image_to_coefficients", call, _pointer(image), _pointers(coefficients))
    return coefficients


def image_gradient(gradients: Sequence[Array], size: tuple[int, int], factors: Factors) -> Array:
    """The adjoint of `image_to_coefficients` for images in [0, 1].

    Args:
        gradients: of (Y, Cb, Cr) or (Y,).
        size: (height, width) of the image.
        factors: (h, v), ignored for gray.

    Returns:
        (B, 3 or 1, H, W) float32.
    """
    image = np.empty(_image_shape(gradients, size, factors), np.float32)
    arrays = [np.require(g, None, ["C", "A"]) for g in gradients]
    _run("image_gradient", _call(image, factors), _pointers(arrays), _pointer(image))
    return image


def coefficients_to_image(
    coefficients: Sequence[Array],
    size: tuple[int, int],
    factors: Factors,
    *,
    rounding: bool,
    steps: Sequence[Array] | None = None,
    linear: bool = False,
) -> Array:
    """What a decoder shows of coefficients.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,).
        size: (height, width) of the image.
        factors: (h, v), ignored for gray.
        rounding: round and clamp as libjpeg's decoder does.
        steps: per component (8, 8) > 0: coefficients are first rounded to multiples of these.
        linear: without the level shift.

    Returns:
        (B, 3 or 1, H, W) float32, nominally in [0, 1].
    """
    image = np.empty(_image_shape(coefficients, size, factors), np.float32)
    call = _call(image, factors, rounding, linear)
    arrays = [np.require(c, None, ["C", "A"]) for c in coefficients]
    tables = None if steps is None else [np.require(q, np.float32, ["C", "A"]) for q in steps]
    if tables is not None and [q.shape for q in tables] != [(8, 8)] * len(arrays):
        raise ValueError(f"steps must be (8, 8) per component, got {[q.shape for q in tables]}")
    _run("coefficients_to_image", call, _pointers(arrays), _pointers(tables or ()), _pointer(image))
    return image


def coefficient_gradients(image: Array, factors: Factors) -> list[Array]:
    """The adjoint of `coefficients_to_image`.

    Args:
        image: (B, 3 or 1, H, W) float32, the gradient of the image; any strides.
        factors: (h, v), ignored for gray.

    Returns:
        The gradients of (Y, Cb, Cr) or (Y,).
    """
    _check_floats("image", image, 4)
    _check_image(image)
    image = _in_elements(image)
    coefficients = [
        np.empty(shape, np.float32) for shape in coefficient_shapes(image.shape, factors)
    ]
    _run("coefficient_gradients", _call(image, factors), _pointer(image), _pointers(coefficients))
    return coefficients


def coefficient_shapes(
    image: Sequence[int], factors: Factors
) -> list[tuple[int, int, int, int, int]]:
    """Of every component of an image (B, 3 or 1, H, W).

    Raises:
        ValueError: factors that no kernel is for.

    >>> coefficient_shapes((1, 3, 17, 9), (2, 2))
    [(1, 3, 2, 8, 8), (1, 2, 1, 8, 8), (1, 2, 1, 8, 8)]
    """
    if factors not in ((1, 1), (2, 1), (2, 2)):
        raise ValueError(f"factors must be (1, 1), (2, 1) or (2, 2), got {factors}")
    batch, channels, height, width = image
    across, down = factors
    luma = (batch, -(-height // 8), -(-width // 8), 8, 8)
    chroma = (batch, -(-height // (8 * down)), -(-width // (8 * across)), 8, 8)
    return [luma, chroma, chroma][:channels]


def _image_shape(
    coefficients: Sequence[Array], size: tuple[int, int], factors: Factors
) -> tuple[int, int, int, int]:
    if len(coefficients) not in (1, 3) or len(size) != 2 or min(size) < 1:
        raise ValueError(f"{len(coefficients)} components of {size} pixels are no image")
    for index, array in enumerate(coefficients):
        _check_floats(f"coefficients[{index}]", array, 5)
    shape = (len(coefficients[0]), len(coefficients), *size)
    if len(coefficients[0]) < 1:
        raise ValueError("coefficients must be of one image at least, got none")
    shapes, wanted = [c.shape for c in coefficients], coefficient_shapes(shape, factors)
    if shapes != wanted:
        raise ValueError(f"coefficients must have the shapes {wanted}, got {shapes}")
    return shape


def _check_image(image: Array) -> None:
    if image.ndim != 4 or image.shape[1] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"image must have shape (B, 3 or 1, H, W), got {image.shape}")


def _in_elements(image: Array) -> Array:
    """As it is where strides and address are multiples of an element's size, else a copy."""
    whole = image.flags.aligned and not any(stride % image.itemsize for stride in image.strides)
    return image if whole else np.require(image, None, ["C", "A"])


def _check_floats(name: str, array: Array, ndim: int) -> None:
    if array.dtype != np.float32 or array.ndim != ndim:
        dtype_and_shape = f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{name} must be float32 with {ndim} axes, got {dtype_and_shape}")


def _call(
    image: Array, factors: Factors, rounding: bool = False, linear: bool = False
) -> _Transform:
    strides = (ctypes.c_int64 * 4)(*(stride // image.itemsize for stride in image.strides))
    across, down = factors if image.shape[1] == 3 else (1, 1)
    is_float = image.dtype == np.float32
    level = 0.0 if linear else _LEVEL
    return _Transform(*image.shape, strides, down, across, is_float, rounding, level)


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _pointers(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * 3)(*(array.ctypes.data for array in arrays))


def _run(name: str, call: _Transform, *arguments: Any) -> None:
    function: Callable[..., int] = getattr(library("_decisions"), name)
    if function(ctypes.byref(call), *arguments):
        raise MemoryError(f"no memory for the planes of {call.width}x{call.height} pixels")
