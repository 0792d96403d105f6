"""Read and rewrite JPEGs that others made: a table of what came of each, for docs/trust.md.

    cd tests && python -m fuzz.corpora FOLDER [FOLDER ...]

Each file is tried in a process of its own, which a fault would end alone. Its coefficients are
compared with jpeglib's (libjpeg-turbo), and a file rewritten from them with what Pillow shows of
the original. A refusal is fair where Pillow refuses or warns, or the process is none that softjpeg
reads (docs/trust.md); "refused, Pillow reads it" lists the sentences of the others.
"""

from __future__ import annotations

import collections
import io
import multiprocessing
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

import jpeglib
import numpy as np
from PIL import Image, ImageFile

from softjpeg import decode, read_coefficients, recode, write_coefficients

SAME, REFUSED, STRICT, WRONG = "read", "refused by both", "refused, Pillow reads it", "WRONG"
_LIMIT = 60.0
"""Seconds for a file."""


def main() -> None:
    print("| corpus | files | same coefficients and pixels | refused by both | refused, "
          "Pillow reads it | wrong |\n|---|---|---|---|---|---|")  # fmt: skip
    sentences: collections.Counter[str] = collections.Counter()
    wrong = []
    for folder in map(Path, sys.argv[1:]):
        files = sorted(path for path in folder.rglob("*") if is_jpeg(path))
        with multiprocessing.get_context("forkserver").Pool(2, maxtasksperchild=200) as pool:
            tried = [(path, pool.apply_async(outcome, (path,))) for path in files]
            found = [(path, got(result)) for path, result in tried]
        counts = collections.Counter(kind for _, (kind, _) in found)
        numbers = " | ".join(str(counts[kind]) for kind in (SAME, REFUSED, STRICT, WRONG))
        print(f"| {folder.name} | {len(files)} | {numbers} |", flush=True)
        sentences.update(re.sub(r"\d+", "N", word) for _, (kind, word) in found if kind == STRICT)
        wrong += [(path, word) for path, (kind, word) in found if kind == WRONG]
    print("\nRefused though Pillow reads them without a warning:\n")
    for sentence, count in sentences.most_common():
        print(f"* {count}: {sentence}")
    for path, word in wrong:
        print(f"WRONG {path}: {word}")
    sys.exit(bool(wrong))


def is_jpeg(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(3) == b"\xff\xd8\xff"


def got(result: multiprocessing.pool.AsyncResult) -> tuple[str, str]:
    try:
        return result.get(_LIMIT)
    except multiprocessing.TimeoutError:
        return WRONG, f"took more than {_LIMIT:g} s, or its process died"
    except Exception as error:
        return WRONG, f"undocumented {type(error).__name__}: {error}"


def outcome(path: Path) -> tuple[str, str]:
    data = path.read_bytes()
    shown = by_pillow(data)
    # Colour spaces that `read_coefficients` refuses by name are recoded all the same.
    try:
        again = recode(data)
    except ValueError as error:
        return (REFUSED if shown is None else STRICT), str(error)
    if shown is None:
        return REFUSED, "Pillow"
    if not same(shown, by_pillow(again)):
        return WRONG, "recode shows other pixels"
    try:
        read = read_coefficients(data)
    except ValueError as error:
        return SAME, f"recoded only: {error}"
    theirs = by_jpeglib(data)
    ours = [np.asarray(plane) for plane in read.components]
    if theirs is not None and not all(map(equal, ours, theirs)):
        return WRONG, "other coefficients than jpeglib's"
    written = write_coefficients(
        read.components, read.tables, size=read.size, subsampling=read.subsampling
    )
    if not same(shown, by_pillow(written)):
        return WRONG, "a rewritten file shows other pixels"
    if shown.mode == "RGB" and not np.array_equal(
        decode(written).permute(1, 2, 0), np.asarray(shown)
    ):
        return WRONG, "decode shows other pixels"
    return SAME, ""


def by_pillow(data: bytes) -> Image.Image | None:
    """What Pillow shows; None where it refuses or libjpeg warns."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Silenced() as said:
                image = Image.open(io.BytesIO(data), formats=["JPEG"])
                image.load()
            return None if said() else image
        except Exception:
            return None


class Silenced:
    """What libjpeg writes to stderr, kept."""

    def __enter__(self):
        self.file, self.kept = tempfile.TemporaryFile(), os.dup(2)
        os.dup2(self.file.fileno(), 2)
        return lambda: self.text

    def __exit__(self, *_):
        os.dup2(self.kept, 2)
        os.close(self.kept)
        self.file.seek(0)
        self.text = self.file.read()
        self.file.close()


def by_jpeglib(data: bytes) -> list[np.ndarray] | None:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file, Silenced():
        file.write(data)
        file.flush()
        # Planes are read when they are asked for.
        try:
            with jpeglib.version("turbo210"):
                found = jpeglib.read_dct(file.name)
                return [plane for plane in (found.Y, found.Cb, found.Cr) if plane is not None]
        except Exception:
            return None


def equal(ours: np.ndarray, theirs: np.ndarray) -> bool:
    # Ours are whole MCUs; jpeglib leaves out blocks that only pad.
    rows, columns = theirs.shape[:2]
    return np.array_equal(
        ours[:rows, :columns].reshape(rows, columns, 64), theirs.reshape(rows, columns, 64)
    )


def same(first: Image.Image, second: Image.Image | None) -> bool:
    return (
        second is not None
        and (first.mode, first.size) == (second.mode, second.size)
        and np.array_equal(np.asarray(first), np.asarray(second))
    )


if __name__ == "__main__":
    main()
