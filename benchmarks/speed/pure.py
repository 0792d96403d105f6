"""softjpeg without its kernels: the pure functions, which define what these compute."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar
from unittest.mock import patch

T = TypeVar("T")


def pure(step: Callable[[], T]) -> Callable[[], T]:
    """The same function with SOFTJPEG_KERNELS=0."""

    def run() -> T:
        with patch.dict(os.environ, SOFTJPEG_KERNELS="0"):
            return step()

    return run
