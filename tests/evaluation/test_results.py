"""Points as files, character by character."""

import json
import math
from dataclasses import replace

import numpy as np

from softjpeg.evaluation.bootstrap import Estimate
from softjpeg.evaluation.gain import Gain
from softjpeg.evaluation.layer_versions import LayerVersion, save_versions, versions_table
from softjpeg.evaluation.points import PerImage, RatePoint
from softjpeg.evaluation.results import load_json, save_csv, save_json

EACH = PerImage(
    bytes=np.array([100.0, 300.0, 200.0]),
    scan_bytes=np.array([90.5, math.nan, 180.123456789]),
    agree=np.array([1.0, 0.0, 1.0]),
    kl=np.array([0.0, 1.5, 2.25]),
    cosine=np.array([0.0, 0.25, 1e-9]),
    correct=np.array([0.0, math.nan, 1.0]),
)
POINT = RatePoint(
    *("mine", "hard", "4:2:0", 200.0, 2.0, math.nan, 0.5, 2 / 3, 0.125),
    **{"cosine": 0.25, "curve": "learned", "reader": "net", "images": EACH},
)
SCALARS = {
    **{"name": "mine", "mode": "hard", "subsampling": "4:2:0", "bytes_per_file": 200.0},
    **{"bpp": 2.0, "scan_bpp": None, "top1": 0.5, "agreement": 2 / 3, "kl": 0.125},
    **{"cosine": 0.25, "curve": "learned", "reader": "net", "ssim": None},
}


def test_a_point_as_json(tmp_path):
    none = Estimate(1.0, math.nan, math.nan)
    gain = Gain("mine", "net", "bpp", "kl", none, none, 0.25, 0.5, none, 1.0, none, math.inf)
    save_json([POINT], tmp_path / "p.json", {"a": {"b": 1}}, [gain])
    text = (tmp_path / "p.json").read_text()
    assert text.startswith(
        '{\n  "provenance": {\n    "a": {\n      "b": 1\n    }\n  },\n  "points": [\n    {"name": '
    )
    assert text.endswith("}\n  ]\n}\n")
    assert len(text.splitlines()) == 13
    body = json.loads(text)
    (row,) = body["points"]
    assert {name: row[name] for name in SCALARS} == SCALARS
    assert row["images"] == {
        **{"bytes": [100, 300, 200], "scan_bytes": [90.5, None, 180.123]},
        **{"agree": "101", "correct": "0-1", "kl": [0, 1.5, 2.25]},
        **{"cosine": [0, 0.25, 1e-9], "ssim": None},
    }
    assert '"bytes": [100, 300, 200]' in text
    assert {*row["interval"]} == {"bpp", "top1", "agreement", "kl", "cosine"}
    missing = {"value": 1.0, "low": None, "high": None}
    assert body["gains"] == [
        {
            **{"curve": "mine", "reader": "net", "rate": "bpp", "quality": "kl"},
            **{name: missing for name in ("bd_rate", "bd_quality", "best_gain", "best_saving")},
            **{"low": 0.25, "high": 0.5, "best_gain_at": 1.0, "best_saving_at": None},
        }
    ]
    ((again,), facts) = load_json(tmp_path / "p.json")
    assert facts == {"a": {"b": 1}}
    assert math.isnan(again.ssim)
    assert math.isnan(again.scan_bpp)
    assert np.isnan(again.images.correct).tolist() == [False, True, False]
    assert again.images.ssim is None


def test_no_points_and_no_images(tmp_path):
    save_json([], tmp_path / "p.json", {})
    assert json.loads((tmp_path / "p.json").read_text()) == {
        **{"provenance": {}, "points": [], "gains": []}
    }
    save_json([replace(POINT, images=None, cosine=math.nan)], tmp_path / "p.json", {})
    (row,) = json.loads((tmp_path / "p.json").read_text())["points"]
    assert (row["images"], row["interval"], row["cosine"]) == (None, {}, None)
    assert math.isnan(load_json(tmp_path / "p.json")[0][0].cosine)


def test_files_from_before_there_was_ssim(tmp_path):
    save_json([POINT], tmp_path / "p.json", {})
    body = json.loads((tmp_path / "p.json").read_text())
    del body["points"][0]["ssim"], body["points"][0]["images"]["ssim"]
    (tmp_path / "p.json").write_text(json.dumps(body))
    ((point,), _) = load_json(tmp_path / "p.json")
    assert math.isnan(point.ssim)
    assert point.images.ssim is None


def test_resamples_and_seed_of_intervals(tmp_path):
    def bounds(save, **options):
        save(tmp_path / "p", **options)
        return (tmp_path / "p").read_text()

    savers = (
        lambda path, **options: save_json([POINT], path, {}, **options),
        lambda path, **options: save_csv([POINT], path, **options),
    )
    for save in savers:
        plain = bounds(save)
        assert plain == bounds(save, resamples=1000, seed=0)
        assert plain != bounds(save, seed=1) or plain != bounds(save, resamples=7)
        assert bounds(save, resamples=5, seed=1) != bounds(save, resamples=5, seed=2)


def test_a_point_as_a_row(tmp_path):
    save_csv([replace(POINT, images=None), POINT], tmp_path / "p.csv")
    head, first, second = (tmp_path / "p.csv").read_text().splitlines()
    names = [*SCALARS]
    fields = ("bpp", "scan_bpp", "top1", "agreement", "kl", "cosine", "ssim")
    assert head.split(",") == [*names, *(f"{f}_{end}" for f in fields for end in ("low", "high"))]
    assert first.split(",")[:4] == ["mine", "hard", "4:2:0", "200.0"]
    assert first.endswith("," * 14)
    low, high = (
        float(second.split(",")[head.split(",").index(f"bpp_{e}")]) for e in ("low", "high")
    )
    assert 1.0 <= low < 2.0 < high <= 3.0
    save_csv([], tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == ""


VERSIONS = [
    LayerVersion("as trained", 0.5, 1.0, None, 40),
    LayerVersion("hard rounding", 0.25, 0.75, 1.23456, 40),
    LayerVersion("real JPEG", math.nan, math.nan, None, 40, "too fine"),
]


def test_versions_of_a_layer(tmp_path):
    view = versions_table(VERSIONS, "the title")
    assert view.title == "the title"
    assert [(column.header, column.justify) for column in view.columns] == [
        *(("layer", "left"), ("top-1 %", "right"), ("agree %", "right"), ("bpp", "right")),
        ("", "left"),
    ]
    assert list(zip(*(column.cells for column in view.columns), strict=True)) == [
        ("as trained", "50.00", "100.00", "", ""),
        ("hard rounding", "25.00", "75.00", "1.235", ""),
        ("real JPEG", "", "", "", "too fine"),
    ]
    save_versions(VERSIONS, tmp_path / "v.json", {"a": 1})
    body = json.loads((tmp_path / "v.json").read_text())
    assert body["provenance"] == {"a": 1}
    names = ("name", "top1", "agreement", "bpp", "images", "note")
    assert [tuple(each[name] for name in names) for each in body["versions"]] == [
        ("as trained", 0.5, 1.0, None, 40, ""),
        ("hard rounding", 0.25, 0.75, 1.23456, 40, ""),
        ("real JPEG", None, None, None, 40, "too fine"),
    ]
