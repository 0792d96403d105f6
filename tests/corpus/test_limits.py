"""Bombs are refused from their headers, each with its class, and take no memory."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from helpers.commands import call, refusal
from helpers.images import smooth_image
from helpers.sources import rows_of, write_source
from softjpeg import Preset
from softjpeg.common.image_files import NamedBytes
from softjpeg.corpus.limits import FormatError, LimitError, Limits
from softjpeg.corpus.samples import Encoder, encode_batch


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *more):
    """A gray PNG of zeros, compressed row by row."""
    packer, rows = zlib.compressobj(9), []
    for _ in range(height):
        rows.append(packer.compress(bytes(1 + width)))
    pixels = b"".join(rows) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(more)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def jpeg(*, claims=None, segments=b""):
    """A small JPEG whose frame header claims another (height, width)."""
    buffer = io.BytesIO()
    smooth_image(16, 16).save(buffer, "jpeg")
    data = buffer.getvalue()
    if claims:
        at = data.index(b"\xff\xc0") + 5
        data = data[:at] + struct.pack(">HH", *claims) + data[at + 4 :]
    return data[:2] + segments + data[2:]


def profile_bomb():
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    return png(8, 8, chunk(b"iCCP", b"profile\0\0" + packed))


def segments_bomb():
    """200 MB of APP2, over what one profile may have."""
    piece = b"ICC_PROFILE\0\x01\x01" + bytes(65519)
    return jpeg(segments=(b"\xff\xe2\xff\xff" + piece) * 3053)


BOMBS = {
    "1x65535": (lambda: png(1, 65535), "limit-side"),
    "65535x1": (lambda: png(65535, 1), "limit-side"),
    "200 megapixels": (lambda: png(16000, 12500), "limit-pixels"),
    "150 megapixels": (lambda: png(15000, 10000), "limit-pixels"),
    "a header that lies": (lambda: jpeg(claims=(60000, 60000)), "limit-pixels"),
    "a header that lies a little": (lambda: jpeg(claims=(9000, 9000)), "limit-pixels"),
    "a packed profile of 200 MB": (profile_bomb, "limit-profile"),
    "a profile of 200 MB": (segments_bomb, "limit-bytes"),
}

READ = """
import json, resource, sys
from softjpeg.common.image_files import read_upright
from softjpeg.corpus.error_classes import error_class
from softjpeg.corpus.limits import Limits

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

found, before = {}, peak()
for path in sys.argv[1:]:
    try:
        Limits().check(path)
        read_upright(path)
    except Exception as error:
        found[path] = error_class(error)
print(json.dumps([found, peak() - before]))
"""


def test_bombs_are_refused_with_their_class_and_without_memory(tmp_path):
    paths = {}
    for number, (name, (make, _)) in enumerate(BOMBS.items()):
        paths[name] = tmp_path / f"{number}.png"
        paths[name].write_bytes(make())
    assert paths["200 megapixels"].stat().st_size < 250_000
    assert paths["a packed profile of 200 MB"].stat().st_size < 250_000
    assert paths["a profile of 200 MB"].stat().st_size > 200_000_000
    words = [sys.executable, "-c", READ, *map(str, paths.values())]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found, memory = json.loads(done.stdout)
    assert {name: found.get(str(path)) for name, path in paths.items()} == {
        name: expected for name, (_, expected) in BOMBS.items()
    }
    # Beside what Python with torch takes.
    assert memory < 50_000_000


def test_a_good_image_stays_whole_and_may_be_read_afterwards():
    buffer = io.BytesIO()
    smooth_image(20, 30).save(buffer, "png")
    data = NamedBytes(buffer.getvalue(), "a")
    Limits(pixels=600, bytes=len(buffer.getvalue()), frames=1).check(data)
    assert Image.open(data).size == (30, 20)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"pixels": 599}, "a has 30x20 pixels: at most 599 are read"),
        ({"bytes": 99}, "a has 1854 bytes: at most 99 are read"),
        ({"frames": 2}, "a has 3 frames: at most 2 are counted"),
    ],
)
def test_each_limit_is_named_with_its_value(limits, words):
    frames = [Image.new("RGB", (30, 20), color) for color in ("red", "lime", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "tiff", save_all=True, append_images=frames[1:])
    data = buffer.getvalue()
    words = words.replace("1854", str(len(data)))
    with pytest.raises(LimitError, match=f"^{words}$") as caught:
        Limits(**limits).check(NamedBytes(data, "a"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.limit, str(copy)) == (*limits, words)


def test_no_program_is_started_for_a_format_that_needs_one():
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    assert Image.open(io.BytesIO(postscript)).format == "EPS"
    with pytest.raises(FormatError, match="a is no image that is read"):
        Limits().check(NamedBytes(postscript, "a"))


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_is_above_0(value):
    with pytest.raises(ValueError, match=f"seconds must be above 0, got {value}"):
        Limits(seconds=value)


def test_more_pixels_than_pillow_decodes_of_itself(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    file = io.BytesIO()
    smooth_image(20, 20).save(file, "png")
    for pixels, status in ((400, "written"), (399, "failed")):
        encoder = Encoder(Preset.from_quality(50), limits=Limits(pixels=pixels))
        (row,) = encode_batch([("a", file.getvalue())], encoder)
        assert row.facts["status"] == status
        assert Image.MAX_IMAGE_PIXELS == 50


def animation():
    frames = [Image.new("L", (8, 8), color) for color in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "png", save_all=True, append_images=frames[1:])
    return file.getvalue()


ASKING = {
    # A header and nothing behind it: whoever decoded it would say that it is damaged.
    "frames.png": (animation, "--max-frames", 2, "limit-frames"),
    "long.png": (lambda: png(300, 2)[:45], "--max-pixels", 599, "limit-pixels"),
    "small.png": (lambda: png(8, 8), None, None, None),
    "wide.bmp": (lambda: b"BM" + bytes(3000), "--max-source-bytes", 2999, "limit-bytes"),
}


@pytest.fixture(params=["folder", "tar"])
def limited(request, tmp_path, monkeypatch):
    """What encodes into a folder and returns its errors by key, and what was said."""
    monkeypatch.chdir(tmp_path)
    tar = request.param == "tar"
    write_source(tmp_path / "in", {name: make() for name, (make, *_) in ASKING.items()}, tar)

    def encode(*words):
        more = () if tar else ("--manifest",)
        tables = ("--preset", "default", "--quality", 30)
        result = call("encode", "in", "--out", "out", *tables, *more, *words)
        assert result.exit_code == 3, result.output
        rows = rows_of(tmp_path / "out", tar)
        return {name: row.get("error") for name, row in rows.items()}, result

    return encode


def test_options_say_what_an_image_may_ask_for(limited):
    default = {"frames.png": None, "long.png": "decode", "small.png": None, "wide.bmp": "decode"}
    assert limited()[0] == default
    words = [word for _, option, value, _ in ASKING.values() if option for word in (option, value)]
    # Nothing but what failed is looked at again, and a limit changes no file.
    assert limited(*words)[0] == default
    limits = {name: error for name, (*_, error) in ASKING.items()}
    found, _ = limited(*words, "--retry", "decode")
    assert found == {**limits, "frames.png": None}
    found, _ = limited("--max-pixels", 600, "--retry", "limit-pixels")
    assert found == {**limits, "frames.png": None, "long.png": "decode"}
    found, _ = limited("--max-source-bytes", 3002, "--retry", "limit")
    assert found == default


def test_a_limit_of_frames(limited):
    assert limited("--max-frames", 2)[0]["frames.png"] == "limit-frames"


@pytest.mark.parametrize(
    "option", ["--max-pixels", "--max-source-bytes", "--max-frames", "--seconds"]
)
@pytest.mark.parametrize("value", [0, -1])
def test_an_option_is_above_0(tmp_path, option, value):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    words = ("encode", tmp_path, "--out", tmp_path / "out", "--preset", "default", "--quality", 30)
    assert refusal(*words, option, value).startswith(f"{option} must be above 0, got {value}")
    assert refusal(*words, "--network", "squeezenet1.1", option, 1).startswith("--seconds, --max")
    assert not (tmp_path / "out").exists()


def test_any_number_is_a_limit():
    Limits(pixels=10**400).check(NamedBytes(png(8, 8), "a"))
