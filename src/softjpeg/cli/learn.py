"""``softjpeg learn``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softjpeg.cli.app import (
    BatchSize,
    Crops,
    FollowLinks,
    Images,
    Labels,
    Limit,
    NetworkName,
    Resize,
    Seed,
    Size,
    commands,
    numbers,
)
from softjpeg.cli.load import load_reader, network_on_device, provenance, reader_of
from softjpeg.cli.outputs import check_outputs, check_page, resumable
from softjpeg.cli.presets import stored_center, stored_side

if TYPE_CHECKING:
    from torch import nn

    from softjpeg.common.image_set import ImageSet, PhotoSet
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


class LearnMethod(str, Enum):
    """How to learn."""

    measured = "measured"
    backprop = "backprop"
    hybrid = "hybrid"


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
        typer.Option(help="Another network to learn for at once, on the same images; repeated."),
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
    short_side: Annotated[
        str,
        typer.Option(
            help="Most pixels of a stored image's shorter side: keep, a number, or auto, which "
            "measures at each rate. What is not stored, people cannot see either."
        ),
    ] = "keep",
    center: Annotated[
        str,
        typer.Option(
            help="Of the stored image's shorter side, the share in its middle stored whole, "
            "outside it blocks' means alone: none, a share, or auto: what the networks read."
        ),
    ] = "none",
    mode: Annotated[
        LearnMode, typer.Option(help="Of the encoder; rdo also learns a distortion model.")
    ] = LearnMode.hard,
    method: Annotated[
        LearnMethod,
        typer.Option(help="measured, J4D's backprop, or hybrid: descent from what is measured."),
    ] = LearnMethod.measured,
    labels: Labels = None,
    size: Size = None,
    resize: Resize = None,
    crops: Crops = False,
    follow_links: FollowLinks = False,
    limit: Limit = None,
    rounds: Annotated[int, typer.Option(help="Of measuring and solving; 2 is finer.")] = 1,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to resume from, and to save progress in.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="A page of what was learned to write (.html).")
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
    options = {f"--{name.replace('_', '-')}": value for name, value in goal.items()}
    from softjpeg.learning.goal import only_one

    only_one({**options, "--ladder": ladder})
    at = _qualities(qualities or _LADDER)
    check_page(page)
    check_outputs(
        {"--out": out, "--checkpoint": checkpoint, "--page": page},
        [network, *(also or []), images, labels, loss],
    )
    import softjpeg
    from softjpeg.learning.learned_presets import gain_sentences
    from softjpeg.learning.losses import load_loss

    settings: dict[str, Any] = {
        "loss": load_loss(loss),
        "worst_case": worst_case,
        "subsampling": subsampling.value,
        "short_side": stored_side(short_side, automatic=True),
        "center": stored_center(center, automatic=True),
        "mode": mode.value,
        "method": method.value,
        "rounds": rounds,
        "batch_size": batch_size,
        "seed": seed,
        "checkpoint": checkpoint,
        "progress": True,
        "say": typer.echo,
    }
    net, loaded, reader = load_reader(
        network,
        images,
        labels,
        size=size,
        resize=resize,
        crops=crops,
        limit=limit,
        seed=seed,
        follow_links=follow_links,
    )
    facts = provenance(net, images, loaded, seed)
    models: nn.Module | list[nn.Module] = reader
    if also:
        models = [reader, *(_other(name, loaded) for name in also)]
        facts["networks"] = [net.name, *also]
    settings |= {"labels": loaded.labels, "provenance": facts}
    with resumable(out, checkpoint):
        if ladder:
            rungs = softjpeg.learned_ladder(models, loaded.pixels, qualities=at, **settings)
            rungs.save(out)
            typer.echo(f"wrote {out}: a preset for every quality from 1 to 100")
            presets = rungs.rungs
        else:
            preset = softjpeg.learn(models, loaded.pixels, **goal, **settings)
            preset.save(out)
            typer.echo(gain_sentences(preset))
            typer.echo(f"wrote {out}; see it with: softjpeg inspect {out}")
            presets = (preset,)
        if page is not None:
            _write_page(page, reader, loaded, presets, out.stem, facts, batch_size)


def _write_page(
    page: Path,
    reader: nn.Module,
    loaded: ImageSet | PhotoSet,
    presets: Sequence[Preset],
    name: str,
    facts: Mapping[str, Any],
    batch_size: int,
) -> None:
    from softjpeg.common.files import write_text
    from softjpeg.report.learn_page import learn_page, shown_presets

    text = learn_page(
        reader,
        loaded.pixels,
        loaded.names,
        shown_presets(presets, name),
        title=f"softjpeg learn {facts['network']}",
        facts=facts,
        labels=loaded.labels,
        batch_size=batch_size,
        progress=True,
    )
    write_text(page, text)
    typer.echo(f"wrote {page}")


def _qualities(text: str) -> tuple[int, ...]:
    qualities = numbers("--qualities", text)
    if wrong := [quality for quality in qualities if not 1 <= quality <= 100]:
        raise ValueError(f"--qualities must be from 1 to 100, got {wrong[0]}")
    return qualities


def _other(name: str, loaded: ImageSet | PhotoSet) -> nn.Module:
    """One more network on the same images; crops are resized to what it wants."""
    from softjpeg.common.image_set import ImageSet
    from softjpeg.models.resized import reading

    network = network_on_device(name)
    if isinstance(loaded, ImageSet):
        return reading(network.module, network.size, loaded.pixels)
    return reader_of(network, loaded)
