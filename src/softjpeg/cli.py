"""The command line; torch is imported by the commands that need it, not by ``--help``."""

from __future__ import annotations

import os
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from softjpeg.images import ImageSet
    from softjpeg.networks import Network
    from softjpeg.preset import Preset


class _Commands(TyperGroup):
    """Turns the errors a user can cause into one sentence, here and nowhere else."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except (ValueError, OSError, ImportError) as error:
            typer.echo(f"softjpeg: {_sentence(error)}", err=True)
            raise typer.Exit(2) from error


class Subsampling(str, Enum):
    """Resolution of chroma."""

    s444 = "4:4:4"
    s422 = "4:2:2"
    s420 = "4:2:0"


class Mode(str, Enum):
    """How coefficients become integers."""

    hard = "hard"
    probabilistic = "probabilistic"


class Form(str, Enum):
    """Encoders that tables can be exported for."""

    cjpeg = "cjpeg"
    imagemagick = "imagemagick"
    c = "c"


NetworkName = Annotated[
    str,
    typer.Argument(help="timm:NAME, timm:NAME@CHECKPOINT, FILE.py:FACTORY or efficientnet-lite0."),
]
Images = Annotated[Path, typer.Argument(help="A folder, an image, or a text file listing images.")]
Labels = Annotated[
    str | None, typer.Option(help='CSV with the columns file,label, or "folders" (class folders).')
]
Size = Annotated[int | None, typer.Option(help="Centre crop; default: the network's input size.")]
Resize = Annotated[
    int | None,
    typer.Option(help="Shorter side before the crop; default: the network's, none with --size."),
]
Limit = Annotated[int | None, typer.Option(help="Use a random subset of so many images.")]
BatchSize = Annotated[int, typer.Option(help="Images the network reads at once.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Chroma = Annotated[Subsampling, typer.Option(help="Resolution of chroma.")]
EncoderMode = Annotated[
    Mode, typer.Option(help="Round coefficients, or draw them as the preset's hardness says.")
]

app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Learn JPEG tables for a neural network, and write ordinary .jpg files with them.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import softjpeg

        typer.echo(f"softjpeg {softjpeg.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    # On a busy machine, threads that spin while they wait slow each other down.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it writes.")] = Path("softjpeg-demo"),
    seed: Seed = 0,
) -> None:
    """Learn, encode and evaluate on a few photos, offline, in minutes."""
    from softjpeg.demo import run

    run(out, seed=seed)


@app.command()
def learn(
    network: NetworkName,
    images: Images,
    out: Annotated[Path, typer.Option(help="The preset to write (JSON).")],
    target_bpp: Annotated[float | None, typer.Option(help="Bits per pixel to reach.")] = None,
    rate_weight: Annotated[
        float | None, typer.Option(help="Or: what a bit per pixel is worth, in nats of KL.")
    ] = None,
    subsampling: Chroma = Subsampling.s420,
    labels: Labels = None,
    size: Size = None,
    resize: Resize = None,
    limit: Limit = None,
    rounds: Annotated[int, typer.Option(help="Of measuring and solving; 2 is finer.")] = 1,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to resume from, and to save progress in.")
    ] = None,
) -> None:
    """Learn a preset: the tables at which a network still works and files are small."""
    if (target_bpp is None) == (rate_weight is None):
        raise ValueError("give exactly one of --target-bpp and --rate-weight")
    _check_folder("--out", out)
    if checkpoint is not None:
        _check_folder("--checkpoint", checkpoint)
    import softjpeg

    net, loaded = _load(network, images, labels, size, resize, limit, seed)
    preset = softjpeg.learn(
        net.module,
        loaded.pixels,
        labels=loaded.labels,
        subsampling=subsampling.value,
        rate_weight=rate_weight,
        target_bpp=target_bpp,
        rounds=rounds,
        batch_size=batch_size,
        seed=seed,
        checkpoint=checkpoint,
        progress=True,
        provenance=_provenance(net, images, loaded, seed),
    )
    preset.save(out)
    typer.echo(_verdict(preset))
    typer.echo(f"wrote {out}; see it with: softjpeg inspect {out}")


@app.command()
def encode(
    images: Images,
    preset: Annotated[Path, typer.Option(help="The preset to encode with.")],
    out: Annotated[Path, typer.Option(help="Folder for the .jpg files.")],
    mode: EncoderMode = Mode.hard,
    seed: Seed = 0,
) -> None:
    """Write images as ordinary .jpg files with a preset's tables."""
    from softjpeg.encode_files import encode_files
    from softjpeg.preset import Preset

    tables = Preset.load(preset)
    summary = encode_files(images, tables, out, mode=mode.value, seed=seed, progress=True)
    for path, error in summary.failures:
        text = _sentence(error)
        typer.echo(f"softjpeg: {text if str(path) in text else f'{path}: {text}'}", err=True)
    share = f" ({summary.bytes_out / summary.bytes_in:.1%})" if summary.bytes_in else ""
    typer.echo(
        f"{summary.written} images: {summary.bytes_in:,} bytes in, "
        f"{summary.bytes_out:,} bytes out{share}"
    )
    if failed := len(summary.failures):
        total = summary.written + failed
        typer.echo(f"softjpeg: {failed} of {total} images were not written", err=True)
        raise typer.Exit(1)


@app.command()
def evaluate(
    network: NetworkName,
    images: Images,
    preset: Annotated[
        list[Path] | None, typer.Option(help="A preset to measure; may be repeated.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="Qualities of default JPEG beside it, as 10,20,50.")
    ] = None,
    subsampling: Chroma = Subsampling.s420,
    mode: EncoderMode = Mode.hard,
    labels: Labels = None,
    size: Size = None,
    resize: Resize = None,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    json: Annotated[Path | None, typer.Option(help="File for the numbers.")] = None,
) -> None:
    """Measure bytes and the network's answers on real files: presets beside default JPEG."""
    if json is not None:
        _check_folder("--json", json)
    qualities = {} if quality is None else {"qualities": _numbers("--quality", quality)}
    from softjpeg.evaluation import evaluate, save_json, table

    presets = _presets(preset or [])
    net, loaded = _load(network, images, labels, size, resize, limit, seed)
    points = evaluate(
        net.module,
        loaded.pixels,
        presets,
        labels=loaded.labels,
        **qualities,
        subsampling=subsampling.value,
        mode=mode.value,
        seed=seed,
        batch_size=batch_size,
        progress=True,
    )
    _show(table(points))
    if json is not None:
        save_json(points, json, _provenance(net, images, loaded, seed))


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A .jpg or a preset.")],
    export: Annotated[
        Form | None, typer.Option(help="Print the tables for another encoder instead.")
    ] = None,
) -> None:
    """Show what is in a .jpg or a preset: tables, quality, bytes by marker."""
    from softjpeg.inspection import describe, export_tables

    if export is not None:
        typer.echo(export_tables(file, export.value), nl=False)
        return
    _show(describe(file))


def _load(
    network: str,
    images: Path,
    labels: str | None,
    size: int | None,
    resize: int | None,
    limit: int | None,
    seed: int,
) -> tuple[Network, ImageSet]:
    import torch

    from softjpeg.images import load_images
    from softjpeg.networks import load_network

    net = load_network(network)
    loaded = load_images(
        images,
        size=net.size if size is None else size,
        resize=net.resize if size is None and resize is None else resize,
        interpolation=net.interpolation,
        labels=labels,
        limit=limit,
        seed=seed,
        progress=True,
    )
    # In this layout CPUs and GPUs convolve faster.
    layout: Any = {"memory_format": torch.channels_last}
    net.module.to("cuda" if torch.cuda.is_available() else "cpu", **layout)
    return net, loaded


def _presets(paths: list[Path]) -> dict[str, Preset]:
    """Presets by their files' stems, or by their paths where stems coincide."""
    from softjpeg.preset import Preset

    stems = Counter(path.stem for path in paths)
    return {p.stem if stems[p.stem] == 1 else str(p): Preset.load(p) for p in paths}


def _provenance(net: Network, images: Path, loaded: ImageSet, seed: int) -> dict[str, Any]:
    import torch

    import softjpeg

    return {
        "network": net.name,
        "images": str(images),
        "count": len(loaded),
        "size": list(loaded.pixels.shape[-2:]),
        "seed": seed,
        "softjpeg": softjpeg.__version__,
        "torch": str(torch.__version__),
    }


def _verdict(preset: Preset) -> str:
    """What learning gained on the judging half of the images, and whether the rate was reached."""
    learned = preset.provenance["learned"]
    judged, kind = learned["judged"], learned["loss_kind"]
    lines = [
        f"judged on half of the images: {kind} {judged['loss']:.4f} at {judged['bpp']:.3f} bpp;"
        f" default tables {judged['default_loss']:.4f} at {judged['default_bpp']:.3f} bpp"
    ]
    if judged["loss"] == judged["default_loss"]:
        lines.append("nothing clearly better than the default tables was found: they are kept")
    target = learned["target_bpp"]
    if target is not None and abs(learned["bpp"] / target - 1) > 0.05:
        lines.append(f"{target} bpp cannot be reached: the nearest is {learned['bpp']:.3f}")
    return "\n".join(lines)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be integers with commas between, got {text!r}") from None


def _check_folder(option: str, file: Path) -> None:
    """Before hours of work, not after."""
    if not file.parent.is_dir():
        raise ValueError(f"{option} {file}: the folder {file.parent} does not exist")
    if file.is_dir():
        raise ValueError(f"{option} {file}: this is a folder, not a file")


def _show(view: Any) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        # A file has no right edge to cut a table off at.
        console.width = max(console.width, 120)
    console.print(view)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
