import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from softjpeg.jpeg.tables import ANNEX_K_LUMA, quality_tables
from softjpeg.presets.preset import Preset
from softjpeg.report.inspection import describe, export_tables, heat_map, nearest_quality, read_info


def picture(mode="RGB", size=(50, 34)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def jpeg(image=None, **options):
    buffer = io.BytesIO()
    (image or picture()).save(buffer, "jpeg", **options)
    return buffer.getvalue()


def shown(path):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(describe(path))
    return console.export_text()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("option", "subsampling"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0"), ("4:1:1", "4:2:0")]
)
def test_headers(progressive, option, subsampling):
    data = jpeg(quality=63, progressive=progressive, subsampling=option, restart_marker_blocks=5)
    info = read_info(data)
    assert info.process == ("progressive" if progressive else "baseline")
    assert (info.size, info.components) == ((34, 50), ("Y", "Cb", "Cr"))
    assert (info.subsampling, info.restart_interval) == (subsampling, 5)
    assert (info.quality, info.is_exact) == (63, True)
    luma, chroma = quality_tables(63)
    assert list(info.tables) == ["Y", "Cb Cr"]
    np.testing.assert_array_equal(info.tables["Y"], luma)
    np.testing.assert_array_equal(info.tables["Cb Cr"], chroma)
    assert sum(info.markers.values()) == info.length == len(data)
    assert 0 < info.scan_bytes < len(data)


@pytest.mark.parametrize(
    ("mode", "components", "subsampling"),
    [("L", "Y", "gray"), ("CMYK", "C M Y K", "1x1 1x1 1x1 1x1")],
)
def test_other_components(mode, components, subsampling):
    info = read_info(jpeg(picture(mode)))
    assert (" ".join(info.components), info.subsampling) == (components, subsampling)


def test_rgb_jpeg():
    assert read_info(jpeg(keep_rgb=True)).components == ("R", "G", "B")


def test_16_bit_table():
    data = jpeg(qtables=[[1000] * 64], subsampling=0)
    info = read_info(data)
    assert list(info.tables) == ["Y Cb Cr"]
    assert (info.tables["Y Cb Cr"] == 1000).all()


def test_restarts_off():
    assert read_info(jpeg()).restart_interval == 0


@pytest.mark.parametrize("quality", range(1, 101))
def test_every_quality_is_recognized(quality):
    luma, chroma = quality_tables(quality)
    assert nearest_quality(luma, chroma) == (quality, True)
    near = luma.copy()
    near[7, 7] += 1 if near[7, 7] < 255 else -1
    assert nearest_quality(near, chroma) == (quality, False)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (jpeg()[:-200], "data is cut off"),
        (jpeg()[:100], "data is cut off"),
        (bytes.fromhex("ffd8ffd9"), r"data holds no JPEG frame \(SOF segment\)"),
        (
            bytes.fromhex("ffd8 ffc0000b 0800010001 01 011100 ffd9"),
            r"data holds no quantization table \(DQT segment\)",
        ),
        (
            bytes.fromhex("ffd8 ffdb0004 0001 ffc0000b 0800010001 01 011100 ffd9"),
            "table is cut off",
        ),
        (b"GIF89a", "must start with the JPEG marker"),
    ],
)
def test_damaged_files(tmp_path, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_info(data)
    if data[:2] == b"\xff\xd8":
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
    Preset(luma + 1, chroma, hardness=hardness).save(tmp_path / "p.json")
    text = shown(tmp_path / "p.json")
    assert "nearest, not exact" in text
    assert "luma hardness" in text
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
    (tmp_path / "gray.jpg").write_bytes(jpeg(picture("L"), quality=40))
    assert export_tables(tmp_path / "p.json", form) == preset.export(form)
    assert export_tables(tmp_path / "a.jpg", form) == preset.export(form)
    alone = Preset(preset.luma, preset.luma).export(form)
    assert export_tables(tmp_path / "gray.jpg", form) == alone
