import io

import numpy as np
import pytest
from rich.console import Console

from helpers.jpeg_files import DAMAGED, jpeg, noise
from softjpeg.jpeg.tables import ANNEX_K_LUMA, quality_tables
from softjpeg.presets.preset import Preset
from softjpeg.report.inspection import describe, export_tables, heat_map


def shown(path):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(describe(path))
    return console.export_text()


@pytest.mark.parametrize(("data", "sentence"), [d for d in DAMAGED if d[0][:2] == b"\xff\xd8"])
def test_damaged_files(tmp_path, data, sentence):
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(ValueError, match=f"x.jpg: .*{sentence}"):
        describe(tmp_path / "x.jpg")


def test_heat_map_holds_every_number():
    text = heat_map("luma", ANNEX_K_LUMA)
    lines = text.plain.splitlines()
    assert [[int(word) for word in line.split()] for line in lines[1:]] == ANNEX_K_LUMA.tolist()
    assert {len(line) for line in lines} == {32}
    colors = {
        step: str(heat_map("", np.full((8, 8), step)).spans[0].style) for step in (1, 16, 255)
    }
    assert len(set(colors.values())) == 3


def test_jpeg_as_text(tmp_path):
    data = jpeg(quality=75, progressive=True)
    (tmp_path / "a.jpg").write_bytes(data)
    text = shown(tmp_path / "a.jpg")
    for line in ("size         50 × 34 pixels", "process      progressive", "libjpeg 75 (exactly)"):
        assert line in text
    # Luma and chroma stand side by side.
    assert "   8   6   5   8  12  20  26  31      9   9  12  24  50  50  50  50" in text
    assert f"{len(data):,} bytes, {8 * len(data) / (50 * 34):.3f} bpp" in text
    assert "entropy-coded data" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_preset_as_text(tmp_path):
    luma, chroma = quality_tables(30)
    hardness = np.linspace(1, 60, 128).reshape(2, 8, 8)
    preset = Preset(luma, chroma, provenance={"network": "small", "figures": {"bpp": 0.5}})
    preset.save(tmp_path / "p.json")
    text = shown(tmp_path / "p.json")
    for line in ("subsampling  4:2:0", "libjpeg 30 (exactly)", "hardness     50", '{"bpp": 0.5}'):
        assert line in text
    assert "luma hardness" not in text
    assert "stored at" not in text
    Preset(luma + 1, chroma, hardness=hardness, short_side=288).save(tmp_path / "p.json")
    text = shown(tmp_path / "p.json")
    assert "nearest, not exact" in text
    assert "stored at    a shorter side of 288 pixels at most" in text
    # Luma's first row goes from 1 in steps of 59/127; chroma's goes on at 30.7.
    for title, first in (("luma hardness", 1), ("chroma hardness", 1 + 64 * 59 / 127)):
        row = text[text.index(title) :].splitlines()[1].split()
        assert float(row[0]) == pytest.approx(first, abs=0.5), row
    assert "provenance" not in text


def test_neither_jpeg_nor_preset(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"x\.png is neither a JPEG file nor a preset"):
        describe(tmp_path / "x.png")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ValueError, match=r"x\.json is not a preset"):
        describe(tmp_path / "x.json")


@pytest.mark.parametrize("form", ["cjpeg", "imagemagick", "c"])
def test_exports(tmp_path, form):
    preset = Preset.from_quality(40)
    preset.save(tmp_path / "p.json")
    (tmp_path / "a.jpg").write_bytes(jpeg(quality=40))
    (tmp_path / "gray.jpg").write_bytes(jpeg(noise("L"), quality=40))
    assert export_tables(tmp_path / "p.json", form) == preset.export(form)
    assert export_tables(tmp_path / "a.jpg", form) == preset.export(form)
    alone = Preset(preset.luma, preset.luma).export(form)
    assert export_tables(tmp_path / "gray.jpg", form) == alone
