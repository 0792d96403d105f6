"""One page on learned presets: what they are worth on the images that judged, and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from softjpeg.codec.image import encode
from softjpeg.common.image_sequence import Images
from softjpeg.evaluation.changed_answers import ChangedAnswers, changed_answers
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.jpeg.tables import quality_tables
from softjpeg.learning.halves import fitting_batch_size, halves
from softjpeg.models.class_names import class_name
from softjpeg.models.inference import outputs_of
from softjpeg.presets.preset import Preset
from softjpeg.report.html import Report, render
from softjpeg.report.inspection import stored_facts
from softjpeg.report.pictures import Picture, picture

_IMAGES, _PICTURES = 128, 6
_QUALITIES = (3, 5, 8, 12, 18, 25, 35, 50, 65, 80, 90, 95)


def learn_page(
    model: nn.Module,
    images: Images,
    names: Sequence[str],
    presets: Mapping[str, Preset],
    *,
    title: str,
    facts: Mapping[str, Any],
    labels: Tensor | None = None,
    batch_size: int = 32,
    progress: bool = False,
) -> str:
    """Presets beside default JPEG as HTML, self-contained.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes).
        images: uint8, all that were learned from; at most 128 of the half that judged are shown.
        names: of the images.
        presets: of one subsampling, by the names the page calls them.
        title: of the page.
        facts: how they were learned, a line each.
        labels: (N,) class indices; None for none.
        batch_size: as it was given to learning, for the same half.
        progress: show a progress bar on a terminal.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
        ValueError: no presets, or images or labels of the wrong shape or type.
    """
    if not presets:
        raise ValueError("presets must hold at least one, got none")
    judged = halves(len(names), fitting_batch_size(len(names), batch_size))[1]
    part = slice(judged[0].start, min(len(names), judged[0].start + _IMAGES))
    images, names = images[part], names[part]
    first = next(iter(presets.values()))
    rdo = all(preset.distortion is not None for preset in presets.values())
    points = evaluate(
        model,
        images,
        presets,
        labels=None if labels is None else labels[part],
        qualities=sorted({*_QUALITIES, *_kept(presets.values())}),
        subsampling=first.subsampling,
        mode="rdo" if rdo else "hard",
        batch_size=batch_size,
        progress=progress,
    )
    changes = changed_answers(points)
    return render(
        Report(
            title,
            points,
            presets,
            notes=[
                f"Measured on {len(names)} images of the half that chose between candidates, which "
                "flatters what was learned a little; bands are 95 % over these images. For a "
                "figure to report, run softjpeg evaluate on other images."
            ],
            pictures=_pictures(model, images, names, presets, changes, rdo=rdo),
            pictures_note="Images whose answer changed come first.",
            facts={**{name: str(value) for name, value in facts.items()}, **_stored(presets)},
            changes=changes,
            names=names,
        )
    )


def _stored(presets: Mapping[str, Preset]) -> dict[str, str]:
    """What they store of an image, each preset named where they differ."""
    of_each = {name: stored_facts(preset) for name, preset in presets.items()}
    facts = {}
    for fact in dict.fromkeys(fact for each in of_each.values() for fact in each):
        said = {name: each.get(fact, "all") for name, each in of_each.items()}
        same = len(set(said.values())) == 1
        words = [words if same else f"{name}: {words}" for name, words in said.items()]
        facts[fact] = "; ".join(dict.fromkeys(words))
    return facts


def _kept(presets: Iterable[Preset]) -> set[int]:
    """Qualities whose default tables were kept: interpolated, they would differ from themselves."""
    tables = [(preset.luma.tolist(), preset.chroma.tolist()) for preset in presets]
    return {q for q in range(1, 101) if tuple(t.tolist() for t in quality_tables(q)) in tables}


def _pictures(
    model: nn.Module,
    images: Images,
    names: Sequence[str],
    presets: Mapping[str, Preset],
    changes: Sequence[ChangedAnswers],
    *,
    rdo: bool,
) -> list[Picture]:
    """A few images at the middle preset, its answers lost before default JPEG's and those kept."""
    if not changes:
        return []
    chosen = changes[len(changes) // 2]
    preset = presets[chosen.learned]
    default = Preset.from_quality(int(chosen.default.rpartition(" ")[2]), preset.subsampling)
    half = _PICTURES // 2
    shown = [*chosen.learned_alone[:half], *chosen.default_alone[:half], *chosen.both[:half]]
    shown += [i for i in range(len(names)) if i not in shown]
    classes = int(np.prod(outputs_of(model, images[:1]).shape[1:]))
    return [
        picture(
            model,
            names[i],
            images[i],
            [
                (
                    (chosen.default, encode(images[i], default)),
                    (chosen.learned, encode(images[i], preset, "rdo" if rdo else "hard")),
                )
            ],
            lambda index: class_name(index, classes),
        )
        for i in shown[:_PICTURES]
    ]


def shown_presets(rungs: Sequence[Preset], name: str) -> dict[str, Preset]:
    """Presets by the bits per pixel that they were learned for.

    Args:
        rungs: of a ladder, or one preset.
        name: what a preset without a learned rate is called.

    >>> list(shown_presets([Preset.from_quality(50)], "mine"))
    ['mine']
    """
    rates = [rung.provenance.get("learned", {}).get("bpp") for rung in rungs]
    return {
        name if rate is None else f"{name} {rate:.3g} bpp": rung
        for rate, rung in zip(rates, rungs, strict=True)
    }
