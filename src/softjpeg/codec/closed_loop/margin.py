"""How much room a network's answer has left: a fidelity that can be differentiated."""

from __future__ import annotations

import torch
from torch import Tensor

from softjpeg.models.fidelity import Fidelity, rank


def margin(fidelity: Fidelity, outputs: Tensor, originals: Tensor) -> Tensor:
    """What is left until the answer is not kept any more: above 0 where it is kept.

    For classes the score by which the worst class that must stay inside leads the best one that
    must stay outside; for distances ``1 - distance / limit``.

    Args:
        fidelity: the criterion.
        outputs: (B, ...) of files, differentiable.
        originals: (B, ...) of the images.

    Returns:
        (B,).

    >>> from softjpeg.models.fidelity import parse_fidelity
    >>> scores, wanted = torch.tensor([[3.0, 5, 1]]), torch.tensor([[9.0, 2, 1]])
    >>> [margin(parse_fidelity(f), scores, wanted).item() for f in ("top1", "in-top2", "top2")]
    [-2.0, 2.0, 2.0]
    """
    k = fidelity.k
    if k is None:
        # A limit of 0 leaves no room, whatever is divided by.
        return 1 - fidelity.measure(outputs, originals) / max(fidelity.limit, 1e-12)
    order = originals.sort(dim=-1, descending=True, stable=True).indices
    if fidelity.measure is rank:
        best = outputs.gather(-1, order[:, :1])[:, 0]
        others = outputs.gather(-1, order[:, 1:])
        return best - others.topk(min(k, others.shape[-1])).values[:, -1]
    inside, outside = outputs.gather(-1, order[:, :k]), outputs.gather(-1, order[:, k:])
    return inside.amin(-1) - outside.amax(-1)


def soft_minimum(values: Tensor) -> Tensor:
    """``-log Σ exp(-v)`` over the first axis: below the least, and rising in every one.

    >>> round(soft_minimum(torch.tensor([[2.0], [2.0]])).item(), 4)  # 2 - log 2
    1.3069
    """
    return -torch.logsumexp(-values, 0)
