"""Writing files, per core: megapixels a second of each mode, and coefficients against jpeglib.

Everything runs on one thread. Pillow (libjpeg-turbo, its own integer DCT) takes the same tables.
simplejpeg takes none and does not optimize: its row is the pace of libjpeg-turbo's plain path at
the same quality. `rdo` decides by the trellis, with the sensitivities of the ladder for
EfficientNet-Lite0. jpeglib writes files alone, here in memory, with standard Huffman tables; one
row of ours writes the same scans.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.speed.pure import pure
from benchmarks.speed.subject import MissingError, Options, Result, gather, goal, threads
from benchmarks.speed.timing import Step, Times, quartiles, ratio, rows, take_turns
from softjpeg import Preset, encode, load_preset, read_coefficients, write_coefficients
from softjpeg.jpeg.reader import JPEGCoefficients
from softjpeg.jpeg.table_formats import to_pillow

PILLOW, HARD = "Pillow, Huffman optimized", "softjpeg hard"
PROBABILISTIC, RDO = "softjpeg probabilistic", "softjpeg rdo"
OURS, JPEGLIB = "softjpeg write_coefficients", "jpeglib, standard Huffman tables, to a file"
OURS_FILE = f"{OURS}, standard Huffman tables, to a file"
OURS_READ, JPEGLIB_READ = "softjpeg read_coefficients", "jpeglib read_dct"
LADDER = Path(__file__).parents[2] / "docs" / "results" / "j4d-imagenet.ladder.json"
QUALITY = 75
_SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


def pictures(quick: bool) -> tuple[list[Image.Image], str]:
    """scikit-image's five photos, or where it is not installed a made-up one; and which."""
    if quick:
        return [made_up(64)], "A made-up picture"
    try:
        from softjpeg.cli.demo_photos import find_photos

        found = [Image.open(photo.path).convert("RGB") for photo in find_photos()[-5:]]
    except ModuleNotFoundError:
        return [made_up(1024)], "A made-up picture (scikit-image is not installed)"
    return found, "Five photos of scikit-image"


def made_up(size: int) -> Image.Image:
    """Smooth shapes with a little noise."""
    y, x = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(9 * x * (c + 1)) + np.cos(7 * y) for c in range(3)], axis=-1)
    noise = np.random.default_rng(0).normal(size=(size, size, 3))
    return Image.fromarray((128 + 50 * waves + 4 * noise).clip(0, 255).astype(np.uint8))


def over(work: Callable[[Any], object], items: list[Any]) -> Step:
    """A step that does something with each item."""

    def step() -> None:
        for item in items:
            work(item)

    return step


def with_trellis(preset: Preset) -> Preset:
    """A preset whose bits are worth about what its steps say, ``λ = 0.06·s·q²``.

    The ladder's own λ is 0: for its network nothing beat rounding, which asks no trellis.
    """
    model = preset.distortion
    assert model is not None
    worth = float(np.median(model.sensitivity[0] * np.square(preset.luma)))
    return replace(preset, distortion=replace(model, rate_weight=0.06 * worth))


def encoders(images: list[Image.Image]) -> dict[str, Callable[[], Step]]:
    """By name, what writes all images; a peer that is not installed raises."""
    preset = Preset.from_quality(QUALITY)
    drawn = load_preset("universal", QUALITY)

    def rdo() -> Step:
        if not LADDER.is_file():
            raise MissingError(f"no {LADDER.name}")
        decided = with_trellis(load_preset(LADDER, QUALITY))
        return over(lambda image: encode(image, decided, "rdo"), images)

    def probabilistic() -> Step:
        return over(lambda image: encode(image, drawn, "probabilistic", seed=0), images)

    def simplejpeg() -> Step:
        from simplejpeg import encode_jpeg

        arrays = [np.ascontiguousarray(image) for image in images]
        return over(lambda array: encode_jpeg(array, QUALITY, "RGB", "420", fastdct=False), arrays)

    return {
        HARD: lambda: over(lambda image: encode(image, preset), images),
        PROBABILISTIC: probabilistic,
        RDO: rdo,
        f"{PROBABILISTIC}, pure functions": lambda: pure(probabilistic()),
        f"{RDO}, pure functions": lambda: pure(rdo()),
        PILLOW: lambda: over(partial(pillow, preset=preset, optimize=True), images),
        "Pillow, standard Huffman tables": lambda: over(
            partial(pillow, preset=preset, optimize=False), images
        ),
        "simplejpeg, standard Huffman tables": simplejpeg,
    }


def pillow(image: Image.Image, preset: Preset, optimize: bool) -> bytes:
    """Pillow's own file with a preset's tables."""
    file = io.BytesIO()
    tables = to_pillow(preset.luma, preset.chroma)
    sampling = _SUBSAMPLING[preset.subsampling]
    image.save(file, "JPEG", qtables=tables, subsampling=sampling, optimize=optimize)
    return file.getvalue()


def coefficient_files(
    images: list[Image.Image], folder: Path
) -> tuple[dict[str, Callable[[], Step]], dict[str, Callable[[], Step]]]:
    """Writers and readers of coefficients; jpeglib knows files alone."""
    preset = Preset.from_quality(QUALITY)
    items = [read_coefficients(pillow(image, preset, True)) for image in images]
    paths = [folder / f"{index}.jpg" for index in range(len(items))]
    tables = (preset.luma, preset.chroma)

    def write(item: JPEGCoefficients, optimize: bool = True) -> bytes:
        sampled = {"size": item.size, "subsampling": item.subsampling}
        return write_coefficients(item.components, tables, optimize=optimize, **sampled)

    def write_file(pair: tuple[JPEGCoefficients, Path]) -> None:
        pair[1].write_bytes(write(pair[0], optimize=False))

    def theirs() -> Step:
        import jpeglib

        qt = np.stack([np.array(t, np.uint16).reshape(8, 8) for t in tables])
        frames = [
            jpeglib.from_dct(*(np.array(c, np.int16) for c in item.components), qt=qt)
            for item in items
        ]
        return over(
            lambda pair: pair[0].write_dct(str(pair[1])), list(zip(frames, paths, strict=True))
        )

    def reader() -> Step:
        import jpeglib

        def read(path: Path) -> object:
            # It reads when asked for a component.
            return jpeglib.read_dct(str(path)).Y

        return over(read, paths)

    writers = {
        OURS: lambda: over(write, items),
        f"{OURS}, pure functions": lambda: pure(over(write, items)),
        OURS_FILE: lambda: over(write_file, list(zip(items, paths, strict=True))),
        JPEGLIB: theirs,
    }
    readers = {OURS_READ: lambda: over(read_coefficients, paths), JPEGLIB_READ: reader}
    return writers, readers


def run(options: Options) -> Result:
    """Measure."""
    images, what = pictures(options.quick)
    megapixels = sum(image.width * image.height for image in images) / 1e6
    tables, times = [], {}
    # A disk would be measured instead.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with threads(1), tempfile.TemporaryDirectory(dir=memory) as name:
        writers, readers = coefficient_files(images, Path(name))
        for title, reference, builders in (
            ("Images to files", PILLOW, encoders(images)),
            ("Coefficients to files", JPEGLIB, writers),
            ("Files to coefficients", JPEGLIB_READ, readers),
        ):
            found, missing = gather(builders)
            part = take_turns(found, options.rounds(15), limit_s=40)
            times |= part
            base = reference if reference in part else next(iter(part))
            measured = rows(part, base)
            for row in measured:
                row["megapixels_s"] = pace(part, row["name"], megapixels)
            tables.append({"title": title, "reference": base, "rows": measured + missing})

    def against(name: str, base: str) -> list[float] | None:
        return ratio(times, base, name) if {name, base} <= set(times) else None

    def speed(name: str) -> list[float] | None:
        return pace(times, name, megapixels) if name in times else None

    same = "write_coefficients: times jpeglib's throughput,"
    return {
        "setting": f"{what}, {megapixels:.2f} megapixels, 4:2:0, quality {QUALITY}, one thread",
        "tables": tables,
        "goals": [
            goal(5, "hard: times Pillow's throughput", ">=", 0.9, against(HARD, PILLOW)),
            goal(5, "probabilistic: megapixels/s", ">=", 20, speed(PROBABILISTIC)),
            goal(5, "rdo: megapixels/s", ">=", 5, speed(RDO)),
            goal(5, f"{same} the same scans", ">=", 5, against(OURS_FILE, JPEGLIB)),
            goal(5, f"{same} optimized bytes", ">=", 5, against(OURS, JPEGLIB)),
        ],
    }


def pace(times: Times, name: str, megapixels: float) -> list[float]:
    """Quartiles of megapixels a second."""
    return quartiles([megapixels / wall for wall, _ in times[name]])
