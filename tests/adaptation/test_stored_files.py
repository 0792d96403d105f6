import numpy as np
import pytest

from softjpeg.adaptation.stored_files import StoredFiles
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset


def test_default_jpeg_at_random_qualities():
    files, random = StoredFiles(qualities=(20, 22)), np.random.default_rng(0)
    drawn = [files.drawn(random) for _ in range(60)]
    for quality in (20, 21, 22):
        assert Preset.from_quality(quality) in drawn
    assert all(preset in [Preset.from_quality(q) for q in (20, 21, 22)] for preset in drawn)
    assert [quality for quality, _ in files.measured()] == [22, 21, 20]


def test_a_preset_and_a_ladder():
    one = Preset.from_quality(33, "4:4:4")
    assert StoredFiles(one).measured() == [(None, one)]
    assert StoredFiles(one).drawn(np.random.default_rng(0)) is one
    bpp = ((0, 1.0), (1, 2.0), (2, 4.0), (3, 9.0))
    default = ((1, 1.0), (50, 3.0), (100, 9.0))
    ladder = Ladder((Preset.from_quality(20), Preset.from_quality(70)), bpp, default)
    files = StoredFiles(ladder, (10, 80))
    assert files.drawn(np.random.default_rng(0)).subsampling == "4:2:0"
    measured = files.measured()
    assert (measured[0][0], measured[-1][0], len(measured)) == (80, 10, 7)
    assert all(preset == ladder.at(quality) for quality, preset in measured)


def test_a_mode_is_said_and_checked():
    one = Preset.from_quality(33)
    assert StoredFiles(one, mode="probabilistic").name == "one preset, mode probabilistic"
    assert StoredFiles(one, mode="hard").name == "one preset"
    with pytest.raises(ValueError, match=r"mode must be one of hard, p.*, got 'soft'"):
        StoredFiles(one, mode="soft")
    with pytest.raises(ValueError, match="mode 'rdo' needs a preset: default JPEG"):
        StoredFiles(mode="rdo")


def test_measured_steps_are_evenly_apart_and_rise():
    for qualities in ((6, 90), (5, 95), (1, 100), (50, 50)):
        steps = [np.log2(p.luma).mean() for _, p in StoredFiles(qualities=qualities).measured()]
        gaps = np.diff(steps)
        assert (gaps > 0).all()
        assert steps[0] > 0
        if qualities == (6, 90):
            assert gaps.max() / gaps.min() < 1.3


@pytest.mark.parametrize("qualities", [(0, 50), (60, 50), (50, 101)])
def test_qualities_out_of_range(qualities):
    with pytest.raises(ValueError, match=r"qualities must be \(lowest, highest\) in 1..100, got"):
        StoredFiles(qualities=qualities)
