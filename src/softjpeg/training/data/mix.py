"""Mixed images and labels: mixup and CutMix, as torchvision does them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mix(
    images: Tensor, labels: Tensor, classes: int, *, mixup: float = 0.0, cutmix: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mix each image of a batch with its neighbour: ``λ x_i + (1-λ) x_j``, ``λ ~ Beta(a, a)``.

    CutMix pastes a rectangle of area 1-λ instead. With both, each batch takes one at random. The
    randomness is that of torch's generator.

    Args:
        images: (B, 3, H, W) float.
        labels: (B,) int64.
        classes: how many classes there are.
        mixup: a of mixup; 0 for none.
        cutmix: a of CutMix; 0 for none.

    Returns:
        Images (B, 3, H, W), and targets (B, classes) float32 that sum to 1.

    Raises:
        ValueError: a negative a.

    >>> images, targets = mix(torch.rand(4, 3, 8, 8), torch.arange(4), 10, mixup=0.2)
    >>> tuple(targets.shape), targets.sum(1).round(decimals=5).tolist()
    ((4, 10), [1.0, 1.0, 1.0, 1.0])
    """
    for name, value in (("mixup", mixup), ("cutmix", cutmix)):
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    if mixup == 0 and cutmix == 0:
        return images, F.one_hot(labels, classes).to(torch.float32)
    from torchvision.transforms import v2

    chosen = []
    if mixup > 0:
        chosen.append(v2.MixUp(alpha=mixup, num_classes=classes))
    if cutmix > 0:
        chosen.append(v2.CutMix(alpha=cutmix, num_classes=classes))
    mixed, targets = v2.RandomChoice(chosen)(images, labels)
    return mixed, targets
