"""What a step of `learn` costs beside the frozen network's own work (EfficientNet-Lite0, 4:2:0).

A *sensitivity* step (codec, network, and the gradient of both) against the network's forward pass
and input gradient; a *measuring* step (one candidate's codec and forward pass) against a forward
pass.
"""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.speed.pure import pure
from benchmarks.speed.subject import Options, Result, gather, goal, smooth_images, threads
from benchmarks.speed.timing import Step, ratio, rows, take_turns
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import default_tables
from softjpeg.learning.objective import Objective

GRADIENT, FORWARD = "forward + input gradient", "forward"
SENSITIVITY, MEASURING = "sensitivity step", "measuring step"
TITLES = {GRADIENT: "Learning from a batch", FORWARD: "Measuring a candidate"}


def steps(options: Options) -> dict[str, Step]:
    """The network's own work and ours."""
    from softjpeg.models.network import load_network

    network = load_network("efficientnet-lite0").module
    network = network.to(memory_format=torch.channels_last)
    batch, size = (2, 64) if options.quick else (16, 224)
    images = (smooth_images(8 * batch, size) * 255).round().to(torch.uint8)
    objective = Objective(FrozenNetworks(network, images, batch_size=batch), "4:2:0")
    tables, part = default_tables(50), objective.measured[0]
    generator = torch.Generator().manual_seed(0)
    floats = (images[part].float() / 255).contiguous(memory_format=torch.channels_last)
    inputs = floats.clone().requires_grad_()

    def gradient() -> None:
        torch.autograd.grad(network(inputs).log_softmax(-1)[:, 0].sum(), inputs)

    @torch.no_grad()
    def forward() -> None:
        network(floats)

    sensitivity = partial(objective.sensitivities, part, tables, generator)
    measuring = partial(objective.losses, part, [tables])
    ours = {GRADIENT: gradient, SENSITIVITY: sensitivity, FORWARD: forward, MEASURING: measuring}
    slow = {f"{name}, pure functions": pure(ours[name]) for name in (SENSITIVITY, MEASURING)}
    return {**ours, **slow}


def run(options: Options) -> Result:
    """Measure."""
    built, missing = gather({SENSITIVITY: partial(steps, options)})
    found = built.get(SENSITIVITY, {})
    with threads(options.threads):
        times = take_turns(found, options.rounds(25), limit_s=80)
    tables = []
    for reference, kind in ((GRADIENT, SENSITIVITY), (FORWARD, MEASURING)):
        some = {name: t for name, t in times.items() if name == reference or name.startswith(kind)}
        measured = rows(some, reference) if some else missing
        tables.append({"title": TITLES[reference], "reference": reference, "rows": measured})
    slower = ratio(times, SENSITIVITY, GRADIENT) if found else None
    batch = "2x3x64x64" if options.quick else "16x3x224x224"
    return {
        "setting": f"{batch} float32 on the CPU, {options.threads} threads",
        "tables": tables,
        "goals": [goal(4, "times the network's forward + input gradient", "<=", 1.10, slower)],
    }
