"""The demo's first part: built-in ladders on photos at their own size, by three networks."""

import dataclasses
import json

from helpers.calls import spy
from helpers.images import smooth_image
from helpers.networks import Thousand
from softjpeg import Ladder, Preset
from softjpeg.cli import demo_own_size
from softjpeg.evaluation.results import load_json
from softjpeg.models.network import Network


def test_ladders_on_photos_at_their_own_size(tmp_path, monkeypatch):
    paths = []
    for i, shape in enumerate([(300, 420), (400, 310), (330, 340)]):
        smooth_image(*shape, i, cells=24).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    seeds = {name: i for i, name in enumerate(demo_own_size.READERS)}
    networks = {name: Network(Thousand(seed).eval(), name) for name, seed in seeds.items()}
    monkeypatch.setattr("softjpeg.models.network.load_network", networks.__getitem__)
    calls = spy(monkeypatch, "softjpeg.evaluation.rate_accuracy:evaluate")
    found = demo_own_size.own_size_gains(paths, tmp_path, {"a": "b"})
    (((_, images, presets), options),) = calls
    assert [*images.paths] == paths
    assert options == {"qualities": (5, 12, 25, 60), "progress": True}
    ladders = {name: Ladder.load(name) for name in ("universal", "universal-288")}
    for curve, name, center in (
        ("universal", "universal", None),
        ("universal-288", "universal-288", None),
        ("universal-288, center", "universal-288", 0.9),
    ):
        assert [*presets[curve]] == [f"{curve} q {quality}" for quality in (5, 12, 25, 60)]
        for quality in (5, 12, 25, 60):
            expected = dataclasses.replace(ladders[name].at(quality), center=center)
            assert_same(presets[curve][f"{curve} q {quality}"], expected)
    assert [*presets] == ["universal", "universal-288", "universal-288, center"]
    points, facts = load_json(tmp_path / "own-size.json")
    assert facts == {"a": "b"}
    assert {point.reader for point in points} == {*networks}
    assert {point.curve for point in points} == {"", "default 4:2:0", *presets}
    assert {(gain.rate, gain.quality) for gain in found} == {("bpp", "kl")}
    assert {(gain.curve, gain.reader) for gain in found} == {
        (curve, reader) for curve in presets for reader in networks
    }
    assert json.loads((tmp_path / "own-size.json").read_text())["gains"]


def assert_same(preset, expected):
    for field in dataclasses.fields(Preset):
        mine, theirs = (getattr(each, field.name) for each in (preset, expected))
        assert mine is theirs or repr(mine) == repr(theirs), field.name
