"""Which passes a run makes over the images, in which order, and for which rates."""

from __future__ import annotations

from collections.abc import Sequence

from softjpeg.learning.backpropagation import Backpropagation
from softjpeg.learning.passes.band_pass import BandPass
from softjpeg.learning.passes.choice_passes import BlendPass, ChoicePass
from softjpeg.learning.passes.descent_passes import DescentChoice, DescentPass
from softjpeg.learning.passes.drop_search import QualitySearch, RateSearch
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.passes.sensitivity_pass import SensitivityPass


def schedule(
    rounds: int,
    targets_bpp: Sequence[float] = (),
    max_drop: float | None = None,
    descent: Backpropagation | None = None,
) -> list[Pass]:
    """The passes of a whole run.

    Args:
        rounds: of the four passes, at the first target.
        targets_bpp: bits per pixel, one after the other; none where λ is given or a rate is
            searched for.
        max_drop: points (percent) of answers that may be lost: the rate is searched for before and
            after.
        descent: by backpropagation at every rate, after the other passes or instead of them.

    >>> [type(one).__name__ for one in schedule(1, [1.0, 0.5])][2:]
    ['BandPass', 'ChoicePass', 'BandPass', 'ChoicePass']
    """
    first, later = (targets_bpp[0], targets_bpp[1:]) if targets_bpp else (None, ())
    at_first: tuple[type[Pass], ...] = (SensitivityPass, BlendPass, BandPass, ChoicePass) * rounds
    at_later: tuple[type[Pass], ...] = (BandPass, ChoicePass)
    if descent is not None and descent.start == "default":
        at_first, at_later = (), ()
    passes: list[Pass] = []
    for kinds, bpp in ((at_first, first), *((at_later, bpp) for bpp in later)):
        passes += [kind(target_bpp=bpp) for kind in kinds]
        if descent is not None:
            passes += [kind(descent, target_bpp=bpp) for kind in (DescentPass, DescentChoice)]
    if max_drop is not None:
        return [QualitySearch(max_drop), *passes, RateSearch(max_drop)]
    return passes
