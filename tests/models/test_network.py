import sys
import textwrap

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from helpers.calls import defaults
from softjpeg import wrap
from softjpeg.models.network import load_network

timm = pytest.importorskip("timm", reason="softjpeg[models] is not installed")

TINY = "mobilenetv3_small_050"


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


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ("input_size = 0", "input_size must be an integer or (height, width) above 0, got 0"),
        ("input_size = '8'", "input_size must be an integer or (height, width) above 0, got '8'"),
        ("input_size = 8.0", "input_size must be an integer or (height, width) above 0, got 8.0"),
        (
            "input_size = (3, 8, 8)",
            "input_size must be an integer or (height, width) above 0, got (3, 8, 8)",
        ),
        ("input_size, m.resize = 8, 0", "resize must be an integer above 0, got 0"),
        ("input_size, m.resize = 8, 9.5", "resize must be an integer above 0, got 9.5"),
        ("input_size, m.resize = 8, '9'", "resize must be an integer above 0, got '9'"),
    ],
)
def test_sizes_that_are_none(tmp_path, attributes, sentence):
    spec = f"{tmp_path / 'odd.py'}:f"
    (tmp_path / "odd.py").write_text(
        f"from torch import nn\ndef f():\n    m = nn.Identity(); m.{attributes}; return m\n"
    )
    assert one_sentence(spec) == f"{spec}: {sentence}"


DEFAULTS = {
    "fidelity.Fidelity": "k=None",
    "fidelity.missing": "k=1",
    "fidelity.check_scores": "order_only=False",
    "inference.outputs_of": "batch_size=32",
    "initialization.initialize": "classifier_std=None",
    "network.Network": "size=None, resize=None, interpolation='bicubic', fit='shorter'",
    "preprocessing.Preprocessing": "resize=None, fit='shorter', crop=None, interpolation='bicubic'",
    "resnet.BasicBlock": "stride=1",
}
"""What callers of the room may leave out, and what then holds."""


def test_defaults():
    assert defaults("models") == DEFAULTS
