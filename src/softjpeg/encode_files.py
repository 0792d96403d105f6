"""Many images to .jpg files: every broken one is reported, the others are written."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from softjpeg.codec import encode
from softjpeg.files import write_atomically
from softjpeg.images import find_images, read_image, relative_name
from softjpeg.preset import Preset
from softjpeg.progress import track


@dataclass
class EncodeSummary:
    """What became of the images.

    Attributes:
        written: how many files were written.
        bytes_in, bytes_out: of the images that were, before and after.
        failures: the others, each with its error.
    """

    written: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    failures: list[tuple[Path, Exception]] = field(default_factory=list)


def encode_files(
    source: Path,
    preset: Preset,
    out: Path,
    *,
    mode: str = "hard",
    seed: int = 0,
    progress: bool = False,
) -> EncodeSummary:
    """Write every image of a folder or list as a .jpg of the same relative name.

    Args:
        source: a folder, an image, or a text file listing images.
        preset: tables, subsampling and hardness.
        out: folder for the files, made when it is missing.
        mode: "hard" or "probabilistic".
        seed: of "probabilistic"; an image's draws depend on it and on the image's name alone, so a
            second run writes the same bytes.
        progress: show a progress bar on a terminal.

    Raises:
        ValueError: no images, or two that would be written to one file or over an input.
    """
    summary = EncodeSummary()
    targets = output_files(source, out)
    for target, (path, name) in track(
        targets.items(), "encoding", total=len(targets), enabled=progress
    ):
        try:
            data = encode(read_image(path), preset, mode, seed=_image_seed(seed, name))
        except (ValueError, OSError) as error:
            summary.failures.append((path, error))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, data)
        summary.written += 1
        summary.bytes_in += path.stat().st_size
        summary.bytes_out += len(data)
    return summary


def output_files(source: Path, out: Path) -> dict[Path, tuple[Path, str]]:
    """The output file of each image, with the image and its name."""
    here, there = Path(os.path.abspath(source)), Path(os.path.abspath(out))
    paths = [Path(os.path.abspath(path)) for path in find_images(source)]
    if here != there and there.is_relative_to(here):
        # What an earlier run wrote is not to be encoded again.
        paths = [path for path in paths if not path.is_relative_to(there)]
    inputs = set(paths)
    targets: dict[Path, tuple[Path, str]] = {}
    for path in paths:
        name = relative_name(path, source)
        target = there / Path(name).with_suffix(".jpg")
        if target in targets:
            raise ValueError(f"{targets[target][0]} and {path} would both be written to {target}")
        if target in inputs:
            raise ValueError(
                f"{path} would be written over the image {target}: choose another --out"
            )
        targets[target] = path, name
    return targets


def _image_seed(seed: int, name: str) -> int:
    """The same for an image in every run, whichever images are beside it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big")
