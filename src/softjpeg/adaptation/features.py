"""Features: what a network's last layer reads, which tells more of an image than the answer."""

from __future__ import annotations

from types import TracebackType

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd


class Features:
    """Keeps what the last linear layer or convolution of a network read in its last pass.

    Which one is the last is seen in the pass itself. A context manager: outside of it the network
    has no hooks.

    Args:
        network: any.

    >>> import torch
    >>> network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> with Features(network) as features:
    ...     outputs = network(torch.zeros(4, 3))
    >>> tuple(features.read.shape)
    (4, 5)
    """

    def __init__(self, network: nn.Module) -> None:
        self.read: Tensor | None = None
        """(B, ...); None before a pass, and where a network has no such layer."""
        layers = (m for m in network.modules() if isinstance(m, (nn.Linear, _ConvNd)))
        self._hooks = [layer.register_forward_pre_hook(self._keep) for layer in layers]

    def _keep(self, layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self.read = arguments[0]

    def __enter__(self) -> Features:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hook in self._hooks:
            hook.remove()


def feature_distance(features: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference, in units of the targets' mean square.

    >>> import torch
    >>> float(feature_distance(torch.tensor([2.0, 4.0]), torch.tensor([2.0, 2.0])))
    0.5
    """
    return F.mse_loss(features, targets) / targets.square().mean().clamp_min(1e-12)
