"""Learning rates against torch's own schedulers."""

import pytest
import torch
from torch.optim import lr_scheduler

from softjpeg.training.recipe import Schedule
from softjpeg.training.schedule import learning_rate_factor

EPOCHS, STEPS = 12, 5


def torchs(make, count):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def ours(steps=STEPS, **settings):
    schedule = Schedule(**settings)
    return [learning_rate_factor(schedule, i / steps, EPOCHS) for i in range(EPOCHS * steps)]


def test_step_schedule_is_multi_step_lr():
    expected = torchs(lambda o: lr_scheduler.MultiStepLR(o, [4, 9, 10], gamma=0.3), EPOCHS)
    assert ours(steps=1, name="step", milestones=(4, 9, 10), gamma=0.3) == pytest.approx(expected)
    # Within an epoch it stays where it is.
    each = [rate for rate in expected for _ in range(STEPS)]
    assert ours(name="step", milestones=(4, 9, 10), gamma=0.3) == pytest.approx(each)


def test_cosine_schedule_is_cosine_annealing_lr_stepped_every_step():
    length = EPOCHS * STEPS
    expected = torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, length), length)
    assert ours(name="cosine") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("warmup", [1, 3])
def test_warm_up_is_linear_lr_and_then_the_cosine(warmup):
    def make(optimizer):
        # LinearLR refuses to start from 0 exactly.
        linear = lr_scheduler.LinearLR(optimizer, 1e-12, total_iters=warmup * STEPS)
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, (EPOCHS - warmup) * STEPS)
        return lr_scheduler.SequentialLR(optimizer, [linear, cosine], [warmup * STEPS])

    assert ours(name="cosine", warmup=warmup) == pytest.approx(
        torchs(make, EPOCHS * STEPS), abs=1e-9
    )


def test_constant():
    assert set(ours(name="constant")) == {1.0}
