"""Accuracy of a network on a test split."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from softjpeg.common.progress import track
from softjpeg.training.data.loader import batch_count, batches
from softjpeg.training.data.split import Split
from softjpeg.training.data.transforms import test_transform
from softjpeg.training.distributed import Group
from softjpeg.training.recipe import Recipe


class Accuracy(NamedTuple):
    """Means over the test images.

    Attributes:
        top1, top5: 0..1; top5 counts all classes where there are fewer than five.
        loss: cross entropy, nats.
        images: how many there were.
        skipped: one sentence for each image that was left out.
    """

    top1: float
    top5: float
    loss: float
    images: int
    skipped: tuple[str, ...] = ()


@torch.no_grad()
def accuracy(
    model: nn.Module, split: Split, recipe: Recipe, group: Group, *, progress: bool = False
) -> Accuracy:
    """Test a network in eval mode; its mode is kept. Every process gets the same result.

    Args:
        model: from RGB in [0, 1] to logits.
        split: the test images.
        recipe: its sections data and train.
        group: the processes that share the images.
        progress: show a progress bar.

    Raises:
        ValueError: an image that cannot be read, named, unless the recipe skips them; or none
            that can.
    """
    data, size = recipe.data, recipe.train.batch_size
    transform = test_transform(
        data.size, resize=data.test_resize or None, interpolation=data.interpolation
    )
    parts = batches(
        split,
        transform,
        batch_size=size,
        epoch=0,
        seed=0,
        train=False,
        rank=group.rank,
        world=group.world,
        workers=data.workers,
        skip_bad=data.skip_bad,
    )
    sums = torch.zeros(4, dtype=torch.float64, device=group.device)
    skipped: list[str] = []
    group.share_buffers(model)
    was_training = model.training
    model.eval()
    total = batch_count(split, size, group.world, False)
    for images, labels, bad in track(parts, "testing", total=total, enabled=progress):
        skipped += bad
        if len(labels) == 0:
            continue
        images, labels = images.to(group.device), labels.to(group.device)
        bf16 = recipe.train.precision == "bf16"
        with torch.autocast(group.device.type, torch.bfloat16, enabled=bf16):
            logits = model(images).float()
        right = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        sums += torch.stack(
            [
                right[:, 0].sum(),
                right.sum(),
                F.cross_entropy(logits, labels, reduction="sum"),
                torch.tensor(len(labels), device=group.device),
            ]
        ).double()
    model.train(was_training)
    top1, top5, loss, images_seen = group.sum(sums).tolist()
    skipped = group.gather(skipped)
    if images_seen == 0:
        raise ValueError(f"no test image can be read: {skipped[0] if skipped else 'there is none'}")
    count = int(images_seen)
    return Accuracy(top1 / count, top5 / count, loss / count, count, tuple(skipped))
