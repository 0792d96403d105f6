"""Mutated files: refused in one sentence, or read as others do. Long: SOFTJPEG_FUZZ=100000."""

import io
import json
import os
import warnings
from functools import partial

import numpy as np
import pytest
from PIL import Image

from fuzz.limits import within_limits
from helpers.jpeg_files import jpeg, noise
from softjpeg import Preset, decode, read_coefficients, recode
from softjpeg.jpeg.info import read_info
from softjpeg.jpeg.markers import segments
from softjpeg.jpeg.progressive_scans import check_progressive
from softjpeg.kernels.library import pure_functions

COUNT = int(os.environ.get("SOFTJPEG_FUZZ", "400"))
SEED = int(os.environ.get("SOFTJPEG_FUZZ_SEED", "0"))
SIZE = 34, 18
"""As small as has several MCUs each way, and restarts."""

JPEGS = [
    jpeg(noise(mode, SIZE), **options)
    for mode, options in (
        ("L", {}),
        ("RGB", {"restart_marker_blocks": 2}),
        ("RGB", {"optimize": True, "subsampling": "4:2:2"}),
        ("RGB", {"keep_rgb": True}),
        ("RGB", {"progressive": True}),
        ("RGB", {"qtables": [[300] * 64, [9] * 64]}),
        ("CMYK", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}),
    )
]


def mutated(data, rng):
    """Bytes flipped, put in, cut out, cut off or copied to elsewhere."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 9))
        kind = rng.integers(6)
        if kind < 2:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            data[at] = int(rng.choice([0, 1, 127, 128, 254, 255]))
        elif kind == 3:
            data[at:at] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif kind == 4:
            del data[at : at + length]
        else:
            place = int(rng.integers(len(data)))
            data[at : at + length] = data[place : place + length]
        data = data or bytearray(1)
    return bytes(data)


def accepted(function, *arguments):
    """What a function returns; None where it refuses, which is one sentence."""
    try:
        return within_limits(function, *arguments)
    except ValueError as error:
        refused = str(error)
    assert refused
    assert "\n" not in refused
    return None


def without_kernels(data):
    with pure_functions():
        return read_coefficients(data)


def check_scans(data):
    check_progressive(segments(data))
    return True


def test_jpegs():
    rng = np.random.default_rng(SEED)
    read = taken = shown = 0
    for n in range(COUNT):
        data = mutated(JPEGS[n % len(JPEGS)], rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            accepted(read_info, data)
            pixels = accepted(decode, data)
        found = accepted(read_coefficients, data)
        if n % 8 == 0:
            plain = accepted(without_kernels, data)
            assert (plain is None) == (found is None)
        # Without `strict` no less is read, and what is whole is the same.
        loose = accepted(partial(read_coefficients, strict=False), data)
        if found is not None:
            pairs = zip(loose.components, found.components, strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs)
        taken += loose is not None
        again = accepted(recode, data)
        read += found is not None
        if again is None:
            continue
        # Where Pillow decodes the damaged file too, it shows the same.
        if pixels is not None:
            assert decode(again).equal(pixels), data.hex()
            shown += 1
        if found is not None:
            same = zip(read_coefficients(again).components, found.components, strict=True)
            assert all(np.array_equal(a, b) for a, b in same)
    assert taken > read > COUNT // 50
    assert shown > COUNT // 50


PROGRESSIVE = [
    jpeg(noise(mode), progressive=True, **options)
    for mode, options in (("L", {}), ("RGB", {"restart_marker_blocks": 2}), ("CMYK", {}))
]


def test_scans_of_progressive_jpegs():
    rng = np.random.default_rng(SEED)
    named = 0
    for n in range(COUNT):
        data = mutated(PROGRESSIVE[n % len(PROGRESSIVE)], rng)
        named += accepted(check_scans, data) is None
    assert COUNT // 4 < named < COUNT


def hostile(body, rng):
    """A JSON object in which one value, key or place is another."""
    values = [0, -1, 2**200, 10**400, 1e308, 1e-320, None, True, "x", "", [], {}, [[1]], "\ud800"]
    keys = list(body)
    key = keys[int(rng.integers(len(keys)))]
    value = values[int(rng.integers(len(values)))]
    if isinstance(body[key], list) and rng.random() < 0.7:
        row = body[key][int(rng.integers(len(body[key])))]
        target = row if isinstance(row, list) else body[key]
        target[int(rng.integers(len(target)))] = value
    elif rng.random() < 0.1:
        del body[key]
    else:
        body[key] = value
    return json.dumps(body)


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_presets():
    rng = np.random.default_rng(SEED)
    text = Preset.from_quality(50).to_json()
    kept = 0
    for n in range(COUNT):
        if n % 2:
            changed = hostile(json.loads(text), rng)
        else:
            changed = mutated(text.encode(), rng).decode("latin-1")
        preset = accepted(Preset.from_json, changed)
        if preset is not None:
            assert Preset.from_json(preset.to_json()) == preset
            buffer = io.BytesIO()
            Image.new("L", (8, 8)).save(buffer, "jpeg", qtables=preset.export("pillow"))
            kept += 1
    assert kept > COUNT // 50
