"""J4D: with networks frozen, learn the JPEG tables at which files are small and they still work.

Minimizes ``E[loss(f(Ĵ(x; Q)), f(x))] + λ·R(Q)`` in rounds of four passes over the images; what one
half of them suggests, the other half judges:

* *sensitivity*: backpropagate through the codec, quantized hard at the current tables. Bit
  allocation then solves the quadratic problem around them exactly.
* *blend*: measure the real loss of tables between those and the default tables, at equal rate.
* *bands*: move the steps of frequency bands, measure, and correct what allocation got wrong.
* *choice*: keep what gains most on the default tables, beyond chance, or these.

A class each in `passes`; `schedule` puts them in order, `runner` goes through them. Where answers
are to be kept, bisection finds the rate (`drop_search`). Last, `learned_presets`: for the mode
"rdo" `rdo_trials` adds a distortion model, and the hardness of the probabilistic quantizer is
chosen by measurement (`hardness`).

The method "backprop" is J4D as the paper has it: gradient descent through the soft quantizer, a
pass too (`backpropagation`); "hybrid" goes on from where these passes lead. docs/j4d.md compares.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from softjpeg.common.image_sequence import Images
from softjpeg.common.torch_modes import usual_modes
from softjpeg.learning.backpropagation import Backpropagation, Method
from softjpeg.learning.bytes_saved import with_bytes_saved
from softjpeg.learning.center_choice import center_of
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.goal import Goal
from softjpeg.learning.learned_presets import learned_presets
from softjpeg.learning.losses import Loss
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
from softjpeg.learning.state import RateResult, State
from softjpeg.learning.stored_size_choice import short_sides
from softjpeg.learning.subsampling_choice import choose_subsampling
from softjpeg.presets.preset import Preset


@usual_modes()
def learn(
    models: nn.Module | Sequence[nn.Module],
    images: Images,
    *,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    worst_case: bool = False,
    subsampling: SubsamplingOption = "4:2:0",
    short_side: ShortSideOption = None,
    center: CenterOption = None,
    rate_weight: float | None = None,
    target_bpp: float | None = None,
    target_bytes: float | None = None,
    max_drop: float | None = None,
    mode: Mode = "hard",
    method: Method | Backpropagation = "measured",
    rounds: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Preset:
    """Learn a preset for one or several frozen networks.

    Exactly one of `rate_weight`, `target_bpp`, `target_bytes` and `max_drop` must be given.

    Args:
        models: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes), or with `loss` to any tensor
            (B, ...); left in eval mode. Of several, each one's loss counts relative to its loss
            behind the default tables.
        images: uint8, uncompressed: (N, 3, H, W), or a sequence of (3, H, W) of any sizes that the
            networks read, `ImageFiles` for one. Keep crops of one photo together: the halves are
            the first and the second.
        labels: (N,) class indices: the loss is then cross-entropy instead of label-free.
        loss: from (outputs, targets) to the mean over a batch; targets are `labels` where given,
            else the network's own outputs on the uncompressed images. Default: KL divergence.
        worst_case: judge several networks by the one that gains least, not by their average.
        subsampling: "4:4:4", "4:2:2", "4:2:0", or "auto" for what measures best.
        short_side: of the stored images, as `Preset` has it; "auto" for what measures best at a
            target rate. Rates stay those of the images' own pixels.
        center: what is stored whole, as `Preset` has it, and the preset then; "auto" for the
            least square that the networks read anything of, None where they read more.
        rate_weight: λ > 0, in loss per bit per pixel.
        target_bpp: bits per pixel of whole files to reach on `images`, coefficients rounded.
        target_bytes: or bytes of a file, mean over `images`.
        max_drop: or points (percent) of answers that may be lost on the judging half: right ones
            with `labels`, else the network's own.
        mode: of the encoder to learn for, "hard" or "rdo": the latter also learns a model of the
            network's distortion (`Preset.distortion`), and tables that count on it.
        method: "measured", the four passes; "backprop", J4D's gradient descent from the default
            tables, kept whatever it finds; "hybrid", descent from what the passes find, kept if
            surely better; or a `softjpeg.learning.backpropagation.Backpropagation`.
        rounds: of the four passes; a later one starts from better tables.
        batch_size: images the network reads at once; fewer where there are few images.
        seed: of everything random, 0 to 2^31 - 1; the same seed gives the same preset.
        checkpoint: file to keep the state in; an interrupted run resumes from it exactly. With
            "auto" there are several, whose names begin with it.
        progress: show a progress bar on a terminal.
        provenance: facts to keep in the preset, beside what `learn` itself puts there.
        say: takes sentences of what is measured on the way, as `print` does.

    Returns:
        A preset with integer tables 1..255; its provenance has the loss and the rate measured. A
        rate or a drop that cannot be reached gives the nearest one found.

    Raises:
        ValueError: an argument out of its range, a network whose output or gradient is not finite,
            or a checkpoint of another run.

    >>> import torch
    >>> images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> learn(network, images, target_bpp=30.0, batch_size=2).subsampling
    '4:2:0'
    """
    goal = Goal(rate_weight, target_bpp, target_bytes, max_drop)
    options = RunOptions(mode, rounds, seed, checkpoint, progress, say, short_side, center, method)
    if max_drop is not None and mode != "hard":
        raise ValueError(f"max_drop is kept with mode hard only, got mode {mode!r}")
    if max_drop is not None and loss is not None:
        raise ValueError("max_drop counts answers, which a loss of your own need not have")
    if short_side == "auto" and target_bpp is None and target_bytes is None:
        raise ValueError('short_side "auto" needs a rate to measure at: target_bpp or target_bytes')
    networks = FrozenNetworks(models, images, labels, loss, batch_size)
    rate = goal.rate_on(images)
    passes = schedule(rounds, [] if rate is None else [rate], max_drop, options.descent)
    facts = {**asdict(goal), "rounds": rounds, **options.descent_facts()}
    first = "4:2:0" if subsampling == "auto" else subsampling
    objective = Objective(networks, first, seed, worst_case)
    objective = objective.storing(center=center_of(objective, options))
    (side,) = short_sides(objective, [rate or 0.0], options).values()
    objective = objective.storing(short_side=side)
    state: State | None = None
    if subsampling == "auto":
        choice = choose_subsampling(objective, passes, options, rate_weight)
        objective, control, options, passes, state, facts["subsamplings"] = choice
    else:
        control = RateControl(objective.rates, rate_weight)
    state = run_passes(passes, objective, control, options, state)
    if max_drop is not None:
        facts |= {"drop": state.drop, "default_bpp_for_drop": state.default_bpp}
    assert state.gain is not None
    result = RateResult(control.at(state.target_bpp), state.current, state.gain)
    (preset,) = learned_presets(objective, [result], options, facts, provenance)
    return with_bytes_saved(objective, [preset], progress)[0]
