"""Many images to .jpg files: every broken one is reported, the others are written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.image import Mode, encode
from softjpeg.corpus.manifest import Manifest, sha256
from softjpeg.corpus.sources import SourceRules
from softjpeg.corpus.targets import Job, plan_files
from softjpeg.corpus.writing import EncodeSummary, FileAndFacts, write_files, written_alone
from softjpeg.presets.preset import Preset

IMAGE_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)
"""What one image may fail with; PyTorch says with a RuntimeError that memory is short."""


def encode_files(
    source: Path,
    preset: Preset | AdaptiveQuality,
    out: Path,
    *,
    mode: Mode = "hard",
    seed: int = 0,
    manifest: bool = False,
    rules: SourceRules | None = None,
    jobs: int = 1,
    progress: bool = False,
    **options: Any,
) -> EncodeSummary:
    """Write every image of a folder or list as a .jpg of the same relative name.

    Args:
        source: a folder, an image, or a text file listing images.
        preset: tables, subsampling and hardness, for all images or for each.
        out: folder for the files, made when it is missing.
        mode: "hard", "probabilistic" or "rdo".
        seed: an image's draws depend on it and on the image's name alone, so a second run writes
            the same bytes.
        manifest: keep a manifest in `out`, and leave alone what it says is done already.
        rules: what of the source is read, and how.
        jobs: images at a time; the files do not depend on it.
        progress: show a progress bar on a terminal.
        options: of `softjpeg.encode`, passed on.

    Raises:
        ValueError: no images, one that would be written over an input, or another process writes
            to `out`.
        KeyboardInterrupt: its words say what is kept.
    """
    rules = rules or SourceRules()
    # Options that no image can be encoded with are refused before anything is written.
    encode(Image.new("L", (8, 8)), preset, mode, seed=seed, **options)
    settings = {"preset": preset_sha256(preset), "mode": mode, "seed": seed, **options}

    def encoded(job: Job) -> FileAndFacts | Exception:
        try:
            number = image_seed(seed, job.name)
            image, remarks = rules.read(job.path)
            data = encode(image, preset, mode, seed=number, **options)
        except IMAGE_ERRORS as error:
            return error
        return data, {"seed": number, **remarked(remarks)}

    plan = plan_files(source, out, rules)
    with pool_of(jobs) as pool, written_alone(out), rules.applied():
        return write_files(
            plan,
            lambda todo, batch: pool.map(encoded, todo),
            Manifest(out, settings | rules.settings, plan.left_out) if manifest else None,
            progress=progress,
        )


def image_seed(seed: int, name: str) -> int:
    """The same for an image in every run, whichever images are beside it."""
    # Names need not be UTF-8.
    key = f"{seed}/{name}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.sha256(key).digest()[:7], "big")


def preset_sha256(preset: Preset | AdaptiveQuality) -> str:
    """The digest of a preset's JSON."""
    return sha256(preset.to_json().encode())


@contextmanager
def pool_of(jobs: int) -> Iterator[Executor]:
    """Threads for so many jobs; ValueError unless there is at least one."""
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def remarked(remarks: Sequence[str]) -> dict[str, Any]:
    """What a manifest says of them: nothing where there are none."""
    return {"remarks": list(remarks)} if remarks else {}
