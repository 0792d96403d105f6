"""A fixed JPEG in front of a network as a defence: the real codec, and what attacks see of it."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.presets.preset import Preset


class FixedJPEG(nn.Module):
    """The network reads what Pillow's libjpeg writes and reads again, 4:2:0."""

    def __init__(self, network: nn.Module, quality: int) -> None:
        super().__init__()
        self.network, self.quality = network, quality

    def forward(self, x: Tensor) -> Tensor:
        pixels = (x * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        shown = torch.from_numpy(np.stack([self.through(image) for image in pixels]))
        return self.network(shown.permute(0, 3, 1, 2).to(x.device).float() / 255)

    def through(self, pixels: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "jpeg", quality=self.quality, subsampling="4:2:0")
        return np.asarray(Image.open(file))


def differentiable(network: nn.Module, quality: int, hardness: float = 20.0) -> nn.Module:
    """The same as a layer: soft in the backward pass for PGD, straight-through for BPDA."""
    preset = Preset.from_quality(quality)
    return nn.Sequential(JPEGLayer.from_preset(preset, rounding=True, hardness=hardness), network)
