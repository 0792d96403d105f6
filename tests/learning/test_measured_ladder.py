"""Curves of a ladder, point by point from files."""

import pytest

from helpers.images import photos
from softjpeg.codec.image import encode
from softjpeg.learning.image_rates import QUALITIES
from softjpeg.learning.measured_ladder import measured_ladder
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

PIXELS = photos(6, 24)


def whole(preset):
    return 8 * sum(len(encode(x, preset)) for x in PIXELS) / PIXELS[:, 0].numel()


def scans(preset):
    """From the end of SOS to EOI."""
    total = 0
    for x in PIXELS:
        data = encode(x, preset)
        at = data.index(b"\xff\xda") + 2
        total += len(data) - 2 - at - int.from_bytes(data[at : at + 2], "big")
    return 8 * total / PIXELS[:, 0].numel()


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_curves_are_those_of_files_between_the_rungs_too(exponent):
    presets = [Preset.from_quality(q, "4:4:4") for q in (80, 20)]
    ladder = measured_ladder(presets, PIXELS, {"a": 1}, size_exponent=exponent)
    assert [rung.provenance["tables"][-2:] for rung in ladder.rungs] == ["20", "80"]
    assert (ladder.provenance, ladder.size_exponent) == ({"a": 1}, exponent)
    # The same interpolation with curves that do not matter.
    draft = Ladder(ladder.rungs, ((0, 1), (3, 1)), ((1, 1), (100, 1)))
    for curve, size in ((ladder.bpp, whole), (ladder.scan_bpp, scans)):
        if curve is ladder.scan_bpp and exponent == 1:
            assert curve == ()
            continue
        assert [x for x, _ in curve] == [i / 4 for i in range(13)]
        highest = 0.0
        for position, found in curve:
            highest = max(highest, size(draft.at_position(position)))
            assert found == pytest.approx(highest)
    assert [x for x, _ in ladder.default_bpp] == list(QUALITIES)
    for quality, found in ladder.default_bpp[5::7]:
        assert found == pytest.approx(whole(Preset.from_quality(int(quality), "4:4:4")), rel=5e-3)
