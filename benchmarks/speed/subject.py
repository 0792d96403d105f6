"""What a subject of the suite is asked, and what it answers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Result = dict[str, Any]
"""`setting` (a sentence), `tables` (of rows) and `goals`."""


@dataclass(frozen=True)
class Options:
    """Of the command line.

    Attributes:
        quick: only see that everything runs: few rounds of small inputs, no figures to keep.
        threads: of PyTorch, where a subject does not count per core.
        authors: a checkout of the JPEG-DL authors' code.
        diff_jpeg: a checkout of Diff-JPEG.
    """

    quick: bool = False
    threads: int = 2
    authors: Path | None = None
    diff_jpeg: Path | None = None

    def rounds(self, full: int) -> int:
        """How often functions take their turn."""
        return 3 if self.quick else full


class MissingError(Exception):
    """A peer that is not at hand; the sentence says why."""


Build = Callable[[], Any]


def gather(builders: dict[str, Build]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What could be built, by name, and a row for each that is missing."""
    found, missing = {}, []
    for name, build in builders.items():
        try:
            found[name] = build()
        except (ImportError, MissingError) as error:
            reason = str(error) if isinstance(error, MissingError) else "not installed"
            missing.append({"name": name, "missing": reason})
    return found, missing


def goal(
    number: int, claim: str, sign: str, bound: float, value: list[float] | None
) -> dict[str, Any]:
    """One of the issue's numbers: (low, median, high) of what was measured, None where it was not.

    >>> goal(6, "seconds", "<=", 0.3, [0.1, 0.2, 0.4])["reached"]
    True
    """
    holds = {">=": operator.ge, "<=": operator.le}[sign]
    reached = None if value is None else bool(holds(value[1], bound))
    bound_is = {"sign": sign, "bound": bound}
    return {"number": number, "claim": claim, **bound_is, "value": value, "reached": reached}


def smooth_images(count: int, size: int = 224) -> Tensor:
    """(count, 3, size, size) in [0, 1]: DC and AC spread as a photo's are, unlike noise's."""
    coarse = torch.rand(count, 3, -(-size // 8), -(-size // 8), generator=_seeded())
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    noise = torch.randn(fine.shape, generator=_seeded())
    return (fine + 0.02 * noise).clamp(0, 1)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads of PyTorch, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
