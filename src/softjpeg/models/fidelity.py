"""How far two answers of a network are apart, and how far a file's may be from its image's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor

Measure = Callable[[Tensor, Tensor], Tensor]
"""From (outputs, originals), both (B, ...), to how far they are apart (B,); 0 for equal ones."""

FORMS = "top1, top5, in-top5, kl:LIMIT or cosine:LIMIT"


@dataclass(frozen=True)
class Fidelity:
    """What must hold between a network's outputs on a file and on the image itself.

    Attributes:
        name: the words it was given by.
        measure: how far the outputs are apart.
        limit: the largest measure that keeps the answer.
        k: how many of the best classes count; None for distances.
    """

    name: str
    measure: Measure
    limit: float
    k: int | None = None

    def check(self, originals: Tensor) -> None:
        """Raise ValueError for outputs (N, ...) of which this criterion tells nothing."""
        asked, instead = f"keep {self.name}", "keep cosine:LIMIT"
        if self.measure is cosine:
            check_direction(originals, "no criterion does")
        elif self.k is None:
            check_scores(originals, asked, instead)
        else:
            check_scores(originals, asked, instead, order_only=True)
            _check_classes(originals)
            if self.k >= originals.shape[1]:
                raise ValueError(f"{asked} tells nothing of {originals.shape[1]} classes")


def parse_fidelity(text: str) -> Fidelity:
    """The criterion that a text names.

    Args:
        text: one of

            * ``top1``, ``top5``, ...: the k best classes are the same ones, in any order, so that
              top-k accuracy is what it was whatever the labels are;
            * ``in-top1``, ``in-top5``, ...: the image's best class is among the file's k best;
            * ``kl:LIMIT``: KL divergence from the image's class probabilities, in nats;
            * ``cosine:LIMIT``: one minus the cosine between the outputs, for embeddings.

    Raises:
        ValueError: another text, or a limit that is no finite number ≥ 0.

    >>> parse_fidelity("kl:0.2").limit
    0.2
    """
    if known := re.fullmatch(r"(in-)?top([1-9]\d*)", text):
        k = int(known[2])
        if known[1]:
            return Fidelity(text, rank, limit=k, k=k)
        return Fidelity(text, partial(missing, k=k), limit=0, k=k)
    name, _, words = text.partition(":")
    if name not in ("kl", "cosine") or not words:
        raise ValueError(f"keep must be {FORMS}, got {text!r}")
    try:
        limit = float(words)
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf:
        raise ValueError(f"the limit of {name} must be a finite number of at least 0, got {words}")
    return Fidelity(text, kl if name == "kl" else cosine, limit)


def agree(outputs: Tensor, originals: Tensor) -> Tensor:
    """Whether both have the same best class, (B,); of equal scores the first class is the best.

    Of outputs (B, classes, ...) at many positions, the share of these.

    >>> import torch
    >>> agree(torch.tensor([[1.0, 1.0], [0.0, 1.0]]), torch.tensor([[3.0, 1.0], [3.0, 1.0]]))
    tensor([ True, False])
    """
    same = outputs.argmax(1) == originals.argmax(1)
    return same if same.ndim == 1 else same.flatten(1).double().mean(1)


def missing(outputs: Tensor, originals: Tensor, k: int = 1) -> Tensor:
    """How many of the k best classes of the originals are not among the outputs' k best.

    Args:
        outputs, originals: (B, classes) scores.
        k: 1..classes.

    Returns:
        (B,) int64.

    >>> import torch
    >>> a = torch.tensor([[5.0, 4, 1, 0], [0, 1, 2, 3]])
    >>> missing(a.flip(0), a, k=2).tolist(), missing(a, a).tolist()
    ([2, 2], [0, 0])
    """
    _check_classes(originals)
    if k > originals.shape[1]:
        raise ValueError(f"top{k} needs as many classes, but there are {originals.shape[1]}")
    best, wanted = _order(outputs)[:, :k], _order(originals)[:, :k]
    return k - (wanted[:, :, None] == best[:, None, :]).flatten(1).sum(-1)


def rank(outputs: Tensor, originals: Tensor) -> Tensor:
    """The place, from 1, that the outputs give to the originals' best class.

    >>> import torch
    >>> rank(torch.tensor([[3.0, 2, 1]]), torch.tensor([[0.0, 9, 0]])).item()
    2
    """
    _check_classes(originals)
    place = _order(outputs) == _order(originals)[:, :1]
    return 1 + place.int().argmax(-1)


def kl(outputs: Tensor, originals: Tensor) -> Tensor:
    """``KL(originals ‖ outputs) = Σ p log(p/p̂)`` of the softmax, in nats.

    Of outputs (B, classes, ...) at many positions, the mean of these.

    >>> import torch
    >>> round(kl(torch.zeros(1, 2), torch.tensor([[100.0, 0]])).item(), 4)  # log 2
    0.6931
    """
    # Rounding may leave a KL of 0 a hair below it.
    each = kl_terms(outputs.double(), originals.double()).sum(1).clamp(min=0)
    return each.reshape(len(each), -1).mean(1)


def kl_terms(outputs: Tensor, originals: Tensor) -> Tensor:
    """``p log(p/p̂)`` of every class, which adds up to the KL divergence, in their precision.

    Both are (B, classes, ...), as is the result.

    >>> import torch
    >>> kl_terms(torch.zeros(1, 4), torch.zeros(1, 4)).tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    """
    logs = outputs.log_softmax(1), originals.log_softmax(1)
    return F.kl_div(*logs, reduction="none", log_target=True)


def cosine(outputs: Tensor, originals: Tensor) -> Tensor:
    """One minus the cosine of the angle between outputs of any shape: 0 to 2.

    >>> import torch
    >>> cosine(torch.tensor([[0.0, 2]]), torch.tensor([[3.0, 3]])).item().__round__(4)
    0.2929
    """
    return cosine_distance(outputs.double(), originals.double()).clamp(0, 2)


def cosine_distance(outputs: Tensor, originals: Tensor) -> Tensor:
    """The same in their precision, which may leave it a hair beyond its ends, as losses need it.

    >>> import torch
    >>> cosine_distance(torch.eye(2), torch.eye(2).flip(0)).tolist()
    [1.0, 1.0]
    """
    return 1 - F.cosine_similarity(outputs.flatten(1), originals.flatten(1))


def check_scores(outputs: Tensor, asked: str, instead: str, *, order_only: bool = False) -> None:
    """Refuse outputs of which class probabilities tell nothing: all would seem to be kept.

    Args:
        outputs: (N, ...) of a network.
        asked: what cannot tell anything of them, for the error.
        instead: what can, for the error.
        order_only: only which class is the best counts, so that a softmax is no matter.

    Raises:
        ValueError: not (N, classes, ...) of at least two classes, or a softmax is applied already.

    >>> import torch
    >>> check_scores(torch.zeros(5, 1), "KL", "take mse")
    Traceback (most recent call last):
    ValueError: KL tells nothing of outputs (5, 1), which are no scores of several classes: take mse
    """
    if outputs.ndim < 2 or outputs.shape[1] < 2:
        raise ValueError(
            f"{asked} tells nothing of outputs {tuple(outputs.shape)}, which are no scores of "
            f"several classes: {instead}"
        )
    if not order_only and _are_probabilities(outputs):
        raise ValueError(
            f"{asked} wants scores before the softmax, but the network's outputs are probabilities "
            f"already: leave its softmax out, or {instead}"
        )


def check_direction(outputs: Tensor, instead: str) -> None:
    """Refuse outputs of a single number, whose angle is always the same.

    Args:
        outputs: (N, ...) of a network.
        instead: what can tell something of them, for the error.
    """
    if outputs.numel() <= len(outputs):
        raise ValueError(
            f"cosine tells nothing of outputs {tuple(outputs.shape)}, one number each: {instead}"
        )


def _are_probabilities(outputs: Tensor) -> bool:
    lowest, highest = outputs.aminmax()
    total = outputs.double().sum(1)
    # Loose enough for a softmax in half precision.
    return bool(lowest >= 0 and highest <= 1 and (total - 1).abs().max() < 1e-2)


def _order(scores: Tensor) -> Tensor:
    """Classes from the best to the worst; of equal scores the first class is the better one."""
    return scores.sort(dim=-1, descending=True, stable=True).indices


def _check_classes(outputs: Tensor) -> None:
    if outputs.ndim != 2:
        shape = tuple(outputs.shape)
        raise ValueError(f"outputs must be class scores (B, classes), got shape {shape}")
