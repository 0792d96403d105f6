"""Rate and accuracy of presets and of default JPEG: real files, written and decoded by Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from softjpeg.codec import decode, encode, scan_bytes
from softjpeg.evaluation.points import RatePoint
from softjpeg.preset import Preset
from softjpeg.progress import track
from softjpeg.proxy import check_inputs, check_labels, kl_loss, outputs_of

QUALITIES = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)


def evaluate(
    model: nn.Module,
    images: Tensor,
    presets: Mapping[str, Preset],
    *,
    labels: Tensor | None = None,
    qualities: Sequence[int] = QUALITIES,
    subsampling: str = "4:2:0",
    mode: str = "hard",
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
) -> list[RatePoint]:
    """Encode, decode and classify every image at every preset, and at default JPEG qualities.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes); put in eval mode.
        images: (N, 3, H, W) uint8.
        presets: by name.
        labels: (N,) class indices; without them `top1` is None.
        qualities: of the default JPEG beside them (Annex K tables, optimized Huffman).
        subsampling: of default JPEG; a preset has its own.
        mode: of the presets' encoder, "hard" or "probabilistic".
        seed: of "probabilistic"; image i is drawn with seed + i.
        batch_size: images per forward pass.
        progress: show a progress bar on a terminal.

    Returns:
        "uncompressed" first, then the presets in their order, then the qualities in theirs.

    Raises:
        ValueError: images or labels of the wrong shape or type.

    >>> images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> points = evaluate(network, images, {"mine": Preset.from_quality(30)}, qualities=[50])
    >>> [p.name for p in points]
    ['uncompressed', 'mine', 'default q 50']
    """
    check_inputs(images, labels, batch_size)
    model.eval()
    original = outputs_of(model, images, batch_size)
    if labels is not None:
        labels = labels.cpu()
        check_labels(labels, original)
    runs = [(name, mode, preset) for name, preset in presets.items()]
    runs += [(f"default q {q}", "default", Preset.from_quality(q, subsampling)) for q in qualities]
    raw = torch.full((len(images),), images[0].numel())
    points = [_point("uncompressed", "none", "4:4:4", images, raw, raw, original, original, labels)]
    for name, kind, preset in track(runs, "evaluating", enabled=progress):
        how = "hard" if kind == "default" else kind
        decoded, files, scans = recompress(images, preset, how, seed)
        answers = outputs_of(model, decoded, batch_size)
        rates = (images, files, scans)
        points.append(_point(name, kind, preset.subsampling, *rates, original, answers, labels))
    return points


def recompress(
    images: Tensor, preset: Preset, mode: str = "hard", seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Every image through a real file.

    Returns:
        (decoded uint8 (N, 3, H, W), bytes of each file (N,), bytes of each scan (N,)).
    """
    decoded = torch.empty_like(images)
    files, scans = torch.empty(len(images)), torch.empty(len(images))
    for i, image in enumerate(images):
        data = encode(image, preset, mode, seed + i)
        decoded[i], files[i], scans[i] = decode(data), len(data), scan_bytes(data)
    return decoded, files, scans


def _point(
    name: str,
    mode: str,
    subsampling: str,
    images: Tensor,
    files: Tensor,
    scans: Tensor,
    original: Tensor,
    answers: Tensor,
    labels: Tensor | None,
) -> RatePoint:
    pixels = images.shape[-1] * images.shape[-2]
    right = answers.argmax(-1)
    kl = float(kl_loss(answers, original))
    return RatePoint(
        name=name,
        mode=mode,
        subsampling=subsampling,
        bytes_per_file=files.double().mean().item(),
        bpp=8 * files.double().mean().item() / pixels,
        scan_bpp=8 * scans.double().mean().item() / pixels,
        top1=None if labels is None else (right == labels).double().mean().item(),
        agreement=(right == original.argmax(-1)).double().mean().item(),
        # Rounding may leave a KL of 0 a hair below it; NaN stays NaN.
        kl=0.0 if -1e-6 < kl < 0 else kl,
    )
