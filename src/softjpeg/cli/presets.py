"""What --preset, --quality and --subsampling name: a preset for all images, or curves of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softjpeg.cli.app import numbers

if TYPE_CHECKING:
    from softjpeg.codec.adaptive_quality import AdaptiveQuality
    from softjpeg.codec.byte_limit import ByteLimit
    from softjpeg.jpeg.subsampling import SubsamplingOrGray
    from softjpeg.presets.preset import Preset


def load_curves(
    specs: Sequence[str], qualities: Sequence[int]
) -> dict[str, Preset | dict[str, Preset | AdaptiveQuality]]:
    """Presets, and ladders as curves of presets by quality.

    They are called by their files' stems, or by their paths where stems coincide; "default" is
    libjpeg's tables.

    Raises:
        ValueError: no such file or built-in name.
    """
    from softjpeg.codec.adaptive_quality import at_quality
    from softjpeg.codec.closed_loop.candidates import default_presets
    from softjpeg.presets.loading import load
    from softjpeg.presets.preset import Preset

    stems = Counter(Path(spec).stem for spec in specs)
    curves: dict[str, Preset | dict[str, Preset | AdaptiveQuality]] = {}
    for spec in dict.fromkeys(specs):
        if spec == "default":
            curves[spec] = {f"preset {n}": p for n, p in default_presets(qualities).items()}
            continue
        name = Path(spec).stem if stems[Path(spec).stem] == 1 else spec
        loaded = load(spec)
        curves[name] = (
            loaded
            if isinstance(loaded, Preset)
            else {f"{name} q {q}": at_quality(loaded, q) for q in qualities}
        )
    return curves


def with_centers(
    curves: Mapping[str, Preset | Mapping[str, Preset | AdaptiveQuality]], center: float | None
) -> dict[str, Preset | Mapping[str, Preset | AdaptiveQuality]]:
    """Curves of `load_curves`, and beside each the same storing its centre alone whole."""
    from softjpeg.codec.adaptive_quality import storing
    from softjpeg.presets.preset import Preset

    both = dict(curves)
    for name, curve in curves.items() if center is not None else ():
        presets = {name: curve} if isinstance(curve, Preset) else curve
        both[f"{name}, center"] = {
            f"{label}, center": storing(tables, center=center) for label, tables in presets.items()
        }
    return both


def load_tables(
    specs: Sequence[str],
    quality: str | None,
    samplings: Sequence[SubsamplingOrGray],
    max_bytes: int | None = None,
) -> Preset | AdaptiveQuality | ByteLimit:
    """The one preset that all images are written with.

    Args:
        specs: --preset; one file, built-in name, or "default".
        quality: --quality; at most one, of a ladder or of "default".
        samplings: --subsampling; at most one; "gray" leaves the preset's.
        max_bytes: --max-bytes: each image's quality is the highest whose file has no more.

    Raises:
        ValueError: more or less than one of them, no such preset, or a ladder that is learned for
            another subsampling.
    """
    from softjpeg.codec.adaptive_quality import load_for_images
    from softjpeg.codec.byte_limit import ByteLimit, load_limit
    from softjpeg.presets.preset import Preset

    for option, values in (("--preset", specs), ("--subsampling", samplings)):
        if len(values) > 1 or (option == "--preset" and not values):
            raise ValueError(f"{option} takes one value without --network, got {len(values)}")
    number = None if quality is None else _one_quality(quality)
    if max_bytes is not None:
        if max_bytes < 1:
            raise ValueError(f"--max-bytes must be at least 1, got {max_bytes}")
        tables: Preset | AdaptiveQuality | ByteLimit = load_limit(max_bytes, specs[0], number)
    elif specs[0] != "default":
        tables = load_for_images(specs[0], number)
    elif number is None:
        raise ValueError("default is libjpeg's tables: choose a --quality from 1 to 100")
    else:
        tables = Preset.from_quality(number)
    sampling = samplings[0] if samplings else tables.subsampling
    if sampling == "gray" or sampling == tables.subsampling:
        return tables
    if isinstance(tables, Preset):
        return replace(tables, subsampling=sampling)
    if isinstance(tables, ByteLimit) and isinstance(tables.ladder, Preset):
        return replace(tables, ladder=replace(tables.ladder, subsampling=sampling))
    what = f"is learned for {tables.subsampling}, got --subsampling {sampling}"
    raise ValueError(f"{specs[0]} {what}")


def stored_as(
    tables: Preset | AdaptiveQuality | ByteLimit,
    short_side: str | None = None,
    center: str | None = None,
) -> Preset | AdaptiveQuality | ByteLimit:
    """The same storing what --short-side and --center say; None leaves what the preset says."""
    from softjpeg.codec.adaptive_quality import storing

    stored = {} if short_side is None else {"short_side": stored_side(short_side)}
    stored |= {} if center is None else {"center": stored_center(center)}
    return storing(tables, **stored) if stored else tables


def stored_side(text: str, automatic: bool = False) -> Any:
    """What --short-side says, as `Preset.short_side` has it; "auto" as it is, where allowed.

    Raises:
        ValueError: neither keep, auto nor a whole number from 1 to 65535.
    """
    from softjpeg.presets.stored import check_short_side

    what = "pixels from 1 to 65535"
    return _stored(
        "--short-side", "keep", text, automatic, lambda t: check_short_side(int(t)), what
    )


def stored_center(text: str, automatic: bool = False) -> Any:
    """What --center says, as `Preset.center` has it; "auto" as it is, where allowed.

    Raises:
        ValueError: neither none, auto nor a share above 0 and at most 1.
    """
    from softjpeg.presets.stored import check_center

    what = "a share above 0, at most 1"
    return _stored("--center", "none", text, automatic, lambda t: check_center(float(t)), what)


def _stored(
    option: str, all_of_it: str, text: str, automatic: bool, read: Callable[[str], Any], what: str
) -> Any:
    """None for the word that means all of it, "auto" where that is allowed, else what is read."""
    if text == all_of_it or (text == "auto" and automatic):
        return None if text == all_of_it else text
    try:
        return read(text)
    except ValueError:
        words = f"{all_of_it}, auto or {what}" if automatic else f"{all_of_it} or {what}"
        raise ValueError(f"{option} must be {words}, got {text!r}") from None


def _one_quality(text: str) -> int:
    qualities = numbers("--quality", text)
    if len(qualities) != 1:
        raise ValueError(f"--quality takes one value without --network, got {text!r}")
    return qualities[0]
