"""Layers and wrapped networks on the Hub: laid into its cache, and loaded with nothing online."""

import copy
import json
import pickle
import shutil
import subprocess

import pytest
import torch
from torch import nn

from helpers import warm
from softjpeg import FeatureJPEGLayer, JPEGLayer, Preset, wrap
from softjpeg.nn.hub import OnHub
from softjpeg.nn.wrapping import JPEGNetwork

hub = pytest.importorskip("huggingface_hub", reason="softjpeg[hub] is not installed")
safetensors = pytest.importorskip("safetensors.torch")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def random_tables(*shape):
    return 1 + 30 * torch.rand(*shape, generator=torch.Generator().manual_seed(3))


def small_network():
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten())


LAYERS = {
    "plain": lambda: JPEGLayer(random_tables(8, 8), random_tables(8, 8).tolist()),
    "everything": lambda: JPEGLayer(
        random_tables(3, 8, 8),
        subsampling="4:2:0",
        rounds=3,
        rounding=True,
        quantizer="lsq",
        levels=127,
        zero_dc=True,
        train_tables=False,
        train_hardness=True,
        hardness=7.0,
        table_range=(0.5, 200.0),
    ),
    "alpha": lambda: JPEGLayer(luma=random_tables(8, 8), alpha=5.0, levels=127, window=5),
    "double": lambda: JPEGLayer(random_tables(8, 8)).double(),
    "half": lambda: JPEGLayer(random_tables(8, 8)).bfloat16(),
    "preset": lambda: JPEGLayer.from_preset(Preset.from_quality(35, "4:2:2")),
    "features": lambda: FeatureJPEGLayer(4, random_tables(2, 4, 8, 8), per_channel=True, rounds=2),
}


def in_cache(folder, cache, name="org/name"):
    """A saved folder, where a download would have left it."""
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)


def same_state(a, b):
    mine, other = a.state_dict(), b.state_dict()
    return mine.keys() == other.keys() and all(
        mine[name].dtype == other[name].dtype and torch.equal(mine[name], other[name])
        for name in mine
    )


def settings(module):
    """All that is no tensor and no bookkeeping, and which parameters train."""
    own = {k: v for k, v in vars(module).items() if not k.startswith("_") and k != "training"}
    return own, {name: p.requires_grad for name, p in module.named_parameters()}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_exactly(name, tmp_path):
    layer = LAYERS[name]()
    with torch.no_grad():
        # Not as it was made: as it is.
        layer.tables.mul_(1.25)
    layer.save_pretrained(tmp_path / "saved")
    in_cache(tmp_path / "saved", tmp_path / "cache")
    for source, where in (
        ("org/name", {"cache_dir": tmp_path / "cache", "local_files_only": True}),
        (tmp_path / "saved", {}),
    ):
        back = type(layer).from_pretrained(source, **where)
        assert same_state(back, layer)
        assert settings(back) == settings(layer)
        assert not back.training
    assert isinstance(layer, hub.PyTorchModelHubMixin)
    image = torch.rand(2, 4 if name == "features" else 3, 17, 24, dtype=layer.tables.dtype)
    assert torch.equal(back(image), layer.eval()(image))


@pytest.mark.parametrize(
    ("layer", "at"),
    [
        (LAYERS["everything"], None),
        (LAYERS["features"], "0"),
        (lambda: None, None),
    ],
    ids=["in front", "inside", "none"],
)
def test_a_wrapped_network_comes_back_exactly(layer, at, tmp_path):
    torch.manual_seed(1)
    model = wrap(small_network(), layer(), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], at=at)
    images = torch.rand(2, 3, 16, 16)
    model(images)  # moves the statistics of the normalization
    model.save_pretrained(tmp_path / "saved")
    in_cache(tmp_path / "saved", tmp_path / "cache")
    where = {"cache_dir": tmp_path / "cache", "local_files_only": True}
    back = JPEGNetwork.from_pretrained("org/name", network=small_network(), **where)
    assert same_state(back, model)
    assert torch.equal(back.input_mean, model.input_mean)
    assert torch.equal(back.input_std, model.input_std)
    assert torch.equal(back(images), model.eval()(images))
    if layer() is not None:
        assert settings(back.layer) == settings(model.layer)
    with pytest.raises(ValueError, match=r"network must be given, a Sequential as it was before"):
        JPEGNetwork.from_pretrained("org/name", **where)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    with pytest.raises(RuntimeError, match=r"network\.0\.bias"):
        JPEGNetwork.from_pretrained("org/name", network=other, **where)


def test_what_cannot_be_made_again_is_refused(tmp_path):
    class Own(JPEGLayer):
        pass

    model = wrap(small_network(), Own(), [0.5] * 3, [0.5] * 3)
    with pytest.raises(ValueError, match=r"layer must be a JPEGLayer or .* for the Hub, got Own"):
        model.save_pretrained(tmp_path)


def test_weights_that_are_missing_are_an_error(tmp_path):
    JPEGLayer().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = safetensors.load_file(file)
    del tensors["log_hardness"]
    safetensors.save_file(tensors, file)
    with pytest.raises(RuntimeError, match="log_hardness"):
        JPEGLayer.from_pretrained(tmp_path)


def test_the_card(tmp_path):
    layer = LAYERS["alpha"]()
    layer.save_pretrained(tmp_path / "layer")
    card = hub.ModelCard.load(tmp_path / "layer" / "README.md")
    assert card.data.library_name == "softjpeg"
    assert {"arxiv:2410.07081", "arxiv:2606.16185"} <= {*card.data.tags}
    digest = subprocess.run(
        ["sha256sum", tmp_path / "layer" / "model.safetensors"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[0]
    assert digest in card.text
    config = card.text.partition("```json")[2].partition("```")[0]
    assert json.loads(config)["alpha"] == 5.0
    (code,) = [line.strip() for line in card.text.splitlines() if "import" in line]
    exec(code, {})
    wrap(small_network(), layer, [0.5] * 3, [0.5] * 3).save_pretrained(tmp_path / "network")
    text = hub.ModelCard.load(tmp_path / "network" / "README.md").text
    assert 'JPEGNetwork.from_pretrained("ORG/NAME", network=Sequential(...))' in text
    assert "from softjpeg.nn.wrapping import JPEGNetwork" in text


def test_what_is_pushed(monkeypatch):
    sent = {}

    def upload(self, *, folder_path, repo_id, **options):
        sent[repo_id] = {path.name for path in folder_path.iterdir()}
        return "address"

    def create(self, repo_id, **options):
        return type("Url", (), {"repo_id": repo_id})

    monkeypatch.setattr(hub.HfApi, "create_repo", create)
    monkeypatch.setattr(hub.HfApi, "upload_folder", upload)
    assert JPEGLayer().push_to_hub("org/name") == "address"
    assert sent == {"org/name": {"README.md", "config.json", "model.safetensors"}}


@pytest.mark.parametrize("name", LAYERS)
def test_copies_and_pickles_are_as_before(name):
    layer = LAYERS[name]()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert same_state(other, layer)
        assert settings(other) == settings(layer)
        assert other.hub_config() == layer.hub_config()


def test_without_the_hubs_package_the_layer_works_and_says_what_to_install():
    code = """
import sys
sys.modules["huggingface_hub"] = None
import torch, softjpeg
layer = softjpeg.JPEGLayer()
assert layer(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)
for call in (softjpeg.JPEGLayer.from_pretrained, layer.save_pretrained, layer.push_to_hub):
    try: call("org/name")
    except ImportError as error: print(error)
"""
    done = warm.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('run pip install "softjpeg[hub]"') == 3
    assert issubclass(JPEGLayer, OnHub)
