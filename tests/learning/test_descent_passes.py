"""Descent and its choice, step by step, against Adam by hand in NumPy."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.images import noise
from softjpeg.learning.backpropagation import Backpropagation, Slopes, slopes
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes import descent_passes
from softjpeg.learning.passes.descent_passes import DescentChoice, DescentPass
from softjpeg.learning.state import Candidate, State

TABLES = (torch.full((8, 8), 16), torch.full((8, 8), 24))
SLICES = [slice(i, i + 2) for i in range(0, 10, 2)]


class Control:
    """A rate that files have at tables: bpp = 40/mean of luma's steps."""

    default = TABLES
    sizes = SimpleNamespace()

    def __init__(self, target_bpp=None, rate_weight=None):
        self.target_bpp, self.rate_weight = target_bpp, rate_weight
        self.rates = self

    def bpp(self, tables):
        return 40 / tables[0].double().mean().item()

    def scaled(self, tables, target_bpp):
        return ("scaled", *(table.clone() for table in tables), target_bpp)

    def blend(self, model, share, tables=None):
        return (model, share, tables)


def slope(step):
    """Of loss and rate, (2, 2, 8, 8) each: they vary with the place, the kind and the step."""
    places = torch.arange(256.0).reshape(2, 2, 8, 8) / 256 + 0.5
    sign = 1 if step % 3 else -1
    return Slopes(sign * places * (1 + 0.1 * step), -places * (2 - 0.05 * step))


@pytest.fixture
def descend(monkeypatch):
    """All steps of a descent, and the state it ends with."""

    def run(settings, control, start=TABLES, finished=()):
        asked = []

        def known(objective, batch, logs, given, scales):
            asked.append((batch, logs.clone(), given, scales))
            return slope(len(asked) - 1)

        monkeypatch.setattr(descent_passes, "slopes", known)
        monkeypatch.setattr(
            descent_passes, "default_candidate", lambda *words: ("default", *words[:2])
        )
        objective = SimpleNamespace(seed=4, measured=SLICES, networks=[0], losses=None)
        state = State(current=Candidate(start, "model", 0.5), finished=finished)
        running = DescentPass(settings)
        running.begin(state, objective, control)
        for batch in running.batches(objective):
            running.step(batch, state, objective, control)
        return running, asked, running.finish(state, objective, control)

    return run


def adam(settings, control, start):
    """The same in NumPy: (iterates, along, λ)."""
    least = [settings.least_hardness(step) for step in range(settings.steps + 1)]
    logs = np.stack(
        [np.log([np.full((8, 8), q) for q in start]), np.full((2, 8, 8), math.log(least[0]))]
    )
    first, second, along, kept = np.zeros_like(logs), np.zeros_like(logs), None, []
    for step in range(settings.steps):
        loss, rate = (each.double().numpy() for each in slope(step))
        here = np.array([loss[0].sum(), rate[0].sum()])
        along = here if along is None else 0.95 * along + 0.05 * here
        weight = control.rate_weight
        if weight is None:
            weight = max(along[0], 0) / max(-along[1], 1e-6)
        gradient = loss + weight * rate
        if settings.forward == "hard":
            gradient[1] = 0
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        unbiased = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.99 ** (step + 1))
        length = settings.learning_rate * (1 - step / settings.steps)
        logs = logs - length * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        if control.target_bpp is not None and (step + 1) % 10 == 0:
            bpp = 40 / np.exp(logs[0, 0]).round().clip(1, 255).mean()
            move = (control.target_bpp - bpp) / min(along[1], -1e-6)
            logs[0] += np.clip(move, -0.1, 0.1)
        logs[0] = logs[0].clip(0, math.log(255))
        low = math.log(least[step + 1])
        logs[1] = logs[1].clip(low, math.log(max(least[step + 1], 500)))
        kept.append(logs.copy())
    return kept, along, weight


CASES = {
    "λ": (Backpropagation(steps=25, learning_rate=0.2), Control(rate_weight=0.3)),
    "a rate": (Backpropagation(steps=25, learning_rate=0.2), Control(target_bpp=3.0)),
    "a far rate": (Backpropagation(steps=20, learning_rate=0.05), Control(target_bpp=90.0)),
    "rounded": (
        Backpropagation(forward="hard", steps=24, learning_rate=0.2),
        Control(rate_weight=0.3),
    ),
    "long steps": (Backpropagation(steps=21, learning_rate=3.0), Control(rate_weight=1.1)),
    "hard already": (
        Backpropagation(steps=21, learning_rate=3.0, hardness=(300.0, 900.0)),
        Control(rate_weight=0.001),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_adams(descend, case):
    settings, control = CASES[case]
    running, asked, state = descend(settings, control)
    kept, along, weight = adam(settings, control, (16, 24))
    for (_, logs, given, scales), expected in zip(asked[1:], kept, strict=False):
        np.testing.assert_allclose(logs.numpy(), expected, atol=2e-4)
        assert given is settings
        assert scales == [1.0]
    np.testing.assert_allclose(running.logs.numpy(), kept[-1], atol=2e-4)
    assert running.along.tolist() == pytest.approx(along.tolist(), rel=1e-4)
    mean = np.mean(kept[settings.steps // 2 :], axis=0)
    descended, start, default = state.candidates
    if control.target_bpp is None:
        whole = np.exp(mean[0]).round().clip(1, 255)
        for table, steps in zip(descended.tables, whole, strict=True):
            assert (np.abs(table.numpy() - steps) <= 1).all()
            assert (table.numpy() == steps).mean() > 0.95
    else:
        name, luma, chroma, target = descended.tables
        assert (name, target) == ("scaled", control.target_bpp)
        np.testing.assert_allclose(np.stack([luma, chroma]), np.exp(mean[0]), rtol=1e-3)
    assert descended.rate_weight == pytest.approx(weight, rel=1e-3)
    assert descended.model == ("model", 1.0, descended.tables)
    if settings.forward == "soft":
        np.testing.assert_allclose(descended.hardness.numpy(), np.exp(mean[1]), rtol=1e-3)
    else:
        assert descended.hardness is None
    assert start is default
    assert default == ("default", "model", pytest.approx(weight, rel=1e-3))


def test_long_steps_meet_every_bound():
    """Else the bounds above would go untested."""
    kept = [adam(*CASES[case], (16, 24))[0] for case in ("long steps", "hard already")]
    logs = np.concatenate([np.stack(each) for each in kept])
    assert logs[:, 0].min() == 0
    assert logs[:, 0].max() == pytest.approx(math.log(255))
    assert logs[:, 1].max() >= math.log(500) - 1e-9
    assert np.isclose(logs[:, 1], math.log(500)).any()


@pytest.mark.parametrize(
    ("start", "finished", "target", "first"),
    [
        ("default", (), 2.0, 16),
        ("measured", (), 2.0, 40),
        ("default", ("a rate",), None, 16),
    ],
)
def test_where_it_starts(descend, start, finished, target, first):
    settings = Backpropagation(start, steps=2)
    control = Control(target, None if target else 0.5)
    current = (torch.full((8, 8), 40), torch.full((8, 8), 60))
    _, asked, state = descend(settings, control, current, finished)
    assert asked[0][1][0, 0].exp().mean().item() == pytest.approx(first)
    hardness = settings.least_hardness(0)
    assert asked[0][1][1].exp().unique().tolist() == pytest.approx([hardness])
    assert (
        (state.candidates[1].tables is current)
        if start == "measured"
        else (state.candidates[1] is state.candidates[2])
    )


def test_of_a_ladder_it_starts_where_the_rate_before_ended():
    control = Control(2.0)
    state = State(current=Candidate(TABLES, "model", 0.5), finished=("a rate",))
    assert DescentPass(Backpropagation())._start(state, control)[0] == "scaled"


def test_batches_are_an_order_for_each_epoch():
    objective = SimpleNamespace(seed=4, measured=SLICES)
    drawn = DescentPass(Backpropagation(steps=12)).batches(objective)
    generator = torch.Generator().manual_seed(4)
    orders = [torch.randperm(5, generator=generator).tolist() for _ in range(3)]
    assert drawn == [SLICES[i] for order in orders for i in order][:12]


def test_networks_are_balanced_by_default_tables(monkeypatch):
    seen = []

    def losses(batch, tables):
        seen.append((batch, tables))
        return [[0.5, 2.0]]

    objective = SimpleNamespace(measured=SLICES, networks=[0, 1], losses=losses)
    running, control = DescentPass(Backpropagation()), Control(2.0)
    running.begin(State(current=Candidate(TABLES, "model", 0.5)), objective, control)
    assert running.scales == [0.5, 2.0]
    assert seen == [(SLICES[0], [TABLES])]


@pytest.mark.parametrize("start", ["default", "measured"])
@pytest.mark.parametrize("better", [True, False])
def test_what_is_kept(start, better):
    tables = [(torch.full((8, 8), q),) * 2 for q in (20, 10, 16)]
    candidates = [Candidate(each, "model", 0.01 * i) for i, each in enumerate(tables, 1)]
    running = DescentChoice(Backpropagation(start, steps=2))
    # (batches, candidates, networks).
    here = 0.1 if better else 0.9
    running.losses = [[[here], [0.5], [0.7]], [[here + 0.01], [0.51], [0.71]]]
    objective = SimpleNamespace(worst_case=False, networks=SimpleNamespace(loss_kind="KL"))
    state = State(current=candidates[1], candidates=candidates)
    state = running.finish(state, objective, Control())
    kept = 0 if start == "default" or better else 1
    assert state.current is candidates[kept]
    assert (state.candidates, state.scales) == ([], [pytest.approx(0.705)])
    assert state.gain.loss == pytest.approx([here + 0.005, 0.505][kept])
    assert state.gain.bpp == pytest.approx([2.0, 4.0][kept])
    assert (state.gain.default_loss, state.gain.default_bpp) == pytest.approx((0.705, 2.5))
    led = f"{here + 0.005:.4f} at 2.000 bpp by backpropagation from 0.5050 at 4.000"
    ends = {
        "default": "",
        "measured": ": taken" if better else ": not surely better, the start is kept",
    }
    assert running.sentence(state, objective) == f"KL {led}{ends[start]}"


def test_networks_are_shown_whole_levels():
    seen = []

    class Noting(torch.nn.Module):
        def forward(self, x):
            seen.append(255 * x.detach())
            return x.mean((2, 3))

    networks = FrozenNetworks(Noting(), noise(2, 16), batch_size=2)
    objective = Objective(networks, "4:2:0")
    logs = torch.tensor([[20.0, 30.0], [4.0, 4.0]]).log()[..., None, None].expand(2, 2, 8, 8)
    slopes(objective, slice(0, 2), logs, Backpropagation(), [1.0])
    assert (seen[-1] - seen[-1].round()).abs().max() < 1e-3
    assert not torch.equal(seen[-1].round(), noise(2, 16).float())
