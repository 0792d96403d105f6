"""One optimizer step: loss, gradients, both optimizers, the tables' range, the moving average."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.training.data.loader import Batch
from softjpeg.training.data.mix import mix
from softjpeg.training.distributed import Group
from softjpeg.training.jpeg_recipe import Jpeg
from softjpeg.training.recipe import Recipe
from softjpeg.training.state import State


def train_step(
    state: State,
    parallel: nn.Module,
    parts: Sequence[Batch],
    recipe: Recipe,
    classes: int,
    group: Group,
) -> Tensor:
    """Accumulate the gradients of the parts of a batch and step.

    Args:
        state: what is trained; changed in place.
        parallel: the model, as the group's processes share it.
        parts: `train.accumulate` batches.
        recipe: its sections model and train.
        classes: of the data set.
        group: where to compute.

    Returns:
        This process's mean loss before the step, on its device; not yet waited for.

    Raises:
        ValueError: a part that holds no image.
    """
    settings = recipe.train
    for optimizer in state.optimizers.values():
        optimizer.zero_grad()
    total = torch.zeros((), device=group.device)
    for number, (images, labels, skipped) in enumerate(parts):
        if len(labels) == 0:
            raise ValueError(f"step {state.step + 1}: no image of its batch is good: {skipped[0]}")
        images = images.to(group.device, non_blocking=True)
        targets = labels.to(group.device, non_blocking=True)
        if settings.mixup or settings.cutmix:
            images, targets = mix(
                images, targets, classes, mixup=settings.mixup, cutmix=settings.cutmix
            )
        if recipe.model.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        last = number == len(parts) - 1
        # Gradients need to be averaged over processes once, with the last part's.
        together = contextlib.nullcontext() if group.world == 1 or last else parallel.no_sync()  # type: ignore[operator]
        with together:
            bf16 = settings.precision == "bf16"
            with torch.autocast(group.device.type, torch.bfloat16, enabled=bf16):
                logits, bits = _answers(parallel, images, recipe.jpeg)
            loss = F.cross_entropy(
                logits.float(), targets, label_smoothing=settings.label_smoothing
            )
            if bits is not None:
                loss = loss + recipe.jpeg.rate_weight * bits / images[0, 0].numel()
            (loss / len(parts)).backward()  # type: ignore[no-untyped-call]
        total += loss.detach() / len(parts)
    if settings.clip_gradient:
        nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_gradient)
    for optimizer in state.optimizers.values():
        optimizer.step()
    if (layer := state.model.layer) is not None:
        layer.clamp_tables_()
    if state.ema is not None:
        state.ema.update_parameters(state.model)
    return total


def _answers(parallel: nn.Module, images: Tensor, jpeg: Jpeg) -> tuple[Tensor, Tensor | None]:
    """Logits, and where they are part of the loss the bits of one image's scan."""
    if not jpeg.prices_bits:
        return parallel(images), None
    logits, bits = parallel(images, rate=jpeg.rate)
    return logits, bits
