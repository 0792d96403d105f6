"""Many images to .jpg files: every broken one is reported, the others are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.codec.image import Mode
from softjpeg.corpus.engine import threads
from softjpeg.corpus.limits import Limits
from softjpeg.corpus.processes import processes
from softjpeg.corpus.samples import Encoder
from softjpeg.corpus.sources import SourceRules
from softjpeg.corpus.targets import Plan, plan_files
from softjpeg.corpus.watch import Watching
from softjpeg.corpus.writing import Bookkeeping, EncodeSummary, write_files, written_alone
from softjpeg.presets.preset import Preset

FILE_LIMITS = Limits(pixels=178_956_970, bytes=1 << 30)
"""Of images in folders: as many pixels as Pillow decodes."""


def encode_files(
    source: Path,
    preset: Preset | AdaptiveQuality | ByteLimit,
    out: Path,
    *,
    mode: Mode = "hard",
    seed: int = 0,
    manifest: bool = False,
    rules: SourceRules | None = None,
    limits: Limits = FILE_LIMITS,
    seconds: float | None = None,
    keep_smaller: bool = False,
    requantize: bool = False,
    retry: str = "",
    verify: bool = False,
    list_files: bool = False,
    watching: Watching | None = None,
    jobs: int = 1,
    **options: Any,
) -> EncodeSummary:
    """Write every image of a folder or list as a .jpg of the same relative name.

    Folders are listed while others are encoded; no more than one of them is in memory.

    Args:
        source: a folder, an image, or a text file listing images.
        preset: tables, subsampling and hardness, for all images or for each; or a limit of bytes.
        out: folder for the files, made when it is missing.
        mode: "hard", "probabilistic" or "rdo".
        seed: an image's draws depend on it and on the image's name alone, so a second run writes
            the same bytes.
        manifest: keep a manifest in each folder written to, and leave alone what it says is done.
        rules: what of the source is read, and how.
        limits: what an image may ask for, but for seconds.
        seconds: for an image; then each is encoded in a process, which ends after them.
        keep_smaller, requantize: as in `Encoder`.
        retry, verify, list_files, watching: as in `Bookkeeping`.
        jobs: images at a time; the files do not depend on it.
        options: of `softjpeg.encode`, passed on.

    Raises:
        ValueError: no images, one that would be written over an input, or another process writes
            to `out`.
        KeyboardInterrupt: its words say what is kept.
    """
    if seconds is not None:
        limits = replace(limits, seconds=seconds)
    rules = rules or SourceRules()
    encoder = Encoder(preset, mode, seed, rules, limits, options, keep_smaller, requantize)
    # Options that no image can be encoded with are refused before anything is written.
    encoder.encoded(Image.new("L", (8, 8)), seed)
    settings = encoder.settings if manifest else None
    plans = begun(plan_files(source, out, rules))
    engine = threads(encoder, jobs) if seconds is None else processes(encoder, jobs)
    with engine as run, written_alone(out):
        books = Bookkeeping(settings, retry, verify, list_files, watching or Watching())
        return write_files(plans, out, run, books)


def begun(plans: Iterator[Plan]) -> Iterable[Plan]:
    """The same plans, up to the first image found: that there is none is known before anything."""
    first = []
    for plan in plans:
        first.append(plan)
        if plan.inputs:
            break
    return chain(first, plans)
