"""How many bits a coefficient or DC difference takes in JPEG, as a distribution (T.81 F.1.2).

An index i has the size ``s`` of \\|i\\| in bits, 0 for 0. With indices drawn from the CPMF,
``P(s|z) = Σ P(i|z)`` over the indices of that size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from softjpeg.functional.cpmf import cpmf
from softjpeg.functional.soft_quantizer import reach
from softjpeg.jpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC

AC_SIZES, DC_SIZES = 11, 12
"""How many sizes there are, 0 included."""

SizeDistribution = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From z (..., n), q and α (n,) to P(s|z) (..., n, sizes)."""


def ac_sizes(z: Tensor, q: Tensor, alpha: Tensor) -> Tensor:
    """P(s|z) of coefficients.

    Args:
        z: (..., n), pixel scale.
        q, alpha: (n,) steps > 0 and sharpness α = hardness / q².

    Returns:
        (..., n, 11), differentiable.

    >>> z, q = torch.tensor([0.0, 50.0]), torch.tensor([10.0, 10.0])
    >>> ac_sizes(z, q, 100 / q**2).argmax(-1).tolist()
    [0, 3]
    """
    indices, p = cpmf(z, q, alpha, window=_window(q, alpha))
    sizes = _size(indices.clamp(-MAX_AC, MAX_AC))
    return p.new_zeros(*z.shape, AC_SIZES).scatter_add(-1, sizes, p)


def dc_sizes(z: Tensor, q: Tensor, alpha: Tensor) -> Tensor:
    """P(s) of the differences between DC coefficients that follow each other in a scan.

    Args:
        z: (B, blocks, 1), pixel scale, in scan order; the first is predicted by 0.
        q, alpha: (1,).

    Returns:
        (B, blocks, 1, 12), differentiable.

    >>> z, q = torch.tensor([[[30.0], [30.0]]]), torch.tensor([10.0])
    >>> dc_sizes(z, q, 100 / q**2).argmax(-1).flatten().tolist()
    [2, 0]
    """
    indices, p = cpmf(z[..., 0], q, alpha, window=_window(q, alpha))
    indices = indices.clamp(MIN_DC, MAX_DC)
    before = pad(indices, (0, 0, 1, 0))[:, :-1]
    p_before = torch.cat([torch.full_like(p[:, :1], 1 / p.shape[-1]), p[:, :-1]], 1)
    sizes = _size(indices[..., None] - before[..., None, :]).flatten(2)
    joint = (p[..., None] * p_before[..., None, :]).flatten(2)
    return joint.new_zeros(*z.shape[:2], DC_SIZES).scatter_add(-1, sizes, joint)[..., None, :]


def differenced(sizes: SizeDistribution, shift: float) -> SizeDistribution:
    """The same distribution, but its derivative is a difference over log q ± shift.

    Hardness is held. The derivative at a point is right on average, but its noise grows with
    \\|z/q\\|: for DC it is useless. It is of q alone: z and α get no gradient.

    >>> z, q = torch.tensor([14.0]), torch.tensor([10.0], requires_grad=True)
    >>> differenced(ac_sizes, 0.2)(z, q, 1000 / q**2)[0, 0].backward()  # Rounded to 1, or to 2.
    >>> q.grad.item()
    0.0
    """

    def apply(z: Tensor, q: Tensor, alpha: Tensor) -> Tensor:
        with torch.no_grad():
            value = sizes(z, q, alpha)
        if not torch.is_grad_enabled():
            return value
        with torch.no_grad():
            up, down = (
                sizes(z, q * math.exp(step), alpha * math.exp(-2 * step))
                for step in (shift, -shift)
            )
        return value + (q.log() - q.log().detach())[:, None] * (up - down) / (2 * shift)

    return apply


def _size(values: Tensor) -> Tensor:
    return torch.frexp(values.abs()).exponent.long()


def _window(q: Tensor, alpha: Tensor) -> int:
    """As few indices as will do: pairs of them are gone through."""
    return 2 * reach(alpha * q**2, spare=0) + 1
