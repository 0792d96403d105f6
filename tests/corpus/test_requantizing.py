"""`--requantize` in folders and shards: what becomes so, what does not, and what is said of it."""

import io
import tarfile

import pytest
from PIL import Image

from helpers.commands import call, refusal
from helpers.images import png, smooth_image
from helpers.jpeg_files import jpeg
from helpers.sources import rows_of, write_source
from softjpeg import Preset, requantize
from softjpeg.corpus.engine import Entry
from softjpeg.corpus.processes import processes
from softjpeg.corpus.samples import Encoder, encode_batch

WORDS = ("--preset", "default", "--quality", 30)
PRESET = Preset.from_quality(30)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(smooth_image(40, 56, 4), quality=90, exif=exif)


IMAGES = {
    "a.jpg": jpeg(smooth_image(40, 56, 1), quality=92),
    "b.jpg": jpeg(smooth_image(45, 50, 2), quality=92, subsampling=0),
    "c.jpg": jpeg(smooth_image(40, 56, 3).convert("CMYK"), quality=92),
    "d.jpg": jpeg(smooth_image(40, 56, 3), quality=92, progressive=True),
    "e.png": png(0),
    "f.jpg": turned(),
}
WHY = {
    "c.jpg": "encoded from pixels: data has 4 components",
    "d.jpg": "encoded from pixels: data is a progressive JPEG (SOF2)",
    "e.png": "encoded from pixels: data is no JPEG file",
}


@pytest.fixture(params=["folder", "tar"])
def encoded(request, tmp_path, monkeypatch):
    """What encodes into a folder and returns its files and rows by key, and what was said."""
    monkeypatch.chdir(tmp_path)
    tar = request.param == "tar"
    write_source(tmp_path / "in", IMAGES, tar)

    def encode(*words, out="out"):
        words = words if tar else (*words, "--manifest")
        result = call("encode", "in", *WORDS, "--out", out, *words)
        assert result.exit_code == 0, result.output
        there = tmp_path / out
        if tar:
            with tarfile.open(there / "0.tar") as archive:
                archive.extractall(there, filter="data")
        files = {name: (there / name).with_suffix(".jpg").read_bytes() for name in IMAGES}
        return files, rows_of(there, tar), result

    return encode


def test_a_jpeg_gets_the_tables_and_the_others_go_through_pixels(encoded):
    files, rows, result = encoded("--requantize")
    plain, rows_of_plain, _ = encoded(out="plain")
    assert "; 3 from their own coefficients" in result.stdout
    for name, data in IMAGES.items():
        if name in WHY:
            assert files[name] == plain[name]
            assert rows[name]["remarks"] == [WHY[name]]
            assert "requantized" not in rows[name]
        else:
            assert files[name] == requantize(data, PRESET) != plain[name]
            assert rows[name]["requantized"] is True
            assert "remarks" not in rows[name]
        assert not {"requantized", "remarks"} & {*rows_of_plain[name]}
    # As it lies in the file, and as it is shown.
    assert (rows["f.jpg"]["width"], rows_of_plain["f.jpg"]["width"]) == (56, 40)
    for found in (files, plain):
        with Image.open(io.BytesIO(found["f.jpg"])) as image:
            assert (image.size, image.getexif().get(0x0112)) in (((56, 40), 6), ((40, 56), None))


def test_a_second_run_has_nothing_to_do_and_one_without_the_option_has(encoded):
    encoded("--requantize")
    again = encoded("--requantize", "--verify")[2].stdout
    assert " done already): " in again
    assert "; 3 from their own coefficients" in again
    assert "done already" not in encoded()[2].stdout


def test_other_options_hold(encoded):
    files, rows, _ = encoded("--requantize", "--no-metadata", "--header", "compact")
    # Turned in its pixels: nothing else would tell how it is shown.
    assert rows["f.jpg"]["remarks"] == ["encoded from pixels: data is shown turned"]
    with Image.open(io.BytesIO(files["f.jpg"])) as image:
        assert image.size == (40, 56)
    assert files["a.jpg"] == requantize(IMAGES["a.jpg"], PRESET, header="compact")
    files, rows, _ = encoded("--requantize", "--max-bytes", 700, out="most")
    assert rows["a.jpg"]["requantized"] is rows["b.jpg"]["requantized"] is True
    for name in IMAGES:
        assert len(files[name]) <= 700
    quality = rows["a.jpg"]["quality"]
    assert files["a.jpg"] == requantize(IMAGES["a.jpg"], Preset.from_quality(quality))


def test_a_limit_that_no_quality_meets_is_no_reason_to_take_pixels():
    from softjpeg.codec.byte_limit import ByteLimit

    encoder = Encoder(ByteLimit(9, Preset.from_quality(50)), requantize=True)
    (row,) = encode_batch([("a.jpg", IMAGES["a.jpg"])], encoder)
    assert row.facts["detail"].startswith("no quality has at most 9 bytes")


def test_never_larger_than_the_source_where_that_is_asked_for():
    small = jpeg(smooth_image(40, 56, 1), quality=5, optimize=True)
    encoder = Encoder(Preset.from_quality(100), keep_smaller=True, requantize=True)
    (row,) = encode_batch([("a.jpg", small)], encoder)
    assert row.data == small
    assert row.facts["source_kept"] is True
    assert "requantized" not in row.facts


def test_a_jpeg_that_is_cut_off_is_refused_or_kept_as_without():
    from softjpeg.corpus.sources import SourceRules

    cut = IMAGES["a.jpg"][:-60]
    for rules in (SourceRules(), SourceRules(truncated="keep")):
        rows = [
            encode_batch([("a.jpg", cut)], Encoder(PRESET, rules=rules, requantize=wanted))[0]
            for wanted in (False, True)
        ]
        assert rows[0].data == rows[1].data
        assert rows[0].facts["status"] == rows[1].facts["status"]
    assert [*map(str, rows[1].facts["remarks"])][1].startswith("encoded from pixels: data is c")


def test_processes_do_not_matter():
    pytest.importorskip("pebble")
    encoder = Encoder(PRESET, requantize=True)
    entries = [Entry(name, data, True) for name, data in IMAGES.items()]
    with processes(encoder, 2) as run:
        assert [row for _, row in run(entries)] == encode_batch(IMAGES.items(), encoder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("default", "--mode", "probabilistic"), "requantizing rounds each coefficient: mode must"),
        (("default", "--short-side", 20), "requantizing keeps every block where it is: no short_s"),
        (("universal-288",), "requantizing keeps every block where it is: no short_side and no ce"),
        (
            ("default", "--network", "squeezenet1.1"),
            "--seconds, --max-bytes, --max-pixels, ",
        ),
    ],
)
def test_what_needs_pixels_is_refused_before_anything_is_written(tmp_path, words, said):
    (tmp_path / "a.jpg").write_bytes(IMAGES["a.jpg"])
    out = tmp_path / "out"
    words = ("--out", out, "--quality", 30, "--requantize", "--preset", *words)
    assert refusal("encode", tmp_path / "a.jpg", *words).startswith(said)
    assert not out.exists()
