"""Other people's differentiable JPEG, and the floors: each as one forward and backward pass.

Nothing of theirs is copied: packages are imported, and the two that no registry has come from
checkouts that the user names.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.subject import MissingError

STEP, QUALITY = 16.0, 50.0


class Peer:
    """`forward` alone, or called: the gradients of every leaf too."""

    def __init__(self, function: Callable[..., Tensor], *leaves: Tensor) -> None:
        inputs = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        self.leaves: list[Tensor] = list(inputs)
        self.forward = lambda: function(*inputs)
        self.gradient = torch.rand_like(inputs[0])

    def __call__(self) -> None:
        for leaf in self.leaves:
            leaf.grad = None
        self.forward().backward(self.gradient)


class ModulePeer(Peer):
    """A module whose parameters are the other leaves."""

    def __init__(self, module: nn.Module, image: Tensor) -> None:
        super().__init__(module, image)
        self.leaves += module.parameters()


def authors(images: Tensor, checkout: Path | None) -> Peer:
    """The JPEG-DL authors' layer: 4:4:4, five indices, one table, sharpness trained."""
    if checkout is None:
        raise MissingError("no checkout was named: --authors PATH")
    found = checkout / "ImageNet" / "JPEG_layer.py"
    if not found.is_file():
        raise MissingError(f"the checkout has no {found.relative_to(checkout)}")
    size = tuple(images.shape[-2:])
    if size[0] != size[1]:
        raise MissingError(f"square images only, got {size}")
    numbers = {"num_bit": 8, "num_non_zero_q": 5, "block_size": 8, "jpeg_layers": 1}
    scales = {"Q_inital": STEP, "JEPG_alpha": 20 / STEP**2, "hardness": 20.0}
    limits = {"min_Q_Step": 0.0, "max_Q_Step": 255.0, "q_max": 10.0, "q_min": 0.0}
    switches = dict.fromkeys(["hardness_matching", "alpha_scaling", "alpha_fixed"], False)
    switches |= dict.fromkeys(["zero_dc", "initial_Q_w_sensitivity", "initial_Q_w_abs_avg"], False)
    rest = {"sensitvity_dir": "", "dir_initial_abs_avg": "", "model": "", "JPEG_alpha_trainable": 1}
    widths = {"std_width_Y": 1.0, "std_width_CbCr": 1.0, "batch_size": len(images)}
    one_table = {"outter_block_size": size[0]}
    options = Namespace(**numbers, **scales, **limits, **switches, **rest, **widths, **one_table)
    with _path(found.parent), _silence():
        layer = importlib.import_module("JPEG_layer").JPEG_layer(
            options, size, mean=[0.0] * 3, std=[1.0] * 3
        )
    return ModulePeer(layer, images * 255)


def kornia(images: Tensor) -> Peer:
    """kornia's codec: 4:2:0, a table for each of luma and chroma, quality."""
    with _silence():
        from kornia.enhance import jpeg_codec_differentiable as codec

    table, quality = torch.full((8, 8), STEP), torch.tensor([QUALITY])
    return Peer(lambda x, q, luma, chroma: codec(x, q, luma, chroma), images, quality, table, table)


def diff_jpeg(images: Tensor, checkout: Path | None) -> Peer:
    """Diff-JPEG (Reich et al., WACV 2024): 4:2:0, not straight-through."""
    if checkout is None:
        raise MissingError("it is on no registry; no checkout was named: --diff-jpeg PATH")
    if not (checkout / "diff_jpeg" / "__init__.py").is_file():
        raise MissingError("the checkout has no diff_jpeg package")
    with _path(checkout), _silence():
        coding = importlib.import_module("diff_jpeg").diff_jpeg_coding
    table, quality = torch.full((8, 8), STEP), torch.full((len(images),), QUALITY)
    return Peer(
        lambda x, q, luma, chroma: coding(x, q, luma, chroma), images * 255, quality, table, table
    )


def block_products(images: Tensor) -> Callable[[], None]:
    """Four products of all blocks with a 64x64 matrix: two forward, two backward."""
    blocks = images.reshape(-1, 64).contiguous()
    matrix, out = torch.rand(64, 64), torch.empty_like(blocks)

    def step() -> None:
        for _ in range(4):
            torch.mm(blocks, matrix, out=out)

    return step


def copy(images: Tensor) -> Callable[[], Tensor]:
    """One copy of the images."""
    source, out = images.contiguous(), torch.empty_like(images)
    return lambda: out.copy_(source)


@contextlib.contextmanager
def _silence() -> Any:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _path(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
