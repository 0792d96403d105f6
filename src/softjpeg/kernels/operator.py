"""The fused JPEG layer as a PyTorch operator, ``softjpeg::jpeg_layer``.

One operator for eager mode, `torch.compile` and `torch.export`: C on the CPU (`cpu.layer`), Triton
on CUDA (`triton.layer`). Nothing but its inputs is kept for the backward pass.
`softjpeg.functional.jpeg_layer` is the definition, and what runs where `supports` says no.

Every argument keeps its place from here to the kernels, that of the operator's schema.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import torch
from torch import Tensor

from softjpeg.kernels.arguments import DTYPES, MAX_INDEX, are_plain
from softjpeg.kernels.cpu import layer as cpu_layer
from softjpeg.kernels.library import is_available, switched_off

_TRITON = (3, 9)
"""The first version that the kernels have been run with."""
_SETTINGS = "str layout, bool rounding, int? levels, int? window, bool zero_dc"


def supports(
    image: Tensor, steps: Tensor, alphas: Tensor, levels: int | None, window: int | None
) -> bool:
    """Whether the operator takes these here, for the soft quantizer of an index set.

    Args:
        image: (B, C, H, W).
        steps, alphas: (rounds, kinds, 8, 8).
        levels, window: the index set of the soft quantizer.
    """
    if image.dtype not in DTYPES or max(levels or 0, window or 0) > MAX_INDEX:
        return False
    if torch.float64 in (steps.dtype, alphas.dtype):
        return False
    if torch.compiler.is_compiling():
        # A runtime knows ONNX's own operators alone.
        if torch.onnx.is_in_onnx_export():
            return False
    elif not are_plain(image, steps, alphas):
        return False
    if image.device.type == "cuda":
        return _HAS_TRITON and not switched_off() and (levels is None or window is not None)
    return image.device.type == "cpu" and is_available("_layer")


def jpeg_layer(image: Tensor, steps: Tensor, alphas: Tensor, *settings: Any) -> Tensor:
    """What a decoder shows of images that the kernels of this machine support.

    Args:
        image: (B, C, H, W).
        steps, alphas: (rounds, kinds, 8, 8) q > 0 and sharpness α.
        settings: layout, rounding, levels, window, zero_dc of `softjpeg.functional.jpeg_layer`.

    >>> x, tables = torch.rand(1, 3, 9, 9), torch.ones(1, 2, 8, 8)
    >>> tuple(jpeg_layer(x, tables, tables, "4:2:0", False, None, None, False).shape)
    (1, 3, 9, 9)
    """
    shown: Tensor = torch.ops.softjpeg.jpeg_layer(image, steps, alphas, *settings)
    return shown


def _forward(image: Tensor, steps: Tensor, alphas: Tensor, *settings: Any) -> Tensor:
    shown: Tensor = _backend(image).forward(image, steps.float(), alphas.float(), *settings)
    return shown


def _gradients(
    gradient: Tensor, image: Tensor, steps: Tensor, alphas: Tensor, *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    to_image, to_steps, to_alphas = _backend(image).backward(
        gradient, image, steps.float(), alphas.float(), *settings
    )
    # An operator's results share no memory, and lie as its fake says.
    placed = {"copy": True, "memory_format": torch.contiguous_format}
    return to_image, to_steps.to(steps.dtype, **placed), to_alphas.to(alphas.dtype, **placed)


def _like_the_image(image: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(image)


def _like_the_gradients(
    gradient: Tensor, image: Tensor, steps: Tensor, alphas: Tensor, *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    of_image = settings[-1]
    gradient_of_image = torch.empty_like(image) if of_image else image.new_empty(0)
    return gradient_of_image, steps.new_empty(steps.shape), alphas.new_empty(alphas.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.settings = inputs[3:]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    of_image = ctx.needs_input_grad[0]
    image, steps, alphas = torch.ops.softjpeg.jpeg_layer_backward(
        gradient, *ctx.saved_tensors, *ctx.settings, of_image
    )
    return (image if of_image else None, steps, alphas, None, None, None, None, None)


def _twice(ctx: Any, *gradients: Tensor) -> None:
    raise RuntimeError("the JPEG layer can be differentiated once only, not its gradient again")


# `torch.library.custom_op` would do all this, but its operators import PyTorch's compiler, which
# takes seconds, when they are first called.
_ARGUMENTS = f"Tensor image, Tensor steps, Tensor alphas, {_SETTINGS}"
_LIBRARY: Any = torch.library.Library("softjpeg", "FRAGMENT")  # type: ignore[no-untyped-call]
for _name, _schema, _function, _fake in (
    ("jpeg_layer", f"({_ARGUMENTS}) -> Tensor", _forward, _like_the_image),
    (
        "jpeg_layer_backward",
        f"(Tensor gradient, {_ARGUMENTS}, bool of_image) -> (Tensor, Tensor, Tensor)",
        _gradients,
        _like_the_gradients,
    ),
):
    _LIBRARY.define(_name + _schema)
    for _device in ("CPU", "CUDA"):
        _LIBRARY.impl(_name, _function, _device)
    torch.library.register_fake(f"softjpeg::{_name}", _fake, lib=_LIBRARY)
torch.library.register_autograd(
    "softjpeg::jpeg_layer", _backward, setup_context=_keep, lib=_LIBRARY
)
torch.library.register_autograd("softjpeg::jpeg_layer_backward", _twice, lib=_LIBRARY)


def _backend(image: Tensor) -> Any:
    if image.device.type == "cuda":
        from softjpeg.kernels.triton import layer as triton_layer

        return triton_layer
    return cpu_layer


def _has_triton() -> bool:
    try:
        major, minor = importlib.metadata.version("triton").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(major), int(minor)) >= _TRITON


_HAS_TRITON = _has_triton()
