"""The commands that question networks: attack, qualities, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.app import (
    BatchSize,
    Chroma,
    Labels,
    Limit,
    NetworkName,
    Resize,
    Seed,
    Size,
    Subsampling,
    check_folder,
    commands,
    numbers,
    show,
)
from softjpeg.cli.load import load_inputs, provenance

if TYPE_CHECKING:
    from torch import nn

OwnImages = Annotated[
    Path | None, typer.Argument(help="Labelled images; default: a run's own test images.")
]


@commands.command()
def attack(
    run: Annotated[
        list[str], typer.Argument(help="Training runs of one network, one for each seed.")
    ],
    baseline: Annotated[
        list[str] | None, typer.Option(help="A run without the layer; may be repeated.")
    ] = None,
    eps: Annotated[str, typer.Option(help="Largest changes of a pixel, in levels of 255.")] = (
        "1,2,3,4"
    ),
    attacks: Annotated[str, typer.Option(help="Of fgsm, pgd, bpda, autopgd.")] = "fgsm,pgd,bpda",
    steps: Annotated[int, typer.Option(help="Of pgd and bpda; the paper's: 5.")] = 20,
    restarts: Annotated[int, typer.Option(help="Random starts of pgd and bpda.")] = 1,
    checks: Annotated[
        bool, typer.Option("--checks", help="Check that gradients do not hide the way.")
    ] = False,
    limit: Limit = None,
    batch_size: BatchSize = 64,
    seed: Seed = 0,
    json: Annotated[Path | None, typer.Option(help="File for the numbers.")] = None,
    plot: Annotated[Path | None, typer.Option(help="File for the curves (HTML).")] = None,
) -> None:
    """Attack trained networks through their JPEG layer: accuracy against strength."""
    for option, file in (("--json", json), ("--plot", plot)):
        if file is not None:
            check_folder(option, file)
    from softjpeg.evaluation.robustness.accuracy_under_attack import robustness
    from softjpeg.evaluation.robustness.gradient_masking import masking_checks
    from softjpeg.evaluation.robustness.gradient_masking import table as checks_table
    from softjpeg.evaluation.robustness.points import save_json, table

    net, loaded = load_inputs(run[0], None, None, None, None, limit, seed)
    assert loaded.labels is not None
    groups = {"network": [net.module, *_others(run[1:])]}
    if baseline:
        groups = {"baseline": _others(baseline), **groups}
    points = robustness(
        groups,
        loaded.pixels,
        loaded.labels,
        eps=numbers("--eps", eps),
        attacks=[word.strip() for word in attacks.split(",")],
        steps=steps,
        restarts=restarts,
        batch_size=batch_size,
        seed=seed,
        progress=True,
    )
    title = f"top-1 % of {len(loaded)} images under white-box attack through the layer"
    show(table(points, title))
    found = {}
    if checks:
        for name, models in groups.items():
            reference = groups["baseline"][0] if baseline and name == "network" else None
            found[name] = masking_checks(
                models[0],
                loaded.pixels,
                loaded.labels,
                baseline=reference,
                eps=numbers("--eps", eps)[0],
                batch_size=batch_size,
                seed=seed,
                progress=True,
            )
            show(checks_table(found[name], f"{name}: do gradients show the way?"))
    facts = {**provenance(net, None, loaded, seed), "runs": run, "baselines": baseline or []}
    facts |= {"steps": steps, "restarts": restarts}
    if json is not None:
        save_json(points, json, facts, found)
    if plot is not None:
        from softjpeg.common.files import write_atomically
        from softjpeg.report.robustness_plot import robustness_page

        lines = {
            name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in facts.items()
        }
        write_atomically(plot, robustness_page(points, found, title=title, facts=lines).encode())
        typer.echo(f"wrote {plot}")


@commands.command()
def qualities(
    network: NetworkName,
    out: Annotated[Path, typer.Option(help="The page to write (HTML).")],
    images: OwnImages = None,
    labels: Labels = None,
    quality: Annotated[
        str | None, typer.Option(help="Qualities, as 10,20,50; default: all from 1 to 100.")
    ] = None,
    subsampling: Chroma = Subsampling.s420,
    size: Size = None,
    resize: Resize = None,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    json: Annotated[Path | None, typer.Option(help="File for the numbers.")] = None,
) -> None:
    """One JPEG quality for all images, and all qualities for one image (JPEG-DL's opening)."""
    for option, file in (("--out", out), ("--json", json)):
        if file is not None:
            check_folder(option, file)
    from softjpeg.common.files import write_atomically
    from softjpeg.evaluation.qualities import save_json, sweep_qualities
    from softjpeg.report.quality_page import quality_page

    net, loaded = load_inputs(network, images, labels, size, resize, limit, seed)
    if loaded.labels is None:
        raise ValueError("labels must be given (--labels): a CSV, or folders for class folders")
    sweep = sweep_qualities(
        net.module,
        loaded.pixels,
        loaded.labels,
        qualities=range(1, 101) if quality is None else numbers("--quality", quality),
        subsampling=subsampling.value,
        batch_size=batch_size,
        progress=True,
    )
    facts = provenance(net, images, loaded, seed)
    lines = {name: str(value) for name, value in facts.items()}
    page = quality_page(
        sweep, loaded.pixels, loaded.names, title=f"{network} and JPEG's quality", facts=lines
    )
    write_atomically(out, page.encode())
    if json is not None:
        save_json(sweep, json, facts)
    share = sweep.better().double().mean().item()
    typer.echo(
        f"top-1 {100 * sweep.original_top1():.1f} % on the images as given; best quality of each "
        f"image {100 * sweep.best_top1():.1f} %; some quality ranks the true label higher for "
        f"{100 * share:.1f} % of {len(loaded)} images"
    )
    typer.echo(f"wrote {out}")


@commands.command()
def export(
    run: Annotated[str, typer.Argument(help="A training run.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
) -> None:
    """Write a trained network, its JPEG layer and normalization inside, as ONNX."""
    check_folder("--out", out)
    from softjpeg.cli.load import load_trained
    from softjpeg.nn.export import export_onnx

    trained = load_trained(run)
    size = trained.recipe.data.size
    export_onnx(trained.network, out, (size, size))
    typer.echo(f"wrote {out}: input RGB (batch, 3, {size}, {size}) in [0, 1], output logits")


def _others(paths: list[str]) -> list[nn.Module]:
    import torch

    from softjpeg.cli.load import load_trained

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [load_trained(path).network.to(device) for path in paths]
