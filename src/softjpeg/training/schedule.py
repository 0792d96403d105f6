"""What the learning rate is multiplied by, over the epochs."""

from __future__ import annotations

import math

from softjpeg.training.recipe import Schedule


def learning_rate_factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """The factor at a point in training.

    During warm-up it rises linearly and the rest of the schedule is on top of it; "cosine" falls
    from the end of the warm-up to 0 at the end: ``(1 + cos πt)/2``.

    Args:
        schedule: name, milestones, gamma, warmup.
        epoch: epochs done, with their fraction: 0 before the first step.
        epochs: of the whole run.

    >>> step = Schedule(name="step", milestones=(150, 180), gamma=0.1)
    >>> [round(learning_rate_factor(step, e, 240), 3) for e in (0, 149.9, 150, 180)]
    [1.0, 1.0, 0.1, 0.01]
    >>> cosine = Schedule(name="cosine", warmup=2)
    >>> [round(learning_rate_factor(cosine, e, 10), 3) for e in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    factor = min(1.0, epoch / schedule.warmup) if schedule.warmup else 1.0
    if schedule.name == "step":
        passed = sum(epoch >= milestone for milestone in schedule.milestones)
        factor *= schedule.gamma**passed
    elif schedule.name == "cosine":
        length = max(epochs - schedule.warmup, 1e-9)
        progress = min(max(epoch - schedule.warmup, 0.0) / length, 1.0)
        factor *= (1 + math.cos(math.pi * progress)) / 2
    return factor
