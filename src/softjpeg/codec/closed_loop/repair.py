"""Files changed along the networks' gradients until they keep their answers in fewer bytes.

A file's AC indices change by steps of one, a few at a time. What a step does to the answer is known
to first order from one backward pass, and what it costs in bits nearly exactly. While the answer is
lost, steps are chosen to win it back, and taken if its margin is seen to rise; once it is kept, to
save bits, and taken if the file is seen to be smaller and still kept. Twice as many are tried after
a success, half as many after a failure.

Every index stays within a step of the image's own coefficient, or returns towards zero: a file
remains a rendering of its image. Still, it serves the networks in the loop: what others make of it
is to be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from softjpeg.codec.closed_loop.blocks import Blocks, blocks_of
from softjpeg.codec.closed_loop.gradients import margin_gradients
from softjpeg.codec.closed_loop.index_steps import bit_changes, symbol_bits
from softjpeg.codec.closed_loop.judge import Inputs, Judge, Outputs, network_input, network_outputs
from softjpeg.codec.closed_loop.search import Choice, Mapper
from softjpeg.codec.image import decode

_BATCH = 16
"""Images that a network reads at once: a backward pass keeps all that is between its layers."""
_FIRST_STEPS = 64
_MOST_STEPS = 384
_PRICES = [2.0**-i for i in range(-3, 18)]
"""Margin that a bit may be worth."""


def repaired_choices(
    images: Sequence[Any],
    choices: Sequence[Choice],
    judge: Judge,
    passes: int,
    *,
    inputs: Sequence[Inputs] | None = None,
    mapper: Mapper = map,
) -> list[Choice]:
    """Repair the file chosen for every image: it may become smaller and still keep the answer.

    To begin at smaller files and win their answers back takes more passes for the same bytes: 7 of
    40 files of half the size were won back in 6 (`benchmarks/network_in_the_loop.py`'s images).

    Args:
        images: Pillow images, or uint8 tensors (3 or 1, H, W).
        choices: what `smallest_files` found for them.
        judge: networks and fidelity.
        passes: most forward and backward passes of the networks for an image, 1 or more.
        inputs: the images as each network reads them, where they are known.
        mapper: such as the ``map`` of a thread pool.

    Returns:
        The choices, smaller where a repair was; "repaired" is then added to the candidate's name,
        and the passes to the runs.

    Raises:
        ValueError: `passes` below 1, or an image, file or network that cannot be read.
    """
    results = repair_files(
        images, [c.data for c in choices], judge, passes, inputs=inputs, mapper=mapper
    )
    return [
        Choice(
            result.data,
            choice.candidate + (" repaired" if result.data != choice.data else ""),
            result.kept,
            result.measures,
            choice.runs + result.passes,
        )
        for choice, result in zip(choices, results, strict=True)
    ]


@dataclass(frozen=True)
class Repaired:
    """What became of one file.

    Attributes:
        data: the smallest file seen that keeps the answer; the one to be repaired, if none does.
        kept: whether it keeps the fidelity.
        measures: of each network.
        passes: times that the networks read it, forward and backward.
    """

    data: bytes
    kept: bool
    measures: tuple[float, ...]
    passes: int


def repair_files(
    images: Sequence[Any],
    files: Sequence[bytes],
    judge: Judge,
    passes: int,
    *,
    inputs: Sequence[Inputs] | None = None,
    mapper: Mapper = map,
) -> list[Repaired]:
    """Change the coefficients of files until they keep the networks' answers in fewer bytes.

    Args:
        images: Pillow images, or uint8 tensors (3 or 1, H, W).
        files: a baseline file of each, kept or not.
        judge: networks and fidelity.
        passes: most forward and backward passes of the networks for an image, 1 or more.
        inputs: the images as each network reads them, where they are known.
        mapper: such as the ``map`` of a thread pool.

    Raises:
        ValueError: `passes` below 1, or an image, file or network that cannot be read.
    """
    if passes < 1:
        raise ValueError(f"passes must be at least 1, got {passes}")
    if inputs is None:
        inputs = [tuple(network_input(image, n) for n in judge.networks) for image in images]
    originals = network_outputs(judge.networks, inputs)

    def begin(image: Any, data: bytes, original: Outputs) -> _Repair:
        blocks = blocks_of(image, data)
        return _Repair(blocks, blocks.indices, data, original)

    def inputs_of_file(repair: _Repair) -> Inputs:
        picture = decode(repair.data)
        return tuple(network_input(picture, network) for network in judge.networks)

    triples = zip(images, files, originals, strict=True)
    repairs = list(mapper(lambda triple: begin(*triple), triples))
    for _ in range(passes):
        active = [repair for repair in repairs if repair.count]
        if not active:
            break
        for start in range(0, len(active), _BATCH):
            batch = active[start : start + _BATCH]
            margins, outputs, gradients = margin_gradients(
                judge,
                [(repair.blocks, repair.trial) for repair in batch],
                list(mapper(inputs_of_file, batch)),
                [repair.original for repair in batch],
            )
            for i, repair in enumerate(batch):
                measures = judge.measure(outputs[i], repair.original)
                repair.update(margins[i], measures, judge.keeps(measures), gradients[i])
        list(mapper(_Repair.propose, active))
    return [repair.result() for repair in repairs]


def choose_steps(gains: Tensor, bits: Tensor, count: int, wanted: float) -> Tensor:
    """Steps, at most `count` and one in a block, that save many bits and gain what is wanted.

    They are those of greatest ``gain - price·bits`` above 0, at the highest price for which they
    gain enough; if none does, at the lowest.

    Args:
        gains: (N blocks, M) margin gained by each step, to first order; -inf where none may be.
        bits: (N, M) added by each move.
        count: how many at most.
        wanted: least sum of gains.

    Returns:
        (chosen, 2) places of the steps.

    >>> gains, bits = torch.tensor([[-0.1], [-2.0], [0.5]]), torch.tensor([[-5.0], [-6.0], [3.0]])
    >>> choose_steps(gains, bits, 3, -0.2).tolist(), choose_steps(gains, bits, 3, 0.3).tolist()
    ([[0, 0]], [[0, 0], [2, 0]])
    """
    for price in _PRICES:
        scores, places = (gains - price * bits).max(1)
        best = scores.topk(min(count, len(scores)))
        rows = best.indices[best.values > 0]
        chosen = rows, places[rows]
        if len(rows) and gains[chosen].sum() >= wanted:
            break
    return torch.stack(chosen, 1)


@dataclass
class _Repair:
    """The changes to one file: `indices` is where it stands, `trial` what is being tried."""

    blocks: Blocks
    trial: Tensor
    data: bytes
    original: Outputs
    best: tuple[bytes, bool, tuple[float, ...]] = (b"", False, ())
    indices: Tensor = field(init=False)
    gradient: Tensor = field(init=False)
    margin: float = -torch.inf
    count: int = _FIRST_STEPS
    passes: int = 0

    def update(
        self, margin: float, measures: tuple[float, ...], is_kept: bool, gradient: Tensor
    ) -> None:
        """What the networks made of the trial: go there, or try less."""
        self.passes += 1
        first = self.passes == 1
        if self.best[1]:
            better = is_kept and len(self.data) < len(self.best[0])
        else:
            better = is_kept or margin > self.margin
        if not (first or better):
            self.count //= 2
            return
        if not first:
            self.count = min(2 * self.count, _MOST_STEPS)
        self.indices, self.margin, self.gradient = self.trial, margin, gradient
        if first or is_kept:
            self.best = self.data, is_kept, measures

    def result(self) -> Repaired:
        data, is_kept, measures = self.best
        return Repaired(data, is_kept, measures, self.passes)

    def propose(self) -> None:
        """Choose the steps to try next, and write their file."""
        if not self.count:
            return
        now, luma = self.indices, self.blocks.luma
        costs = [
            bit_changes(part, symbol_bits(part)) for part in (now[:luma], now[luma:]) if len(part)
        ]
        away, nearer = (torch.cat(parts) for parts in zip(*costs, strict=True))
        gains, bits = [], []
        for step in (-1, 1):
            towards = (now + step).abs() < now.abs()
            allowed = towards | ((now + step - self.blocks.ratios).abs() < 1)
            allowed[:, 0] = False
            gains.append(torch.where(allowed, step * self.gradient, -torch.inf))
            bits.append(torch.where(towards, nearer, away))
        # To first order much is promised: half of the margin may go, twice what lacks must come.
        wanted = -0.5 * self.margin if self.margin > 0 else -2 * self.margin
        steps = choose_steps(torch.cat(gains, 1), torch.cat(bits, 1), self.count, wanted)
        if not len(steps):
            self.count = 0
            return
        rows, places = steps.unbind(1)
        self.trial = now.clone()
        self.trial[rows, places % 64] += torch.where(places < 64, -1, 1)
        self.data = self.blocks.file(self.trial)
