"""The fused JPEG layer as a PyTorch operator, ``softjpeg::jpeg_layer``.

One operator for eager mode, `torch.compile` and `torch.export`: C on the CPU (`cpu_layer`), Triton
on CUDA (`triton_layer`). Nothing but its inputs is kept for the backward pass. `softjpeg.layer` and
`softjpeg.feature_layer` are the definition, and what runs where `supports` says no.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor

from softjpeg.kernels import cpu_layer
from softjpeg.kernels.library import switched_off


class Settings(NamedTuple):
    """What the backends are told besides tensors; see `softjpeg.kernels.cpu_layer.forward`."""

    layout: str
    rounding: bool
    levels: int | None
    window: int | None
    zero_dc: bool


_HALF_OR_SINGLE = (torch.float32, torch.float16, torch.bfloat16)
_TRITON = (3, 9)
"""The first version that the kernels have been run with."""
_PURE = ContextVar("pure", default=False)


@torch.library.custom_op("softjpeg::jpeg_layer", mutates_args=())
def jpeg_layer(
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool,
    levels: int | None,
    window: int | None,
    zero_dc: bool,
) -> Tensor:
    """What a decoder shows of images; arguments as of `softjpeg.kernels.cpu_layer.forward`.

    >>> x, tables = torch.rand(1, 3, 9, 9), torch.ones(1, 2, 8, 8)
    >>> tuple(jpeg_layer(x, tables, tables, "4:2:0", False, None, None, False).shape)
    (1, 3, 9, 9)
    """
    settings = Settings(layout, rounding, levels, window, zero_dc)._asdict()
    shown: Tensor = _backend(image).forward(image, steps.float(), alphas.float(), **settings)
    return shown


@torch.library.custom_op("softjpeg::jpeg_layer_backward", mutates_args=())
def _gradients(
    gradient: Tensor,
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool,
    levels: int | None,
    window: int | None,
    zero_dc: bool,
    of_image: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    settings = Settings(layout, rounding, levels, window, zero_dc)._asdict()
    tables = steps.float(), alphas.float()
    found = _backend(image).backward(gradient, image, *tables, of_image=of_image, **settings)
    return found[0], found[1].to(steps.dtype), found[2].to(alphas.dtype)


@jpeg_layer.register_fake
def _(image: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(image)


@_gradients.register_fake
def _(
    gradient: Tensor, image: Tensor, steps: Tensor, alphas: Tensor, *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    of_image = settings[-1]
    gradient_of_image = torch.empty_like(image) if of_image else image.new_empty(0)
    return gradient_of_image, torch.empty_like(steps), torch.empty_like(alphas)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.settings = inputs[3:]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    of_image = ctx.needs_input_grad[0]
    image, steps, alphas = _gradients(gradient, *ctx.saved_tensors, *ctx.settings, of_image)
    return (image if of_image else None, steps, alphas, None, None, None, None, None)


jpeg_layer.register_autograd(_backward, setup_context=_keep)


def supports(image: Tensor, levels: int | None, window: int | None) -> bool:
    """Whether `jpeg_layer` can take such an image here, for the soft quantizer of an index set."""
    if _PURE.get() or switched_off() or image.dtype not in _HALF_OR_SINGLE:
        return False
    if image.device.type == "cuda":
        return _has_triton() and (levels is None or window is not None)
    return image.device.type == "cpu" and cpu_layer.available()


@contextmanager
def pure_functions() -> Iterator[None]:
    """Within it layers are made of PyTorch's own operators, which other programs know."""
    token = _PURE.set(True)
    try:
        yield
    finally:
        _PURE.reset(token)


def _backend(image: Tensor) -> Any:
    if image.device.type == "cuda":
        from softjpeg.kernels import triton_layer

        return triton_layer
    return cpu_layer


@functools.cache
def _has_triton() -> bool:
    try:
        major, minor = importlib.metadata.version("triton").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(major), int(minor)) >= _TRITON
