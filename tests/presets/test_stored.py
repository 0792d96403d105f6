"""What of an image is stored: refused with its value, and kept in JSON where it is said."""

import math

import numpy as np
import pytest

from softjpeg.presets.preset import Preset
from softjpeg.presets.stored import check_center, check_short_side

OWN = Preset.from_quality(50)


@pytest.mark.parametrize("value", [0, -0.5, 1.01, math.nan, math.inf, True, "0.9", [0.9], 10**400])
def test_bad_shares_are_refused_with_their_value(value):
    with pytest.raises(ValueError, match=r"^center must be a share above 0 and at most 1, got "):
        Preset(OWN.luma, OWN.chroma, center=value)


def test_good_ones_become_numbers():
    assert check_center(None) is None
    assert [check_center(v) for v in (1, np.float32(0.5), 1e-9)] == [1.0, 0.5, 1e-9]
    assert check_short_side(np.int32(3)) == 3


def test_json_has_them_only_where_they_are_said():
    assert "center" not in OWN.to_json()
    part = Preset(OWN.luma, OWN.chroma, short_side=288, center=0.9)
    assert '  "short_side": 288,\n  "center": 0.9,\n' in part.to_json()
    assert Preset.from_json(part.to_json()) == part
    assert part != Preset(OWN.luma, OWN.chroma, short_side=288)
    with pytest.raises(ValueError, match=r"^x: center must be .*, got 2$"):
        Preset.from_json(part.to_json().replace("0.9", "2"), name="x")
