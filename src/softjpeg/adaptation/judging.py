"""What an adapter is worth on images it was not trained on, and how strongly it should act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter
from softjpeg.adaptation.strength import StrengthCurve, luma_step, rising_choice
from softjpeg.adaptation.task import Task
from softjpeg.adaptation.views import decoded
from softjpeg.codec.file_sizes import bits_per_pixel
from softjpeg.codec.image import encode
from softjpeg.common.image_sequence import pixel_count
from softjpeg.common.progress import track
from softjpeg.models.inference import outputs_of
from softjpeg.presets.preset import Preset

if TYPE_CHECKING:
    from rich.table import Table

Array = npt.NDArray[np.float64]

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""That are measured at every quality."""

_SURE = 2.0
"""Standard errors that the gain must be above 0: chance gets there once in 40 times."""


class NoGainError(ValueError):
    """Nothing that was trained beat the frozen network beyond chance."""


@dataclass(frozen=True)
class Figure:
    """One quality, on the judging images; losses are means over them.

    Attributes:
        quality: of default JPEG or of the ladder; None for a single preset.
        step: `luma_step` of its tables.
        bpp: bits per pixel of whole files.
        strength: that its tables get.
        frozen, adapted: the loss of the frozen network, and at that strength.
        full: the loss at strength 1.
    """

    quality: int | None
    step: float
    bpp: float
    strength: float
    frozen: float
    adapted: float
    full: float


def judged(
    adapter: Adapter, task: Task, max_clean_drop: float, progress: bool = False
) -> tuple[Adapter, list[Figure]]:
    """The adapter with its strengths, measured on the judging images.

    At every quality the loss is measured at every strength of `STRENGTHS`; the strengths that make
    it least, never falling with the step, are the curve's points. Whether that is a gain is tested
    with strengths chosen on one half of the judging images and losses of the other.

    Args:
        adapter: whose curve is not known yet.
        task: that it was trained for.
        max_clean_drop: points of answers on originals that `Adapter.fixed_strength` may cost.
        progress: show a progress bar on a terminal.

    Returns:
        The adapter, and a figure for each quality.

    Raises:
        NoGainError: no gain beyond chance.
    """
    network = AdaptedNetwork(task.reader, adapter)
    answers = outputs_of(task.reader, task.part(task.judging), task.batch_size)
    qualities = task.files.measured()
    measured = [
        _image_losses(network, task, answers, preset)
        for _, preset in track(qualities, "judging", enabled=progress)
    ]
    losses = np.stack([each for each, _ in measured])
    gain, error = cross_fitted_gain(losses)
    if gain <= _SURE * error:
        raise NoGainError(
            "nothing beat the frozen network beyond chance, so there is no adapter: on "
            f"{len(task.judging)} judging images {100 * gain:.1f} ± {100 * error:.1f} % of the "
            f"loss ({task.loss_name}) were gained"
        )
    chosen = rising_choice(_relative(losses).mean(-1).tolist())
    steps = [luma_step(preset.luma) for _, preset in qualities]
    points = zip(steps, (STRENGTHS[column] for column in chosen), strict=True)
    drops = clean_drops(network, task, answers)
    kept = [t for t, drop in zip(STRENGTHS, drops, strict=True) if drop <= max_clean_drop]
    means = losses.mean(-1)
    figures = [
        Figure(
            quality,
            round(step, 4),
            round(bpp, 4),
            STRENGTHS[column],
            *(float(f"{row[i]:.5g}") for i in (0, column, -1)),
        )
        for (quality, _), step, (_, bpp), column, row in zip(
            qualities, steps, measured, chosen, means, strict=True
        )
    ]
    facts: dict[str, Any] = {
        "judged_on": len(task.judging),
        "gain": [round(gain, 4), round(error, 4)],
        "clean_drop": [round(drop, 3) for drop in drops] if task.scores_classes else None,
        "figures": [asdict(figure) for figure in figures],
    }
    adapter = replace(
        adapter,
        strength=StrengthCurve(tuple(points)),
        fixed_strength=max(kept, default=0.0),
        provenance={**adapter.provenance, **facts},
    )
    return adapter, figures


def cross_fitted_gain(losses: Array) -> tuple[float, float]:
    """The share of the frozen network's loss that is gained, and its standard error.

    Args:
        losses: (qualities, strengths, images), strength 0 first, from fine to coarse tables.

    Returns:
        Of each image, at the strengths that the other half of the images would choose.

    >>> better = np.array([1.0, 0.5])[None, :, None].repeat(8, 2)
    >>> cross_fitted_gain(better)
    (0.5, 0.0)
    """
    relative = _relative(losses)
    gains = np.empty(losses.shape[-1])
    for half in (0, 1):
        own, other = relative[..., half::2], relative[..., 1 - half :: 2]
        chosen = rising_choice(other.mean(-1).tolist())
        at_chosen = own[np.arange(len(own)), chosen]
        gains[half::2] = (own[:, 0] - at_chosen).mean(0)
    spread = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.inf
    return float(gains.mean()), float(spread)


def clean_drops(network: AdaptedNetwork, task: Task, answers: Tensor) -> list[float]:
    """For each strength, the points of right answers that it costs on originals.

    With labels as they are counted; without, by the frozen network's own probabilities: an answer
    that it found half as likely as its best one is lost by as much. 0 where outputs are no classes.

    Args:
        network: with its adapter.
        task: whose judging images are read.
        answers: (N, ...) of the frozen network on them.
    """
    if not task.scores_classes:
        return [0.0] * len(STRENGTHS)
    images = task.part(task.judging)
    if task.labels is None:
        chances = answers.double().softmax(-1)
    else:
        labels = task.labels.cpu()[task.judging]
        chances = torch.nn.functional.one_hot(labels.clamp(0), answers.shape[-1]).double()
    found = []
    for strength in STRENGTHS:
        chosen = outputs_of(network.at(strength), images, task.batch_size).argmax(-1)
        found.append(float(chances.gather(1, chosen[:, None]).mean()))
    return [100 * (found[0] - each) for each in found]


def figures_table(figures: Sequence[Figure | Mapping[str, Any]], loss: str) -> Table:
    """The figures as a rich table.

    Args:
        figures: of `judged`, or as an adapter's provenance has them.
        loss: what the loss is called.
    """
    from rich.table import Table

    view = Table(title="On images that did not train", caption=f"loss: {loss}")
    for name in ("quality", "bpp", "strength", "frozen", "adapted", "gone %", "at strength 1"):
        view.add_column(name, justify="right")
    for each in figures:
        figure = each if isinstance(each, Figure) else Figure(**each)
        gone = 100 * (1 - figure.adapted / figure.frozen) if figure.frozen else 0.0
        view.add_row(
            "" if figure.quality is None else str(figure.quality),
            f"{figure.bpp:.3f}",
            f"{figure.strength:.2f}",
            f"{figure.frozen:.4f}",
            f"{figure.adapted:.4f}",
            f"{gone:.0f}",
            f"{figure.full:.4f}",
        )
    return view


def _image_losses(
    network: AdaptedNetwork, task: Task, answers: Tensor, preset: Preset
) -> tuple[Array, float]:
    """(strengths, images), and the bits per pixel of the files."""
    losses = np.empty((len(STRENGTHS), len(task.judging)))
    size = pixels = 0
    for start in range(0, len(task.judging), task.batch_size):
        places = task.judging[start : start + task.batch_size]
        images = list(task.part(places))
        files = [
            encode(image, preset, task.files.mode, seed=place)
            for place, image in zip(places, images, strict=True)
        ]
        shown = [decoded(data) for data in files]
        size += sum(map(len, files))
        pixels += pixel_count(images)
        part = slice(start, start + len(places))
        targets = task.targets(answers[part], places).cpu()
        for row, strength in enumerate(STRENGTHS):
            outputs = outputs_of(network.at(strength), shown, task.batch_size)
            losses[row, part] = task.image_losses(outputs, targets)
    return losses, bits_per_pixel(size, pixels)


def _relative(losses: Array) -> Array:
    """In units of the frozen network's mean loss at each quality: every quality counts alike."""
    frozen = losses[:, :1].mean(-1, keepdims=True)
    return losses / np.where(frozen == 0, 1, np.abs(frozen))
