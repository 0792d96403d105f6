"""Is a network robust, or do its gradients only hide the way? (Athalye et al. 2018, sec. 3.1)

A network whose gradients are useless resists gradient attacks and nothing else. Such networks give
themselves away: weaker attacks beat stronger ones, and the loss does not move as its gradient says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from softjpeg.common.progress import track
from softjpeg.common.torch_modes import usual_modes
from softjpeg.evaluation.robustness.accuracy_under_attack import correct_under
from softjpeg.evaluation.robustness.attacks import bpda, fgsm, pgd, soft_layers
from softjpeg.evaluation.robustness.finite_differences import difference_agreement
from softjpeg.evaluation.robustness.points import Check
from softjpeg.evaluation.robustness.random_search import random_search
from softjpeg.evaluation.robustness.softened import softened
from softjpeg.models.inference import check_inputs, device_of

if TYPE_CHECKING:
    from rich.table import Table

_UNBOUNDED = 64.0
"""A quarter of the range: enough to turn any picture into grey stripes."""

_CONVERGED = 0.05
"""Share of the images that more steps of PGD may still turn."""
_COSINE, _RISE = 0.5, 0.25
"""How much of what the gradient says must come true; a plain CIFAR ResNet-20 has 0.93 and 0.6."""


@usual_modes()
def masking_checks(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    baseline: nn.Module | None = None,
    eps: float = 1.0,
    steps: Sequence[int] = (5, 10, 50),
    restarts: int = 5,
    queries: int = 200,
    directions: int = 16,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> list[Check]:
    """Compare attacks that must not beat each other, and the loss with its gradient.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes); put in eval mode.
        images: (N, 3, H, W) uint8; a few hundred are enough.
        labels: (N,) class indices.
        baseline: a network without the layer, to transfer attacks from; None skips that check.
        eps: strength in levels of 255: one at which some images fall and some stand.
        steps: of PGD, ascending.
        restarts: random starts of PGD.
        queries: of the attack without gradients.
        directions: random directions of the finite differences.
        batch_size: images per gradient.
        seed: of every draw.
        progress: show a progress bar on a terminal.

    Returns:
        The checks in order: PGD against FGSM, more steps, random starts against none, random
        search, straight-through and smoothed gradients where the network has a soft JPEG layer,
        transfer from the baseline, the steps' convergence, unbounded strength, and the gradient
        against differences of the loss in random directions and along its sign.

    Raises:
        ValueError: images or labels of the wrong shape or type, steps that do not ascend.

    >>> images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> labels = network(images / 255).argmax(-1)
    >>> [c.name for c in masking_checks(network, images, labels, steps=[2, 4]) if not c.passed]
    []
    """
    check_inputs(images, labels, batch_size)
    if not steps or list(steps) != sorted(set(steps)):
        raise ValueError(f"steps must ascend, got {tuple(steps)}")
    if directions < 1:
        raise ValueError(f"directions must be at least 1, got {directions}")
    strength, generator = eps / 255, torch.Generator()
    descend = partial(pgd, eps=strength, generator=generator)
    first, last = f"PGD with {steps[0]} steps", f"PGD with {steps[-1]} steps"
    straight, restarted = "PGD without a random start", f"PGD with {restarts} random starts"
    through, smooth = "PGD with straight-through gradients", "PGD with smooth edges"
    transfer = "PGD on the baseline"
    search = partial(random_search, eps=strength, queries=queries, generator=generator)
    attacks: dict[str, Callable[..., Tensor]] = {
        "FGSM": partial(fgsm, eps=strength),
        **{f"PGD with {n} steps": partial(descend, steps=n) for n in steps},
        straight: partial(descend, steps=steps[0], random_start=False),
        restarted: partial(descend, steps=steps[0], restarts=restarts),
        "random search": search,
        "unbounded": partial(pgd, eps=_UNBOUNDED / 255, steps=50, generator=generator),
    }
    if soft_layers(model):
        for way, descent in ((through, bpda), (smooth, softened)):
            attacks[way] = partial(descent, eps=strength, steps=steps[-1], generator=generator)
    if baseline is not None:
        attacks[transfer] = attacks[last]
    right = {}
    for name, attack in track(attacks.items(), "checking", enabled=progress):
        generator.manual_seed(seed)
        source = baseline if name == transfer else model
        right[name] = correct_under(
            model, images, labels, attack, source=source, batch_size=batch_size
        )
    counts = [f"PGD with {n} steps" for n in steps]
    pairs = [(first, "FGSM"), *((more, few) for few, more in pairwise(counts))]
    pairs += [(restarted, straight), (last, "random search")]
    pairs += [(last, name) for name in (through, smooth, transfer) if name in right]
    return [
        *(not_weaker(right, *pair) for pair in pairs),
        _enough_steps(right[first], right[last], steps),
        _unbounded(right["unbounded"], model, images),
        *_gradient_checks(model, images, labels, strength, directions, batch_size, generator),
    ]


def not_weaker(right: dict[str, Tensor], strong: str, weak: str) -> Check:
    """The stronger attack must not leave more images right than the weaker, beyond chance.

    With b images that only the weaker attack fools and c that only the stronger does, b - c has a
    standard deviation of √(b + c) where the two are as strong; two of them are allowed.

    Args:
        right: bool (N,) by attack: which images the network still gets right.
        strong, weak: keys of `right`.

    >>> right = {"weak": torch.arange(100) < 40, "strong": torch.arange(100) < 50}
    >>> check = not_weaker(right, "strong", "weak")
    >>> check.value, round(check.limit, 3), check.passed
    (0.1, 0.063, False)
    """
    only_weak = int((right[strong] & ~right[weak]).sum())
    only_strong = int((right[weak] & ~right[strong]).sum())
    count = len(right[strong])
    value, limit = (only_weak - only_strong) / count, 2 * (only_weak + only_strong) ** 0.5 / count
    left = {name: f"{name} leaves {right[name].double().mean():.1%} right" for name in right}
    allowed = f"chance allows the first {limit:.1%} more"
    sentence = f"{left[strong]}, {left[weak]}; {allowed}"
    return Check(f"{strong} against {weak}", value, limit, value <= limit, sentence)


def _enough_steps(first: Tensor, last: Tensor, steps: Sequence[int]) -> Check:
    few, many = (r.double().mean().item() for r in (first, last))
    sentence = (
        f"{steps[0]} steps leave {few:.1%} right and {steps[-1]} steps {many:.1%}; with more than "
        f"{_CONVERGED:.0%} between them the smaller number of steps overstates robustness"
    )
    gap = few - many
    return Check(f"{steps[0]} steps are enough", gap, _CONVERGED, gap <= _CONVERGED, sentence)


def _unbounded(right: Tensor, model: nn.Module, images: Tensor) -> Check:
    with torch.no_grad():
        classes = model(images[:1].to(device_of(model)).float() / 255).shape[-1]
    value, limit = right.double().mean().item(), 1 / classes
    sentence = (
        f"PGD with 50 steps of eps {_UNBOUNDED:g}/255 leaves {value:.1%} right; guessing among "
        f"{classes} classes gives {limit:.1%}"
    )
    return Check("unbounded strength", value, limit, value <= limit, sentence)


def _gradient_checks(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: float,
    directions: int,
    batch_size: int,
    generator: torch.Generator,
) -> list[Check]:
    device, parts = device_of(model), []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        x, y = images[part].to(device).float() / 255, labels[part].to(device).long()
        parts.append(difference_agreement(model, x, y, eps, directions, generator=generator))
    cosine, rise = (torch.cat(both) for both in zip(*parts, strict=True))
    step = f"{255 * eps:g}/255"
    value, share = cosine.mean().item(), rise.median().item()
    return [
        Check(
            "gradient in random directions",
            value,
            _COSINE,
            value >= _COSINE,
            f"over steps of {step} in {directions} random directions the loss changes as its "
            f"gradient says with a mean cosine of {value:.2f}; at least {_COSINE} is expected",
        ),
        Check(
            "gradient along its sign",
            share,
            _RISE,
            share >= _RISE,
            f"over steps of {step} along the gradient's sign the loss rises by {share:.2f} of what "
            f"the gradient says, median over images; at least {_RISE} is expected",
        ),
    ]


def table(checks: Sequence[Check], title: str | None = None) -> Table:
    """The checks as a rich table, one a row."""
    from rich.table import Table

    view = Table("check", "verdict", "finding", title=title)
    for c in checks:
        view.add_row(c.name, "passed" if c.passed else "FAILED", c.sentence)
    return view
