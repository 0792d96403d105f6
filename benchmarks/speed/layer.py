"""`JPEGLayer`, forward and backward, against other differentiable JPEGs and what it cannot avoid.

Gradients go to the image, the tables and the hardness (of peers: to what they have of these). The
floor is four products of all blocks with a 64x64 matrix, two forward and two backward.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed import peers
from benchmarks.speed.pure import pure
from benchmarks.speed.subject import Options, Result, gather, goal, smooth_images, threads
from benchmarks.speed.timing import bytes_kept, ratio, rows, take_turns
from softjpeg import JPEGLayer

OURS, OURS_420, PURE = "softjpeg 4:4:4", "softjpeg 4:2:0", "softjpeg 4:4:4, pure functions"
PAPER = "softjpeg 4:4:4, JPEG-DL's setting"
AUTHORS, KORNIA, DIFF_JPEG = "JPEG-DL's authors 4:4:4", "kornia 4:2:0", "Diff-JPEG 4:2:0"
PRODUCTS, COPY = "four block products", "one copy of the images"


def ours(images: Tensor, subsampling: str = "4:4:4", **settings: Any) -> peers.ModulePeer:
    """Our layer as a peer of the others."""
    table = torch.full((8, 8), peers.STEP)
    options = settings or {"hardness": 20.0, "train_hardness": True}
    layer = JPEGLayer(table, table, subsampling=subsampling, **options)
    return peers.ModulePeer(layer.to(images.device), images)


def ours_pure(images: Tensor) -> peers.ModulePeer:
    """The same without kernels; what a forward pass recorded, its backward pass repeats."""
    peer = ours(images)
    peer.forward = pure(peer.forward)
    return peer


def run(options: Options) -> Result:
    """Measure."""
    images = smooth_images(2, 64) if options.quick else smooth_images(16)
    found, missing = gather(
        {
            OURS: partial(ours, images),
            OURS_420: partial(ours, images, "4:2:0"),
            PAPER: partial(ours, images, alpha=5.0, window=5, levels=127),
            PURE: partial(ours_pure, images),
            AUTHORS: partial(peers.authors, images, options.authors),
            KORNIA: partial(peers.kornia, images),
            DIFF_JPEG: partial(peers.diff_jpeg, images, options.diff_jpeg),
            PRODUCTS: partial(peers.block_products, images),
            COPY: partial(peers.copy, images),
        }
    )
    with threads(options.threads):
        times = take_turns(found, options.rounds(25), limit_s=90)
    measured = rows(times, OURS)
    image_bytes = images.numel() * images.element_size()
    for row in measured:
        if isinstance(found[row["name"]], peers.Peer):
            row["kept_images"] = bytes_kept(found[row["name"]].forward) / image_bytes

    def against(peer: str, base: str = OURS) -> list[float] | None:
        return ratio(times, peer, base) if peer in times else None

    faster = "forward + backward: times faster than"
    kept = next(row["kept_images"] for row in measured if row["name"] == OURS)
    shape = "x".join(map(str, images.shape))
    return {
        "setting": f"{shape} float32 on the CPU, {options.threads} threads, tables of 16",
        "tables": [{"title": "Forward + backward", "reference": OURS, "rows": measured + missing}],
        "goals": [
            goal(1, f"{faster} the authors' layer", ">=", 15, against(AUTHORS)),
            goal(1, f"{faster} kornia's, at 4:2:0", ">=", 10, against(KORNIA, OURS_420)),
            goal(1, f"{faster} Diff-JPEG, at 4:2:0", ">=", 4, against(DIFF_JPEG, OURS_420)),
            goal(1, "times the four block products", "<=", 4, ratio(times, OURS, PRODUCTS)),
            goal(1, "kept for backward, in images", "<=", 1.01, [kept] * 3),
        ],
    }
