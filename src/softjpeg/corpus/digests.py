"""What identifies data, presets, versions and an image's own draws, in every run alike."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import IO

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.presets.preset import Preset


def sha256(data: bytes) -> str:
    """The digest in hexadecimal.

    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """The digest of what is in a file, read piece by piece."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def written_sha256(file: IO[bytes]) -> tuple[int, str]:
    """Bytes and digest of what was written to a file that is open, at its end, also for reading."""
    file.flush()
    handle, digest, size = file.fileno(), hashlib.sha256(), 0
    os.lseek(handle, 0, os.SEEK_SET)
    while piece := os.read(handle, 1 << 20):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def preset_sha256(preset: Preset | AdaptiveQuality | ByteLimit) -> str:
    """The digest of a preset's JSON."""
    return sha256(preset.to_json().encode())


def image_seed(seed: int, name: str) -> int:
    """The same for an image in every run, whichever images are beside it."""
    # Names need not be UTF-8.
    key = f"{seed}/{name}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.sha256(key).digest()[:7], "big")


def versions() -> dict[str, str]:
    """Of the packages that decide a file's bytes."""
    return {package: version(package) for package in ("softjpeg", "torch", "numpy", "Pillow")}
