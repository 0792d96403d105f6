# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg[export]"]
# ///
"""A network behind a JPEG layer, as ONNX, in another runtime: the same answers.

python examples/onnx_layer.py
"""

from __future__ import annotations

import tempfile

import onnxruntime
import torch
from torch import nn

import softjpeg
from softjpeg.nn.export import export_onnx


def main() -> float:
    """The largest difference between PyTorch's answers and ONNX Runtime's."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    layer = softjpeg.JPEGLayer.from_preset(softjpeg.Preset.from_quality(50), window=5, levels=127)
    model = softjpeg.wrap(network, layer, mean=[0.5] * 3, std=[0.25] * 3).eval()
    images = torch.rand(2, 3, 32, 32)
    expected = model(images).detach()
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(model, f"{folder}/model.onnx", (32, 32))
        session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    (answers,) = session.run(["output"], {"image": images.numpy()})
    difference = (torch.from_numpy(answers) - expected).abs().max().item()
    print(f"largest difference {difference:.1e}")
    return difference


if __name__ == "__main__":
    main()
