"""What commands load: networks, images and runs, asked for as options say."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import softjpeg
from helpers.calls import plain, reached, spy
from helpers.commands import call, refusal
from helpers.networks import linear_reader
from helpers.small_folder import fill
from softjpeg.adaptation.adapter import weights_fingerprint
from softjpeg.cli import load
from softjpeg.cli.app import TRUSTED
from softjpeg.common.image_set import ImageSet, load_images, load_photos
from softjpeg.models.network import Network, load_network


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


@pytest.fixture
def run(folder, monkeypatch):
    """A folder that is a training run."""
    Path("run").mkdir()
    Path("run/best.safetensors").touch()
    data = SimpleNamespace(size=24, test_resize=30, interpolation="bilinear")
    found = SimpleNamespace(
        network=linear_reader(24, 12, 5), recipe=SimpleNamespace(data=data), facts={}
    )
    return found, spy(
        monkeypatch, "softjpeg.training.trained_network:load_run", lambda *_, **__: found
    )


PHOTOS = Path("photos")


def test_images_as_a_network_wants_them(folder, monkeypatch):
    asked = spy(monkeypatch, "softjpeg.common.image_set:load_images")
    net, loaded = load.load_inputs("net.py:small", PHOTOS)
    assert (net.name, net.size, net.resize) == ("net.py:small", (16, 16), 20)
    more = {"labels": None, "limit": None, "seed": 0, "follow_links": False, "progress": True}
    said = {"size": (16, 16), "resize": 20, "interpolation": "bicubic", **more}
    assert asked[-1] == ((PHOTOS,), said)
    assert torch.equal(loaded.pixels, load_images(PHOTOS, size=16, resize=20).pixels)
    load.load_inputs("net.py:small", PHOTOS, "labels.csv", 12, None, 2, 7, follow_links=True)
    # With a size of one's own nothing is resized unless that is said, too.
    own = {"size": 12, "resize": None, "interpolation": "bicubic", "labels": "labels.csv"}
    assert asked[-1][1] == {**own, "limit": 2, "seed": 7, "follow_links": True, "progress": True}
    load.load_inputs("net.py:small", PHOTOS, None, None, 25)
    assert (asked[-1][1]["size"], asked[-1][1]["resize"]) == ((16, 16), 25)
    load.load_inputs("net.py:small", PHOTOS, None, 12, 25)
    assert (asked[-1][1]["size"], asked[-1][1]["resize"]) == (12, 25)


NOTHING = {"size": None, "resize": None, "crops": False, "limit": None, "seed": 0}


def test_photos_at_their_own_size_unless_crops_are_wanted(folder, monkeypatch):
    photos = spy(monkeypatch, "softjpeg.common.image_set:load_photos", load_photos)
    crops = spy(monkeypatch, "softjpeg.cli.load:load_inputs", load.load_inputs)
    words = ("net.py:small", PHOTOS, "labels.csv")
    options = {**NOTHING, "follow_links": False}
    net, loaded, reader = load.load_reader(*words, **options)
    more = {"limit": None, "seed": 0, "follow_links": False}
    assert photos == [((PHOTOS,), {"labels": "labels.csv", **more})]
    assert type(reader).__name__ == "Preprocessed"
    assert loaded.labels.tolist() == [2, 0, 1]
    load.load_reader(*words, **{**options, "limit": 2, "seed": 5, "follow_links": True})
    assert photos[-1][1] == {
        **{"labels": "labels.csv", "limit": 2, "seed": 5, "follow_links": True}
    }
    assert crops == []
    for change in ({"crops": True}, {"size": 12}, {"resize": 22}):
        net, loaded, reader = load.load_reader(*words, **{**options, **change, "seed": 3})
        assert reader is net.module
        assert isinstance(loaded, ImageSet)
        given = (change.get("size"), change.get("resize"), None, 3)
        assert crops[-1] == ((*words, *given), {"follow_links": False})
    assert len(photos) == 2
    assert load.reader_of(net, loaded) is net.module


def test_a_run_brings_its_own_images(run, monkeypatch):
    found, loaded = run
    images = ImageSet(("a",), torch.zeros(1, 3, 24, 24).byte(), torch.tensor([1]))
    asked = spy(monkeypatch, "softjpeg.training.held_out:held_out_images", lambda *_, **__: images)
    token = TRUSTED.set((Path("net.py"),))
    net, own = load.load_inputs("run", limit=9, seed=4)
    TRUSTED.reset(token)
    assert own is images
    assert asked == [((found,), {"limit": 9, "seed": 4, "progress": True})]
    assert loaded == [(("run",), {"trust": (Path("net.py"),)})]
    facts = (net.module, net.name, net.size, net.resize, net.interpolation)
    assert facts == (found.network, "run", (24, 24), 30, "bilinear")
    # The run is not loaded again where it is there.
    load.load_inputs("run", PHOTOS, trained=found)
    load.network_on_device("run", found)
    assert len(loaded) == 1
    found.recipe.data.test_resize = 0
    assert load.network_on_device("run").resize is None
    assert loaded[-1] == (("run",), {"trust": ()})
    with pytest.raises(ValueError, match=r"images must be given: net\.py:small is not a training"):
        load.load_inputs("net.py:small")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *(("run", True), ("run/best.safetensors", True), ("any.safetensors", True)),
        *(("photos", False), ("net.py:small", False), ("hub:org/name", True)),
        *(("timm:a@run/best.safetensors", False), ("absent", False)),
    ],
)
def test_what_is_a_run(run, name, answer):
    assert load.is_run(name) is answer


def test_a_run_on_the_hub(run, monkeypatch):
    _, loaded = run
    files = spy(monkeypatch, "softjpeg.cli.load:hub_file", lambda *_: "there/best.safetensors")
    load.load_trained("hub:org/name")
    assert files == [(("hub:org/name", "best.safetensors"), {})]
    assert loaded == [(("there/best.safetensors",), {"trust": ()})]


def test_where_numbers_come_from(folder):
    net = load_network("net.py:small")
    given = {"limit": None, "seed": 0, "follow_links": False}
    crops, photos = load.images_for(net, PHOTOS, None, None, None), load_photos(PHOTOS, **given)
    facts = load.provenance(net, PHOTOS, crops, 6)
    assert facts == {
        **{"network": "net.py:small", "weights": weights_fingerprint(net.module)},
        **{"images": "photos", "count": 3, "size": [16, 16], "seed": 6},
        **{"softjpeg": softjpeg.__version__, "torch": torch.__version__},
    }
    facts = load.provenance(net, None, photos, 0)
    assert (facts["images"], facts["size"]) == ("test images of the run", "each photo's own")
    assert facts["preprocessing"]["resize"] == 20
    bare = Network(net.module, "bare")
    assert load.provenance(bare, None, photos, 0)["preprocessing"] is None


def test_networks_are_laid_out_for_convolutions(folder):
    Path("conv.py").write_text("from torch import nn\ndef net():\n    return nn.Conv2d(3, 4, 3)\n")
    module = load.network_on_device("conv.py:net").module
    assert module.weight.is_contiguous(memory_format=torch.channels_last)
    assert not module.weight.is_contiguous()


def test_an_exported_adapter(folder, monkeypatch):
    adapter = SimpleNamespace()
    monkeypatch.setattr("softjpeg.adaptation.adapter.Adapter.load", lambda file: adapter)
    graphs = spy(
        monkeypatch, "softjpeg.adaptation.strength_input:StrengthInput", lambda *words: "the graph"
    )
    written = spy(monkeypatch, "softjpeg.nn.export:export_onnx", lambda *_, **__: None)
    words = ("export", "net.py:small+a.safetensors", "--out", "net.onnx")
    given, _ = reached(monkeypatch, "softjpeg.cli.export:check_outputs", *words)
    assert given == [{"--out": "net.onnx"}, ["net.py:small", "a.safetensors"]]
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert plain(graphs[0][0][0]) == "Reader"
    assert graphs[0][0][1] is adapter
    (((graph, out, size), options),) = written
    assert (graph, str(out), size) == ("the graph", "net.onnx", (16, 16))
    assert options["inputs"]["strength"].tolist() == [0.0]
    assert result.stdout == (
        "wrote net.onnx: inputs RGB (batch, 3, 16, 16) in [0, 1] and strength (1,), as "
        "softjpeg.read_strength(file, adapter) gives it; output as the network's\n"
    )
    Path("any.py").write_text("from torch import nn\ndef net():\n    return nn.Flatten()\n")
    said = refusal("export", "any.py:net+a.safetensors", "--out", "net.onnx")
    assert said == "any.py:net must have input_size to be exported: it reads any size"
