"""Both ends in turns: tables for the network that reads the files, and it adapts to their files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from softjpeg.adaptation.adapt import adapt
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter
from softjpeg.adaptation.stored_files import StoredFiles
from softjpeg.adaptation.strength import luma_step
from softjpeg.adaptation.task import Task
from softjpeg.adaptation.views import decoded
from softjpeg.codec.image import encode
from softjpeg.common.image_sequence import Images
from softjpeg.common.progress import track
from softjpeg.common.torch_modes import usual_modes
from softjpeg.learning.bytes_saved import resampled, saved_at_equal_loss, with_interval
from softjpeg.learning.learn_ladder import learn_ladder
from softjpeg.learning.losses import Loss
from softjpeg.learning.measured_ladder import measured_ladder
from softjpeg.learning.run_options import Mode
from softjpeg.models.inference import outputs_of
from softjpeg.presets.ladder import Ladder

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CoAdapted:
    """What the turns left behind.

    Attributes:
        adapter: of the network, to the files that it is to read.
        ladder: those files' tables; None for default JPEG, where no turn was better.
        saved: for each turn that was tried, the share of bytes that its files and its reader save
            at equal loss over the turn before, and its 95 % interval over images; one that reaches
            0 was not kept.
    """

    adapter: Adapter
    ladder: Ladder | None
    saved: tuple[tuple[float, float, float], ...]


@usual_modes()
def co_adapt(
    network: nn.Module,
    images: Images,
    *,
    rates: Sequence[int] = (8, 15, 30, 60),
    turns: int = 2,
    preset: Ladder | None = None,
    qualities: tuple[int, int] = (6, 90),
    mode: Mode = "hard",
    loss: Loss | None = None,
    labels: Tensor | None = None,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
    **adapting: Any,
) -> CoAdapted:
    """Learn tables for the adapted network, adapt it to their files, and again, while that helps.

    The first adapter is one to the files of `preset`. A turn learns a ladder on the training images
    for the network at the strengths that its files get, adapts the network anew to that ladder, and
    is kept where both together save bytes at equal loss on the judging images beyond chance.

    Args:
        network: as for `softjpeg.adapt`; it stays as it is.
        images: uint8, (N, 3, H, W) or several (3, H, W), at least 8.
        rates: default JPEG's qualities 1..100 at whose sizes tables are learned.
        turns: at most.
        preset: the ladder to begin with; None for default JPEG, 4:2:0.
        qualities: (lowest, highest) 1..100 that are adapted to.
        mode: that files are written in and tables are learned for; "rdo" begins with a `preset`.
        loss: from (outputs, targets) to the mean of a batch; None for KL divergence, or with labels
            for cross-entropy.
        labels: (N,), or None where the targets are the network's own answers on the originals.
        batch_size: images the network reads at once.
        seed: of everything random.
        checkpoint: names the files that adapting resumes from, one a turn; tables are learned anew.
        progress: show progress bars on a terminal.
        provenance: anything more for the adapter and the ladder to keep.
        adapting: further arguments of `softjpeg.adapt`.

    Raises:
        ValueError: for the reasons of `adapt` and `learn_ladder`, or fewer than one turn.
        NoGainError: a ValueError: adapting gained nothing beyond chance.

    >>> import torch
    >>> images = torch.randint(0, 256, (40, 3, 16, 16)).byte()
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    >>> run = {"loss": nn.MSELoss(), "learning_rate": 0.01, "qualities": (5, 20)}
    >>> found = co_adapt(network, images, rates=[10], turns=1, **run)
    >>> len(found.saved)
    1
    """
    if turns < 1:
        raise ValueError(f"turns must be at least 1, got {turns}")
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be {' or '.join(get_args(Mode))}, got {mode!r}")

    def adapted_to(ladder: Ladder | None, turn: int) -> Adapter:
        given: dict[str, Any] = {"loss": loss, "labels": labels, "batch_size": batch_size}
        given |= {"seed": seed, "progress": progress, "provenance": provenance}
        file = None if checkpoint is None else _of_turn(Path(checkpoint), turn)
        given |= {"preset": ladder, "qualities": qualities, "mode": mode, "checkpoint": file}
        return adapt(network, images, **given, **adapting)

    clean_weight = adapting.get("clean_weight", 0.1)
    task = Task(network, images, StoredFiles(), loss, labels, clean_weight, batch_size, seed)
    ladder, adapter = preset, adapted_to(preset, 0)
    answers = outputs_of(task.reader, task.part(task.judging), task.batch_size)
    targets = task.targets(answers, task.judging).cpu()
    files = StoredFiles(ladder, qualities, mode)
    measured = _measured(task, targets, adapter, files, progress)
    saved: list[tuple[float, float, float]] = []
    for turn in range(1, turns + 1):
        new_ladder = _tables_for(task, adapter, files, rates, progress, provenance)
        new_adapter = adapted_to(new_ladder, turn)
        new_files = StoredFiles(new_ladder, qualities, mode)
        new = _measured(task, targets, new_adapter, new_files, progress)
        saved.append(_saved(measured, new, seed))
        if not saved[-1][1] > 0:
            break
        ladder, adapter, files, measured = new_ladder, new_adapter, new_files, new
    return CoAdapted(adapter, ladder, tuple(saved))


def _tables_for(
    task: Task,
    adapter: Adapter,
    files: StoredFiles,
    rates: Sequence[int],
    progress: bool,
    provenance: Mapping[str, Any] | None,
) -> Ladder:
    """Learned for the network as it reads files of these rates: those of one strength together."""
    adapted, images = AdaptedNetwork(task.reader, adapter), task.part(task.training)
    labels = None if task.labels is None else task.labels[task.training]
    groups: dict[float, list[int]] = {}
    for rate in rates:
        strength = adapter.strength.at(luma_step(files.at(rate).luma))
        groups.setdefault(strength, []).append(rate)
    presets = [
        preset
        for strength, together in groups.items()
        for preset in learn_ladder(
            adapted.at(strength),
            images,
            qualities=together,
            labels=labels,
            loss=task.loss,
            mode="rdo" if files.mode == "rdo" else "hard",
            batch_size=task.batch_size,
            seed=task.seed,
            progress=progress,
            provenance=provenance,
        )
    ]
    return measured_ladder(presets, images, provenance)


def _measured(
    task: Task, targets: Tensor, adapter: Adapter, files: StoredFiles, progress: bool
) -> tuple[Array, Array]:
    """(files, images) bytes and losses on the judging images, from coarse to fine."""
    adapted, images = AdaptedNetwork(task.reader, adapter), task.part(task.judging)
    sizes, losses = [], []
    presets = [preset for _, preset in files.measured()][::-1]
    for preset in track(presets, "both ends", enabled=progress):
        written = [encode(image, preset, files.mode) for image in images]
        shown = [decoded(data) for data in written]
        outputs = adapted.outputs_of_files(shown, written, task.batch_size)
        sizes.append([len(data) for data in written])
        losses.append(task.image_losses(outputs, targets))
    return np.array(sizes, dtype=np.float64), np.array(losses)


def _saved(
    before: tuple[Array, Array], after: tuple[Array, Array], seed: int
) -> tuple[float, float, float]:
    """The share of bytes saved at equal loss, mean over the inner files, and its interval."""
    inner = slice(1, -1) if len(after[0]) > 2 else slice(None)
    sizes, losses = (np.concatenate([b, a[inner]]) for b, a in zip(before, after, strict=True))
    shares = resampled(sizes.shape[1], seed).T
    saved = saved_at_equal_loss(sizes @ shares, losses @ shares, len(before[0]))
    return with_interval(saved.mean(0))


def _of_turn(path: Path, turn: int) -> Path:
    return path.with_name(f"{path.stem}-turn-{turn}{path.suffix}")
