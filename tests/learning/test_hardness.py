"""The choice of a hardness, against costs computed by hand."""

from types import SimpleNamespace

import pytest
import torch

from softjpeg.learning.hardness import HARDNESSES, choose_hardness

TABLES = (torch.full((8, 8), 16), torch.full((8, 8), 16))
MEASURED, JUDGED = [slice(0, 2)], [slice(2, 4), slice(4, 6), slice(6, 8)]


def choice(losses, bpp, rate_weight=1.0, worst_case=False, scales=(1.0, 1.0)):
    """What is chosen where (batch, hardness) loses and a hardness costs what is given."""
    draws = []

    def of_batch(part, candidates, *, hardness, generator):
        assert candidates == [TABLES]
        draws.append((part.start, hardness, float(torch.rand(1, generator=generator))))
        return [losses(part, hardness)]

    objective = SimpleNamespace(
        seed=7, worst_case=worst_case, measured=MEASURED, judged=JUDGED, losses=of_batch
    )
    rates = SimpleNamespace(sampled_bpp=lambda tables, hardness: bpp[hardness])
    return choose_hardness(objective, rates, TABLES, rate_weight, scales), draws


FLAT = dict.fromkeys(HARDNESSES, 1.0)


def test_loss_and_rate_are_weighed():
    # Softer quantizers lose less here, and cost more: 10, 20, 50, 200.
    bpp = {10.0: 2.0, 20.0: 1.0, 50.0: 0.6, 200.0: 0.5}
    lost = {10.0: 0.1, 20.0: 0.5, 50.0: 0.9, 200.0: 2.0}
    # 0.1 + 2λ, 0.5 + λ, 0.9 + 0.6λ, 2 + 0.5λ.
    for rate_weight, wanted in ((0.1, 10.0), (0.7, 20.0), (2.0, 50.0), (20.0, 200.0)):
        assert choice(lambda _, h: [lost[h]] * 2, bpp, rate_weight)[0] == wanted


def test_two_batches_of_the_judging_half_decide_with_equal_draws():
    def losses(part, hardness):
        best = {2: 20.0, 4: 20.0}.get(part.start, 200.0)
        return [float(hardness != best)] * 2

    chosen, draws = choice(losses, FLAT)
    assert chosen == 20.0
    assert [start for start, _, _ in draws] == [2, 4] * 4
    of_hardness = {h: [x for _, other, x in draws if other == h] for h in HARDNESSES}
    generator = torch.Generator().manual_seed(7)
    wanted = torch.rand(2, generator=generator).tolist()
    assert of_hardness == dict.fromkeys(HARDNESSES, wanted)


@pytest.mark.parametrize(("worst_case", "wanted"), [(False, 10.0), (True, 50.0)])
def test_of_several_networks_the_average_or_the_worst_counts(worst_case, wanted):
    # Relative to (1, 4), times 2.5: means 1.75 and 1.875, largest 3 and 2.
    lost = {10.0: [0.2, 4.8], 50.0: [0.7, 3.2]}
    chosen, _ = choice(
        lambda _, h: lost.get(h, [9.0, 36.0]), FLAT, worst_case=worst_case, scales=(1.0, 4.0)
    )
    assert chosen == wanted
