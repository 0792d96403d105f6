"""One JPEG quality for all images, and all qualities for one image (JPEG-DL, sec. 1).

Real files, written and decoded by Pillow (libjpeg-turbo).
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from softjpeg.common.files import write_atomically
from softjpeg.common.image_planes import picture_of
from softjpeg.common.image_set import from_image
from softjpeg.common.progress import track
from softjpeg.common.torch_modes import usual_modes
from softjpeg.jpeg.subsampling import Subsampling, luma_factors
from softjpeg.models.fidelity import check_scores
from softjpeg.models.inference import check_inputs, check_labels, outputs_of


@dataclass(frozen=True, eq=False)
class QualitySweep:
    """What a network says of N images at Q qualities.

    Attributes:
        qualities: (Q,) ascending.
        subsampling: of the files.
        ranks: (N, Q) int64, the true label's among the classes; 1 is the network's answer.
        probabilities: (N, Q) float32, the true label's.
        sizes: (N, Q) int64, bytes of the files.
        original_ranks, original_probabilities: (N,), of the images as they were given.
    """

    qualities: tuple[int, ...]
    subsampling: Subsampling
    ranks: Tensor
    probabilities: Tensor
    sizes: Tensor
    original_ranks: Tensor
    original_probabilities: Tensor

    def top1(self) -> Tensor:
        """(Q,) share of images that the network gets right when one quality serves them all."""
        return (self.ranks == 1).double().mean(0)

    def original_top1(self) -> float:
        """Share of the images as they were given that the network gets right."""
        return (self.original_ranks == 1).double().mean().item()

    def best_top1(self) -> float:
        """Share of images that some quality gets right: every image has its own best one."""
        return (self.ranks == 1).any(1).double().mean().item()

    def better(self, below: int = 100) -> Tensor:
        """(N,) bool: some quality < `below` ranks the true label higher than the image as it was.

        One of many tries is better by chance too: see `worse` beside it.
        """
        return (self._below(below) < self.original_ranks[:, None]).any(1)

    def worse(self, below: int = 100) -> Tensor:
        """(N,) bool: some quality < `below` ranks the true label lower than the image as it was."""
        return (self._below(below) > self.original_ranks[:, None]).any(1)

    def best_quality(self, image: int) -> int:
        """The quality that ranks an image's true label highest; of several, the most probable."""
        ranks, probabilities = self.ranks[image], self.probabilities[image]
        return self.qualities[int((probabilities - ranks).argmax())]

    def gain(self) -> Tensor:
        """(N,) how many times higher than as it was the best quality ranks the true label."""
        return self.original_ranks.double() / self.ranks.amin(1).double()

    def _below(self, quality: int) -> Tensor:
        return self.ranks[:, [q < quality for q in self.qualities]]


@usual_modes()
def sweep_qualities(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    qualities: Sequence[int] = range(1, 101),
    subsampling: Subsampling = "4:2:0",
    batch_size: int = 32,
    progress: bool = False,
) -> QualitySweep:
    """Write every image at every quality, and ask the network for its true label.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes); put in eval mode.
        images: (N, 3, H, W) uint8.
        labels: (N,) class indices.
        qualities: of default JPEG, 1..100.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        batch_size: images per forward pass.
        progress: show a progress bar on a terminal.

    Raises:
        ValueError: images, labels or qualities of the wrong shape, type or range.

    >>> images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> sweep = sweep_qualities(network, images, torch.tensor([0, 3]), qualities=[10, 50, 90])
    >>> tuple(sweep.ranks.shape), bool((sweep.ranks >= 1).all())
    ((2, 3), True)
    """
    check_inputs(images, labels, batch_size)
    wrong = [q for q in qualities if int(q) != q or not 1 <= q <= 100]
    if wrong or not len(qualities):
        shown = wrong[0] if wrong else "none"
        raise ValueError(f"qualities must be integers from 1 to 100, got {shown}")
    luma_factors(subsampling)
    model.eval()
    labels = labels.cpu().long()
    original = outputs_of(model, images, batch_size)
    check_scores(original, "qualities", "give a network that has them")
    check_labels(labels, original)
    if (labels < 0).any():
        raise ValueError(f"labels must be at least 0, got {int(labels.min())}")
    ascending = tuple(sorted({int(q) for q in qualities}))
    ranks, probabilities, sizes = [], [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for quality in track(ascending, "qualities", enabled=progress):
            files = list(pool.map(lambda x, q=quality: through_jpeg(x, q, subsampling), images))
            logits = outputs_of(model, torch.stack([pixels for pixels, _ in files]), batch_size)
            ranks.append(_rank(logits, labels))
            probabilities.append(_probability(logits, labels))
            sizes.append(torch.tensor([size for _, size in files]))
    return QualitySweep(
        qualities=ascending,
        subsampling=subsampling,
        ranks=torch.stack(ranks, 1),
        probabilities=torch.stack(probabilities, 1),
        sizes=torch.stack(sizes, 1),
        original_ranks=_rank(original, labels),
        original_probabilities=_probability(original, labels),
    )


def through_jpeg(image: Tensor, quality: int, subsampling: Subsampling) -> tuple[Tensor, int]:
    """The pixels of a default JPEG file of an image, and the file's bytes.

    Args:
        image: (3, H, W) uint8.
        quality: 1..100.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".

    Returns:
        (3, H, W) uint8 as Pillow decodes them, and the size in bytes.

    >>> pixels, size = through_jpeg(torch.zeros(3, 8, 8, dtype=torch.uint8), 90, "4:2:0")
    >>> tuple(pixels.shape), 100 < size < 1000
    ((3, 8, 8), True)
    """
    buffer = io.BytesIO()
    picture_of(image).save(buffer, "jpeg", quality=quality, subsampling=subsampling, optimize=True)
    with Image.open(buffer) as decoded:
        return from_image(decoded), buffer.getbuffer().nbytes


def save_json(
    sweep: QualitySweep, path: str | os.PathLike[str], provenance: Mapping[str, Any]
) -> None:
    """Write the sweep as JSON, all of it or none.

    Args:
        sweep: of `sweep_qualities`.
        path: of the file.
        provenance: where it comes from, anything JSON can hold.
    """
    fields = {
        name: value.tolist() if isinstance(value, Tensor) else value
        for name, value in vars(sweep).items()
    }
    body = {"provenance": dict(provenance), "sweep": fields}
    write_atomically(path, (json.dumps(body) + "\n").encode())


def _rank(logits: Tensor, labels: Tensor) -> Tensor:
    of_label = logits.gather(1, labels[:, None])
    return 1 + (logits > of_label).sum(1)


def _probability(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.float().softmax(1).gather(1, labels[:, None])[:, 0]
