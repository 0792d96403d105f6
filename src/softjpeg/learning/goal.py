"""What learning is to reach: exactly one of a price of bits, a rate, a file size and a drop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from softjpeg.common.image_sequence import Images


def only_one(values: Mapping[str, object]) -> str:
    """The name of the only value that is given.

    Args:
        values: by the names that the user knows them by; None or False where not given.

    Raises:
        ValueError: none is given, or several; all the names are listed.

    >>> only_one({"target_bpp": None, "max_drop": 1})
    'max_drop'
    """
    names = [name for name, value in values.items() if value is not None and value is not False]
    if len(names) != 1:
        *most, last = values
        shown = (name if values[name] is True else f"{name} {values[name]}" for name in names)
        listed = ", ".join(shown) or "none"
        raise ValueError(f"give exactly one of {', '.join(most)} and {last}, got {listed}")
    return names[0]


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless a value, called `name`, is positive and finite."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be positive and finite, got {value}")


@dataclass(frozen=True)
class Goal:
    """Exactly one of four.

    Attributes:
        rate_weight: λ > 0, in loss per bit per pixel.
        target_bpp: bits per pixel of whole files, > 0.
        target_bytes: bytes of a file, mean over the images, > 0.
        max_drop: points (percent) of answers that may be lost, from 0 to under 100.

    Raises:
        ValueError: none or several are given, or one is out of its range.

    >>> Goal(max_drop=100)
    Traceback (most recent call last):
    ValueError: max_drop must be from 0 to under 100 points, got 100
    """

    rate_weight: float | None = None
    target_bpp: float | None = None
    target_bytes: float | None = None
    max_drop: float | None = None

    def __post_init__(self) -> None:
        name = only_one(asdict(self))
        if self.max_drop is None:
            check_positive(name, getattr(self, name))
        elif not 0 <= self.max_drop < 100:
            raise ValueError(f"max_drop must be from 0 to under 100 points, got {self.max_drop}")

    def rate_on(self, images: Images) -> float | None:
        """Bits per pixel to reach on images; None where no rate is asked for.

        >>> import torch
        >>> Goal(target_bytes=24).rate_on(torch.zeros(5, 3, 8, 8))
        3.0
        """
        if self.target_bytes is None:
            return self.target_bpp
        # Here, so that a goal can be checked before torch is loaded.
        from softjpeg.codec.file_sizes import bits_per_pixel
        from softjpeg.common.image_sequence import pixel_count

        return bits_per_pixel(self.target_bytes, pixel_count(images) / len(images))
