"""The passes of `learn` over the images, as steps from one `State` to the next.

* *sensitivity* backpropagates through the codec; all others only measure.
* *blend*, *bands* and *choice*: see `learn`; other published tables are candidates too.
* *defaults* measures the default tables alone, for a choice of subsampling.
* *quality* and *rate* look for the rate at which answers are kept (`drop_search`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from softjpeg.functional.transform import image_to_coefficients
from softjpeg.learning import drop_search
from softjpeg.learning.band_correction import correct, shifted_tables
from softjpeg.learning.checkpoint import Candidate, State, Verdict
from softjpeg.learning.rate_control import Belief, RateControl, default_tables
from softjpeg.learning.relative_loss import combined, weights
from softjpeg.learning.sensitivity import pooled
from softjpeg.learning.task import Task

BLENDS = (0.0, 0.35, 0.7)
"""Shares of what the default tables imply; the default tables themselves come last."""


def start() -> State:
    """Default tables of quality 50, nothing measured.

    At the qualities of low rates a network hardly sees the image, and its gradient misleads.
    """
    one = torch.ones(3, 8, 8)
    return State(0, Candidate(default_tables(50), (one, one), 0.0))


def begin(state: State, name: str, task: Task, control: RateControl, max_drop: float) -> State:
    """What a pass measures, where that is not clear from the one before."""
    if name == "defaults":
        return _to_measure(state, [_default(state.current.belief, 0.0, control)])
    if name == "bands":
        # After a step to another rate, nothing is judged yet, and these are not its tables.
        current = state.current if state.verdict else _at(state.current, control)
        shifted = [replace(current, tables=t) for t in shifted_tables(current.tables)]
        return replace(_to_measure(state, shifted), current=current)
    if name in ("quality", "rate"):
        return _to_measure(state, [_searched(state, name, control, max_drop)])
    return state


def step(state: State, name: str, part: slice, task: Task, control: RateControl) -> State:
    """One batch of the pass called `name`."""
    state = replace(state, done=state.done + 1)
    if name == "sensitivity":
        # A generator for every batch: a resumed run draws the same labels.
        generator = torch.Generator().manual_seed((task.seed << 32) + state.done)
        found = task.sensitivities(part, state.current.tables, generator)
        state = replace(state, gradients=[*state.gradients, found])
        if len(task.models) == 1:
            return state
        # Networks are compared by what they lose behind the default tables.
        return replace(state, losses=[*state.losses, task.losses(part, [control.default()])])
    if name in ("quality", "rate"):
        row = [task.kept(part, state.candidates[0].tables)]
    else:
        row = task.losses(part, [c.tables for c in state.candidates])
    return replace(state, losses=[*state.losses, row])


def finish(state: State, name: str, task: Task, control: RateControl, max_drop: float) -> State:
    """What a whole pass tells, and what the next one has to measure."""
    if name == "sensitivity":
        scales = [1.0] if len(task.models) == 1 else _mean(state.losses)[0].tolist()
        balanced = weights(scales).reshape(-1, 1, 1, 1)
        belief = (
            pooled([(g * balanced).mean(0) for g in state.gradients]),
            state.current.belief[1],
        )
        candidates = _blended(belief, BLENDS, control)
        if state.current.rate_weight:
            # Of an earlier round: a later one must not lose what that one found.
            candidates.insert(0, state.current)
        candidates[-1:-1] = _published(belief, candidates[0].rate_weight, control)
        return _to_measure(replace(state, gradients=[], scales=scales), candidates)
    if name == "bands":
        beliefs = _corrected(state, task, control)
        learned = [state.current, *(_solved(b, control) for b in beliefs)]
        weight = learned[0].rate_weight
        if state.finished:
            # Only a ladder's first rate has had its blends measured.
            learned.append(_solved(control.blend(state.current.belief, 0.5), control))
            learned += _published(state.current.belief, weight, control)
        return _to_measure(state, [*learned, _default(beliefs[0], weight, control)])
    if name in ("quality", "rate"):
        return _after_search(state, name, task, control, max_drop)
    chosen = choose(state, control, worst_case=task.worst_case)
    return replace(chosen, current=state.current) if name == "defaults" else chosen


def at_rate(state: State, target: float) -> State:
    """Put what was learned aside, and go on to another rate from there."""
    if state.verdict is not None:
        finished = [*state.finished, (state.current, state.verdict)]
        state = replace(state, finished=finished, verdict=None)
    return replace(state, target=target)


def choose(state: State, control: RateControl, *, worst_case: bool = False) -> State:
    """Keep the candidate whose gain on the last one, the default tables, is surest.

    The gain in measured loss + λ·rate counts at its lower confidence bound over the batches
    (Student's t, one-sided, 10 %), so that chance is not learned from; the default gains exactly 0.
    Of several networks the average gain counts, or in the worst case the smallest.
    """
    weight = state.candidates[0].rate_weight
    rates = torch.tensor([control.bpp(c.tables) for c in state.candidates], dtype=torch.float64)
    losses = torch.tensor(state.losses, dtype=torch.float64)
    scales = losses[:, -1].mean(0).tolist()
    costs = losses * weights(scales) + weight * rates[:, None]
    gain = costs[:, [-1]] - costs
    gain = gain if worst_case else gain.mean(-1, keepdim=True)
    error = gain.std(0) / len(gain) ** 0.5 if len(gain) > 1 else torch.zeros_like(gain[0])
    # The 90 % quantile of Student's t, to 6 % from 2 degrees of freedom on.
    quantile = 1.28 + 1.0 / max(1, len(gain) - 1)
    chosen = int((gain.mean(0) - quantile * error).amin(-1).argmax())
    means = losses.mean(0)
    summary = combined(means, scales, worst_case=worst_case)
    loss, default_loss = (float(summary[i]) for i in (chosen, -1))
    bpp, default_bpp = (float(rates[i]) for i in (chosen, -1))
    networks = torch.stack([means[chosen], means[-1]], -1).tolist()
    verdict = Verdict(loss, bpp, default_loss, default_bpp, networks)
    current = state.candidates[chosen]
    return replace(_to_measure(state, []), current=current, verdict=verdict, scales=scales)


def _searched(state: State, name: str, control: RateControl, max_drop: float) -> Candidate:
    """The candidate that a bisection tries next, or ends with."""
    if name == "quality":
        qualities = drop_search.QUALITIES
        index, _ = drop_search.bisect(len(qualities), state.drops, max_drop)
        tables = default_tables(qualities[min(index, len(qualities) - 1)])
        return replace(state.current, tables=tables)
    assert state.start is not None
    rates = drop_search.rates(state.start)
    index, _ = drop_search.bisect(len(rates), state.drops, max_drop)
    return _at(state.current, control.at(rates[min(index, len(rates) - 1)]))


def _after_search(
    state: State, name: str, task: Task, control: RateControl, max_drop: float
) -> State:
    uncompressed = torch.tensor(task.kept_uncompressed())
    kept = torch.tensor(state.losses)[:, 0].sum(0)
    judged = len(task.images) - task.judged[0].start
    lost = 100 * (uncompressed - kept) / judged
    drop = float(lost.max() if task.worst_case else lost.mean())
    state = replace(_to_measure(state, []), drops=[*state.drops, drop])
    steps = drop_search.QUALITY_STEPS if name == "quality" else drop_search.RATE_STEPS
    if len(state.drops) < steps:
        return state
    found = _searched(state, name, control, max_drop)
    bpp = control.bpp(found.tables)
    _, drop = drop_search.bisect(2**steps - 1, state.drops, max_drop)
    if name == "quality":
        return replace(state, target=bpp, start=bpp, drop=drop, drops=[])
    assert state.start is not None
    assert state.drop is not None
    if state.drop <= max_drop and (drop > max_drop or bpp > state.start):
        # Learning gained nothing that could be spent on rate.
        weight = state.current.rate_weight
        found = _default(state.current.belief, weight, control.at(state.start))
        bpp, drop = state.start, state.drop
    return replace(state, current=found, target=bpp, drop=drop)


def _blended(belief: Belief, shares: tuple[float, ...], control: RateControl) -> list[Candidate]:
    """Candidates between a belief and the default tables, and the default tables themselves."""
    candidates = [_solved(control.blend(belief, share), control) for share in shares]
    return [*candidates, _default(belief, candidates[0].rate_weight, control)]


def _published(belief: Belief, rate_weight: float, control: RateControl) -> list[Candidate]:
    """Published tables other than the default ones, and what they imply."""
    return [
        Candidate(tables, control.blend(belief, 1.0, tables), rate_weight)
        for tables in control.published()
    ]


def _to_measure(state: State, candidates: list[Candidate]) -> State:
    return replace(state, candidates=candidates, losses=[])


def _mean(losses: list[list[list[float]]]) -> Tensor:
    """(candidates, networks): over the batches."""
    return torch.tensor(losses, dtype=torch.float64).mean(0)


def _default(belief: Belief, rate_weight: float, control: RateControl) -> Candidate:
    implied = control.blend(belief, 1.0)
    return Candidate(control.default(), implied, rate_weight, is_default=True)


def _solved(belief: Belief, control: RateControl) -> Candidate:
    tables, rate_weight = control.solve(belief)
    return Candidate(tables, belief, rate_weight)


def _at(candidate: Candidate, control: RateControl) -> Candidate:
    """The same belief's tables at the rate of `control`; the default ones stay the default ones."""
    solved = _solved(candidate.belief, control)
    if candidate.is_default:
        return replace(solved, tables=control.default(), is_default=True)
    return solved


def _corrected(state: State, task: Task, control: RateControl) -> list[Belief]:
    """The current belief corrected all the way and half-way."""
    sensitivity, rate = state.current.belief
    losses = torch.tensor(state.losses, dtype=torch.float64)
    loss_factor, rate_factor = correct(
        (losses * weights(state.scales)).mean(-1),
        image_to_coefficients(control.sample, task.subsampling, rounding=True),
        state.current.tables,
        sensitivity,
        control.size,
        task.subsampling,
    )
    return [
        (sensitivity * loss_factor**share, rate * (rate_factor / rate) ** share)
        for share in (1.0, 0.5)
    ]
