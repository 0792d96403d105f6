"""Adapters on the Hub: huggingface_hub reads its own cache and cards, with nothing online."""

from dataclasses import replace

import pytest
import torch

from softjpeg.adaptation.adapter import HUB_FILE, Adapter
from softjpeg.adaptation.hub import save_for_hub
from softjpeg.adaptation.strength import StrengthCurve

hub = pytest.importorskip("huggingface_hub", reason="softjpeg[hub] is not installed")
constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FIGURE = {"quality": 9, "step": 3.0, "bpp": 0.25, "strength": 0.75, "full": 0.5}
FACTS = {
    "network": "timm:resnet18",
    "loss": "kl",
    "gain": [0.214, 0.021],
    "judged_on": 40,
    "clean_drop": [0.0, 0.1, 0.25, 0.5, 1.5],
    "figures": [{**FIGURE, "frozen": 0.8, "adapted": 0.4}],
}
BASE = {"bn.weight": torch.linspace(0, 1, 5)}
ADAPTED = {"bn.weight": torch.linspace(0.1, 1, 5)}
CURVE = StrengthCurve(((2.0, 0.25), (6.0, 1.0)))
ADAPTER = Adapter("norm", BASE, ADAPTED, "ab12", CURVE, 0.5, FACTS)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    repository = tmp_path / "models--org--reader"
    save_for_hub(ADAPTER, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return repository / "snapshots" / COMMIT


@pytest.mark.parametrize("name", ["hub:org/reader", f"hub:org/reader@{COMMIT}"])
def test_an_adapter_comes_back_exactly(cache, name):
    back = Adapter.load(name)
    assert back.to_bytes() == ADAPTER.to_bytes()
    assert torch.equal(back.adapted["bn.weight"], ADAPTED["bn.weight"])
    found = hub.hf_hub_download("org/reader", HUB_FILE, local_files_only=True)
    assert Adapter.load(found).to_bytes() == ADAPTER.to_bytes()


def test_what_is_not_there_is_named(cache):
    with pytest.raises(ValueError, match=r"^hub:org/absent: no adapter.safetensors could be had"):
        Adapter.load("hub:org/absent")


def test_the_card_is_one_that_the_hub_reads(cache, tmp_path):
    read = hub.ModelCard.load(cache / "README.md")
    assert (read.data.library_name, read.data.base_model) == ("softjpeg", "timm/resnet18")
    assert {"arxiv:2606.16185", "arxiv:2410.07081"} <= {*read.data.tags}
    for words in (
        "5 weights",
        "`ab12`",
        "| 0.250 | 0.8 | 0.4 | 0.75 |",
        "21.4 % is gone, with a standard error of 2.1",
        "0.00, 0.10, 0.25, 0.50, 1.50",
        "softjpeg evaluate timm:resnet18+hub:ORG/NAME",
    ):
        assert words in read.text
    save_for_hub(replace(ADAPTER, provenance={}), tmp_path / "bare")
    bare = hub.ModelCard.load(tmp_path / "bare" / "README.md")
    assert bare.data.base_model is None
    assert "|" not in bare.text
