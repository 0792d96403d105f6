"""Which of a network's weights adapting changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from softjpeg.adaptation.front import FRONT, has_front

Train = Literal["norm", "statistics", "first", "all", "front"]
"""What is trained: weights and biases of normalization layers; the means and variances of batch
normalization; the first and the first layer that reads pixels; all weights; a small network before
the frozen one."""


def trained_names(network: nn.Module, train: Train) -> list[str]:
    """The names of the changed tensors, as in the network's state dict.

    Args:
        network: for "front" with one inserted.
        train: see `Train`.

    Raises:
        ValueError: another word, or a network that has nothing of this kind.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(8, 2))
    >>> trained_names(network, "norm")
    ['1.weight', '1.bias']
    >>> trained_names(network, "statistics")
    ['1.running_mean', '1.running_var']
    >>> trained_names(network, "first")
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """
    if train not in get_args(Train):
        raise ValueError(f"train must be one of {', '.join(get_args(Train))}, got {train!r}")
    if train == "statistics":
        names = {
            f"{path}{name}"
            for path, module in _modules(network)
            if isinstance(module, _BatchNorm) and module.track_running_stats
            for name in ("running_mean", "running_var")
        }
        found = [name for name, _ in network.named_buffers() if name in names]
    else:
        parameters = [name for name, _ in network.named_parameters()]
        if train == "front":
            found = [n for n in parameters if has_front(network) and n.startswith(f"{FRONT}.")]
        elif train == "all":
            found = parameters
        else:
            chosen = {*_norm_names(network), *(_first_names(network) if train == "first" else ())}
            found = [name for name in parameters if name in chosen]
    if not found:
        what = {"norm": "normalization with weights", "statistics": "batch normalization"}
        raise ValueError(
            f"train {train!r} needs {what.get(train, 'weights')}, but the network has none: "
            "try first, all or front"
        )
    return found


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The modules whose statistics "statistics" estimates again."""
    modules = (module for _, module in _modules(network))
    return [m for m in modules if isinstance(m, _BatchNorm) and m.track_running_stats]


def _norm_names(network: nn.Module) -> Iterator[str]:
    """By the class's name: timm's and torchvision's own norms share no base class."""
    for path, module in _modules(network):
        if "norm" in type(module).__name__.lower():
            for name, weight in module.named_parameters(recurse=False):
                if weight.ndim <= 1 or isinstance(module, nn.LayerNorm):
                    yield f"{path}{name}"


def _first_names(network: nn.Module) -> Iterator[str]:
    for path, module in _modules(network):
        if isinstance(module, (_ConvNd, nn.Linear)):
            yield from (f"{path}{name}" for name, _ in module.named_parameters(recurse=False))
            return


def _modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules with the path that their tensors' names begin with."""
    for path, module in network.named_modules():
        yield f"{path}." if path else "", module
