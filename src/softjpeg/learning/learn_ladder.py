"""Learning at several rates in one run: presets, or the ladder made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from softjpeg.common.image_sequence import Images
from softjpeg.common.torch_modes import usual_modes
from softjpeg.learning.backpropagation import Backpropagation, Method
from softjpeg.learning.bytes_saved import with_bytes_saved
from softjpeg.learning.center_choice import center_of
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.goal import check_positive, only_one
from softjpeg.learning.image_rates import ImageRates, default_tables
from softjpeg.learning.learned_presets import gain_sentences, learned_presets
from softjpeg.learning.losses import Loss
from softjpeg.learning.measured_ladder import measured_ladder
from softjpeg.learning.objective import Objective
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.run_options import (
    CenterOption,
    Mode,
    RunOptions,
    ShortSideOption,
    SubsamplingOption,
)
from softjpeg.learning.runner import run_passes
from softjpeg.learning.schedule import schedule
from softjpeg.learning.size_exponent import exponent_on
from softjpeg.learning.state import RateResult
from softjpeg.learning.stored_size_choice import short_sides
from softjpeg.learning.subsampling_choice import choose_subsampling
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset


@usual_modes()
def learn_ladder(
    models: nn.Module | Sequence[nn.Module],
    images: Images,
    targets_bpp: Sequence[float] | None = None,
    *,
    qualities: Sequence[int] | None = None,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    worst_case: bool = False,
    subsampling: SubsamplingOption = "4:2:0",
    short_side: ShortSideOption = None,
    center: CenterOption = None,
    mode: Mode = "hard",
    method: Method | Backpropagation = "measured",
    rounds: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Preset]:
    """Presets at several rates for little more than the price of one.

    All passes are made at the highest rate. From there on down, each rate starts with what was
    learned at the one before, corrects it by the bands, and keeps the better of that, of a blend
    and of the default tables. `learned_ladder` makes a ladder of them.

    Args:
        models: one or several networks, from (B, 3, H, W) RGB in [0, 1] to logits (B, classes), or
            with `loss` to any tensor (B, ...); left in eval mode.
        images: (N, 3, H, W) uint8, uncompressed; the first half suggests, the second judges.
        targets_bpp: bits per pixel of whole files; one preset each.
        qualities: or the qualities 1..100 of default JPEG whose rates to learn for.
        labels: (N,) class indices: the loss is then cross-entropy instead of label-free.
        loss: from (outputs, targets) to the mean over a batch; targets are `labels` where given,
            else the network's own outputs on the uncompressed images. Default: KL divergence.
        worst_case: judge several networks by the one that gains least, not by their average.
        subsampling: "4:4:4", "4:2:2", "4:2:0", or "auto" for what measures best at the middle rate.
        short_side: of the stored images, as `Preset` has it, whose presets then have it; "auto" for
            what measures best at each rate. Rates stay those of the images' own pixels.
        center: what is stored whole, as `Preset` has it, whose presets then have it; "auto" for the
            least square that the networks read anything of, None where they read more.
        mode: of the encoder to learn for, "hard" or "rdo".
        method: "measured", "backprop", "hybrid" or a `Backpropagation`, as for `learn`.
        rounds: of the four passes, at the highest rate.
        batch_size: images the network reads at once; fewer where there are few images.
        seed: of everything random, 0 to 2^31 - 1; the same seed gives the same presets.
        checkpoint: file to keep the state in; an interrupted run resumes from it exactly. With
            "auto" there are several, whose names begin with it.
        progress: show a progress bar on a terminal.
        provenance: facts to keep in each preset, beside what learning itself puts there.
        say: takes sentences of what is measured on the way, as `print` does.

    Returns:
        Presets in the order of `targets_bpp` or `qualities`.

    Raises:
        ValueError: an argument out of its range, a network whose output or gradient is not finite,
            or a checkpoint of another run.

    >>> import torch
    >>> images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> len(learn_ladder(network, images, [30.0, 25.0], batch_size=2))
    2
    """
    rates = _Rates(targets_bpp, qualities)
    options = RunOptions(mode, rounds, seed, checkpoint, progress, say, short_side, center, method)
    networks = FrozenNetworks(models, images, labels, loss, batch_size)
    return _learned(networks, rates, options, subsampling, worst_case, provenance)


@usual_modes()
def learned_ladder(
    models: nn.Module | Sequence[nn.Module],
    images: Images,
    targets_bpp: Sequence[float] | None = None,
    *,
    qualities: Sequence[int] | None = None,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    worst_case: bool = False,
    subsampling: SubsamplingOption = "4:2:0",
    short_side: ShortSideOption = None,
    center: CenterOption = None,
    mode: Mode = "hard",
    method: Method | Backpropagation = "measured",
    rounds: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Ladder:
    """A ladder for any quality 1..100: the presets of `learn_ladder`, and files measured along it.

    The exponent by which adaptive quality spreads an image's size is measured too, by the networks'
    loss behind the rungs' files.

    Args:
        models, images, targets_bpp, ...: the arguments of `learn_ladder`, above.
        provenance: is kept in the ladder too.
        say: is told last what each rung gained.

    Raises:
        ValueError: for the reasons of `learn_ladder`.

    >>> import torch
    >>> images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> learned_ladder(network, images, qualities=[50, 90], batch_size=2).at(70).subsampling
    '4:2:0'
    """
    rates = _Rates(targets_bpp, qualities)
    options = RunOptions(mode, rounds, seed, checkpoint, progress, say, short_side, center, method)
    networks = FrozenNetworks(models, images, labels, loss, batch_size)
    presets = _learned(networks, rates, options, subsampling, worst_case, provenance)
    objective = Objective(networks, presets[0].subsampling, seed)
    exponent = exponent_on(objective, presets, progress)
    ladder = measured_ladder(presets, images, provenance, size_exponent=exponent)
    if say is not None:
        for name, preset in zip(rates.names(), presets, strict=True):
            say(f"{name}: {gain_sentences(preset)}")
    return ladder


@dataclass(frozen=True)
class _Rates:
    """The rates to learn for, in bits per pixel or as qualities of default JPEG; checked."""

    targets_bpp: Sequence[float] | None
    qualities: Sequence[int] | None

    def __post_init__(self) -> None:
        name = only_one(asdict(self))
        if not len(getattr(self, name)):
            raise ValueError(f"{name} must name at least one rate, got none")
        for target in self.targets_bpp or ():
            check_positive("targets_bpp", target)

    def on(self, rates: ImageRates) -> list[float]:
        """Bits per pixel on some images."""
        if self.targets_bpp is not None:
            return list(self.targets_bpp)
        return [rates.bpp(default_tables(quality)) for quality in self.qualities or ()]

    def names(self) -> list[str]:
        """Of the presets, as sentences begin."""
        if self.targets_bpp is not None:
            return [f"{target:.4g} bpp" for target in self.targets_bpp]
        return [f"quality {quality}" for quality in self.qualities or ()]


def _learned(
    networks: FrozenNetworks,
    at: _Rates,
    options: RunOptions,
    subsampling: SubsamplingOption,
    worst_case: bool,
    provenance: Mapping[str, Any] | None,
) -> list[Preset]:
    first = "4:2:0" if subsampling == "auto" else subsampling
    objective = Objective(networks, first, options.seed, worst_case)
    rates = at.on(objective.rates)
    given = None if options.short_side == "auto" else options.short_side
    objective = objective.storing(short_side=given, center=center_of(objective, options))
    facts: dict[str, Any] = {"rounds": options.rounds, **options.descent_facts()}
    if subsampling == "auto":
        middle = schedule(options.rounds, [sorted(rates)[len(rates) // 2]])
        choice = choose_subsampling(objective, middle, options)
        objective, options = choice.objective, choice.options
        facts["subsamplings"] = choice.measured
        rates = at.on(objective.storing(short_side=None, center=None).rates)
    sides = short_sides(objective, rates, options)
    learned: dict[float, Preset] = {}
    for side in dict.fromkeys(sides.values()):
        falling = [rate for rate in sides if sides[rate] == side]
        there = objective.storing(short_side=side)
        own = options if side is None else options.with_checkpoint(f"short-side-{side}")
        presets = _at_one_size(there, falling, own, facts, provenance)
        learned |= zip(falling, presets, strict=True)
    return with_bytes_saved(objective, [learned[rate] for rate in rates], options.progress)


def _at_one_size(
    objective: Objective,
    falling: Sequence[float],
    options: RunOptions,
    facts: Mapping[str, Any],
    provenance: Mapping[str, Any] | None,
) -> list[Preset]:
    """Presets of falling rates in one stored size and subsampling."""
    control = RateControl(objective.rates)
    passes = schedule(options.rounds, falling, descent=options.descent)
    state = run_passes(passes, objective, control, options)
    assert state.gain is not None
    learned = [*state.finished, (state.current, state.gain)]
    results = [RateResult(control.at(r), *x) for r, x in zip(falling, learned, strict=True)]
    return learned_presets(objective, results, options, facts, provenance)
