"""The preset of what was learned: with what was measured, which it also says in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softjpeg.common.image_sequence import Images
from softjpeg.learning.hardness import choose_hardness
from softjpeg.learning.objective import Objective
from softjpeg.learning.rdo_trials import Trial, best_trials
from softjpeg.learning.run_options import RunOptions
from softjpeg.learning.state import RateResult
from softjpeg.presets.preset import Preset

_MISS = 0.05
"""Of a rate, as a share: more is worth a word."""


def learned_presets(
    objective: Objective,
    results: Sequence[RateResult],
    options: RunOptions,
    facts: Mapping[str, Any],
    provenance: Mapping[str, Any] | None = None,
) -> list[Preset]:
    """Presets of one run, a rate each.

    Args:
        objective: that was learned for.
        results: of each rate.
        options: of the run; for the mode "rdo" its trials are made here.
        facts: of the run, for the provenance; None is left out.
        provenance: what else to keep there.

    Returns:
        In the order of `results`; the provenance's "learned" has what was measured.
    """
    trials: Sequence[Trial | None] = [None] * len(results)
    if options.mode == "rdo":
        trials = best_trials(objective, results, options.progress)
    return [
        _preset(objective, result, trial, facts, provenance or {})
        for result, trial in zip(results, trials, strict=True)
    ]


def gain_sentences(preset: Preset) -> str:
    """What learning gained on the judging half, and whether its goal was reached; a line each.

    Args:
        preset: as `learn` returns it.

    >>> judged = {"loss": 0.2, "bpp": 0.5, "default_loss": 0.3, "default_bpp": 0.5}
    >>> learned = {"judged": judged, "loss_kind": "KL", "bpp": 0.75, "target_bpp": 0.5}
    >>> preset = Preset(np.ones((8, 8)), np.ones((8, 8)), provenance={"learned": learned})
    >>> gain_sentences(preset).splitlines()[1]
    '0.5 bpp cannot be reached: the nearest is 0.750'
    """
    learned = preset.provenance["learned"]
    judged, kind = learned["judged"], learned["loss_kind"]
    lines = [
        f"judged on half of the images: {kind} {judged['loss']:.4f} at {judged['bpp']:.3f} bpp;"
        f" default tables {judged['default_loss']:.4f} at {judged['default_bpp']:.3f} bpp"
    ]
    if learned.get("kept_default"):
        lines.append("nothing clearly better than the default tables was found: they are kept")
    if "saved" in learned:
        lines.append(_saved_sentence(learned["saved"], kind))
    bpp, target = learned["bpp"], learned.get("target_bpp")
    if "drop" in learned:
        drop, allowed = learned["drop"], learned["max_drop"]
        lines.append(
            f"{drop:.2f} points of answers lost at {bpp:.3f} bpp; "
            f"default tables need {learned['default_bpp_for_drop']:.3f}"
        )
        if drop > allowed:
            lines.append(f"a drop of {allowed} cannot be reached: the nearest is {drop:.2f}")
    elif target is not None and abs(bpp / target - 1) > _MISS:
        lines.append(f"{target:.4g} bpp cannot be reached: the nearest is {bpp:.3f}")
    return "\n".join(lines)


def _saved_sentence(saved: Sequence[Sequence[float]], kind: str) -> str:
    shares = [f"{100 * s:.0f} % ({100 * low:.0f} to {100 * high:.0f})" for s, low, high in saved]
    of = "" if len(saved) == 1 else ", network by network"
    return f"of default JPEG's bytes at equal {kind} these files save {', '.join(shares)}{of}"


def _preset(
    objective: Objective,
    result: RateResult,
    trial: Trial | None,
    facts: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Preset:
    control, learned, gain = result
    tables = learned.tables if trial is None else trial.tables
    if trial is not None:
        rdo = {"loss": trial.loss, "bpp": trial.bpp, "cost": trial.cost}
        facts = {**facts, "rdo": {**rdo, "rate_weight": trial.distortion.rate_weight}}
    figures = {
        **{name: value for name, value in facts.items() if value is not None},
        "loss_kind": objective.networks.loss_kind,
        "bpp": control.rates.bpp(tables),
        "judged": asdict(gain),
        "kept_default": learned.is_default and tables is learned.tables,
        "rate_weight": learned.rate_weight,
        "target_bpp": control.target_bpp,
        "networks": len(objective.networks),
        "judged_by": "worst case" if objective.worst_case else "average",
        "images": len(objective.images),
        "size": _common_size(objective.images),
        "seed": objective.seed,
        "torch": torch.__version__,
    }
    if learned.hardness is None:
        chosen = choose_hardness(
            objective, control.rates, tables, learned.rate_weight, gain.default_losses
        )
        hardness = np.full((2, 8, 8), chosen)
    else:
        hardness = learned.hardness.numpy()
    return Preset(
        tables[0].numpy(),
        tables[1].numpy(),
        hardness,
        subsampling=objective.subsampling,
        provenance={**provenance, "learned": figures},
        distortion=None if trial is None else trial.distortion,
        short_side=objective.short_side,
        center=objective.center,
    )


def _common_size(images: Images) -> list[int] | None:
    """[height, width]; None where images are of several sizes, or files."""
    return list(images.shape[-2:]) if isinstance(images, Tensor) else None
