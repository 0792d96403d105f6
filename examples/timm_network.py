# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg[models]"]
# ///
"""A timm network trained a few steps behind a JPEG layer; the layer's tables train with it.

python examples/timm_network.py

The weights are random, so that nothing is downloaded: say pretrained=True for your own.
"""

from __future__ import annotations

import timm
import torch

import softjpeg


def main() -> list[float]:
    """The loss at each step."""
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", pretrained=False, num_classes=4)
    config = timm.data.resolve_model_data_config(network)
    layer = softjpeg.JPEGLayer.from_preset(softjpeg.Preset.from_quality(75))
    model = softjpeg.wrap(network, layer, config["mean"], config["std"])
    start = layer.luma.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    images, labels = torch.rand(8, 3, 64, 64), torch.arange(8) % 4
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    moved = (layer.luma - start).abs().max().item()
    print(f"loss {losses[0]:.2f} to {losses[-1]:.2f}, tables moved by up to {moved:.3f}")
    return losses


if __name__ == "__main__":
    main()
