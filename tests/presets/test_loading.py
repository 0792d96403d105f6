import pytest

from softjpeg.presets.ladder import Ladder
from softjpeg.presets.loading import load_preset
from softjpeg.presets.preset import Preset


@pytest.mark.parametrize(
    ("load", "kind"),
    [(Preset.load, "preset"), (Ladder.load, "ladder"), (load_preset, "preset or ladder")],
)
def test_errors_say_what_the_file_should_be(tmp_path, load, kind):
    file = tmp_path / "x.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=rf"x\.json is not a {kind}: it is not UTF-8 text"):
        load(file)
    with file.open("wb") as opened:
        opened.truncate(1 << 30)
    with pytest.raises(ValueError, match=rf"x\.json is not a {kind}: it is larger than"):
        load(file)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (5, "preset or ladder must be a file or a name, got int"),
        (None, "must be a file or a name, got NoneType"),
        ("a" * 5000, "a{80} is neither a file nor a built-in preset"),
        ("a\0b", "is neither a file nor a built-in preset"),
        ("/dev/zero", "is larger than 8388608 bytes"),
    ],
)
def test_what_names_no_preset(spec, message):
    with pytest.raises(ValueError, match=message):
        load_preset(spec)
