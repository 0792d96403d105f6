"""`Preset`: what learning leaves behind, as readable, versioned JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from softjpeg.common.bounds import MAX_PRESET_BYTES
from softjpeg.common.brief import brief
from softjpeg.common.files import write_atomically
from softjpeg.common.versioned_json import check_length, parse, read_text
from softjpeg.jpeg.subsampling import Subsampling, luma_factors
from softjpeg.jpeg.table_formats import EXPORTS, to_pillow
from softjpeg.jpeg.tables import Table, quality_tables, validate_table
from softjpeg.presets.distortion_model import DistortionModel
from softjpeg.presets.stored import check_center, check_short_side

FORMAT = "softjpeg-preset"
VERSION = 1
_FIELDS = {"format", "version", "luma", "chroma", "hardness", "subsampling", "provenance"}
_OPTIONAL = {"distortion", "short_side", "center"}


@dataclass(frozen=True, eq=False)
class Preset:
    """Quantization tables and hardness for an encoder, and where they come from.

    Attributes:
        luma, chroma: (8, 8) integers 1..255, raster order.
        hardness: h = αq² > 0 of the probabilistic quantizer, a number or (2, 8, 8): luma, chroma.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        provenance: anything JSON can hold: network, data, λ, seed, versions, figures.
        distortion: what errors cost the network, for the mode "rdo"; None where that was not
            learned.
        short_side: most pixels of the stored image's shorter side: a larger one is shrunk (Lanczos)
            before it is encoded, a smaller one never enlarged. None: the image's own size.
        center: side, as a share of the stored image's shorter side, above 0 and at most 1, of the
            square about the middle that is stored whole; of blocks outside it the means alone, for
            readers that crop the centre. None: everything.

    Raises:
        ValueError: a value out of its range, named with its path.

    >>> preset = Preset(*quality_tables(50), subsampling="4:2:0")
    >>> Preset.from_json(preset.to_json()) == preset
    True
    """

    luma: Table
    chroma: Table
    hardness: npt.NDArray[np.float64] = field(default_factory=lambda: np.full((2, 8, 8), 50.0))
    subsampling: Subsampling = "4:2:0"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    distortion: DistortionModel | None = None
    short_side: int | None = None
    center: float | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "luma", validate_table("luma", self.luma))
        set_field(self, "chroma", validate_table("chroma", self.chroma))
        set_field(self, "hardness", _hardness(self.hardness))
        luma_factors(self.subsampling)
        set_field(self, "short_side", check_short_side(self.short_side))
        set_field(self, "center", check_center(self.center))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preset) and self._as_dict() == other._as_dict()

    def __hash__(self) -> int:
        tables = (self.luma, self.chroma, self.hardness)
        return hash((*(table.tobytes() for table in tables), self.subsampling))

    @classmethod
    def from_quality(cls, quality: int, subsampling: Subsampling = "4:2:0") -> Preset:
        """libjpeg's default tables at a quality 1..100.

        >>> Preset.from_quality(75).luma[0, 0]
        np.int64(8)
        """
        luma, chroma = quality_tables(quality)
        provenance = {"tables": f"Annex K at libjpeg quality {quality}"}
        return cls(luma, chroma, subsampling=subsampling, provenance=provenance)

    def to_json(self) -> str:
        """The preset as text, one table row a line."""
        body = self._as_dict()
        rows = {name: _rows(body.pop(name)) for name in ("luma", "chroma")}
        hardness = body.pop("hardness")
        rows["hardness"] = (
            "[\n" + ",\n".join(_rows(table) for table in hardness) + "\n  ]"
            if isinstance(hardness, list)
            else json.dumps(hardness)
        )
        parts = [f'  "{key}": {json.dumps(body[key])}' for key in ("format", "version")]
        parts += [f'  "{name}": {text}' for name, text in rows.items()]
        parts += [f'  "subsampling": {json.dumps(self.subsampling)}']
        for name in ("short_side", "center"):
            if name in body:
                parts += [f'  "{name}": {json.dumps(body[name])}']
        if self.distortion is not None:
            parts += ['  "distortion": ' + _fields(body["distortion"])]
        provenance = json.dumps(body["provenance"], indent=2, sort_keys=True, allow_nan=False)
        parts += ['  "provenance": ' + provenance.replace("\n", "\n  ")]
        return "{\n" + ",\n".join(parts) + "\n}\n"

    @classmethod
    def from_json(cls, text: str, name: str = "preset") -> Preset:
        """Parse `to_json`'s text.

        Raises:
            ValueError: not JSON, a field missing, unknown or out of range; one sentence that names
                `name` and the path of the bad value.
        """
        body = parse(text, name, "preset", VERSION, _FIELDS, _OPTIONAL)
        try:
            fields = {key: body[key] for key in body.keys() - {"format", "version"}}
            if "distortion" in body:
                fields["distortion"] = _distortion(body["distortion"])
            preset = cls(**fields)
            check_length(text, preset.to_json, MAX_PRESET_BYTES)
            return preset
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the preset to a file, all of it or none."""
        write_atomically(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Preset:
        """Read a preset file.

        Raises:
            ValueError: the file cannot be read, is over 1 MiB or is not a preset.
        """
        text = read_text(Path(path), path, "preset", MAX_PRESET_BYTES)
        return cls.from_json(text, name=os.fspath(path))

    @overload
    def export(self, form: Literal["pillow"]) -> list[list[int]]: ...  # type: ignore[overload-overlap]
    @overload
    def export(self, form: str) -> str: ...
    def export(self, form: str) -> str | list[list[int]]:
        """The tables for another encoder: "cjpeg", "imagemagick" or "c" (a header) as text.

        "pillow" gives what Pillow's ``save(..., qtables=...)`` takes; pass no ``quality`` beside.

        >>> [table[:3] for table in Preset.from_quality(50).export("pillow")]
        [[16, 11, 10], [17, 18, 24]]
        """
        if form == "pillow":
            return to_pillow(self.luma, self.chroma)
        exporter: Callable[[Any, Any], str] | None = EXPORTS.get(form)
        if exporter is None:
            raise ValueError(f"form must be one of {', '.join([*EXPORTS, 'pillow'])}, got {form!r}")
        return exporter(self.luma, self.chroma)

    def _as_dict(self) -> dict[str, Any]:
        first = float(self.hardness.flat[0])
        uniform = bool((self.hardness == first).all())
        body = {
            "format": FORMAT,
            "version": VERSION,
            "luma": self.luma.tolist(),
            "chroma": self.chroma.tolist(),
            "hardness": first if uniform else self.hardness.tolist(),
            "subsampling": self.subsampling,
            "provenance": dict(self.provenance),
        }
        if self.distortion is not None:
            body["distortion"] = self.distortion.as_dict()
        for name in ("short_side", "center"):
            if (value := getattr(self, name)) is not None:
                body[name] = value
        return body


def _hardness(value: Any) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            "hardness must be a positive number or numbers of shape (2, 8, 8)"
        ) from None
    if array.shape not in ((), (2, 8, 8)):
        raise ValueError(f"hardness must be one number or have shape (2, 8, 8), got {array.shape}")
    array = np.broadcast_to(array, (2, 8, 8)).copy()
    good = (array > 0) & np.isfinite(array)
    if not good.all():
        path = "".join(f"[{i}]" for i in np.argwhere(~good)[0])
        raise ValueError(f"hardness{path} must be positive and finite, got {array[~good][0]}")
    if isinstance(value, (str, bool)):
        raise ValueError(f"hardness must be a number, got {brief(value)}")
    return array


def _rows(table: list[list[Any]]) -> str:
    return "[\n" + ",\n".join("    " + json.dumps(row) for row in table) + "\n  ]"


def _fields(body: Mapping[str, Any]) -> str:
    """An object of tables, one line for each innermost row."""
    lines = ",\n".join(f"    {json.dumps(name)}: {_lines(body[name])}" for name in sorted(body))
    return "{\n" + lines + "\n  }"


def _lines(value: Any) -> str:
    if not isinstance(value, list) or not isinstance(value[0], list):
        return json.dumps(value)
    return "[\n      " + ",\n      ".join(_lines(row) for row in value) + "]"


def _distortion(body: Any) -> DistortionModel:
    try:
        return DistortionModel.from_dict(body)
    except ValueError as error:
        raise ValueError(f"distortion {error}") from None
