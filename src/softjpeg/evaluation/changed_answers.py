"""On which images a network changes its answer: in a preset's files, and in default JPEG's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softjpeg.evaluation.comparison import compare
from softjpeg.evaluation.points import RatePoint


@dataclass(frozen=True)
class ChangedAnswers:
    """A preset beside the measured default JPEG with the fewest bytes that are not fewer.

    Attributes:
        learned, default: names of their points.
        images: how many were asked about.
        learned_alone, default_alone, both: indices of the images whose answer is another than on
            the uncompressed image in the preset's files, default JPEG's, or both.
    """

    learned: str
    default: str
    images: int
    learned_alone: tuple[int, ...]
    default_alone: tuple[int, ...]
    both: tuple[int, ...]

    @property
    def neither(self) -> int:
        """How many answers stay in both files."""
        changed = (self.learned_alone, self.default_alone, self.both)
        return self.images - sum(map(len, changed))


def changed_answers(points: Sequence[RatePoint]) -> list[ChangedAnswers]:
    """Of every preset among `softjpeg.evaluate`'s points that has a default JPEG beside it.

    >>> import torch
    >>> from softjpeg import Preset, evaluate
    >>> images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 5))
    >>> points = evaluate(network, images, {"mine": Preset.from_quality(30)}, qualities=[50])
    >>> changed_answers(points)[0].default
    'default q 50'
    """
    found = []
    for comparison in compare(points):
        learned, default = comparison.learned, comparison.default
        if default is None or learned.images is None or default.images is None:
            continue
        lost, other = learned.images.agree == 0, default.images.agree == 0
        groups = (lost & ~other, other & ~lost, lost & other)
        indices = [tuple(map(int, np.flatnonzero(group))) for group in groups]
        found.append(ChangedAnswers(learned.name, default.name, len(lost), *indices))
    return found
