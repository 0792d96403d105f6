"""Rate and accuracy of presets and of default JPEG: real files, written and decoded by Pillow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.image import Mode
from softjpeg.common.image_sequence import Images
from softjpeg.evaluation.encoders import QUALITIES, Encoder, default_jpeg, preset_encoder
from softjpeg.evaluation.judging import judge
from softjpeg.evaluation.points import RatePoint
from softjpeg.jpeg.subsampling import SubsamplingOrGray
from softjpeg.presets.preset import Preset


def evaluate(
    model: nn.Module | Mapping[str, nn.Module],
    images: Images,
    presets: Mapping[str, Preset | Mapping[str, Preset | AdaptiveQuality]],
    *,
    labels: Tensor | None = None,
    qualities: Sequence[int] = QUALITIES,
    subsampling: SubsamplingOrGray | Sequence[SubsamplingOrGray] = "4:2:0",
    mode: Mode = "hard",
    encoders: Mapping[str, Mapping[str, Encoder]] | None = None,
    change: Callable[[Mapping[str, Encoder]], Mapping[str, Encoder]] | None = None,
    ssim: bool = False,
    failed: Callable[[str, Exception], None] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
) -> list[RatePoint]:
    """Encode, decode and classify every image at every preset, and at default JPEG qualities.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes), put in eval mode; or several
            by name, which read the same files.
        images: uint8, (N, 3, H, W) or several (3, H, W) of any sizes.
        presets: by name; they make up the curve "learned". A mapping of presets is a curve of its
            own name.
        labels: (N,) class indices; without them `top1` is None.
        qualities: of the default JPEG beside them (Annex K tables, optimized Huffman).
        subsampling: of default JPEG, one or several of "4:4:4", "4:2:2", "4:2:0" and "gray"; a
            preset has its own.
        mode: of the presets' encoder: "hard", "probabilistic" or "rdo".
        encoders: of more curves: by the curve's name, then by their own.
        change: of all encoders, by name: `softjpeg.evaluation.encoders.each_recoded` for example.
        ssim: measure what files cost the eye, too: structural similarity of what they show.
        failed: called with an encoder's name and error where it fails, which is then left out; by
            default it raises.
        seed: of "probabilistic"; an image's draws depend on it and on its pixels alone.
        batch_size: images per forward pass.
        progress: show a progress bar on a terminal.

    Returns:
        For each network "uncompressed" first, then the presets in their order, the qualities in
        theirs, and the encoders.

    Raises:
        ValueError: images or labels of the wrong shape or type, or an encoder that fails.

    >>> import torch
    >>> images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> points = evaluate(network, images, {"mine": Preset.from_quality(30)}, qualities=[50])
    >>> [(p.name, p.curve) for p in points]
    [('uncompressed', ''), ('mine', 'learned'), ('default q 50', 'default 4:2:0')]
    """
    run: dict[str, Encoder] = {}
    place: dict[str, tuple[str, str]] = {"uncompressed": ("none", "")}

    def add(name: str, kind: str, curve: str, encoder: Encoder) -> None:
        if name in place:
            raise ValueError(f"encoders must have names of their own, got {name!r} twice")
        run[name], place[name] = encoder, (kind, curve)

    for name, preset in presets.items():
        curve = {name: preset} if isinstance(preset, Preset) else preset
        for label, each in curve.items():
            title = "learned" if isinstance(preset, Preset) else name
            add(label, mode, title, preset_encoder(each, mode, seed))
    samplings = [subsampling] if isinstance(subsampling, str) else list(subsampling)
    for sampling in samplings:
        title = "default" if len(samplings) == 1 else f"default {sampling}"
        for quality, encoder in default_jpeg(qualities, sampling).items():
            add(f"{title} q {quality}", "default", f"default {sampling}", encoder)
    for title, others in (encoders or {}).items():
        for name, encoder in others.items():
            add(name, "other", title, encoder)
    points = judge(
        model,
        images,
        run if change is None else change(run),
        labels,
        batch_size=batch_size,
        ssim=ssim,
        failed=failed,
        progress=progress,
    )
    return [replace(p, mode=place[p.name][0], curve=place[p.name][1]) for p in points]
