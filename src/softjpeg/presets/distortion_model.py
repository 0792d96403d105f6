"""What an image's error costs a network: a quadratic form, learned once and kept in a preset.

    d(e) = ½ Σ_blocks w_b Σ_m e_bm^T H_m e_bm,     e_bm = (Y, Cb, Cr) errors of block b, frequency m

* ``H_m`` has the sensitivities on its diagonal. Off it, where chroma is not subsampled, it says
  that an error of one component can make up for another's: a network trained on lossless images
  looks at high frequencies in one direction of colour only, so luma can carry what chroma loses.
* ``w_b`` is how much block b counts: by its place in the image, and by its own contrast, since an
  error hides among large coefficients (masking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.common.brief import brief

Floats = npt.NDArray[np.float64]

_LEFT = 1e-3
"""Of a sensitivity, this share is always left: a correlation is an estimate."""

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Components of the three correlations: Y and Cb, Y and Cr, Cb and Cr."""


@dataclass(frozen=True, eq=False)
class DistortionModel:
    """The quadratic form above, and what a bit is worth beside it.

    Attributes:
        sensitivity: (3, 8, 8) > 0, loss per squared pixel level: Y, Cb, Cr.
        correlation: (3, 8, 8) from -1 to 1, of the components in `PAIRS`; 0 where subsampled.
        position: (rows, columns) > 0, mean 1: weights of a grid laid over the image.
        masking: (2, knots): log2 of a block's squared AC luma, rising, and the weight > 0 there.
        rate_weight: λ ≥ 0, in loss per bit; with 0 coefficients are rounded.

    Raises:
        ValueError: a value out of its range, named.

    >>> one = np.ones((3, 8, 8))
    >>> model = DistortionModel(one, 0 * one, np.ones((1, 1)), np.array([[0, 9], [2, 1]]), 0.1)
    >>> model.block_weights(np.zeros((2, 3, 8, 8))).tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """

    sensitivity: Floats
    correlation: Floats
    position: Floats
    masking: Floats
    rate_weight: float

    def __post_init__(self) -> None:
        for name in ("sensitivity", "correlation", "position", "masking"):
            object.__setattr__(self, name, _finite(name, getattr(self, name)))
        for name in ("sensitivity", "correlation"):
            if getattr(self, name).shape != (3, 8, 8):
                raise ValueError(f"{name} must have shape (3, 8, 8)")
        if self.position.ndim != 2 or self.masking.ndim != 2 or len(self.masking) != 2:
            raise ValueError("position must be a grid, and masking two rows")
        if not self.masking.shape[1] or (np.diff(self.masking[0]) <= 0).any():
            raise ValueError("masking[0] must rise")
        for name, values in (
            ("sensitivity", self.sensitivity),
            ("position", self.position),
            ("masking[1]", self.masking[1]),
        ):
            if not values.size or values.min() <= 0:
                raise ValueError(f"{name} must be positive")
        if np.abs(self.correlation).max() > 1:
            raise ValueError("correlation must be from -1 to 1")
        if not 0 <= self.rate_weight < float("inf"):
            raise ValueError(f"rate_weight must be finite and at least 0, got {self.rate_weight}")

    def block_weights(self, luma: Floats) -> Floats:
        """w_b of the luma blocks of one image: (rows, columns), from (rows, columns, 8, 8)."""
        ac = luma.reshape(*luma.shape[:2], 64)[..., 1:]
        energy = np.log2(np.maximum((ac**2).sum(-1), 1))
        masked: Floats = np.interp(energy, *self.masking)
        return _stretched(self.position, luma.shape[0], luma.shape[1]) * masked

    def corrections(self) -> tuple[Floats, Floats, Floats]:
        """How an error is made up for, each (8, 8): Cr for Cb's, then Y for Cb's and for Cr's.

        What is quantized last takes the value that is best given the errors made before it:
        ``z_Y + a_Cb e_Cb + a_Cr e_Cr`` with ``a = H_YC / H_YY``, and Cr likewise, Y being free.
        """
        deviation = np.sqrt(self.sensitivity)
        ycb, ycr, cbcr = self.correlation
        to_y = ycb * deviation[1] / deviation[0], ycr * deviation[2] / deviation[0]
        # Of Cb and Cr after Y has made up for what it can.
        left = np.maximum(1 - ycr**2, _LEFT)
        to_cr = (cbcr - ycb * ycr) / left * deviation[1] / deviation[2]
        return to_cr, *to_y

    def conditional(self) -> Floats:
        """(3, 8, 8) sensitivity of each component once those after it have made up for its error.

        Cb first, then Cr, then Y, which nothing makes up for.
        """
        ycb, ycr, cbcr = self.correlation
        left_cr = np.maximum(1 - ycr**2, _LEFT)
        left_cb = np.maximum(1 - ycb**2 - (cbcr - ycb * ycr) ** 2 / left_cr, _LEFT)
        result: Floats = self.sensitivity * np.stack([np.ones_like(ycb), left_cb, left_cr])
        return result

    def as_dict(self) -> dict[str, Any]:
        """Numbers that JSON can hold, of four digits."""
        names = ("sensitivity", "correlation", "position", "masking")
        tables = {name: _rounded(getattr(self, name).tolist()) for name in names}
        if (np.diff(tables["masking"][0]) <= 0).any():
            # What is read again must rise too.
            tables["masking"][0] = self.masking[0].tolist()
        return {**tables, "rate_weight": float(f"{self.rate_weight:.4g}")}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> DistortionModel:
        """The inverse of `as_dict`.

        Raises:
            ValueError: a field missing, unknown or out of range.
        """
        fields = set(cls.__dataclass_fields__)
        if not isinstance(body, Mapping) or set(body) != fields:
            raise ValueError(f"must have the fields {', '.join(sorted(fields))}")
        rate_weight = body["rate_weight"]
        if isinstance(rate_weight, bool) or not isinstance(rate_weight, (int, float)):
            raise ValueError(f"rate_weight must be a number, got {brief(rate_weight)}")
        arrays = {name: body[name] for name in fields - {"rate_weight"}}
        try:
            return cls(**arrays, rate_weight=float(rate_weight))
        except OverflowError:
            raise ValueError(f"rate_weight must be finite, got {brief(rate_weight)}") from None


def _stretched(grid: Floats, rows: int, columns: int) -> Floats:
    """A grid over an image of so many blocks, linear between the centres of its cells."""
    for count in (rows, columns):
        cells = len(grid)
        centres = np.clip((np.arange(count) + 0.5) * cells / count - 0.5, 0, cells - 1)
        low = centres.astype(int)
        share = (centres - low)[:, None]
        high = np.minimum(low + 1, cells - 1)
        # Each turn stretches the first axis and leaves the other one first.
        grid = ((1 - share) * grid[low] + share * grid[high]).T
    return grid


def _finite(name: str, value: Any) -> Floats:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a table of numbers") from None
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array


def _rounded(values: Sequence[Any] | float) -> Any:
    if isinstance(values, float):
        return float(f"{values:.4g}")
    return [_rounded(v) for v in values]
