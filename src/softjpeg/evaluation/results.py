"""Measured points as files: JSON that holds all of it, to draw and to resample again, and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from softjpeg.common.files import write_atomically, write_text
from softjpeg.evaluation.bootstrap import Estimate, point_intervals, resample_means
from softjpeg.evaluation.gain import Gain
from softjpeg.evaluation.points import PerImage, RatePoint

_FLAGS = ("agree", "correct")
_SCALARS = [f.name for f in fields(RatePoint) if f.name != "images"]


def save_json(
    points: Sequence[RatePoint],
    path: str | os.PathLike[str],
    provenance: Mapping[str, Any],
    gains: Sequence[Gain] = (),
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """Write points and where they come from as JSON, all of it or none.

    Args:
        points: with their per-image arrays, where they have them, a point on each line.
        path: of the file.
        provenance: anything JSON can hold.
        gains: of the points.
        resamples: of the images, for the points' 95 % intervals.
        seed: of the resamples.

    A point's "images" hold, in the images' order: "bytes", "scan_bytes", "kl", "cosine" and "ssim"
    as lists (6 digits), "agree" and "correct" as one character an image: 0, 1, or - where there
    is no label. Missing numbers are null.
    """
    intervals = point_intervals(points, resample_means(points, resamples, seed))
    rows = [
        _scalars(point) | {"interval": _bounds(interval), "images": _packed(point.images)}
        for point, interval in zip(points, intervals, strict=True)
    ]
    parts = [
        '  "provenance": ' + json.dumps(dict(provenance), indent=2).replace("\n", "\n  "),
        '  "points": ' + _lines(rows),
        '  "gains": ' + _lines([_without_nan(asdict(gain)) for gain in gains]),
    ]
    write_atomically(path, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def load_json(path: str | os.PathLike[str]) -> tuple[list[RatePoint], dict[str, Any]]:
    """The points that `save_json` wrote, and their provenance.

    Raises:
        ValueError: the file cannot be read or holds no points; the sentence names it.
    """
    try:
        body = json.loads(Path(path).read_bytes())
        points = [_point(row) for row in body["points"]]
        return points, dict(body["provenance"])
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} does not hold measured points ({reason})") from None


def save_csv(
    points: Sequence[RatePoint],
    path: str | os.PathLike[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """Write a row for each point: its figures and, as NAME_low and NAME_high, their intervals.

    Args:
        points: with their per-image arrays, where they have them.
        path: of the file.
        resamples: of the images, for the 95 % intervals.
        seed: of the resamples.
    """
    intervals = point_intervals(points, resample_means(points, resamples, seed))
    buffer = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for point, interval in zip(points, intervals, strict=True):
        row = _scalars(point)
        for name, bounds in interval.items():
            row[f"{name}_low"], row[f"{name}_high"] = _null(bounds.low), _null(bounds.high)
        if writer is None:
            writer = csv.DictWriter(buffer, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    write_text(path, buffer.getvalue())


def _scalars(point: RatePoint) -> dict[str, Any]:
    return {name: _null(getattr(point, name)) for name in _SCALARS}


def _bounds(interval: Mapping[str, Estimate]) -> dict[str, list[float]]:
    """The intervals that exist."""
    return {
        name: [bounds.low, bounds.high]
        for name, bounds in interval.items()
        if not math.isnan(bounds.low)
    }


def _packed(images: PerImage | None) -> dict[str, Any] | None:
    if images is None:
        return None
    packed: dict[str, Any] = {}
    for f in fields(PerImage):
        values = getattr(images, f.name)
        if values is None:
            packed[f.name] = None
        elif f.name in _FLAGS:
            packed[f.name] = "".join("-" if np.isnan(v) else "1" if v else "0" for v in values)
        else:
            packed[f.name] = [_short(value) for value in values.tolist()]
    return packed


def _point(row: Mapping[str, Any]) -> RatePoint:
    # Files written before there was SSIM lack it.
    scalars = {name: row[name] for name in _SCALARS if name != "ssim" or name in row}
    for name in {"scan_bpp", "cosine", "ssim"} & scalars.keys():
        scalars[name] = math.nan if scalars[name] is None else scalars[name]
    return RatePoint(**scalars, images=_unpacked(row["images"]))


def _unpacked(packed: Mapping[str, Any] | None) -> PerImage | None:
    if packed is None:
        return None
    # null becomes NaN, and so does "-" among flags, each of whose characters is a number.
    arrays: dict[str, Any] = {
        name: None
        if values is None
        else np.array([None if value == "-" else value for value in values], dtype=float)
        for name, values in packed.items()
    }
    return PerImage(**arrays)


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "[]"
    return "[\n" + ",\n".join("    " + json.dumps(row, allow_nan=False) for row in rows) + "\n  ]"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    return _null(value)


def _short(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else float(f"{value:.6g}")


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
