"""The transform's C kernels as functions of tensors, differentiable any number of times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from softjpeg.kernels.arguments import are_plain
from softjpeg.kernels.cpu import transform
from softjpeg.kernels.library import is_available


class Operator(NamedTuple):
    """One of the kernels, or its adjoint: from tensors to tensors."""

    to_coefficients: bool
    """From one image to its coefficients; else from coefficients to one image."""
    size: tuple[int, int]
    """(height, width) of the image."""
    factors: tuple[int, int]
    rounding: bool
    linear: bool = False
    """Without rounding and level shift: what is left of a derivative's own derivative."""
    adjoint: bool = False
    """Of the function that maps the other way."""
    steps: tuple[Tensor, ...] | None = None
    """Per component (8, 8): coefficients are first rounded to these, straight-through."""

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The image (B, 3 or 1, H, W), or (Y, Cb, Cr) or (Y,), each (B, rows, columns, 8, 8)."""
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
            return _Differentiable.apply(self, *tensors)  # type: ignore[no-any-return, no-untyped-call]
        return self.run(tensors)

    def run(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The same without a gradient."""
        arrays = [t.detach().numpy() for t in tensors]
        rounding = self.rounding and not self.linear
        if self.to_coefficients and self.adjoint:
            results = transform.coefficient_gradients(arrays[0], self.factors)
        elif self.to_coefficients:
            results = transform.image_to_coefficients(
                arrays[0], self.factors, rounding=rounding, linear=self.linear
            )
        elif self.adjoint:
            results = [transform.image_gradient(arrays, self.size, self.factors)]
        else:
            steps = None if self.steps is None else [q.detach().numpy() for q in self.steps]
            image = transform.coefficients_to_image(
                arrays, self.size, self.factors, rounding=rounding, steps=steps, linear=self.linear
            )
            results = [image]
        return tuple(map(torch.from_numpy, results))

    def transposed(self) -> Operator:
        """What takes a gradient back through this one."""
        to_coefficients, adjoint = not self.to_coefficients, not self.adjoint
        return Operator(to_coefficients, self.size, self.factors, False, True, adjoint)


def is_fast(*tensors: Tensor) -> bool:
    """Whether the kernels take these: float32 or uint8 on the CPU, just numbers in memory."""
    return (
        not torch.compiler.is_compiling()
        and all(
            t.dtype in (torch.float32, torch.uint8) and t.device.type == "cpu" and t.numel() > 0
            for t in tensors
        )
        and are_plain(*tensors)
        and is_available("_decisions")
    )


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, operator: Operator, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.operator = operator
        return operator.run(tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.operator.transposed()(*gradients)
