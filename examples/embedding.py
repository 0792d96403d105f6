# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg[models]"]
# ///
"""A preset for an embedding network: pictures should be found again by their cosine.

    python examples/embedding.py [FOLDER]

or on the command line, where the loss has a name:

    softjpeg learn examples/embedding.py:network FOLDER --loss cosine --target-bpp 1.5 --out e.json

The weights are random, so that nothing is downloaded: put your own in `network`.
"""

from __future__ import annotations

import torch
from pictures import pictures
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

import softjpeg
from softjpeg.learning.losses import cosine_loss
from softjpeg.nn.wrapping import wrap


def network() -> nn.Module:
    """From (B, 3, H, W) RGB in [0, 1] to embeddings (B, 1024)."""
    torch.manual_seed(0)
    model = shufflenet_v2_x0_5(weights=None)
    model.fc = nn.Identity()
    wrapped = wrap(model, None, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    wrapped.input_size = 64
    return wrapped


def main() -> softjpeg.Preset:
    """Learn for an embedding network at 1.5 bits per pixel."""
    options = {"loss": cosine_loss, "target_bpp": 1.5, "batch_size": 4, "say": print}
    return softjpeg.learn(network(), pictures(64), **options)


if __name__ == "__main__":
    main().save("embedding.json")
