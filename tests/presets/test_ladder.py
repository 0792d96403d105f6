"""Ladders: libjpeg's one number, sizes of real files, and files that are read strictly."""

import io
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import photos as images
from softjpeg.learning.measured_ladder import measured_ladder
from softjpeg.presets.built_in import built_in
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.loading import load_preset
from softjpeg.presets.preset import Preset

PIXELS = images(12, 48)


def steep(quality, subsampling="4:2:0"):
    """Annex K turned round: fine steps at high frequencies."""
    preset = Preset.from_quality(quality, subsampling)
    return Preset(preset.luma[::-1, ::-1], preset.chroma[::-1, ::-1], subsampling=subsampling)


@pytest.fixture(scope="module")
def ladder():
    return measured_ladder([steep(q) for q in (75, 20, 50)], PIXELS, {"network": "none"})


def pillow_bytes(**options):
    total = 0
    for image in PIXELS:
        buffer = io.BytesIO()
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.save(buffer, "jpeg", optimize=True, subsampling=2, **options)
        total += len(buffer.getvalue())
    return total


def size_of(preset):
    return pillow_bytes(qtables=[preset.luma.ravel().tolist(), preset.chroma.ravel().tolist()])


def test_a_quality_has_the_size_of_default_jpeg(ladder):
    for quality in (1, 6, 20, 33, 50, 70, 92, 100):
        ours, default = size_of(ladder.at(quality)), pillow_bytes(quality=quality)
        assert ours == pytest.approx(default, rel=0.03), quality
    bpp = 8 * pillow_bytes(quality=50) / (len(PIXELS) * 48 * 48)
    assert 8 * size_of(ladder.at_bpp(bpp)) / (len(PIXELS) * 48 * 48) == pytest.approx(bpp, rel=0.03)


def test_sizes_rise_with_quality(ladder):
    sizes = [size_of(ladder.at(q)) for q in range(1, 101, 3)]
    assert all(b >= 0.995 * a for a, b in pairwise(sizes))
    assert sizes[-1] > 5 * sizes[0]


def test_ends_are_libjpegs_and_rungs_are_kept(ladder):
    for quality, step in ((1, 255), (100, 1)):
        preset, default = ladder.at(quality), Preset.from_quality(quality)
        for table in ("luma", "chroma"):
            assert (getattr(preset, table) == step).all()
            assert (getattr(preset, table) == getattr(default, table)).all()
    for i, quality in enumerate((20, 50, 75), 1):
        assert np.array_equal(ladder.at_position(i).luma, steep(quality).luma)
    between = ladder.at_position(1.5).luma
    middle = np.sqrt(steep(20).luma * steep(50).luma)
    assert np.abs(between - middle).max() <= 0.5
    assert ladder.at(50).provenance["quality"] == 50
    assert ladder.at(50).provenance["network"] == "none"


def test_file_and_back(ladder, tmp_path):
    ladder.save(tmp_path / "ladder.json")
    again = Ladder.load(tmp_path / "ladder.json")
    assert again == ladder
    assert again.at(40) == ladder.at(40)
    assert load_preset(tmp_path / "ladder.json", 40) == ladder.at(40)
    body = json.loads((tmp_path / "ladder.json").read_text())
    assert [rung["format"] for rung in body["rungs"]] == ["softjpeg-preset"] * 3
    assert Preset.from_json(json.dumps(body["rungs"][1])) == ladder.rungs[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "x"}, 'x.json is not a ladder: "format" is not "softjpeg-ladder"'),
        ({"version": 2}, "x.json: version must be 1, got 2"),
        ({"more": 1}, "x.json: more is not a field of a ladder"),
        ({"rungs": []}, "x.json: rungs must hold at least one preset, got none"),
        ({"rungs": 3}, "x.json: rungs must be a list of presets, got 3"),
        ({"provenance": []}, "x.json: provenance must be an object, got []"),
        ({"bpp": "abc"}, "x.json: bpp must be a list of at least two pairs of numbers, got 'abc'"),
        ({"bpp": [[0, 1], [3, 2]]}, "x.json: bpp must go from 0 to 4, got 0 to 3"),
        ({"bpp": [[0, 2], [4, 1]]}, "x.json: bpp[1] must not be below bpp[0]: [4. 1.]"),
        (
            {"default_bpp": [[1, -1], [100, 2]]},
            "x.json: default_bpp[0] must be finite and its rate positive, got",
        ),
    ],
)
def test_strict(ladder, change, sentence):
    body = {**json.loads(ladder.to_json()), **change}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Ladder.from_json(json.dumps(body), "x.json")
    assert str(caught.value).startswith(sentence)


def test_a_bad_rung_is_named(ladder):
    body = json.loads(ladder.to_json())
    body["rungs"][1]["luma"][0][3] = 300
    with pytest.raises(ValueError, match=r"^x: rungs\[1\]: luma\[0\]\[3\] must be an integer"):
        Ladder.from_json(json.dumps(body), "x")
    del body["bpp"]
    with pytest.raises(ValueError, match=r"^x: bpp is missing"):
        Ladder.from_json(json.dumps(body), "x")
    with pytest.raises(ValueError, match=r"^x is not a ladder: "):
        Ladder.from_json("{", "x")
    with pytest.raises(ValueError, match=r"rungs\[1\].subsampling must be .* 4:2:0, got 4:4:4"):
        Ladder((steep(20), steep(50, "4:4:4")), ladder.bpp, ladder.default_bpp)


def test_out_of_reach(ladder):
    for quality in (0, 101, float("nan")):
        with pytest.raises(ValueError, match=f"quality must be from 1 to 100, got {quality}"):
            ladder.at(quality)
    low, high = ladder.bpp[0][1], ladder.bpp[-1][1]
    with pytest.raises(ValueError, match=rf"bpp must be from {low:.3f} to {high:.3f} .* got 99"):
        ladder.at_bpp(99)
    with pytest.raises(ValueError, match="position must be from 0 to 4, got 5"):
        ladder.at_position(5)


def test_load_preset(ladder, tmp_path):
    ladder.save(tmp_path / "ladder.json")
    steep(50).save(tmp_path / "preset.json")
    assert load_preset(tmp_path / "preset.json") == steep(50)
    for call, sentence in (
        ((tmp_path / "preset.json", 40), "is one preset, which has no quality 40 to choose"),
        ((tmp_path / "ladder.json",), "is a ladder of presets: choose a quality from 1 to 100"),
        (("absent",), "absent is neither a file nor a built-in preset"),
        ((tmp_path,), "cannot be read"),
    ):
        with pytest.raises(ValueError, match=sentence):
            load_preset(*call)


def test_built_in_ladders_work():
    assert "universal" in built_in()
    for name in built_in():
        assert load_preset(name, 40).provenance["quality"] == 40
    with pytest.raises(ValueError, match=r"absent is neither .* \(.*\)"):
        load_preset("absent", 40)


def test_a_ladder_of_one_color():
    flat = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    ladder = measured_ladder([steep(50)], flat)
    assert ladder.at(100).luma.max() <= 255


def by_hand(**options):
    """Three decades of rate over two rungs, and default JPEG from 0.1 to 10 bits per pixel."""
    rungs = (Preset.from_quality(30), Preset.from_quality(70))
    curve = ((0, 0.01), (1, 0.1), (2, 1.0), (3, 10.0))
    return Ladder(rungs, curve, ((1, 0.1), (100, 10.0)), **options)


def test_rates_are_interpolated_in_their_logarithm():
    ladder = by_hand()
    for bpp, position in ((0.01, 0), (0.1, 1), (10**-0.5, 1.5), (10**0.25, 2.25), (10, 3)):
        assert ladder.at_bpp(bpp).luma.tolist() == ladder.at_position(position).luma.tolist()
    # 50.5 is half-way between 1 and 100: 1 bit per pixel, which is the second rung.
    assert ladder.position(50.5) == pytest.approx(2)
    assert ladder.position(1) == pytest.approx(1)
    assert ladder.position(25.75) == pytest.approx(1.5)


def test_hardness_is_interpolated_in_its_logarithm_and_the_nearer_rung_lends_the_rest():
    first, second = (
        replace(rung, hardness=np.full((2, 8, 8), h))
        for rung, h in zip(by_hand().rungs, (8.0, 128.0), strict=True)
    )
    ladder = Ladder((first, second), by_hand().bpp, by_hand().default_bpp)
    assert ladder.at_position(1.5).hardness == pytest.approx(np.full((2, 8, 8), 32.0))
    assert ladder.at_position(1.25).hardness == pytest.approx(np.full((2, 8, 8), 16.0))
    # Beyond the rungs it is that of the last one.
    assert ladder.at_position(0.5).hardness == pytest.approx(np.full((2, 8, 8), 8.0))
    assert ladder.at_position(2.9).hardness == pytest.approx(np.full((2, 8, 8), 128.0))


def test_what_cannot_be_a_ladder():
    for exponent, sentence in (
        (True, "size_exponent must be a number, got True"),
        ("1", "size_exponent must be a number, got '1'"),
        (-0.1, "size_exponent must be from 0 to 1, got -0.1"),
        (1.1, "size_exponent must be from 0 to 1, got 1.1"),
        (0.5, "scan_bpp must be a list of at least two pairs"),
    ):
        with pytest.raises(ValueError, match=sentence):
            by_hand(size_exponent=exponent)
