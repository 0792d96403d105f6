"""What `softjpeg encode` says at its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from softjpeg.cli.app import sentence, show
from softjpeg.cli.remarks import say_remarks

if TYPE_CHECKING:
    from softjpeg.corpus.dry_run import DryRun, Estimate
    from softjpeg.corpus.shards import ShardSummary
    from softjpeg.corpus.sources import SourceRules
    from softjpeg.corpus.writing import EncodeSummary
    from softjpeg.models.network import Network


def report(summary: EncodeSummary, keep: str, as_json: bool) -> None:
    """What was written and what was not; `keep` is what networks were to keep."""
    _say_failures(summary.failures)
    say_remarks({**summary.left_out, **summary.remarks})
    if as_json:
        _say_totals(summary, summary.written + summary.done, len(summary.failures))
        return
    typer.echo(f"{summary.written + summary.done} images{_done_and_bytes(summary)}")
    if searched := summary.totals["searched"]:
        typer.echo(
            f"{summary.totals['kept']} of {searched} keep {keep}, the others are their best "
            f"candidate's; each network read {summary.totals['runs'] / searched:.1f} files of an "
            "image"
        )


def report_readers(
    summary: EncodeSummary, networks: list[Network], rules: SourceRules, jobs: int
) -> None:
    """What networks make of the files, beside default JPEG."""
    from softjpeg.corpus.file_answers import read_files, readings_table

    quality, share, readings = read_files(networks, summary.files, rules=rules, jobs=jobs)
    typer.echo(
        "networks' own answers for the images, kept by these files and by default JPEG 4:2:0 at "
        f"quality {quality} ({share:.0%} of their bytes):"
    )
    show(readings_table(readings))


def report_shards(summary: ShardSummary, as_json: bool) -> None:
    """What became of shards; exit status 3 where something failed."""
    _say_failures(summary.failures)
    if as_json:
        _say_totals(summary, summary.images, summary.failed)
    else:
        typer.echo(f"{summary.images} images in {summary.shards} shards{_done_and_bytes(summary)}")
    if summary.failed:
        classes = ", ".join(f"{count} {name}" for name, count in sorted(summary.errors.items()))
        typer.echo(f"softjpeg: {summary.failed} images were left out: {classes}", err=True)
    if summary.failures:
        typer.echo(f"softjpeg: {len(summary.failures)} shards were not written", err=True)
    if summary.failed or summary.failures:
        raise typer.Exit(3)


def report_dry_run(found: DryRun, as_json: bool) -> None:
    """What all images would cost."""
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    share = f" ({found.bytes_out.value / found.bytes_in.value:.1%})" if found.bytes_in.value else ""
    classes = ", ".join(f"{count} {name}" for name, count in sorted(found.errors.items()))
    typer.echo(
        f"{found.sample} of {found.images} images encoded, and nothing written; of all, with what "
        "holds 95 times of 100:\n"
        f"{_interval(found.bytes_in, ',.0f')} bytes in\n"
        f"{_interval(found.bytes_out, ',.0f')} bytes out{share}\n"
        f"{_interval(found.core_hours, '.3g')} core-hours\n"
        f"{_interval(found.failed, '.2%')} fail" + f": {classes}" * bool(classes)
    )


def _interval(found: Estimate, form: str) -> str:
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def _say_totals(summary: EncodeSummary | ShardSummary, images: int, failed: int) -> None:
    names = ("done", "kept", "requantized", "bytes_in", "bytes_out")
    totals = {name: getattr(summary, name) for name in names}
    facts = {"images": images, "failed": failed, "errors": dict(summary.errors), **totals}
    typer.echo(json.dumps({"total": facts}))


def _say_failures(failures: Sequence[tuple[str | Path, Exception]]) -> None:
    for path, error in failures:
        text = sentence(error)
        typer.echo(f"softjpeg: {text if str(path) in text else f'{path}: {text}'}", err=True)


def _done_and_bytes(summary: EncodeSummary | ShardSummary) -> str:
    already = f" ({summary.done} done already)" if summary.done else ""
    share = f" ({summary.bytes_out / summary.bytes_in:.1%})" if summary.bytes_in else ""
    kept = f"; {summary.kept} would not have become smaller, and stay" if summary.kept else ""
    kept += f"; {summary.requantized} from their own coefficients" * (summary.requantized > 0)
    sizes = f"{summary.bytes_in:,} bytes in, {summary.bytes_out:,} bytes out"
    return f"{already}: {sizes}{share}{kept}"
