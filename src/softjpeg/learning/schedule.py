"""Which passes a run makes over the images, in which order, and for which rates."""

from __future__ import annotations

from collections.abc import Sequence

from softjpeg.learning.passes.band_pass import BandPass
from softjpeg.learning.passes.choice_passes import BlendPass, ChoicePass
from softjpeg.learning.passes.drop_search import QualitySearch, RateSearch
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.passes.sensitivity_pass import SensitivityPass


def schedule(
    rounds: int, targets_bpp: Sequence[float] = (), max_drop: float | None = None
) -> list[Pass]:
    """The passes of a whole run.

    Args:
        rounds: of the four passes, at the first target.
        targets_bpp: bits per pixel, one after the other; none where λ is given or a rate is
            searched for.
        max_drop: points (percent) of answers that may be lost: the rate is searched for before and
            after.

    >>> [type(one).__name__ for one in schedule(1, [1.0, 0.5])][2:]
    ['BandPass', 'ChoicePass', 'BandPass', 'ChoicePass']
    """
    first = targets_bpp[0] if targets_bpp else None
    one_round = (SensitivityPass, BlendPass, BandPass, ChoicePass)
    passes: list[Pass] = [kind(target_bpp=first) for _ in range(rounds) for kind in one_round]
    if max_drop is not None:
        return [QualitySearch(max_drop), *passes, RateSearch(max_drop)]
    later = (kind(target_bpp=bpp) for bpp in targets_bpp[1:] for kind in (BandPass, ChoicePass))
    return [*passes, *later]
