"""``softjpeg learn``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softjpeg.cli.app import (
    BatchSize,
    Images,
    Labels,
    Limit,
    NetworkName,
    Resize,
    Seed,
    Size,
    check_folder,
    commands,
    numbers,
)
from softjpeg.cli.load import load_inputs, network_on_device, provenance

if TYPE_CHECKING:
    from torch import nn

    from softjpeg.common.image_set import ImageSet
    from softjpeg.presets.preset import Preset

_LADDER = "5,10,20,35,50,75,90"


class LearnSubsampling(str, Enum):
    """Resolution of chroma, or what measures best."""

    s444 = "4:4:4"
    s422 = "4:2:2"
    s420 = "4:2:0"
    auto = "auto"


class LearnMode(str, Enum):
    """The encoder's mode to learn for."""

    hard = "hard"
    rdo = "rdo"


@commands.command()
def learn(
    network: NetworkName,
    images: Images,
    out: Annotated[Path, typer.Option(help="The preset or ladder to write (JSON).")],
    target_bpp: Annotated[float | None, typer.Option(help="Bits per pixel to reach.")] = None,
    target_bytes: Annotated[float | None, typer.Option(help="Or: mean bytes of a file.")] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Or: points of answers (of right ones, with --labels) that may be lost."),
    ] = None,
    rate_weight: Annotated[
        float | None, typer.Option(help="Or: what a bit per pixel is worth, in nats of KL.")
    ] = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Or: a ladder of presets, for any --quality.")
    ] = False,
    qualities: Annotated[
        str | None,
        typer.Option(help=f"A ladder learned at default JPEG's qualities; {_LADDER} by default."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="Another network to learn for at once, at the first's crops; repeated."),
    ] = None,
    worst_case: Annotated[
        bool, typer.Option("--worst-case", help="Judge by the network that gains least.")
    ] = False,
    loss: Annotated[
        str, typer.Option(help="kl, cosine or mse of the outputs, or FILE.py:FUNCTION.")
    ] = "kl",
    subsampling: Annotated[
        LearnSubsampling, typer.Option(help="Resolution of chroma; auto measures.")
    ] = LearnSubsampling.s420,
    mode: Annotated[
        LearnMode, typer.Option(help="Of the encoder; rdo also learns what the network minds.")
    ] = LearnMode.hard,
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
    goal: dict[str, Any] = {
        "target_bpp": target_bpp,
        "target_bytes": target_bytes,
        "max_drop": max_drop,
        "rate_weight": rate_weight,
    }
    ladder = ladder or qualities is not None
    if sum(value is not None for value in goal.values()) + ladder != 1:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in goal)
        raise ValueError(f"give exactly one of {options} and --ladder")
    at = numbers("--qualities", qualities or _LADDER)
    if wrong := [quality for quality in at if not 1 <= quality <= 100]:
        raise ValueError(f"--qualities must be from 1 to 100, got {wrong[0]}")
    check_folder("--out", out)
    if checkpoint is not None:
        check_folder("--checkpoint", checkpoint)
    import softjpeg
    from softjpeg.learning.losses import load_loss

    of_loss = load_loss(loss)
    net, loaded = load_inputs(network, images, labels, size, resize, limit, seed)
    others = [_other(name, loaded) for name in also or ()]
    facts = provenance(net, images, loaded, seed)
    if also:
        facts["networks"] = [net.name, *also]
    settings: dict[str, Any] = {
        "labels": loaded.labels,
        "loss": of_loss,
        "worst_case": worst_case,
        "subsampling": subsampling.value,
        "mode": mode.value,
        "rounds": rounds,
        "batch_size": batch_size,
        "seed": seed,
        "checkpoint": checkpoint,
        "progress": True,
        "provenance": facts,
        "say": typer.echo,
    }
    models = [net.module, *others] if others else net.module
    if ladder:
        presets = softjpeg.learn_ladder(models, loaded.pixels, qualities=at, **settings)
        from softjpeg.learning.measured_ladder import measured_ladder
        from softjpeg.learning.size_exponent import measured_exponent

        of_task = ("labels", "loss", "batch_size", "seed", "progress")
        task = {name: settings[name] for name in of_task}
        exponent = measured_exponent(models, loaded.pixels, presets, **task)
        measured_ladder(presets, loaded.pixels, facts, size_exponent=exponent).save(out)
        for quality, preset in zip(at, presets, strict=True):
            typer.echo(f"quality {quality}: {_verdict(preset)}")
        typer.echo(f"wrote {out}: a preset for every quality from 1 to 100")
        return
    preset = softjpeg.learn(models, loaded.pixels, **goal, **settings)
    preset.save(out)
    typer.echo(_verdict(preset))
    typer.echo(f"wrote {out}; see it with: softjpeg inspect {out}")


def _other(name: str, loaded: ImageSet) -> nn.Module:
    """One more network, on the same crops, resized to what it wants."""
    from softjpeg.models.resized import reading

    network = network_on_device(name)
    return reading(network.module, network.size, loaded.pixels)


def _verdict(preset: Preset) -> str:
    """What learning gained on the judging half of the images, and whether the goal was reached."""
    learned = preset.provenance["learned"]
    judged, kind = learned["judged"], learned["loss_kind"]
    lines = [
        f"judged on half of the images: {kind} {judged['loss']:.4f} at {judged['bpp']:.3f} bpp;"
        f" default tables {judged['default_loss']:.4f} at {judged['default_bpp']:.3f} bpp"
    ]
    if learned.get("kept_default"):
        lines.append("nothing clearly better than the default tables was found: they are kept")
    bpp, target = learned["bpp"], learned.get("target_bpp")
    if "drop" in learned:
        drop, allowed = learned["drop"], learned["max_drop"]
        lines.append(
            f"{drop:.2f} points of answers lost at {bpp:.3f} bpp; "
            f"default tables need {learned['default_bpp_for_drop']:.3f}"
        )
        if drop > allowed:
            lines.append(f"a drop of {allowed} cannot be reached: the nearest is {drop:.2f}")
    elif target is not None and abs(bpp / target - 1) > 0.05:
        lines.append(f"{target:.4g} bpp cannot be reached: the nearest is {bpp:.3f}")
    return "\n".join(lines)
