"""What callers of `softjpeg.presets` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "built_in.built_in_text": "kind='preset or ladder'",
    "ladder.Ladder": "provenance=<factory>, scan_bpp=(), size_exponent=1.0",
    "ladder.Ladder.from_json": "name='ladder'",
    "loading.load_preset": "quality=None",
    "preset.Preset": (
        "hardness=<factory>, subsampling='4:2:0', provenance=<factory>, distortion=None"
        ", short_side=None, center=None"
    ),
    "preset.Preset.from_quality": "subsampling='4:2:0'",
    "preset.Preset.from_json": "name='preset'",
}


def test_defaults():
    assert defaults("presets") == DEFAULTS
