# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg[models]"]
# ///
"""A preset for a segmentation network, whose output is a dict of maps.

    python examples/segmentation.py [FOLDER]
    softjpeg learn examples/segmentation.py:network FOLDER --loss examples/segmentation.py:loss \
        --target-bpp 1.5 --out segmentation.json

`PixelLogits` is all the adapter it takes. The weights are random, so that nothing is downloaded:
put your own in `network`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pictures import pictures
from torch import Tensor, nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

import softjpeg
from softjpeg.nn.wrapping import wrap


class PixelLogits(nn.Module):
    """The one tensor of the output dict that counts: (B, classes, H, W)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), normalized → (B, classes, H, W)."""
        # Random weights hardly tell pixels apart: drop the factor with trained ones.
        return 1000 * self.model(images)["out"]


def network() -> nn.Module:
    """From (B, 3, H, W) RGB in [0, 1] to logits of every pixel."""
    torch.manual_seed(0)
    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    wrapped = wrap(PixelLogits(model), None, mean=mean, std=std)
    wrapped.input_size = 64
    return wrapped


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """KL divergence from the answer on the uncompressed image, mean over pixels."""
    logs = outputs.log_softmax(1), targets.log_softmax(1)
    return F.kl_div(*logs, reduction="none", log_target=True).sum(1).mean()


def main() -> softjpeg.Preset:
    """Learn for a segmentation network at 1.5 bits per pixel."""
    options = {"loss": loss, "target_bpp": 1.5, "batch_size": 4, "say": print}
    return softjpeg.learn(network(), pictures(64), **options)


if __name__ == "__main__":
    main().save("segmentation.json")
