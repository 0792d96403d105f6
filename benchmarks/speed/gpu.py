"""The layer on CUDA: forward against the bandwidth of a copy, backward, and a ResNet-50 step.

Forward is counted as one read and one write of the images, a copy likewise; the share is the
copy's time over the layer's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.layer import ours
from benchmarks.speed.pure import pure
from benchmarks.speed.step import MEAN, STD, jpeg_dl_layer
from benchmarks.speed.subject import Options, Result, gather, goal, smooth_images
from benchmarks.speed.timing import Step, bytes_kept, quartiles, ratio, rows, take_turns
from softjpeg.nn.wrapping import wrap

FORWARD, BOTH, COPY = "forward", "forward + backward", "one copy of the images"
WITHOUT, WITH = "without a layer", "with a layer"
SUBSAMPLINGS = ("4:4:4", "4:2:0")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def layer_steps(images: Tensor, subsampling: str) -> tuple[dict[str, Step], float]:
    """A copy, the layer forward, and both ways; and what it keeps, in images."""
    peer = ours(images, subsampling)
    out = torch.empty_like(images)

    @torch.no_grad()
    def forward() -> None:
        peer.forward()

    kept = bytes_kept(peer.forward) / (images.numel() * images.element_size())
    return {COPY: lambda: out.copy_(images), FORWARD: forward, BOTH: peer}, kept


def training_step(with_layer: bool, images: Tensor) -> Step:
    """ResNet-50 in bfloat16 autocast, channels_last, compiled with the layer in front."""
    from torchvision.models import resnet50

    torch.manual_seed(0)
    layer = jpeg_dl_layer(10.0) if with_layer else None
    network = wrap(resnet50(), layer, MEAN, STD).to(images.device)
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    labels = torch.arange(len(images), device=images.device) % 1000
    compiled = torch.compile(network)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(images.device.type, torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(compiled(images), labels)
        loss.backward()
        optimizer.step()

    return step


def run(options: Options) -> Result:
    """Measure; where there is no CUDA, say so."""
    if not torch.cuda.is_available():
        row = {"name": "the layer on CUDA", "missing": "this machine has no CUDA"}
        return {"setting": "", "tables": [{"title": "CUDA", "rows": [row]}], "goals": _goals()}
    batch, side = (4, 64) if options.quick else (256, 224)
    images = smooth_images(batch, side).cuda()
    tables: list[dict[str, Any]] = []
    shares: dict[str, list[float]] = {}
    backward: dict[str, list[float]] = {}
    for name, dtype in DTYPES.items():
        for subsampling in SUBSAMPLINGS:
            steps, kept = layer_steps(images.to(dtype), subsampling)
            times = take_turns(steps, options.rounds(50), finish=torch.cuda.synchronize)
            moved = 2 * images.numel() * dtype.itemsize / 1e9
            measured = rows(times, COPY)
            for row in measured[:2]:
                row["GB_s"] = quartiles([moved / wall for wall, _ in times[row["name"]]])
            measured[2]["kept_images"] = kept
            title = f"{name}, {subsampling}"
            tables.append({"title": title, "reference": COPY, "rows": measured})
            shares[title] = ratio(times, COPY, FORWARD)
            backward[title] = ratio(times, BOTH, FORWARD)
    tables.append(_pure(images, options))
    channels_last = images.to(memory_format=torch.channels_last)
    found, missing = gather(
        {
            WITHOUT: lambda: training_step(False, channels_last),
            WITH: lambda: training_step(True, channels_last),
        }
    )
    times = take_turns(found, options.rounds(30), finish=torch.cuda.synchronize)
    measured = rows(times, WITHOUT) if found else []
    title = "A ResNet-50 step, bfloat16, channels_last, compiled"
    tables.append({"title": title, "reference": WITHOUT, "rows": measured + missing})
    slower = ratio(times, WITH, WITHOUT) if found else None
    main = "float32, 4:4:4"
    return {
        "setting": f"{batch}x3x{side}x{side} on CUDA, times of the whole device",
        "tables": tables,
        "goals": _goals(shares[main], backward[main], slower),
    }


def _pure(images: Tensor, options: Options) -> dict[str, Any]:
    """What the fused kernels gain over the pure functions, on an eighth of the images."""
    some = images[: max(1, len(images) // 8)]
    fused, slow = ours(some), ours(some)
    slow.forward = pure(slow.forward)
    times = take_turns(
        {"fused": fused, "pure functions": slow},
        options.rounds(20),
        finish=torch.cuda.synchronize,
    )
    title = f"{BOTH}, {len(some)} images, float32, 4:4:4"
    return {"title": title, "reference": "fused", "rows": rows(times, "fused")}


def _goals(
    share: list[float] | None = None,
    backward: list[float] | None = None,
    step: list[float] | None = None,
) -> list[dict[str, Any]]:
    return [
        goal(3, "forward: share of copy bandwidth", ">=", 0.70, share),
        goal(3, "forward + backward: times the forward", "<=", 3, backward),
        goal(3, "times a ResNet-50 step without a layer", "<=", 1.01, step),
    ]
