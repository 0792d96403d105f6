"""The four passes of `learn` over the images, as steps from one `State` to the next."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.calibration import correct, shifted_tables
from softjpeg.checkpoint import Candidate, State
from softjpeg.proxy import Loss, check_inputs, check_labels, codec_loss, kl_loss, outputs_of
from softjpeg.rate_control import Belief, RateControl, Tables, default_tables
from softjpeg.sensitivity import pooled, squared_gradient
from softjpeg.transform import image_to_coefficients

PASSES = ("sensitivity", "blend", "bands", "choice")
BLENDS = (0.0, 0.35, 0.7)
"""Shares of what the default tables imply; the default tables themselves come last."""
_LEAST_BATCHES = 8


class Task:
    """What a run reads: the network, its images and targets, and the loss between them.

    Args: as in `softjpeg.learn`.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor | None,
        loss: Loss | None,
        subsampling: str,
        rounds: int,
        batch_size: int,
        seed: int,
    ) -> None:
        check_inputs(images, labels, batch_size)
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {rounds}")
        if not 0 <= seed < 1 << 31:
            raise ValueError(f"seed must be from 0 to {(1 << 31) - 1}, got {seed}")
        # Few images still make batches enough to tell a gain from chance.
        batch_size = max(1, min(batch_size, len(images) // _LEAST_BATCHES))
        self.model, self.images, self.subsampling = model.eval(), images.cpu(), subsampling
        self.custom, self.rounds, self.seed, self.batch_size = loss, rounds, seed, batch_size
        self.kind = "custom" if loss else "KL" if labels is None else "cross-entropy"
        self.loss = loss or (kl_loss if labels is None else F.cross_entropy)
        outputs = outputs_of(model, self.images, batch_size)
        if labels is not None:
            check_labels(labels, outputs)
        self.targets = outputs if labels is None else labels.cpu()
        self.labels = labels
        self.batches = [slice(i, i + batch_size) for i in range(0, len(images), batch_size)]
        half = -(-len(self.batches) // 2)
        self.measured, self.judged = self.batches[:half], self.batches[half:] or self.batches

    def parts(self, name: str) -> list[slice]:
        """The batches of a pass: what one half of the images suggests, the other half judges."""
        return self.judged if name in ("blend", "choice") else self.measured

    def summed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss summed over a batch: its gradient is then per image."""
        return self.loss(outputs, targets) * len(outputs)


def start(control: RateControl) -> State:
    """Default tables of quality 50, nothing measured.

    At the qualities of low rates a network hardly sees the image, and its gradient misleads.
    """
    one = torch.ones(3, 8, 8)
    current = Candidate(default_tables(50), (one, one), 0.0)
    return State(0, current)


def step(state: State, name: str, part: slice, task: Task) -> State:
    """One batch of the pass called `name`."""
    images, targets = task.images[part], task.targets[part]
    if name == "sensitivity":
        # A generator for every batch: a resumed run draws the same labels.
        generator = torch.Generator().manual_seed((task.seed << 32) + state.done)
        loss = task.summed if task.custom else None
        tables = state.current.tables
        gradient = squared_gradient(
            task.model, images, tables, task.subsampling, loss, targets, generator=generator
        )
        gradients = [*state.gradients, gradient / len(images)]
        return replace(state, gradients=gradients, done=state.done + 1)
    row = [
        codec_loss(task.model, images, targets, c.tables, task.subsampling, task.loss)
        for c in state.candidates
    ]
    return replace(state, losses=[*state.losses, row], done=state.done + 1)


def finish(state: State, name: str, task: Task, control: RateControl) -> State:
    """What a whole pass tells, and what the next one has to measure."""
    if name == "sensitivity":
        belief = (pooled(state.gradients), state.current.belief[1])
        candidates = blended(belief, BLENDS, control)
        if state.current.rate_weight:
            # Of an earlier round: a later one must not lose what that one found.
            candidates.insert(0, state.current)
        return to_measure(replace(state, gradients=[]), candidates)
    if name == "blend":
        state = choose(state, control)
        current = state.current
        shifted = [replace(current, tables=t) for t in shifted_tables(current.tables)]
        return to_measure(state, shifted)
    if name == "bands":
        beliefs = _corrected(state, task, control)
        learned = [state.current, *(_solved(b, control) for b in beliefs)]
        return to_measure(state, [*learned, _default(beliefs[0], learned[0].rate_weight, control)])
    return choose(state, control)


def blended(belief: Belief, shares: tuple[float, ...], control: RateControl) -> list[Candidate]:
    """Candidates between a belief and the default tables, and the default tables themselves."""
    candidates = [_solved(control.blend(belief, share), control) for share in shares]
    return [*candidates, _default(belief, candidates[0].rate_weight, control)]


def to_measure(state: State, candidates: list[Candidate]) -> State:
    """The state with these candidates to be measured next."""
    return replace(state, candidates=candidates, losses=[])


def choose(state: State, control: RateControl) -> State:
    """Keep the candidate whose gain on the last one, the default tables, is surest.

    The gain in measured loss + λ·rate counts at its lower confidence bound over the batches
    (Student's t, one-sided, 10 %), so that chance is not learned from; the default gains exactly 0.
    """
    weight = state.candidates[0].rate_weight
    rates = torch.tensor([control.bpp(c.tables) for c in state.candidates], dtype=torch.float64)
    losses = torch.tensor(state.losses, dtype=torch.float64)
    costs = losses + weight * rates
    gain = costs[:, [-1]] - costs
    error = gain.std(0) / len(gain) ** 0.5 if len(gain) > 1 else torch.zeros_like(gain[0])
    # The 90 % quantile of Student's t, to 6 % from 2 degrees of freedom on.
    quantile = 1.28 + 1.0 / max(1, len(gain) - 1)
    chosen = int((gain.mean(0) - quantile * error).argmax())
    verdict = [float(x) for i in (chosen, -1) for x in (losses.mean(0)[i], rates[i])]
    return replace(
        state, current=state.candidates[chosen], candidates=[], losses=[], verdict=verdict
    )


def _default(belief: Belief, rate_weight: float, control: RateControl) -> Candidate:
    return Candidate(control.default(), control.blend(belief, 1.0), rate_weight)


def _solved(belief: Belief, control: RateControl) -> Candidate:
    tables, rate_weight = control.solve(belief)
    return Candidate(tables, belief, rate_weight)


def _corrected(state: State, task: Task, control: RateControl) -> list[Belief]:
    """The current belief corrected all the way and half-way."""
    tables: Tables = state.current.tables
    sensitivity, rate = state.current.belief
    sample = control.sample.float() / 255
    loss_factor, rate_factor = correct(
        torch.tensor(state.losses, dtype=torch.float64),
        image_to_coefficients(sample, task.subsampling, rounding=True),
        tables,
        sensitivity,
        control.size,
        task.subsampling,
    )
    return [
        (sensitivity * loss_factor**share, rate * (rate_factor / rate) ** share)
        for share in (1.0, 0.5)
    ]
