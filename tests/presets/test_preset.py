"""Presets: round trip, and one sentence for everything that is wrong."""

import io
import json
import os
import re
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from fuzz.test_fuzz import accepted
from softjpeg import Preset
from softjpeg.jpeg.table_formats import read_tables
from softjpeg.jpeg.tables import quality_tables
from softjpeg.presets.distortion_model import DistortionModel


def example():
    rng = np.random.default_rng(0)
    luma, chroma = rng.integers(1, 256, (2, 8, 8))
    hardness = rng.uniform(1, 90, (2, 8, 8))
    return Preset(luma, chroma, hardness, "4:2:2", {"network": "x", "seed": 3})


def test_round_trip(tmp_path):
    preset = example()
    preset.save(tmp_path / "p.json")
    loaded = Preset.load(tmp_path / "p.json")
    assert loaded == preset
    assert np.array_equal(loaded.luma, preset.luma)
    assert np.array_equal(loaded.chroma, preset.chroma)
    assert (loaded.subsampling, loaded.provenance) == ("4:2:2", {"network": "x", "seed": 3})
    assert np.array_equal(loaded.hardness, preset.hardness)
    assert loaded.to_json() == preset.to_json()
    assert [p.name for p in tmp_path.iterdir()] == ["p.json"]


def test_a_distortion_model_is_kept_with_every_number():
    rng, plain = np.random.default_rng(4), example()
    fields = {
        "sensitivity": rng.uniform(0.1, 9, (3, 8, 8)),
        "correlation": rng.uniform(-1, 1, (3, 8, 8)),
        "position": np.array([[0.5, 1.5], [1.25, 0.75]]),
        "masking": np.array([[0.0, 3.5, 9.0], [2.0, 1.0, 0.25]]),
        "rate_weight": 0.0625,
    }
    preset = replace(plain, distortion=DistortionModel(**fields))
    body = json.loads(preset.to_json())
    assert {*body["distortion"]} == {*fields}
    loaded = Preset.from_json(preset.to_json())
    for name, values in fields.items():
        # To four digits.
        assert np.allclose(body["distortion"][name], values, rtol=6e-4, atol=0)
        assert np.array_equal(getattr(loaded.distortion, name), body["distortion"][name])
    assert loaded.to_json() == preset.to_json()
    assert "distortion" not in json.loads(plain.to_json())
    body["distortion"]["masking"] = [[1, 0], [1, 1]]
    with pytest.raises(ValueError, match=r"preset: distortion masking\[0\] must rise"):
        Preset.from_json(json.dumps(body))


def test_presets_are_equal_only_if_all_of_them_is():
    rng, plain = np.random.default_rng(1), example()
    tables = rng.integers(1, 256, (8, 8))
    for change in (
        {"luma": tables},
        {"chroma": tables},
        {"hardness": np.full((2, 8, 8), 3.0)},
        {"subsampling": "4:4:4"},
        {"provenance": {}},
    ):
        other = replace(plain, **change)
        assert other != plain
        assert Preset.from_json(other.to_json()) == other
    assert plain == example()
    assert plain != "a preset"


def test_file_is_readable():
    lines = Preset.from_quality(75).to_json().splitlines()
    assert "    [8, 6, 5, 8, 12, 20, 26, 31]," in lines
    assert json.loads("\n".join(lines))["subsampling"] == "4:2:0"


def change(**fields):
    body = json.loads(example().to_json())
    for key, value in fields.items():
        if value is None:
            del body[key]
        else:
            body[key] = value
    return json.dumps(body)


def table_with(value):
    table = quality_tables(50)[0].tolist()
    table[2][5] = value
    return table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (change(luma=None), "p: luma is missing"),
        (change(hardness=None), "p: hardness is missing"),
        (change(extra=1), "p: extra is not a field"),
        (change(version=2), "p: version must be 1, got 2"),
        (change(format="other"), 'p is not a preset: "format" is not'),
        (change(luma=table_with(0)), r"p: luma\[2\]\[5\] must be an integer from 1 to 255, got 0"),
        (change(chroma=table_with(256)), r"p: chroma\[2\]\[5\] .* got 256"),
        (change(chroma=table_with(7.5)), r"p: chroma\[2\]\[5\] .* got 7.5"),
        (change(chroma=table_with("7")), r"p: chroma\[2\]\[5\] must be .* got '7'"),
        (change(chroma=table_with(True)), r"p: chroma\[2\]\[5\] must be .* got True"),
        (
            change(chroma=table_with(None)),
            r"p: chroma\[2\]\[5\] must be .* got None",
        ),
        (change(luma=[[1] * 8] * 7), r"p: luma must have shape \(8, 8\), got \(7, 8\)"),
        (change(luma=[[1] * 8] * 7 + [[1]]), "p: luma must have shape .* ragged"),
        (change(hardness=-1), "p: hardness.* must be positive and finite, got -1"),
        (change(hardness=0), r"p: hardness\[0\]\[0\]\[0\] must be positive and finite, got 0"),
        (change(hardness=[1, 2]), r"p: hardness must be one number or have shape \(2, 8, 8\)"),
        (change(hardness={}), "p: hardness must be"),
        (change(hardness=True), "p: hardness must be a number, got True"),
        (change(subsampling="4:1:1"), "p: subsampling must be one of .* got '4:1:1'"),
        (change(subsampling=[]), r"p: subsampling must be one of .* got \[\]"),
        (change(provenance=3), "p: provenance must be an object, got 3"),
        (
            change(luma=table_with(7)).replace("7", "NaN", 1),
            r"p: luma\[2\]\[5\] must be a number of 64 bits, got NaN",
        ),
        ("{", "p is not a preset"),
        ("[" * 100_000, "p is not a preset"),
        ("[]", "p is not a preset"),
    ],
)
def test_refused(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        Preset.from_json(text, name="p")
    assert "\n" not in str(caught.value)


def test_refused_files(tmp_path):
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ValueError, match=r"big\.json is not a preset: it is larger than"):
        Preset.load(big)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not UTF-8"):
        Preset.load(binary)
    with pytest.raises(ValueError, match=r"nothing\.json cannot be read: No such file"):
        Preset.load(tmp_path / "nothing.json")
    with pytest.raises(ValueError, match=r"form must be one of .*c, pillow, got 'x'"):
        Preset.from_quality(50).export("x")
    with pytest.raises(ValueError, match=r"luma\[0\]\[0\] must be an integer"):
        Preset(np.zeros((8, 8)), np.ones((8, 8)))


@pytest.mark.parametrize("value", ["1e999", "-1e999", "1e400", str(10**400), str(2**200)])
@pytest.mark.parametrize("path", ["luma", "hardness", "provenance"])
def test_numbers_beyond_64_bits(path, value):
    """Refused in one sentence, or written again as they came."""
    text = Preset.from_quality(50).to_json()
    whole = {"luma": "[16, 11", "hardness": '"hardness": 50.0', "provenance": '"provenance": {'}
    changed = {
        "luma": f"[{value}, 11",
        "hardness": f'"hardness": {value}',
        "provenance": f'"provenance": {{"a": {value},',
    }
    assert whole[path] in text
    text = text.replace(whole[path], changed[path], 1)
    if "e" not in value and (path == "provenance" or (len(value) < 99 and path == "hardness")):
        preset = Preset.from_json(text)
        assert Preset.from_json(preset.to_json()) == preset
        return
    with pytest.raises(ValueError, match=r"preset: (luma|hardness|provenance)"):
        Preset.from_json(text)


@pytest.mark.parametrize("depth", [64, 65, 900, 100_000])
def test_what_is_read_can_be_written(depth):
    deep = "[" * (depth - 2) + "]" * (depth - 2)
    text = Preset.from_quality(50).to_json()
    text = text.replace('"provenance": {', f'"provenance": {{"a": {deep},', 1)
    if depth > 64:
        with pytest.raises(ValueError, match=r"nested no deeper than 64 levels|recursion"):
            Preset.from_json(text)
    else:
        preset = Preset.from_json(text)
        assert Preset.from_json(preset.to_json()) == preset


def test_presets_are_keys():
    a, b = Preset.from_quality(50), Preset.from_quality(50)
    assert a is not b
    assert len({a, b, Preset.from_quality(51), Preset.from_quality(50, "4:4:4")}) == 3


def test_pillow_takes_what_is_exported_for_it():
    preset = Preset(*np.random.default_rng(0).integers(1, 256, (2, 8, 8)))
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(buffer, "jpeg", qtables=preset.export("pillow"))
    luma, chroma = read_tables(buffer.getvalue())
    assert np.array_equal(luma, preset.luma)
    assert np.array_equal(chroma, preset.chroma)


NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([2**200, 10**399, 1e308, 5e-324, -0.0, True]),
)
LEAVES = st.one_of(st.none(), NUMBERS, st.text())
NESTED = st.one_of(
    LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(st.text(), LEAVES, max_size=3)
)
JSON = st.one_of(
    NESTED, st.lists(NESTED, max_size=3), st.dictionaries(st.text(), NESTED, max_size=3)
)


@st.composite
def preset_bodies(draw):
    """A preset's object with values of its fields drawn, of which many are out of range."""
    body = json.loads(Preset.from_quality(draw(st.integers(1, 100))).to_json())
    positive = st.floats(0, exclude_min=True, allow_infinity=False)
    table = st.lists(st.lists(positive, min_size=8, max_size=8), min_size=8, max_size=8)
    body["provenance"] = draw(st.one_of(st.dictionaries(st.text(), JSON, max_size=3), JSON))
    body["hardness"] = draw(st.one_of(positive, st.lists(table, min_size=2, max_size=2), JSON))
    if draw(st.booleans()):
        body["short_side"] = draw(NUMBERS)
    if draw(st.booleans()):
        body["center"] = draw(st.one_of(NUMBERS, st.floats(0, 1, exclude_min=True)))
    if draw(st.booleans()):
        ones = [[[1.0] * 8] * 8] * 3
        steps = draw(st.lists(positive, min_size=1, max_size=4))
        body["distortion"] = {
            "sensitivity": draw(st.one_of(st.just(ones), st.lists(table, min_size=3, max_size=3))),
            "correlation": [[[draw(st.floats(-1, 1))] * 8] * 8] * 3,
            "position": [steps],
            "masking": [steps, draw(st.lists(positive, min_size=1, max_size=4))],
            "rate_weight": draw(NUMBERS),
        }
    return body


@hypothesis.settings(
    max_examples=int(os.environ.get("SOFTJPEG_FUZZ", "60")),
    deadline=None,
    database=None,
    derandomize="SOFTJPEG_FUZZ" not in os.environ,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(preset_bodies())
def test_what_is_accepted_can_be_written_and_read_again(body):
    preset = accepted(Preset.from_json, json.dumps(body))
    assert preset is None or Preset.from_json(preset.to_json()) == preset


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1e999", "1e999"),
        ("9" * 1001, "9" * 59 + "..."),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_numbers_beyond_64_bits_are_named_with_their_path(value, shown):
    text = Preset.from_quality(50).to_json()
    for old, new, path in (
        ('"hardness": 50.0', f'"hardness": {value}', "hardness"),
        ("[12, 12, 14", f"[12, {value}, 14", "luma[1][1]"),
        ('"provenance": {', f'"provenance": {{"a": {{"b": [1, {value}]}},', "provenance.a.b[1]"),
    ):
        assert old in text
        message = f"p.json: {path} must be a number of 64 bits, got {shown}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            Preset.from_json(text.replace(old, new), "p.json")


def test_equal_presets_have_one_hash():
    same, other = Preset.from_quality(30), Preset.from_quality(31)
    assert len({Preset.from_quality(30), same, other}) == 2
    assert hash(Preset.from_json(same.to_json(), "p.json")) == hash(same)


def test_files_by_text_and_by_path(tmp_path):
    preset = Preset.from_quality(30)
    preset.save(str(tmp_path / "p.json"))
    for path in (tmp_path / "p.json", str(tmp_path / "p.json")):
        assert Preset.load(path).luma.tolist() == preset.luma.tolist()
    with pytest.raises(ValueError, match=r"^absent\.json cannot be read: No such file"):
        Preset.load("absent.json")
