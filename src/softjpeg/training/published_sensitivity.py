"""Sensitivities as JPEG-DL's authors publish them: three .npy files, 64 values in zigzag order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from softjpeg.jpeg.tables import ZIGZAG

SUFFIX = ".npy"
_PLANES = ("Y", "Cb", "Cr")


def read_sensitivity(path: str | Path) -> Tensor:
    """Mean squared gradients of luma and chroma coefficients, (3, 8, 8) of Y, Cb, Cr, raster order.

    Args:
        path: of luma's file, ``Y_NETWORK.npy``; ``Cb_NETWORK.npy`` and ``Cr_NETWORK.npy`` stand
            beside it.

    Raises:
        ValueError: another name, or a file that is missing, or holds anything else than 64 positive
            numbers; it is named.
    """
    luma = Path(path)
    if not luma.name.startswith("Y_"):
        raise ValueError(f"a sensitivity is named Y_NETWORK{SUFFIX}, got {str(path)!r}")
    raster = np.empty((3, 64))
    for plane, name in zip(raster, _PLANES, strict=True):
        plane[ZIGZAG] = _values(luma.with_name(name + luma.name[1:]))
    return torch.from_numpy(raster).float().view(3, 8, 8)


def _values(file: Path) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    try:
        # Mapped: a header that claims gigabytes allocates none.
        values = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{file} is not a file of sensitivities: {reason}") from None
    if values.shape != (64,) or values.dtype.kind != "f":
        shape = f"{values.dtype} of shape {values.shape}"
        raise ValueError(f"{file} must hold 64 numbers, got {shape}")
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"{file} must hold positive numbers, got {values.min()}")
    return np.asarray(values, np.float64)
