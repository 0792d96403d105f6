"""What comes from outside beyond its bound is refused before it costs time or memory."""

import io
import itertools
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from softjpeg import JPEGLayer, Preset, read_coefficients
from softjpeg.common import bounds
from softjpeg.kernels.arguments import MAX_INDEX
from softjpeg.kernels.library import is_available
from softjpeg.models import create_model

RECIPE = '[data]\nname = "cifar100"\n[model]\nname = "cifar:resnet8"\n'
RECIPE += "[optimizer]\nlr = 0.1\n[train]\nepochs = 1\nbatch_size = 2\n"


def test_the_kernels_hold_every_index():
    """They import nothing, and so say it themselves."""
    assert bounds.MAX_LEVELS == MAX_INDEX


@pytest.mark.parametrize("depth", ["60002", "1208", "9" * 5000])
def test_networks_named_in_files(depth):
    with pytest.raises(ValueError, match=r"from 8 to 1202, got|unknown network"):
        create_model(f"cifar:resnet{depth}", classes=2)


@pytest.mark.parametrize("options", [{"levels": 2**31}, {"window": 10**6 + 1}, {"levels": 10**400}])
def test_index_sets(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be .* or None, got 1?[02]"):
        JPEGLayer(**options)


@pytest.fixture
def recipe(tmp_path):
    """Reads the text of a recipe."""
    pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")
    from softjpeg.training.recipe_file import load_recipe, parse_recipe

    def read(text, *settings):
        path = tmp_path / "r.toml"
        path.write_text(text)
        return parse_recipe(load_recipe(path, settings), "r.toml")

    return read


@pytest.mark.parametrize("value", ["inf", "nan", "1e999", "9" * 400])
def test_learning_rates(recipe, value):
    assert recipe(RECIPE).optimizer.lr == 0.1
    for key in ("optimizer.lr", "jpeg_optimizer.lr", "schedule.warmup", "jpeg.alpha"):
        with pytest.raises(
            ValueError, match=f"{key}: input should be a (finite|valid) number, got"
        ):
            recipe(RECIPE, f"{key}={value}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('base = "/dev/zero"', "is not TOML: it is no regular file"),
        ("base = 5", "base must be the name of a file, got 5"),
        ('base = "a\\u0000b"', "base must be the name of a file"),
        ('base = "nowhere.toml"', "cannot be read"),
        ("a = " + "[" * 70 + "]" * 70, "nested deeper than 64"),
        ("a = " + "[" * 40_000 + "]" * 40_000, "nested deeper than 64"),
        (".".join("a" * 3000) + " = 1", "nested deeper than 64"),
        ("a = " + "9" * 5000, "is not TOML"),
        ("#" * (1 << 20), "larger than 1048576 bytes"),
        ("[jpeg]\nlevels = 2147483648", "jpeg.levels: input should be less than or equal to"),
        ("[jpeg]\nwindow = 1000000", "jpeg.window: input should be less than or equal to 4095"),
    ],
)
def test_recipes(recipe, line, message):
    text = RECIPE + line if line.startswith("[") else f"{line}\n{RECIPE}"
    with pytest.raises(ValueError, match=message) as refused:
        recipe(text)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("setting", ["a=" + "[" * 9000 + "]" * 9000, ".".join("a" * 999) + "=1"])
def test_settings(recipe, setting):
    with pytest.raises(ValueError, match=r"nested deeper|has 998 sections"):
        recipe(RECIPE, setting)


def test_recipes_one_in_another(recipe, tmp_path):
    for i in range(1500):
        (tmp_path / f"{i}.toml").write_text(f'base = "{i + 1}.toml"')
    (tmp_path / "1500.toml").write_text(RECIPE)
    with pytest.raises(ValueError, match="more than 16 bases, one in another"):
        recipe('base = "0.toml"')
    assert recipe('base = "1490.toml"').train.epochs == 1
    (tmp_path / "a.toml").write_text('base = "b.toml"')
    (tmp_path / "b.toml").write_text('base = "a.toml"')
    with pytest.raises(ValueError, match="has itself for a base"):
        recipe('base = "a.toml"')


@pytest.mark.skipif(not is_available("_coder"), reason="the kernels are not built")
def test_a_large_corrupt_scan_is_not_decoded_again_to_explain_it():
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=95)
    data = buffer.getvalue()
    assert len(data) > bounds.MAX_EXPLAINED
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"data is cut off or corrupt: \d+ bytes of a scan"):
        read_coefficients(data[:-4000] + data[-2:])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The file, its coefficients, and its bits without stuffing.
    assert peak < 12 * len(data)


def test_presets_that_grow_when_they_are_written():
    """A short text of many small values, each of which takes a line."""
    preset = Preset.from_quality(50).to_json()
    values = ",".join(itertools.repeat("1", 100_000))
    deep = preset.replace(
        '"provenance": {', '"provenance": {"a": ' + "[" * 50 + values + "]" * 50 + ","
    )
    assert len(deep) < bounds.MAX_PRESET_BYTES
    with pytest.raises(ValueError, match=r"bytes when it is written, more than 1048576"):
        Preset.from_json(deep)
