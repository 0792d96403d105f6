# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg", "lightning"]
# ///
"""The JPEG layer in a Lightning module: its tables are parameters like any others.

python examples/lightning_module.py
"""

from __future__ import annotations

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import softjpeg


class Classifier(lightning.LightningModule):
    """Two optimizer groups: the network's weights, and the 128 steps of the tables."""

    def __init__(self) -> None:
        super().__init__()
        self.jpeg = softjpeg.JPEGLayer.from_preset(softjpeg.Preset.from_quality(75))
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))
        self.model = softjpeg.wrap(network, self.jpeg, mean=[0.5] * 3, std=[0.25] * 3)

    def training_step(self, batch, _):
        """The loss of a batch."""
        images, labels = batch
        return nn.functional.cross_entropy(self.model(images), labels)

    def configure_optimizers(self):
        """Adam, slower for the tables."""
        groups = [
            {"params": self.model.network.parameters(), "lr": 0.01},
            {"params": self.jpeg.parameters(), "lr": 0.003},
        ]
        return torch.optim.Adam(groups)


def main() -> Classifier:
    """Train for two epochs."""
    lightning.seed_everything(0, verbose=False)
    data = TensorDataset(torch.rand(16, 3, 16, 16), torch.arange(16) % 4)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", enable_model_summary=False, **quiet
    )
    classifier = Classifier()
    trainer.fit(classifier, DataLoader(data, batch_size=8))
    print(f"luma DC step {classifier.jpeg.luma[0, 0, 0].item():.3f}")
    return classifier


if __name__ == "__main__":
    main()
