"""The state of a learning run on disk, so that a killed run goes on exactly where it was."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softjpeg.common.files import write_atomically
from softjpeg.learning.rate_control import Belief, Tables


@dataclass(frozen=True)
class Candidate:
    """Tables whose loss is to be measured, and the belief they follow from.

    Attributes:
        tables: (luma, chroma).
        belief: (sensitivity, factor on the entropy).
        rate_weight: λ in loss per bit per pixel.
        is_default: the tables are Annex K's, and the belief what they imply.
    """

    tables: Tables
    belief: Belief
    rate_weight: float
    is_default: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the judging half says of learned tables beside the default ones of the same rate.

    Attributes:
        loss, bpp: of the learned tables; the loss of several networks is their mean or worst, each
            relative to its own behind the default tables, times the mean of those.
        default_loss, default_bpp: of the default tables.
        networks: each network's own (loss, loss behind the default tables).
    """

    loss: float
    bpp: float
    default_loss: float
    default_bpp: float
    networks: list[list[float]]


@dataclass(frozen=True)
class State:
    """Everything `learn` knows between two batches.

    Attributes:
        done: batches finished, over all passes.
        current: what has been learned so far.
        target: bits per pixel it is learned for; None where λ is given, or not known yet.
        gradients: of a running sensitivity pass, (networks, 3, 8, 8) of each batch.
        candidates: whose loss a running measuring pass measures.
        losses: of that pass, for each batch and candidate a list over networks.
        scales: loss of each network behind default tables.
        verdict: of the last choice.
        finished: of a ladder, what was learned at the rates before, each with its verdict.
        drops: of a running search for a rate, the points lost at the rates tried.
        drop: points lost by what a search found.
        start: bits per pixel that default tables need to lose as little.
    """

    done: int
    current: Candidate
    target: float | None = None
    gradients: list[Tensor] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    losses: list[list[list[float]]] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    verdict: Verdict | None = None
    finished: list[tuple[Candidate, Verdict]] = field(default_factory=list)
    drops: list[float] = field(default_factory=list)
    drop: float | None = None
    start: float | None = None


def fingerprint(*parts: Any) -> str:
    """A short name of a run: equal only if its inputs are.

    >>> fingerprint(torch.zeros(2), 0.5) == fingerprint(torch.zeros(2), 0.6)
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(str((part.dtype, tuple(part.shape))).encode())
            # A view, not a copy: images may be more than fits into memory.
            digest.update(part.detach().cpu().contiguous().reshape(-1).numpy().data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def save_state(path: str | os.PathLike[str] | None, run: str, state: State) -> None:
    """Replace the file at `path` by this state; None saves nothing."""
    if path is None:
        return
    buffer = io.BytesIO()
    torch.save({"run": run, **asdict(state)}, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(path: str | os.PathLike[str] | None, run: str) -> State | None:
    """The state at `path`, or None where there is no such file.

    Raises:
        ValueError: the file is not a checkpoint, or is one of another run.
    """
    if path is None or not Path(path).exists():
        return None
    try:
        body = torch.load(path, map_location="cpu", weights_only=True)
        found = body.pop("run")
        body["current"] = Candidate(**body["current"])
        body["candidates"] = [Candidate(**candidate) for candidate in body["candidates"]]
        body["verdict"] = body["verdict"] and Verdict(**body["verdict"])
        body["finished"] = [(Candidate(**c), Verdict(**v)) for c, v in body["finished"]]
        state = State(**body)
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is not a checkpoint of learn") from error
    if found != run:
        where = os.fspath(path)
        raise ValueError(f"{where} is the checkpoint of another run: other images or settings")
    return state
