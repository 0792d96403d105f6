"""What a network sees with and without its JPEG layer: feature maps and class-activation maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.common.extras import import_extra
from softjpeg.models.inference import device_of
from softjpeg.nn.wrapping import find_module


@contextmanager
def bypassed(layer: nn.Module | None) -> Iterator[None]:
    """While it lasts, `layer` gives its input back, wherever in a network it stands.

    >>> layer = nn.ReLU()
    >>> with bypassed(layer):
    ...     layer(torch.tensor(-2.0)).item()
    -2.0
    """
    if layer is None:
        yield
        return
    handle = layer.register_forward_hook(lambda module, inputs, output: inputs[0])
    try:
        yield
    finally:
        handle.remove()


def spatial_modules(model: nn.Module, images: Tensor) -> list[str]:
    """The dotted paths of the modules whose output is (B, C, h > 1, w > 1), as they finish.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1]; put in eval mode.
        images: (N, 3, H, W) uint8; the first is read.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    >>> spatial_modules(model, torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    ['0']
    """
    names: list[str] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            spatial = isinstance(output, Tensor) and output.ndim == 4
            if spatial and min(output.shape[2:]) > 1 and name not in names:
                names.append(name)

        return hook

    modules = [(name, module) for name, module in model.named_modules() if name]
    handles = [module.register_forward_hook(note(name)) for name, module in modules]
    try:
        with torch.no_grad():
            model.eval()(_floats(model, images[:1]))
    finally:
        for handle in handles:
            handle.remove()
    return names


@torch.no_grad()
def feature_maps(model: nn.Module, images: Tensor, module: str) -> Tensor:
    """The output of a named module, (N, C, h, w) on the CPU.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1]; put in eval mode.
        images: (N, 3, H, W) uint8, read as one batch.
        module: dotted path.

    Raises:
        ValueError: the model has no such module, or its output is not (B, C, h, w).
    """
    outputs: list[Tensor] = []

    def keep(_: nn.Module, inputs: Any, output: Any) -> None:
        # A copy: an activation in place may write over it.
        outputs.append(_spatial(output, module).clone())

    handle = find_module(model, module).register_forward_hook(keep)
    try:
        model.eval()(_floats(model, images))
    finally:
        handle.remove()
    return _first(outputs, module).cpu()


def grad_cam(
    model: nn.Module, images: Tensor, classes: Tensor, module: str | None = None
) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, eqs. 1-2): where a class is seen.

    ``a_k = mean_ij ∂y_c/∂A_kij`` and ``L = ReLU(Σ_k a_k A_k)``, A the output of a module, y_c the
    logit of a class.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits; put in eval mode.
        images: (N, 3, H, W) uint8, read as one batch.
        classes: (N,) the class of each image.
        module: dotted path; None for the last one whose output is (B, C, h, w).

    Returns:
        (N, h, w) ≥ 0 on the CPU, at the module's own resolution and scale.

    Raises:
        ValueError: the model has no such module, or none whose output is (B, C, h, w).

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    >>> tuple(grad_cam(model, images, torch.tensor([0, 3])).shape)
    (2, 6, 6)
    """
    if module is None:
        names = spatial_modules(model, images)
        if not names:
            raise ValueError("the network has no module whose output is (B, C, h, w)")
        module = names[-1]
    leaves: list[Tensor] = []

    def cut(_: nn.Module, inputs: Any, output: Any) -> Tensor:
        # What comes before needs no gradient; a copy goes on, as it may be changed in place.
        leaves.append(_spatial(output, module).detach().requires_grad_())
        return leaves[-1].clone()

    handle = find_module(model, module).register_forward_hook(cut)
    try:
        with torch.enable_grad():
            logits = model.eval()(_floats(model, images))
            scores = logits.gather(1, classes.to(logits.device)[:, None])
            activation = _first(leaves, module)
            (gradient,) = torch.autograd.grad(scores.sum(), activation)
    finally:
        handle.remove()
    weights = gradient.mean((2, 3), keepdim=True)
    return F.relu((weights * activation.detach()).sum(1)).cpu()


def overlay(image: Tensor, cam: Tensor, largest: float | None = None) -> Tensor:
    """A class-activation map over its image, which is darkened where the map is small.

    Args:
        image: (3, H, W) uint8.
        cam: (h, w) ≥ 0.
        largest: what, and all above it, is shown in full colour; None for the map's own maximum.

    Returns:
        (3, H, W) uint8.

    Raises:
        ImportError: matplotlib is not installed.
    """
    colormaps = import_extra("matplotlib", extra="report").colormaps
    top = cam.max().item() if largest is None else largest
    size = (image.shape[1], image.shape[2])
    up = F.interpolate(cam[None, None].float(), size, mode="bilinear", align_corners=False)[0, 0]
    heat = up / top if top > 0 else torch.zeros_like(up)
    color = torch.from_numpy(colormaps["inferno"](heat.numpy())[..., :3]).permute(2, 0, 1)
    grey = image.cpu().float().mean(0) / 255
    mixed = 0.45 * grey + 0.55 * color
    return (mixed.clamp(0, 1) * 255).round().to(torch.uint8)


def channel_grid(features: Tensor, low: Tensor, high: Tensor, columns: int = 4) -> Tensor:
    """Channels side by side in grey, row by row.

    Args:
        features: (C, h, w).
        low, high: (C,) what is black and what is white in each channel.
        columns: channels in a row.

    Returns:
        (3, rows·(h + 1) - 1, columns·(w + 1) - 1) uint8, with white lines of one pixel between.

    >>> grid = channel_grid(torch.rand(6, 5, 7), torch.zeros(6), torch.ones(6))
    >>> tuple(grid.shape)
    (3, 11, 31)
    """
    scale = (high - low).clamp_min(1e-12)[:, None, None]
    pixels = ((features - low[:, None, None]) / scale).clamp(0, 1)
    framed = F.pad(pixels, (0, 1, 0, 1), value=1.0)
    framed = F.pad(framed, (0, 0, 0, 0, 0, -len(framed) % columns), value=1.0)
    count, height, width = framed.shape
    cells = framed.view(count // columns, columns, height, width).permute(0, 2, 1, 3)
    grid = cells.reshape(count // columns * height, columns * width)
    return (grid[:-1, :-1] * 255).round().to(torch.uint8).expand(3, -1, -1).contiguous()


def _floats(model: nn.Module, images: Tensor) -> Tensor:
    return images.to(device_of(model)).float() / 255


def _spatial(output: Any, module: str) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim != 4:
        shape_or_type = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"module {module!r} must have an output (B, C, h, w), got {shape_or_type}")
    return output


def _first(outputs: list[Tensor], module: str) -> Tensor:
    if not outputs:
        raise ValueError(f"module {module!r} has no part in the network's output")
    return outputs[0]
