"""One page on a network and JPEG's quality: the opening figures of JPEG-DL on any data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from softjpeg.codec.file_sizes import bits_per_pixel
from softjpeg.evaluation.qualities import QualitySweep, through_jpeg
from softjpeg.report.page import as_markup, render_template
from softjpeg.report.pictures import png
from softjpeg.report.quality_plots import accuracy_plot, probability_plot, rank_plot

_ROWS = 11


def quality_page(
    sweep: QualitySweep,
    images: Tensor,
    names: Sequence[str],
    *,
    title: str,
    facts: Mapping[str, str] | None = None,
    shown: int = 4,
) -> str:
    """The sweep as HTML, self-contained; save it with `softjpeg.common.files.write_atomically`.

    Args:
        sweep: of `sweep_qualities`.
        images: (N, 3, H, W) uint8, those of the sweep.
        names: of the images.
        title: of the page.
        facts: how it was made, a line each: network, data, ...
        shown: how many images to show: those whose true label gains most, then the first ones.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
        ValueError: not as many images or names as the sweep has.
    """
    count = len(sweep.ranks)
    for what, length in (("images", len(images)), ("names", len(names))):
        if length != count:
            raise ValueError(f"{what} must be as many as the sweep's, {count}, got {length}")
    order = sweep.gain().argsort(descending=True, stable=True)
    examples = [_example(sweep, images, names, int(i)) for i in order[:shown]]
    for example in examples:
        example["plots"] = {what: as_markup(svg) for what, svg in example["plots"].items()}
    return render_template(
        "quality_page.html",
        title=title,
        sweep=sweep,
        count=count,
        better=sweep.better().double().mean().item(),
        worse=sweep.worse().double().mean().item(),
        accuracy=as_markup(accuracy_plot(sweep)),
        rows=_rows(sweep, images),
        examples=examples,
        facts=facts or {},
    )


def _rows(sweep: QualitySweep, images: Tensor) -> list[tuple[int, float, float]]:
    """Some of the qualities: (quality, top-1, bits per pixel)."""
    top1, sizes = sweep.top1(), sweep.sizes.double().mean(0).tolist()
    pixels = images[0].shape[-2] * images[0].shape[-1]
    last = len(sweep.qualities) - 1
    count = min(_ROWS, last + 1)
    chosen = sorted({round(i * last / max(1, count - 1)) for i in range(count)})
    return [(sweep.qualities[i], top1[i].item(), bits_per_pixel(sizes[i], pixels)) for i in chosen]


def _example(
    sweep: QualitySweep, images: Tensor, names: Sequence[str], image: int
) -> dict[str, Any]:
    best = sweep.best_quality(image)
    column = sweep.qualities.index(best)
    return {
        "name": names[image],
        "original": png(images[image]),
        "rank": int(sweep.original_ranks[image]),
        "probability": float(sweep.original_probabilities[image]),
        "best": best,
        "best_png": png(through_jpeg(images[image], best, sweep.subsampling)[0]),
        "best_rank": int(sweep.ranks[image, column]),
        "best_probability": float(sweep.probabilities[image, column]),
        "plots": {
            "rank": rank_plot(sweep, image),
            "probability, %": probability_plot(sweep, image),
        },
    }
