import io
import math
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from helpers.images import smooth_image
from softjpeg.codec import byte_limit
from softjpeg.codec.adaptive_quality import storing
from softjpeg.codec.byte_limit import ByteLimit, TooLargeError, encode_choosing, load_limit
from softjpeg.codec.image import encode
from softjpeg.presets.loading import load
from softjpeg.presets.preset import Preset

DEFAULT = Preset.from_quality(50)


def by_pillow(image, quality, **options):
    file = io.BytesIO()
    image.save(file, "jpeg", quality=quality, optimize=True, **options)
    return file.getvalue()


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_the_largest_of_default_jpegs_that_fits(subsampling):
    image = smooth_image(80, 96, 1, cells=30)
    files = {q: by_pillow(image, q, subsampling=subsampling) for q in range(1, 101)}
    sizes = [len(file) for file in files.values()]
    assert sizes == sorted(sizes)
    for most in (sizes[0], sizes[30] + 3, sizes[60], sizes[98], sizes[99], 10**6):
        best = max(q for q, file in files.items() if len(file) <= most)
        limit = ByteLimit(most, replace(DEFAULT, subsampling=subsampling))
        assert limit.encoded(image) == (files[best], best)


@pytest.mark.parametrize("highest", [1, 2, 7, 40])
def test_no_quality_above_the_highest_is_tried(highest):
    image = smooth_image(80, 96, 1, cells=30)
    asked = []
    limit = ByteLimit(10**6, DEFAULT, highest)
    assert limit.encoded(image) == (by_pillow(image, highest), highest)
    small = len(by_pillow(image, 1))
    best = max(q for q in range(1, highest + 1) if len(by_pillow(image, q)) <= small)
    assert ByteLimit(small, DEFAULT, highest).encoded(image) == (by_pillow(image, best), best)

    class Counting(ByteLimit):
        def at(self, quality):
            asked.append(quality)
            return super().at(quality)

    with pytest.raises(TooLargeError, match=f"at most 9 bytes: quality 1 has {small}"):
        Counting(9, DEFAULT, highest).encoded(image)
    assert max(asked) == highest
    assert len(asked) == len(set(asked)) <= 8


def test_a_ladder_with_what_it_stores_and_all_options():
    image = smooth_image(120, 160, 1, cells=30)
    ladder = storing(load("universal"), center=0.5)
    options = {"header": "compact", "optimize": False}
    sizes = {q: len(encode(image, ladder.at(q), **options)) for q in range(1, 101)}
    data, quality = ByteLimit(1500, ladder, 90).encoded(image, **options)
    assert data == encode(image, ladder.at(quality), **options)
    assert sizes[quality] <= 1500 < sizes[quality + 1]
    drawn = replace(DEFAULT, hardness=np.full((2, 8, 8), 1.0))
    data, quality = ByteLimit(7500, drawn).encoded(image, "probabilistic", 5)
    assert data == encode(image, ByteLimit(1, drawn).at(quality), "probabilistic", seed=5)
    assert data != encode(image, Preset.from_quality(quality))


def counted_size(sizes, asked, quality):
    asked[quality] += 1
    return sizes(quality)


@pytest.mark.parametrize("sizes", [lambda q: 100, lambda q: 10**q, lambda q: 1 + (q > 3) * 10**9])
@pytest.mark.parametrize("highest", [1, 2, 77, 100])
def test_sizes_of_any_shape(sizes, highest):
    for most in (1, 99, 100, 101, 10**6):
        asked = Counter()
        size_of = partial(counted_size, sizes, asked)
        quality = byte_limit._highest_within(size_of, most, highest)
        assert quality == max((q for q in range(1, highest + 1) if sizes(q) <= most), default=0)
        # Four guesses, then halving; and no quality twice.
        assert len(asked) <= 4 + math.ceil(math.log2(101))
        assert asked.most_common(1)[0][1] == 1


def test_fewer_files_are_written_than_by_halving(monkeypatch):
    asked = []

    def counted(*words, **options):
        asked.append(words[1])
        return encode(*words, **options)

    image = smooth_image(80, 96, 1, cells=30)
    smallest, largest = (len(by_pillow(image, quality)) for quality in (1, 100))
    monkeypatch.setattr(byte_limit, "encode", counted)
    for most in np.geomspace(smallest, largest, 12).astype(int).tolist():
        ByteLimit(most, DEFAULT).encoded(image)
    # Halving a hundred takes six or seven.
    assert len(asked) / 12 < 5


def test_a_limit_by_name(tmp_path):
    ladder = load_limit(9, "universal", 40)
    assert (ladder.at(30), ladder.highest) == (load("universal").at(30), 40)
    assert np.array_equal(load_limit(9, "default").at(30).luma, Preset.from_quality(30).luma)
    DEFAULT.save(tmp_path / "one.json")
    with pytest.raises(ValueError, match=r"one\.json is one preset: a limit of bytes chooses"):
        load_limit(9, tmp_path / "one.json")


def test_of_any_image():
    gray = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    data, quality = ByteLimit(400, DEFAULT).encoded(gray)
    assert data == by_pillow(gray, quality)
    assert ByteLimit(400, DEFAULT).encoded(np.array(gray)) == (data, quality)


def test_a_limit_and_a_preset_are_encoded_with_all_that_is_given():
    image, drawn = smooth_image(40, 48, 1), replace(DEFAULT, hardness=np.full((2, 8, 8), 1.0))
    given = {"mode": "probabilistic", "seed": 5, "header": "compact"}
    limit = ByteLimit(10**6, drawn, 40)
    assert encode_choosing(image, limit, **given) == (encode(image, limit.at(40), **given), 40)
    assert encode_choosing(image, drawn, **given) == (encode(image, drawn, **given), None)
    assert encode_choosing(image, drawn, **{**given, "seed": 6})[0] != encode(image, drawn, **given)


def test_storing_reaches_the_ladder():
    for ladder in (DEFAULT, load("universal")):
        stored = storing(ByteLimit(9, ladder, 40), short_side=32)
        assert (stored.most, stored.highest, stored.at(30).short_side) == (9, 40, 32)


def test_everything_is_in_its_json():
    base = ByteLimit(9, DEFAULT)
    others = ByteLimit(8, DEFAULT), ByteLimit(9, DEFAULT, 40), ByteLimit(9, load("universal"))
    assert len({each.to_json() for each in (base, *others)}) == 4


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match="most must be at least 1 byte, got 0"):
        ByteLimit(0, DEFAULT)
    with pytest.raises(ValueError, match="highest must be a quality from 1 to 100, got 101"):
        ByteLimit(9, DEFAULT, 101)
