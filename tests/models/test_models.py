import math
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from softjpeg.models import CIFAR_NAMES, create_model

# Parameters, multiply-adds at 32×32, and the first three logits of `probe`: all three by the code
# of github.com/HobbitLong/RepDistiller, commit b84f547, in float64.
REPDISTILLER = {
    "resnet8": (83_892, 12_507_392, (0.8823964, 0.4259618, -1.7167899)),
    "resnet14": (181_108, 26_663_168, (1.3117394, 0.9574912, -2.5103208)),
    "resnet20": (278_324, 40_818_944, (2.0235807, 1.1286806, -3.2080821)),
    "resnet32": (472_756, 69_130_496, (2.2353349, 1.7727815, -4.3079201)),
    "resnet44": (667_188, 97_442_048, (2.9534402, 2.021355, -4.896578)),
    "resnet56": (861_620, 125_753_600, (4.296402, 2.1254644, -6.2971182)),
    "resnet110": (1_736_564, 253_155_584, (5.353448, 3.0867655, -10.363156)),
    "vgg8": (3_965_028, 96_192_512, (0.0524055, -0.5678915, 0.8939395)),
    "vgg13": (9_462_180, 284_936_192, (0.0677517, -0.6660553, 0.9045151)),
    "mobilenetv2": (812_836, 6_523_648, (-0.6257518, -0.8754208, 0.0165989)),
    "shufflenetv2": (1_355_528, 44_504_448, (0.2184279, -0.6790437, 0.0606678)),
}
FIRST_CONVOLUTION = {
    "resnet32": "conv1",
    "vgg8": "block0.0",
    "mobilenetv2": "conv1.0",
    "shufflenetv2": "conv1",
}
# By the tables of torchvision's and timm's documentation, at 1000 classes.
LIBRARIES = {
    "torchvision:squeezenet1_1": 1_235_496,
    "torchvision:resnet18": 11_689_512,
    "torchvision:resnet34": 21_797_672,
    "torchvision:densenet121": 7_978_856,
    "timm:efficientformer_l1": 12.29e6,
}


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def probe(model, side=32):
    """Logits of fixed noise in training mode, each tensor drawn by its name."""
    state = model.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            draw = np.random.RandomState(zlib.crc32(name.encode()))
            value = torch.from_numpy(draw.standard_normal(tuple(tensor.shape)))
            if tensor.ndim > 1:
                state[name] = value * math.sqrt(2 / tensor[0].numel())
            else:
                one = name.endswith(("weight", "running_var"))
                state[name] = one + 0.1 * (value.clamp(-3, 3) if one else value)
    model.double().load_state_dict(state)
    noise = np.random.RandomState(0).standard_normal((2, 3, side, side))
    with torch.no_grad():
        return model.train()(torch.from_numpy(noise))


def one_sentence(*arguments, kind=ValueError, **options):
    with pytest.raises(kind) as caught:
        create_model(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", CIFAR_NAMES)
def test_cifar_networks_are_those_of_repdistiller(name):
    count, multiply_adds, logits = REPDISTILLER[name]
    with torch.device("meta"):
        empty = create_model(f"cifar:{name}", 100)
        assert parameters(empty) == count
        with FlopCounterMode(display=False) as counter:
            assert empty(torch.empty(1, 3, 32, 32)).shape == (1, 100)
        assert counter.get_total_flops() == 2 * multiply_adds
    got = probe(empty.to_empty(device="cpu"))
    np.testing.assert_allclose(got[0, :3].numpy(), logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "logits"),
    [
        ("vgg8", (0.0501351, -0.7101334, 0.8287433)),
        ("vgg13", (-0.0484923, -0.7870401, 0.8793615)),
    ],
)
def test_vgg_of_larger_images_is_that_of_repdistiller(name, logits):
    got = probe(create_model(f"cifar:{name}", 100), side=64)
    np.testing.assert_allclose(got[0, :3].numpy(), logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FIRST_CONVOLUTION)
@pytest.mark.parametrize("side", [32, 64])
def test_gradient_reaches_every_parameter(name, side):
    torch.manual_seed(0)
    model = create_model(f"cifar:{name}", 7)
    assert model.training
    logits = model(torch.randn(2, 3, side, side))
    assert logits.shape == (2, 7)
    nn.functional.cross_entropy(logits, torch.tensor([1, 5])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    first = next(n for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    assert first == FIRST_CONVOLUTION[name]
    assert model.get_submodule(first).weight.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["resnet8", "vgg8", "mobilenetv2"])
def test_initial_weights(name):
    torch.manual_seed(0)
    for module in create_model(f"cifar:{name}", 100).modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.detach()
            expected = math.sqrt(2 / (weight.shape[0] * weight.shape[2] * weight.shape[3]))
            assert weight.std() == pytest.approx(expected, rel=4 / math.sqrt(2 * weight.numel()))
            assert module.bias is None or not module.bias.any()
        if isinstance(module, nn.Linear) and name != "resnet8":
            assert module.weight.detach().std() == pytest.approx(0.01, rel=0.02)
            assert not module.bias.any()


@pytest.mark.parametrize("spec", LIBRARIES)
def test_networks_of_libraries(spec):
    pytest.importorskip(spec.partition(":")[0], reason="softjpeg[models] is not installed")
    with torch.device("meta"):
        published, got = LIBRARIES[spec], parameters(create_model(spec, 1000))
        assert got == published or (isinstance(published, float) and round(got, -4) == published)
        model = create_model(spec, 102)
        assert model.training
        assert model(torch.empty(2, 3, 224, 224)).shape == (2, 102)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_logits_alone_in_training(name):
    pytest.importorskip("torchvision", reason="softjpeg[models] is not installed")
    with torch.device("meta"):
        logits = create_model(f"torchvision:{name}", 5)(torch.empty(2, 3, 299, 299))
    assert logits.shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "classifier"), [("squeezenet1_1", "classifier.1"), ("resnet18", "fc")]
)
def test_weights_of_torchvision(tmp_path, monkeypatch, name, classifier):
    models = pytest.importorskip("torchvision.models", reason="softjpeg[models] is not installed")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    weights = models.get_model(name, weights=None).state_dict()
    file = models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(weights, tmp_path / "hub" / "checkpoints" / file)
    for classes in (1000, 37):
        torch.manual_seed(1)
        model = create_model(f"torchvision:{name}", classes, pretrained=True)
        state = model.state_dict()
        assert state.keys() == weights.keys()
        other = {key for key in weights if not torch.equal(state[key], weights[key])}
        assert other == (
            set() if classes == 1000 else {f"{classifier}.weight", f"{classifier}.bias"}
        )
        with torch.no_grad():
            assert model(torch.zeros(2, 3, 64, 64)).shape == (2, classes)


def test_weights_that_cannot_be_had(tmp_path, monkeypatch):
    pytest.importorskip("torchvision", reason="softjpeg[models] is not installed")
    timm = pytest.importorskip("timm", reason="softjpeg[models] is not installed")

    def offline(*arguments, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    assert one_sentence("torchvision:resnet18", 10, pretrained=True) == (
        "torchvision could not load the weights of 'resnet18': no route to host"
    )
    monkeypatch.setattr(timm, "create_model", offline)
    assert one_sentence("timm:efficientformer_l1", 10, pretrained=True) == (
        "timm could not make 'efficientformer_l1' with its pretrained weights: no route to host"
    )


def test_weights_of_timm(monkeypatch):
    timm = pytest.importorskip("timm", reason="softjpeg[models] is not installed")
    real, seen = timm.create_model, []

    def create(name, pretrained, num_classes):
        seen.append((name, pretrained, num_classes))
        return real(name, pretrained=False, num_classes=num_classes)

    monkeypatch.setattr(timm, "create_model", create)
    with torch.device("meta"):
        create_model("timm:mobilenetv3_small_050.lamb_in1k", 7, pretrained=True)
    assert seen == [("mobilenetv3_small_050.lamb_in1k", True, 7)]


def test_network_of_a_file(tmp_path):
    file = tmp_path / "nets.py"
    file.write_text(
        "from torch import nn\n"
        "def small(classes): return nn.Sequential(nn.Flatten(), nn.Linear(12, classes))\n"
        "def number(classes): return classes\n"
    )
    assert create_model(f"{file}:small", 5)(torch.zeros(2, 3, 2, 2)).shape == (2, 5)
    assert one_sentence(f"{file}:number", 5) == f"{file}:number must return an nn.Module, got int"
    assert one_sentence(f"{file}:absent", 5) == f"{file} has no function 'absent'"
    missing = tmp_path / "missing.py"
    assert one_sentence(f"{missing}:f", 5) == f"network file {missing} does not exist"


def test_any_depth_of_resnet():
    with torch.device("meta"):
        model = create_model("cifar:resnet26", 10)
    assert sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in model.modules()) == 25


def test_bad_specs():
    assert one_sentence("resnet18", 10) == (
        "network must be cifar:NAME, torchvision:NAME, timm:NAME or FILE.py:FACTORY, got 'resnet18'"
    )
    for bad, near in {
        "cifar:resnet33": "cifar:resnet32",
        "cifar:resnet2": "cifar:resnet32",
        "cifar:mobilenet_v2": "cifar:mobilenetv2",
        "torchvision:resnet19": "torchvision:resnet18",
        "timm:eficientformer_l1": "timm:efficientformer_l1",
    }.items():
        if not bad.startswith("cifar"):
            pytest.importorskip(bad.partition(":")[0], reason="softjpeg[models] is not installed")
        assert one_sentence(bad, 10) == f"unknown network {bad!r}; the nearest known one is {near}"
    assert one_sentence("cifar:vgg8", 0) == "classes must be at least 1, got 0"
    assert one_sentence("cifar:vgg8", 10, pretrained=True) == (
        "pretrained weights are for torchvision:NAME and timm:NAME, 'cifar:vgg8' has none"
    )


def test_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    message = one_sentence("torchvision:resnet18", 10, kind=ImportError)
    assert message.endswith('run pip install "softjpeg[models]"')


def test_names_cost_nothing():
    code = "import sys, softjpeg.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
