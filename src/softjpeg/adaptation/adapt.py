"""`softjpeg.adapt`: a network learns to read the files, without labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from torch import Tensor, nn

from softjpeg.adaptation.adapter import Adapter, weights_fingerprint
from softjpeg.adaptation.judging import judged
from softjpeg.adaptation.stored_files import StoredFiles
from softjpeg.adaptation.strength import StrengthCurve
from softjpeg.adaptation.task import Task
from softjpeg.adaptation.trained_weights import Train
from softjpeg.adaptation.training import trained_weights
from softjpeg.codec.image import Mode
from softjpeg.common.image_sequence import Images
from softjpeg.common.torch_modes import usual_modes
from softjpeg.learning.losses import Loss
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

_UNKNOWN = StrengthCurve(((1.0, 1.0),))
_STEPS = 76
"""Of a run whose epochs are not given: four epochs of 600 images in batches of 32."""


@usual_modes()
def adapt(
    network: nn.Module,
    images: Images,
    *,
    preset: Preset | Ladder | None = None,
    qualities: tuple[int, int] = (6, 90),
    mode: Mode = "hard",
    train: Train = "norm",
    loss: Loss | None = None,
    labels: Tensor | None = None,
    feature_weight: float = 3.0,
    epochs: int | None = None,
    learning_rate: float = 1e-3,
    batch_size: int = 32,
    clean_weight: float = 0.1,
    max_clean_drop: float = 1.0,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Adapter:
    """Train a few of a network's weights to answer on .jpg files as it does on the originals.

    Three of four images train, every fourth judges: there the strength is measured that each
    quality wants. The network itself stays as it is.

    Args:
        network: from (B, 3, H, W) RGB in [0, 1] to outputs (B, ...); photos at their own size are
            read through a `softjpeg.models.preprocessing.Preprocessed`.
        images: uint8, (N, 3, H, W) or several (3, H, W), at least 8.
        preset: that the files are written with; a ladder at random qualities; None for default
            JPEG, 4:2:0.
        qualities: (lowest, highest) 1..100 of the ladder or of default JPEG.
        mode: that the files are written in, as `softjpeg.encode` takes it; "rdo" and
            "probabilistic" need a preset made for them.
        train: "norm" (weights and biases of normalization layers), "statistics" (means and
            variances of batch normalization), "first" (norm and the first layer), "all", or "front"
            (a small network before the frozen one).
        loss: from (outputs, targets) to the mean of a batch; None for KL divergence, or with labels
            for cross-entropy.
        labels: (N,), the targets; None where these are the network's own answers on the originals.
        feature_weight: of what the last layer reads, compared with what it reads of the original
            (`softjpeg.adaptation.features`), beside KL divergence or cross-entropy.
        epochs: passes over the training images; None for as many as make 76 steps, beyond which
            little is gained from 100 images as from 800.
        learning_rate: at the first step; it falls to 0.
        batch_size: images of a step.
        clean_weight: share of the training images that are read as they are, from 0 to below 1.
        max_clean_drop: points of answers on originals that `Adapter.fixed_strength` may cost; where
            the strength is each file's own, originals cost nothing.
        seed: of everything random.
        checkpoint: file to resume from, and to save progress in.
        progress: show progress bars on a terminal.
        provenance: anything more for the adapter to keep.

    Raises:
        ValueError: an argument of a wrong shape, type or range, or a network that cannot read the
            images.
        NoGainError: a ValueError: nothing beat the frozen network beyond chance.

    >>> import torch
    >>> images = torch.randint(0, 256, (40, 3, 16, 16)).byte()
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    >>> adapter = adapt(network, images, qualities=(5, 10), loss=nn.MSELoss(), learning_rate=0.01)
    >>> sorted(adapter.base)
    ['1.bias', '1.weight']
    """
    if not max_clean_drop >= 0:
        raise ValueError(f"max_clean_drop must be at least 0, got {max_clean_drop}")
    files = StoredFiles(preset, qualities, mode)
    task = Task(
        network, images, files, loss, labels, clean_weight, batch_size, seed, feature_weight
    )
    if epochs is None:
        epochs = -(-_STEPS // -(-len(task.training) // batch_size))
    base, adapted = trained_weights(
        task,
        train,
        epochs=epochs,
        learning_rate=learning_rate,
        checkpoint=checkpoint,
        progress=progress,
    )
    facts = {
        "files": files.name,
        "images": len(images),
        "trained_on": len(task.training),
        "loss": task.loss_name,
        "feature_weight": feature_weight if task.scores_classes else 0,
        "epochs": 1 if train == "statistics" else epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "clean_weight": clean_weight,
        "max_clean_drop": max_clean_drop,
        "seed": seed,
        "softjpeg": version("softjpeg"),
    }
    adapter = Adapter(
        train,
        {name: weight.cpu() for name, weight in base.items()},
        {name: weight.cpu() for name, weight in adapted.items()},
        weights_fingerprint(task.network),
        _UNKNOWN,
        provenance={**facts, **(provenance or {})},
    )
    adapter, _ = judged(adapter, task, max_clean_drop, progress)
    return adapter
