"""A frozen network with its batch normalization folded into the convolutions before it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from softjpeg.common.image_sequence import Images
from softjpeg.models.inference import device_of

_TOLERANCE = 1e-3
"""Of the largest output: above what rounding changes, below what a wrong fold does."""


class _Pair(NamedTuple):
    """A convolution and the batch normalization of its output, by name, and what comes after."""

    convolution: str
    normalization: str
    rest: nn.Module


@torch.no_grad()
def folded(network: nn.Module, images: Tensor) -> nn.Module:
    """The same function as a frozen network, in fewer steps.

    In eval mode batch normalization is a factor and a term for each channel: part of the
    convolution before it. Which one that is, is seen on images. Where nothing can be folded, or
    no copy answers on them as the network does, the network itself comes back.

    Args:
        network: in eval mode, from images to a tensor; it stays as it is.
        images: (B, 3, H, W) that it reads, on its device.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    >>> folded(network, torch.rand(1, 3, 8, 8))[1]
    Identity()
    """
    try:
        found = _folded_copy(network, images)
    # Weights that are computed, what a network's own modules hold, no memory for a second one:
    # the network itself reads the images all the same.
    except Exception:
        return network
    return network if found is None else found


def _folded_copy(network: nn.Module, images: Tensor) -> nn.Module | None:
    copied = copy.deepcopy(network)
    answers, pairs = _seen(copied, images)
    for name, normalization, rest in pairs:
        both: Any = copied.get_submodule(name), copied.get_submodule(normalization)
        copied.set_submodule(name, fuse_conv_bn_eval(*both))
        copied.set_submodule(normalization, rest)
    if not pairs:
        return None
    difference = (copied(images) - answers).abs().max()
    return copied if difference <= _TOLERANCE * answers.abs().max() else None


def folded_on(images: Images, network: nn.Module) -> nn.Module:
    """`folded`, by the first of some images.

    Args:
        images: uint8, as for `softjpeg.models.inference.outputs_of`.
        network: that reads them.
    """
    return folded(network, images[0][None].to(device_of(network)).float() / 255)


def _seen(network: nn.Module, images: Tensor) -> tuple[Tensor, list[_Pair]]:
    """A network's answers, and what can be folded in it."""
    # By their identity; held, so that no other tensor gets it. What is changed in place since
    # has another version.
    convolved: dict[int, tuple[str, Tensor, int]] = {}
    found: list[_Pair] = []
    passes: Counter[str] = Counter()

    def watch(name: str, module: nn.Module) -> Any:
        def after(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            passes[name] += 1
            if isinstance(module, nn.Conv2d):
                convolved[id(output)] = name, output, output._version
            elif arguments:
                source, _, version = convolved.get(id(arguments[0]), ("", None, -1))
                rest = _after_normalization(module, arguments[0], output)
                if source and rest is not None and version == arguments[0]._version:
                    found.append(_Pair(source, name, rest))

        return module.register_forward_hook(after)

    hooks = [watch(name, module) for name, module in _watched(network)]
    answers = network(images)
    for hook in hooks:
        hook.remove()
    once = [p for p in found if passes[p.convolution] == passes[p.normalization] == 1]
    return answers, once


def _watched(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in network.named_modules():
        kinds = isinstance(module, (nn.Conv2d, _BatchNorm)) and not is_parametrized(module)
        # Whoever looks at what a layer gives is to see it.
        if name and kinds and not module._forward_hooks and not module._forward_pre_hooks:
            yield name, module


def _after_normalization(module: Any, read: Tensor, gave: Tensor) -> nn.Module | None:
    """What a module does after batch normalization; None where that is unknown.

    Nothing in PyTorch's own, an activation in timm's.
    """
    mean, variance = module.running_mean, module.running_var
    if mean is None or variance is None or module.training:
        return None
    normal = F.batch_norm(read, mean, variance, module.weight, module.bias, eps=module.eps)
    own = [each for each in (getattr(module, n, None) for n in ("drop", "act")) if each is not None]
    for rest in (nn.Identity(), nn.Sequential(*own)):
        if torch.equal(rest(normal.clone()), gave):
            return rest
    return None
