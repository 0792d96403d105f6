"""What `inspect` and `evaluate` do with a training run."""

from __future__ import annotations

from pathlib import Path

import typer

from softjpeg.cli.app import check_folder, show
from softjpeg.cli.load import load_inputs, load_trained, provenance


def inspect_run(run: Path, out: Path | None, images: Path | None, limit: int, seed: int) -> None:
    """Write the page on what a run's layer learned."""
    if out is None:
        raise ValueError(f"{run} is a training run: say where its page goes with --out PAGE.html")
    check_folder("--out", out)
    from softjpeg.common.files import write_atomically
    from softjpeg.nn.wrapping import JPEGNetwork
    from softjpeg.report.run_page import run_page

    net, loaded = load_inputs(str(run), images, None, None, None, limit, seed)
    trained = load_trained(str(run))
    assert isinstance(net.module, JPEGNetwork)
    result = trained.facts["result"]
    page = run_page(
        net.module,
        net.module.layer,
        loaded.pixels,
        loaded.names,
        title=trained.recipe.name or str(run),
        labels=loaded.labels,
        initial=trained.initial_tables,
        class_name=lambda i: trained.classes[i],
        facts={
            "network": trained.recipe.model.name,
            "variant": trained.variant,
            "seed": str(trained.seed),
            "step": str(trained.facts["step"]),
            **({"top-1 on the test images": f"{100 * result['top1']:.2f} %"} if result else {}),
        },
    )
    write_atomically(out, page.encode())
    typer.echo(f"wrote {out}")


def evaluate_layer(
    network: str, limit: int | None, batch_size: int, seed: int, json: Path | None
) -> None:
    """Show a run's layer as trained, rounding, as real files, and left out."""
    net, loaded = load_inputs(network, None, None, None, None, limit, seed)
    from softjpeg.evaluation.layer_versions import layer_versions, save_versions, versions_table
    from softjpeg.nn.wrapping import JPEGNetwork

    assert isinstance(net.module, JPEGNetwork)
    assert loaded.labels is not None

    versions = layer_versions(
        net.module, loaded.pixels, loaded.labels, batch_size=batch_size, progress=True
    )
    show(versions_table(versions, f"{network}: {len(loaded)} test images"))
    if json is not None:
        save_versions(versions, json, provenance(net, None, loaded, seed))
