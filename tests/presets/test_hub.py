"""Presets on the Hub: huggingface_hub reads its own cache and cards, with nothing online."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from softjpeg.common.hub import hub_file
from softjpeg.presets.built_in import HUB_FILE
from softjpeg.presets.hub import card, save_for_hub
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.loading import load
from softjpeg.presets.preset import Preset

hub = pytest.importorskip("huggingface_hub", reason="softjpeg[hub] is not installed")
constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PRESET = replace(Preset.from_quality(35), provenance={"network": "timm:resnet18", "seed": 3})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The Hub's cache as a download leaves it, and no other place to look."""
    repository = tmp_path / "models--org--tables"
    save_for_hub(PRESET, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_preset_comes_back(cache):
    assert load("hub:org/tables") == PRESET
    assert load(f"hub:org/tables@{COMMIT}") == PRESET
    found = hub.hf_hub_download("org/tables", HUB_FILE, local_files_only=True, cache_dir=cache)
    assert hub_file("hub:org/tables", HUB_FILE).samefile(found)


def test_in_a_fresh_interpreter(cache):
    code = "import softjpeg; print(softjpeg.load_preset('hub:org/tables').luma[0, 0])"
    env = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.strip() == str(PRESET.luma[0, 0])


def test_the_card_is_one_that_the_hub_reads(tmp_path):
    save_for_hub(PRESET, tmp_path / "preset")
    read = hub.ModelCard.load(tmp_path / "preset" / "README.md")
    assert (read.data.library_name, read.data.base_model) == ("softjpeg", "timm/resnet18")
    assert {"arxiv:2606.16185", "arxiv:2410.07081"} <= {*read.data.tags}
    assert '"seed": 3' in read.text
    save_for_hub(Ladder.load("universal"), tmp_path / "ladder")
    assert load(tmp_path / "ladder" / HUB_FILE).to_json() == Ladder.load("universal").to_json()
    text = hub.ModelCard.load(tmp_path / "ladder" / "README.md").text
    assert "--quality 30" in text
    assert "**Learned for** efficientnet-lite0, efficientnet-lite1, squeezenet1.1" in text
    # The first rung: its rate and loss, and default JPEG's.
    assert "| 0.264 | 0.7615 | 0.2613 | 0.9999 | – |" in text
    assert text.count("\n| 0.") + text.count("\n| 1.") == len(Ladder.load("universal").rungs)


def test_the_card_says_for_whom_and_with_what_interval(tmp_path):
    judged = {"bpp": 0.5, "loss": 0.25, "default_bpp": 0.625, "default_loss": 0.375}
    saved = [[0.203, 0.118, 0.29], [-0.02, -0.1, 0.06]]
    facts = {
        **{"network": "timm:resnet18", "networks": ["timm:resnet18", "net.py:small"]},
        **{"weights": "ab12", "images": "photos", "count": 7, "size": "each photo's own"},
        **{"preprocessing": {"resize": 256}},
        "learned": {"judged": judged, "saved": saved, "loss_kind": "KL"},
    }
    save_for_hub(replace(PRESET, provenance=facts), tmp_path)
    text = hub.ModelCard.load(tmp_path / "README.md").text
    for words in (
        "**Learned for** timm:resnet18, net.py:small, and for no other network",
        "digest `ab12`",
        "Images: photos",
        "How many: 7",
        '{"resize": 256}',
        "| 0.500 | 0.25 | 0.625 | 0.375 | 20 % (12 to 29), -2 % (-10 to 6) |",
    ):
        assert words in text


@pytest.mark.parametrize("name", ["hub:org/absent", "hub:org/tables@absent"])
def test_what_is_not_there_is_named(cache, name):
    with pytest.raises(ValueError, match=f"^{name}: no preset.json could be had from the Hub: "):
        load(name)


@pytest.mark.parametrize("name", ["hub:", "hub:tables", "hub:a/b/c"])
def test_other_names(name):
    with pytest.raises(ValueError, match=f"must be hub:ORG/NAME .* got '{name}'"):
        load(name)


def test_a_card_word_by_word():
    facts = {"network": "net.py:small", "count": 7}
    preset = replace(Preset.from_quality(30), provenance=facts)
    assert card(preset).partition("\n---\n")[2] == (
        "# A preset of JPEG quantization tables\n\n"
        "Tables for JPEG files that a neural network reads: small, and read nearly as the "
        "originals are. The\nfiles are ordinary .jpg, and every decoder reads them. Learned by "
        "softjpeg for the objective of\n[J4D](https://arxiv.org/abs/2606.16185).\n\n"
        '    pip install "softjpeg[hub]"\n'
        "    softjpeg encode photos/ --preset hub:ORG/NAME --out jpegs/\n\n"
        "* **Learned for** net.py:small, and for no other network: whether the\n"
        "  tables help another one, nobody has measured, unless it is said here.\n"
        "* How many: 7\n"
        "* Decoder: libjpeg's, through Pillow\n\n"
        '```json\n{\n  "count": 7,\n  "network": "net.py:small"\n}\n```\n'
    )
