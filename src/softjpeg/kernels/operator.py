"""The fused JPEG layer as a PyTorch operator, ``softjpeg::jpeg_layer``.

One operator for eager mode, `torch.compile` and `torch.export`: C on the CPU (`cpu.layer`), Triton
on CUDA (`triton.layer`). Nothing but its inputs is kept for the backward pass. `softjpeg.nn` has
the definition, which also is what runs where `supports` says no.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from softjpeg.kernels.cpu import layer as cpu_layer
from softjpeg.kernels.layer_arguments import DTYPES, Settings
from softjpeg.kernels.library import switched_off

_TRITON = (3, 9)
"""The first version that the kernels have been run with."""
_MAX_INDEX = 1 << 24
"""Up to which float32 holds every index."""
_PURE = ContextVar("pure", default=False)


def jpeg_layer(image: Tensor, steps: Tensor, alphas: Tensor, settings: Settings) -> Tensor:
    """What a decoder shows of images.

    Args:
        image: (B, C, H, W) that the kernels of this machine support.
        steps, alphas: (rounds, kinds, 8, 8) q > 0 and sharpness α.
        settings: layout, rounding, index set.

    Raises:
        ValueError: as `softjpeg.kernels.layer_arguments.check_arguments`.

    >>> x, tables = torch.rand(1, 3, 9, 9), torch.ones(1, 2, 8, 8)
    >>> tuple(jpeg_layer(x, tables, tables, Settings("4:2:0")).shape)
    (1, 3, 9, 9)
    """
    shown: Tensor = torch.ops.softjpeg.jpeg_layer(image, steps, alphas, *settings)
    return shown


def _forward(image: Tensor, steps: Tensor, alphas: Tensor, *settings: Any) -> Tensor:
    told = Settings(*settings)._asdict()
    shown: Tensor = _backend(image).forward(image, steps.float(), alphas.float(), **told)
    return shown


def _gradients(
    gradient: Tensor, image: Tensor, steps: Tensor, alphas: Tensor, *settings: Any
) -> tuple[Tensor, Tensor, Tensor]:
    *told, of_image = settings
    tables = steps.float(), alphas.float()
    found = _backend(image).backward(
        gradient, image, *tables, of_image=of_image, **Settings(*told)._asdict()
    )
    # An operator's results share no memory, and lie as its fake says.
    whole = {"copy": True, "memory_format": torch.contiguous_format}
    return found[0], found[1].to(steps.dtype, **whole), found[2].to(alphas.dtype, **whole)


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
_ARGUMENTS = (
    "Tensor image, Tensor steps, Tensor alphas, "
    "str layout, bool rounding, int? levels, int? window, bool zero_dc"
)
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


def supports(image: Tensor, levels: int | None, window: int | None) -> bool:
    """Whether `jpeg_layer` can take such an image here, for the soft quantizer of an index set."""
    if _PURE.get() or switched_off() or image.dtype not in DTYPES:
        return False
    if not torch.compiler.is_compiling() and forward_ad._current_level >= 0:
        # An operator without a rule for them would drop tangents without a word.
        return False
    if max(levels or 0, window or 0) > _MAX_INDEX:
        return False
    if image.device.type == "cuda":
        return _HAS_TRITON and (levels is None or window is not None)
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
