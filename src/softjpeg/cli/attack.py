"""``softjpeg attack``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softjpeg.cli.app import BatchSize, Limit, Seed, commands, numbers, show
from softjpeg.cli.load import load_inputs, load_trained, provenance
from softjpeg.cli.outputs import check_outputs

if TYPE_CHECKING:
    from torch import nn

    from softjpeg.evaluation.robustness.points import Check, RobustnessPoint


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
    attacks: Annotated[
        str, typer.Option(help="Of fgsm, pgd, bpda, softened, autopgd.")
    ] = "fgsm,pgd,bpda",
    steps: Annotated[int, typer.Option(help="Of all but fgsm and autopgd; the paper's: 5.")] = 20,
    restarts: Annotated[int, typer.Option(help="Random starts of all but fgsm.")] = 1,
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
    check_outputs({"--json": json, "--plot": plot}, [*run, *(baseline or [])])
    from softjpeg.evaluation.robustness.accuracy_under_attack import robustness
    from softjpeg.evaluation.robustness.points import save_json, table

    net, loaded = load_inputs(run[0], limit=limit, seed=seed)
    assert loaded.labels is not None
    groups = {"network": [net.module, *_networks(run[1:])]}
    if baseline:
        groups = {"baseline": _networks(baseline), **groups}
    strengths = numbers("--eps", eps)
    shared: dict[str, Any] = {
        "images": loaded.pixels,
        "labels": loaded.labels,
        "batch_size": batch_size,
        "seed": seed,
        "progress": True,
    }
    points = robustness(
        groups,
        eps=strengths,
        attacks=[word.strip() for word in attacks.split(",")],
        steps=steps,
        restarts=restarts,
        **shared,
    )
    title = f"top-1 % of {len(loaded)} images under white-box attack through the layer"
    show(table(points, title))
    answers = _checks(groups, eps=strengths[0], **shared) if checks else {}
    facts = {**provenance(net, None, loaded, seed), "runs": run, "baselines": baseline or []}
    facts |= {"steps": steps, "restarts": restarts}
    if json is not None:
        save_json(points, json, facts, answers)
    if plot is not None:
        _write_page(plot, points, answers, title, facts)


def _networks(runs: Sequence[str]) -> list[nn.Module]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [load_trained(run).network.to(device) for run in runs]


def _checks(groups: Mapping[str, Sequence[nn.Module]], **shared: Any) -> dict[str, list[Check]]:
    """Whether gradients show the way, asked of the first network of each group."""
    from softjpeg.evaluation.robustness.gradient_masking import masking_checks, table

    answers = {}
    for name, networks in groups.items():
        baseline = groups["baseline"][0] if "baseline" in groups and name == "network" else None
        answers[name] = masking_checks(networks[0], baseline=baseline, **shared)
        show(table(answers[name], f"{name}: do gradients show the way?"))
    return answers


def _write_page(
    file: Path,
    points: Sequence[RobustnessPoint],
    answers: Mapping[str, Sequence[Check]],
    title: str,
    facts: Mapping[str, Any],
) -> None:
    from softjpeg.common.files import write_text
    from softjpeg.report.robustness_plot import robustness_page

    lines = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in facts.items()
    }
    write_text(file, robustness_page(points, answers, title=title, facts=lines))
    typer.echo(f"wrote {file}")
