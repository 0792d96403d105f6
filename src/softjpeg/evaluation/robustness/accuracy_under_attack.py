"""Accuracy under attack: networks × attacks × strengths on one set of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from softjpeg.common.progress import track
from softjpeg.common.torch_modes import usual_modes
from softjpeg.evaluation.robustness.attacks import Attack, bpda, fgsm, pgd
from softjpeg.evaluation.robustness.autopgd import autopgd
from softjpeg.evaluation.robustness.points import RobustnessPoint
from softjpeg.evaluation.robustness.softened import softened
from softjpeg.models.inference import check_inputs, check_labels, device_of, outputs_of

ATTACKS = ("fgsm", "pgd", "bpda", "softened", "autopgd")


@usual_modes()
def robustness(
    models: Mapping[str, nn.Module | Sequence[nn.Module]],
    images: Tensor,
    labels: Tensor,
    *,
    eps: Sequence[float] = (1, 2, 3, 4),
    attacks: Sequence[str] = ("fgsm", "pgd"),
    steps: int = 5,
    restarts: int = 1,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> list[RobustnessPoint]:
    """Attack every network white-box and count the images it still gets right.

    Args:
        models: by name, one network or several runs of it; each from (B, 3, H, W) RGB in [0, 1]
            to logits (B, classes); put in eval mode.
        images: (N, 3, H, W) uint8.
        labels: (N,) class indices.
        eps: strengths in levels of 255.
        attacks: of "fgsm", "pgd", "bpda" (PGD with straight-through quantizers), "softened" (PGD
            with smooth quantizers in its gradient) and "autopgd" (100 steps).
        steps: of all but FGSM and AutoPGD, each ``2.5·eps/steps`` long.
        restarts: random starts of all but FGSM.
        batch_size: images per gradient.
        seed: of the random starts; every network gets the same ones.
        progress: show a progress bar on a terminal.

    Returns:
        For each network and run: "none" first, then attack by attack the strengths in their order.

    Raises:
        ValueError: images or labels of the wrong shape or type, or an unknown attack.
        ImportError: AutoPGD's library is not installed.

    >>> images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> points = robustness({"mine": network}, images, torch.zeros(4).long(), eps=[2])
    >>> [(p.attack, p.eps) for p in points]
    [('none', 0.0), ('fgsm', 2.0), ('pgd', 2.0)]
    """
    check_inputs(images, labels, batch_size)
    for strength in eps:
        if not 0 < strength <= 255:
            raise ValueError(f"eps must lie above 0 and up to 255 pixel levels, got {strength}")
    for attack in attacks:
        if attack not in ATTACKS:
            raise ValueError(f"attacks must be of {', '.join(ATTACKS)}, got {attack!r}")
    jobs = [
        (name, run, model, attack, strength)
        for name, runs in models.items()
        for run, model in enumerate([runs] if isinstance(runs, nn.Module) else runs)
        for attack, strength in [("none", 0.0), *((a, float(e)) for a in attacks for e in eps)]
    ]
    points = []
    for name, run, model, attack, strength in track(jobs, "attacking", enabled=progress):
        function = _attack(attack, strength / 255, steps, restarts, seed)
        right = correct_under(model, images, labels, function, batch_size=batch_size)
        top1 = right.double().mean().item()
        points.append(RobustnessPoint(name, run, attack, strength, top1, len(images)))
    return points


def correct_under(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack | None = None,
    *,
    source: nn.Module | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Which images a network gets right, as they are or under attack; bool (N,) on the CPU.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes); put in eval mode.
        images: (N, 3, H, W) uint8.
        labels: (N,) class indices.
        batch_size: images per gradient.
        attack: None for the images as they are.
        source: the network the attack sees (a transfer attack); default `model` itself.

    Raises:
        ValueError: the network cannot read the images, or a label is none of its classes.

    >>> images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> correct_under(network, images, torch.zeros(4).long()).shape
    torch.Size([4])
    """
    seen, labels = model if source is None else source, labels.cpu()
    for network in (model, seen):
        network.eval()
        check_labels(labels, outputs_of(network, images[:1]))
    if labels.min() < 0:
        raise ValueError(f"labels must be at least 0, got {int(labels.min())}")
    right = []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        x, y = images[part].to(device_of(seen)).float() / 255, labels[part].long()
        if attack is not None:
            x = attack(seen, x, y.to(x.device))
        with torch.no_grad():
            answers = model(x.to(device_of(model))).argmax(-1)
        right.append(answers.cpu() == y)
    return torch.cat(right)


def _attack(name: str, eps: float, steps: int, restarts: int, seed: int) -> Attack | None:
    if name == "fgsm":
        return partial(fgsm, eps=eps)
    descents: dict[str, Callable[..., Tensor]] = {"pgd": pgd, "bpda": bpda, "softened": softened}
    if name in descents:
        # One generator for all batches: each has random starts of its own.
        generator = torch.Generator().manual_seed(seed)
        start = {"restarts": restarts, "generator": generator}
        return partial(descents[name], eps=eps, steps=steps, **start)
    if name == "autopgd":
        return partial(autopgd, eps=eps, restarts=restarts, seed=seed)
    return None
