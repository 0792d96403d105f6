"""Large tensors that need not fit into memory."""

from __future__ import annotations

import math
import tempfile

import numpy as np
import torch
from torch import Tensor

LARGE = 1 << 28
"""Bytes above which a tensor lies in a temporary file."""


def scratch_tensor(shape: tuple[int, ...], dtype: torch.dtype, large: int = LARGE) -> Tensor:
    """An uninitialized tensor; a large one is mapped to a file in the folder for temporary ones.

    The file has no name, so it is gone with the tensor, also when the process is killed.

    Args:
        shape: of the tensor.
        dtype: uint8 or float32, say: one that numpy has too.
        large: in bytes; a tensor of more lies in a file.

    Raises:
        OSError: no room for the file.

    >>> scratch_tensor((2, 3), torch.uint8, large=0).fill_(7).sum().item()
    42
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= large or size == 0:
        return torch.empty(shape, dtype=dtype)
    of_numpy = torch.empty(0, dtype=dtype).numpy().dtype
    with tempfile.TemporaryFile() as file:
        return torch.from_numpy(np.memmap(file, dtype=of_numpy, mode="w+", shape=shape))
