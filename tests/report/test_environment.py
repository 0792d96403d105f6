"""What a terminal shows of a file, line by line, and of the machine."""

import io
import json
import os
import platform
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from softjpeg.presets.preset import Preset
from softjpeg.report import environment, inspection
from softjpeg.report.inspection import describe, heat_map


def lines(view, width=100):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view)
    return [line.rstrip() for line in console.export_text().splitlines()]


def info(**changes):
    """What is known of a file, by hand."""
    facts = {
        **{"size": (34, 50), "process": "baseline", "components": ("Y", "Cb"), "quality": 75},
        **{"subsampling": "4:2:0", "is_exact": True, "restart_interval": 0, "length": 2000},
        **{"bpp": 9.4118, "scan_bytes": 1500, "scan_bpp": 7.0588},
        "tables": {"Y": np.full((8, 8), 7), "Cb": np.full((8, 8), 123)},
        "markers": {"SOI": 2, "SOF0": 17, "scan": 1500, "DHT": 400, "XYZ": 81},
    }
    return SimpleNamespace(**{**facts, **changes})


def test_a_file(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8")
    monkeypatch.setattr(inspection, "read_info", lambda path: info())
    found = lines(describe(tmp_path / "a.jpg"))
    assert found[:9] == [
        "a.jpg",
        "size         50 × 34 pixels",
        "process      baseline",
        "components   Y Cb",
        "subsampling  4:2:0",
        "quality      libjpeg 75 (exactly)",
        "restarts     none",
        "file         2,000 bytes, 9.412 bpp",
        "scan         1,500 bytes, 7.059 bpp",
    ]
    assert found[10].split() == ["Y", "table", "Cb", "table"]
    assert found[11] == "   7" * 8 + "   " + " 123" * 8
    assert found[20:] == [
        "marker  bytes   share  content",
        "scan    1,500   75.0%  entropy-coded data",
        "DHT       400   20.0%  Huffman tables",
        "XYZ        81    4.0%",
        "SOF0       17    0.9%  frame header",
        "SOI         2    0.1%  start",
        "total   2,000  100.0%",
    ]
    monkeypatch.setattr(
        inspection, "read_info", lambda path: info(is_exact=False, restart_interval=4)
    )
    found = lines(describe(tmp_path / "a.jpg"))
    assert found[5] == "quality      libjpeg 75 (nearest, not exact)"
    assert found[6] == "restarts     every 4 MCUs"


def test_a_preset(tmp_path):
    preset = Preset.from_quality(30)
    facts = {"b": "words", "a": {"z": 1, "y": 2}}
    Preset(preset.luma, preset.chroma, provenance=facts, center=0.75).save(tmp_path / "p.json")
    found = lines(describe(tmp_path / "p.json"))
    assert found[:5] == [
        "p.json",
        "subsampling   4:2:0",
        "quality       libjpeg 30 (exactly)",
        "stored whole  the middle 0.75 of the shorter side; else means alone",
        "hardness      50",
    ]
    assert found[-3:] == ["provenance", f"a  {json.dumps({'y': 2, 'z': 1})}", "b  words"]


def test_one_scale_for_steps_and_one_for_each_other_table():
    def colors(table):
        return [span.style for span in heat_map("title", table).spans[:64]]

    first = colors(np.arange(1, 65).reshape(8, 8))
    assert (first[0].bgcolor.triplet, first[0].color.name) == ((59, 40, 110), "white")
    steps = np.full((8, 8), 255)
    steps[0, 0], steps[0, 1] = 16, 4
    text = colors(steps)
    assert text[-1].bgcolor.triplet == (253, 231, 37)
    assert text[-1].color.name == "black"
    # log 16 / log 255 = 0.50035 is just above the middle of five colours.
    assert text[0].bgcolor.triplet == (32, 144, 140)
    assert text[0].color.name == "black"
    # log 4 / log 255 = 0.25018: the second.
    assert text[1].bgcolor.triplet == (52, 94, 141)
    assert text[1].color.name == "white"
    assert not text[0].bold
    others = np.linspace(0.5, 8, 64).reshape(8, 8)
    shades = colors(others)
    assert (shades[0].bgcolor.triplet, shades[-1].bgcolor.triplet) == (
        (59, 40, 110),
        (253, 231, 37),
    )
    assert len({style.bgcolor for style in colors(np.full((8, 8), 2.5))}) == 1
    plain = heat_map("title", others).plain.splitlines()
    assert plain[0].rstrip() == "title"
    assert plain[1].split()[:2] == ["0.5", "0.619"]
    # As wide as the longest number, and a space.
    assert {len(line) for line in plain} == {
        8 * (max(len(w) for w in " ".join(plain[1:]).split()) + 1)
    }


def test_the_machine(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 5}, raising=False)
    text = "processor: 0\nmodel name\t: A Fast One\nmodel name: Another\n"
    plain = environment.Path.read_text

    def read(path, *words, **options):
        if str(path) != "/proc/cpuinfo":
            return plain(path, *words, **options)
        if text is None:
            raise OSError
        return text

    monkeypatch.setattr(environment.Path, "read_text", read)
    found = environment.environment()
    assert found["processor"] == "A Fast One, 3 cores"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    assert (found["GPU"], found["system"]) == (gpu, f"{platform.system()} {platform.machine()}")
    assert found["versions"].startswith(f"Python {platform.python_version()}, softjpeg ")
    for name in ("torch", "numpy", "Pillow"):
        assert f", {name} " in found["versions"]

    text = None
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    name = platform.processor() or platform.machine()
    assert environment.environment()["processor"] == f"{name}, 7 cores"


@pytest.mark.parametrize(
    ("start", "name", "jpeg"),
    [(b"\xff\xd8x", "a.json", True), (b"{", "a.txt", False), (b"x", "a.json", False)],
)
def test_a_file_is_what_it_begins_with(tmp_path, start, name, jpeg):
    (tmp_path / name).write_bytes(start)
    assert inspection._is_jpeg(tmp_path / name) is jpeg
