# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg[models]"]
# ///
"""A preset for a detector, whose output is lists of boxes.

    python examples/detection.py [FOLDER]
    softjpeg learn examples/detection.py:network FOLDER --loss examples/detection.py:loss \
        --target-bpp 1.5 --out detection.json

Boxes that survive non-maximum suppression come and go, and have no gradient where they do. What the
head says of every anchor before it is a plain tensor: `Anchors` gives that. The weights are random,
so that nothing is downloaded: put your own in `network`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pictures import pictures
from torch import Tensor, nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

import softjpeg
from softjpeg.nn.wrapping import wrap


class Anchors(nn.Module):
    """Class logits and box offsets of every anchor, (B, anchors, classes + 4)."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), normalized → (B, anchors, classes + 4)."""
        # Without the detector's own resizing: the crops are the size it reads.
        features = list(self.detector.backbone(images).values())
        head = self.detector.head(features)
        return torch.cat([head["cls_logits"], head["bbox_regression"]], -1)


def network() -> nn.Module:
    """From (B, 3, H, W) RGB in [0, 1] to what every anchor says."""
    torch.manual_seed(0)
    detector = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
    wrapped = wrap(Anchors(detector), None, mean=(0.5,) * 3, std=(0.5,) * 3)
    wrapped.input_size = 64
    return wrapped


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """KL of the classes, and how far boxes move where there was no background (class 0)."""
    classes, boxes = outputs[..., :-4], outputs[..., -4:]
    before, boxes_before = targets[..., :-4].log_softmax(-1), targets[..., -4:]
    kl = F.kl_div(classes.log_softmax(-1), before, reduction="none", log_target=True).sum(-1)
    moved = F.smooth_l1_loss(boxes, boxes_before, reduction="none").sum(-1)
    return (kl + (1 - before[..., 0].exp()) * moved).mean()


def main() -> softjpeg.Preset:
    """Learn for a detector at 1.5 bits per pixel."""
    options = {"loss": loss, "target_bpp": 1.5, "batch_size": 4, "say": print}
    return softjpeg.learn(network(), pictures(64), **options)


if __name__ == "__main__":
    main().save("detection.json")
