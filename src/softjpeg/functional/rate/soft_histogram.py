"""How often each index is expected at every frequency, ``Σ_blocks P(i|z)``, and its gradient.

There is never a tensor of all indices of all blocks: they are gone through one offset from the
nearest index at a time, in C on the CPU in float32. With ``k = i - c`` about the nearest index c,
r = z - cq, a cost C(i) and ``S_n = Cov(C, k^n)`` over the indices of a coefficient, the gradient of
``Σ_i P(i|z) C(i)`` is ``∂z = 2αq·S_1``, ``∂q = 2α((r - qc)·S_1 - q·S_2)``,
``∂α = 2rq·S_1 - q²·S_2``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from softjpeg.functional.soft_quantizer import nearest_index
from softjpeg.kernels.cpu import soft_histogram as kernel
from softjpeg.kernels.cpu.transform_autograd import is_fast


class SoftHistogram(NamedTuple):
    """Coefficients (N, 64) with one step and one sharpness per frequency."""

    z: Tensor
    q: Tensor
    alpha: Tensor
    half: int
    """Indices on each side of the nearest one."""
    levels: int | None
    lowest: Tensor
    """(64,): the index of each frequency's first bin."""
    bins: int

    @classmethod
    def of(
        cls, z: Tensor, q: Tensor, alpha: Tensor, half: int, levels: int | None
    ) -> SoftHistogram:
        """With as many bins as the indices span.

        Args:
            z: (N, 64) coefficients.
            q, alpha: (64,) steps > 0 and sharpness α > 0 = hardness / q².
            half: indices on each side of the nearest one.
            levels: L of the index set {-L..L}; None for all integers.

        Raises:
            ValueError: z is not finite, or q is not positive.
        """
        z, q, alpha = z.detach(), q.detach(), alpha.detach()
        ends = torch.stack(torch.aminmax(z, dim=0))
        if not torch.isfinite(ends).all():
            raise ValueError("z must be finite")
        if not (q > 0).all():
            raise ValueError(f"q must be positive, got {q.min().item()}")
        low, high = nearest_index(ends, q, levels)[0]
        bins = int((high - low).max()) + 2 * half + 1
        return cls(z, q, alpha, half, levels, low - half, bins)

    def marginal(self) -> Tensor:
        """(64, bins) float64: sums over the blocks of ``P(i|z)``.

        >>> z = torch.tensor([[0.0], [10.0], [10.0]]).expand(3, 64)
        >>> q = torch.full((64,), 10.0)
        >>> SoftHistogram.of(z, q, 50 / q**2, 1, None).marginal()[0].tolist()
        [0.0, 1.0, 2.0, 0.0]
        """
        if self._is_fast():
            arrays = self._arrays()
            sums = kernel.soft_histogram(*arrays, self.bins, self.half, self.levels)
            return torch.from_numpy(sums)
        c, r = nearest_index(self.z, self.q, self.levels)
        over = 1 / sum(weight for _, weight in self._weights(c, r))
        frequency = torch.arange(64, device=c.device) * self.bins
        nearest = (c - self.lowest).long() + frequency
        marginal = self.z.new_zeros(64 * self.bins, dtype=torch.float64)
        for k, weight in self._weights(c, r):
            marginal.index_add_(0, (nearest + k).flatten(), (weight * over).flatten().double())
        return marginal.reshape(64, self.bins)

    def gradient(
        self, cost: Tensor, scale: Tensor, *, of_z: bool
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Of ``Σ_m scale_m Σ_blocks Σ_i P(i|z) cost_m(i)`` in z, q and α.

        Args:
            cost: (64, bins).
            scale: (64,).
            of_z: whether that of z is wanted.

        Returns:
            (N, 64) or None, (64,) and (64,).
        """
        if self._is_fast():
            arrays = self._arrays()
            gradients = kernel.gradient(
                *arrays, self.half, self.levels, cost.numpy(), scale.numpy(), of_z=of_z
            )
            to_z = None if gradients[0] is None else torch.from_numpy(gradients[0])
            return to_z, torch.from_numpy(gradients[1]), torch.from_numpy(gradients[2])
        c, r = nearest_index(self.z, self.q, self.levels)
        over = 1 / sum(weight for _, weight in self._weights(c, r))
        frequency = torch.arange(64, device=c.device) * self.bins
        nearest = (c - self.lowest).long() + frequency
        mean, one, two, with_one, with_two = (torch.zeros_like(r) for _ in range(5))
        for k, weight in self._weights(c, r):
            p = weight * over
            weighted = p * cost.flatten()[nearest + k]
            mean += weighted
            one.add_(p, alpha=k), two.add_(p, alpha=k * k)
            with_one.add_(weighted, alpha=k), with_two.add_(weighted, alpha=k * k)
        s1, s2 = scale * (with_one - mean * one), scale * (with_two - mean * two)
        q, alpha = self.q, self.alpha
        to_q = 2 * alpha * ((r - q * c) * s1 - q * s2)
        to_alpha = q * (2 * r * s1 - q * s2)
        return 2 * alpha * q * s1 if of_z else None, to_q.sum(0), to_alpha.sum(0)

    def _weights(self, c: Tensor, r: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Every offset k, and the weight of the index there over that of the nearest one."""
        for k in range(-self.half, self.half + 1):
            weight = torch.exp(self.alpha * k * self.q * (2 * r - k * self.q))
            if self.levels is not None:
                weight = weight.masked_fill((c + k).abs() > self.levels, 0)
            yield k, weight

    def _is_fast(self) -> bool:
        tensors = self.z, self.q, self.alpha
        return is_fast(*tensors) and all(t.dtype == torch.float32 for t in tensors)

    def _arrays(self) -> tuple[kernel.Array, kernel.Array, kernel.Array, kernel.Array]:
        return self.z.numpy(), self.q.numpy(), self.alpha.numpy(), self.lowest.numpy()
