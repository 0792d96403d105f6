"""Exported and compiled networks against PyTorch's own eager run."""

import importlib.util
import sys

import pytest
import torch
from torch import nn

from softjpeg import JPEGLayer
from softjpeg.functional.dct import block_dct
from softjpeg.nn.export import export_onnx, export_program
from softjpeg.nn.feature_layer import FeatureJPEGLayer
from softjpeg.nn.table_quantizer import TableQuantizer
from softjpeg.nn.wrapping import wrap

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(n) is None for n in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs onnx, onnxscript and onnxruntime: softjpeg[export]",
)

# All of them go through one export, since its start-up costs most: layouts as networks, what
# differs in quantizers alone as those of one plane.
LAYERS = {
    "hard": {"quantizer": "hard", "rounds": 2},
    "zero DC": {"quantizer": "none", "zero_dc": True, "subsampling": "4:2:0"},
    "codec": {"quantizer": "hard", "rounding": True, "subsampling": "4:2:0"},
}
FEATURE_LAYERS = {
    "shared table": {"quantizer": "hard"},
    "table per channel": {"hardness": 4.0, "per_channel": True},
}
QUANTIZERS = {
    "hard and soft entries": {"alpha": 0.01},
    "paper": {"window": 5, "levels": 127, "alpha": 0.5},
    "finite": {"levels": 2, "hardness": 20.0},
    "finite and soft": {"levels": 2, "hardness": 0.2},
    "lsq": {"quantizer": "lsq", "levels": 30},
    "cubic": {"quantizer": "cubic"},
    "clip": {"quantizer": "clip", "levels": 10},
    "noise": {"quantizer": "noise"},
}
# Entries around 13 at α = 0.01: hardness 0.5 to 9.
TABLE = 7 + torch.arange(64.0).reshape(8, 8) / 3


def picture(count, size, seed=0):
    small = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    smooth = nn.functional.interpolate(small, size, mode="bicubic").clamp(0, 1)
    # Whole pixels: of others float32 may round a sample up here and down there.
    return (smooth * 255).round() / 255


class OfOnePlane(nn.Module):
    """Red's coefficients through a quantizer alone."""

    def __init__(self, **settings):
        super().__init__()
        tables = torch.stack([TABLE, 2 * TABLE])[None]
        self.quantizer = TableQuantizer(tables, **settings)

    def forward(self, x):
        return self.quantizer.quantize_plane(block_dct(255 * x[:, 0, :16, :16] - 128), kind=0)


class Several(nn.Module):
    """The outputs of several networks side by side: one export for all of them."""

    def __init__(self, names=(*LAYERS, *FEATURE_LAYERS, *QUANTIZERS)):
        super().__init__()
        self.networks = nn.ModuleList(map(made, names))

    def forward(self, x):
        return torch.cat([network(x).flatten(1) for network in self.networks], 1)


def made(name):
    torch.manual_seed(0)
    mean, std = [0.5] * 3, [0.25] * 3
    layers = [nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    if name in QUANTIZERS:
        return OfOnePlane(**QUANTIZERS[name])
    if name in LAYERS:
        layer = JPEGLayer(TABLE, 2 * TABLE, **LAYERS[name])
        return wrap(nn.Sequential(*layers), layer, mean, std)
    layer = FeatureJPEGLayer(4, TABLE / 40, **FEATURE_LAYERS[name])
    return wrap(nn.Sequential(*layers), layer, mean, std, at="0")


def assert_same(got, several, x):
    """To 1e-4 of the largest output, network by network."""
    expected = [network(x).flatten(1) for network in several.networks]
    parts = got.split([each.shape[1] for each in expected], 1)
    for part, each in zip(parts, expected, strict=True):
        assert each.abs().max() > 0
        assert (part - each).abs().max() <= 1e-4 * each.abs().max()


@needs_onnx
def test_every_layer_agrees_in_onnxruntime(tmp_path):
    import onnx
    import onnxruntime

    several, size = Several(), (21, 18)
    export_onnx(several, tmp_path / "net.onnx", size)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    onnx.checker.check_model(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert several.training
    several.eval()
    for count in (1, 3):
        x = picture(count, size)
        (got,) = session.run(["output"], {"image": x.numpy()})
        assert_same(torch.from_numpy(got), several, x)


def test_exported_program_agrees_and_takes_any_batch():
    several, size = Several(["paper", "codec", "table per channel"]), (17, 16)
    module = export_program(several, size).module()
    several.eval()
    for count in (1, 3):
        x = picture(count, size)
        assert_same(module(x), several, x)
    # A graph captured from stand-ins for tensors must leave none in the functions' caches.
    JPEGLayer()(picture(1, size)).sum().backward()


def run(function, layer, x):
    layer.zero_grad()
    x = x.clone().requires_grad_()
    y = function(x)
    (y * picture(len(x), x.shape[-2:], seed=1)).sum().backward()
    return y.detach(), x.grad, *(p.grad for p in layer.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["hard and soft entries", "paper", "lsq"])
def test_compiled_layer_has_the_same_values_and_gradients(name):
    layer = JPEGLayer(TABLE, 2 * TABLE, **QUANTIZERS[name])
    x = picture(2, (16, 16))
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for a, b in zip(run(compiled, layer, x), run(layer, layer, x), strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


def test_refused(tmp_path, monkeypatch):
    layer = JPEGLayer()
    with pytest.raises(ValueError, match=r"in a folder that exists, got '.*no/net\.onnx'"):
        export_onnx(layer, tmp_path / "no" / "net.onnx", (8, 8))
    with pytest.raises(ValueError, match=r"size must be .* got \(0, 8\)"):
        export_program(layer, (0, 8))
    with pytest.raises(ValueError, match="batch must be at least 1 or 'dynamic', got 0"):
        export_program(layer, (8, 8), batch=0)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'run pip install "softjpeg\[export\]"'):
        export_onnx(layer, tmp_path / "net.onnx", (8, 8))


@needs_onnx
def test_a_network_larger_than_a_file_can_be(tmp_path):
    with torch.device("meta"):
        huge = nn.Linear(2**15, 2**15)
    with pytest.raises(ValueError, match=r"at most 2 GiB of weights .* got 4295098368 bytes"):
        export_onnx(huge, tmp_path / "net.onnx", (8, 8))
