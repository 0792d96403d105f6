"""PyTorch's global modes: what a long computation finds them in, and what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def usual_modes() -> Iterator[None]:
    """Gradients on, float32 the default: whatever mode the caller is in, results are the same.

    Also a decorator: of functions that learn, measure or attack.

    >>> with torch.inference_mode(), usual_modes():
    ...     x = torch.ones(1, requires_grad=True)
    ...     (2 * x).requires_grad, x.dtype
    (True, torch.float32)
    """
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(default)
