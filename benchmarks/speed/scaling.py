"""How the layer's time and memory grow with batch, size, channels, threads and rounds.

Every point is a process of its own, forked where PyTorch is loaded already: its peak memory is
what forward and backward needed beyond the image and the gradient of the output: at least the
output and the gradient of the image (0 where the process had as much at hand).
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.speed.pure import pure
from benchmarks.speed.subject import Options, Result, smooth_images, threads
from benchmarks.speed.timing import bytes_kept, quartiles, take_turns


class Point(NamedTuple):
    """Of the layer's cost."""

    batch: int = 8
    channels: int = 3
    side: int = 224
    threads: int = 1
    rounds: int = 1
    subsampling: str = "4:4:4"
    kernels: bool = True


def points(options: Options) -> dict[str, dict[str, Point]]:
    """By what varies, then by its value."""
    if options.quick:
        return {"batch": {str(n): Point(batch=n, side=32) for n in (1, 2)}}
    counts = sorted({1, 2, options.threads})
    return {
        "batch, 224x224": {str(n): Point(batch=n) for n in (1, 4, 16, 64)},
        "side of 8 images": {str(n): Point(side=n) for n in (32, 64, 128, 224, 448, 896)},
        "channels of a feature layer, 8 maps of 56x56": {
            str(n): Point(channels=n, side=56) for n in (16, 64, 256)
        },
        "threads, 8 images 224x224": {str(n): Point(threads=n) for n in counts},
        "rounds, 8 images 224x224": {str(n): Point(rounds=n) for n in (1, 2, 3, 5)},
        "subsampling, 8 images 224x224": {
            **{s: Point(subsampling=s) for s in ("4:4:4", "4:2:2", "4:2:0")},
            "4:4:4, pure functions": Point(kernels=False),
        },
    }


def measure(point: Point, turns: int) -> dict[str, Any]:
    """Forward and backward, in this process alone."""
    import torch

    from benchmarks.speed.peers import STEP, ModulePeer
    from softjpeg import FeatureJPEGLayer, JPEGLayer

    shared: dict[str, Any] = {"hardness": 20.0, "train_hardness": True, "rounds": point.rounds}
    with threads(point.threads):
        if point.channels == 3:
            table = torch.full((8, 8), STEP)
            images = smooth_images(point.batch, point.side)
            sampled = {**shared, "subsampling": point.subsampling}
            layer: torch.nn.Module = JPEGLayer(table, table, **sampled)
        else:
            shape = point.batch, point.channels, point.side, point.side
            images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            layer = FeatureJPEGLayer(point.channels, **shared)
        # The first call of all loads what later ones share.
        ModulePeer(layer, images[:1, :, :8, :8])()
        step, size = ModulePeer(layer, images), images.numel() * images.element_size()
        if not point.kernels:
            step.forward = pure(step.forward)
        before = _memory("VmRSS")
        step()
        peak = _memory("VmHWM") - before
        samples = take_turns({"step": step}, turns, limit_s=2)["step"]
    wall = quartiles([wall for wall, _ in samples])
    return {
        "wall_ms": [1e3 * s for s in wall],
        "cpu_ms": 1e3 * quartiles([cpu for _, cpu in samples])[1],
        "ns_per_value": 1e9 * wall[1] / images.numel(),
        "peak_images": peak / size,
        "kept_images": bytes_kept(step.forward) / size,
    }


def run(options: Options) -> Result:
    """Measure."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "softjpeg.nn.jpeg_layer", "softjpeg.nn.feature_layer"])
    tables = []
    for title, named in points(options).items():
        rows = []
        for name, point in named.items():
            with context.Pool(1) as pool:
                rows.append({"name": name, **pool.apply(measure, (point, options.rounds(15)))})
        tables.append({"title": f"By {title}", "rows": rows})
    return {
        "setting": "Forward + backward on the CPU, float32, one thread unless said otherwise, "
        "tables and hardness trained; memory in sizes of the input",
        "tables": tables,
        "goals": [],
    }


def _memory(kind: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at most (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024
