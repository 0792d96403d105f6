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

from softjpeg.files import write_atomically
from softjpeg.rate_control import Belief, Tables


@dataclass(frozen=True)
class Candidate:
    """Tables whose loss is to be measured, and the belief they follow from."""

    tables: Tables
    belief: Belief
    rate_weight: float


@dataclass(frozen=True)
class State:
    """Everything `learn` knows between two batches.

    Attributes:
        done: batches finished, over all passes.
        current: what has been learned so far.
        gradients: of a running sensitivity pass, the mean squared gradient (3, 8, 8) of each batch.
        candidates: whose loss a running measuring pass measures.
        losses: of that pass, one row per batch, one entry per candidate.
        verdict: on the judging half, loss and bits per pixel of what was chosen, then of the
            default tables.
    """

    done: int
    current: Candidate
    gradients: list[Tensor] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    verdict: list[float] = field(default_factory=list)


def fingerprint(*parts: Any) -> str:
    """A short name of a run: equal only if its inputs are.

    >>> fingerprint(torch.zeros(2), 0.5) == fingerprint(torch.zeros(2), 0.6)
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(str((part.dtype, tuple(part.shape))).encode())
            digest.update(part.detach().cpu().contiguous().numpy().tobytes())
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
        state = State(**body)
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is not a checkpoint of learn") from error
    if found != run:
        where = os.fspath(path)
        raise ValueError(f"{where} is the checkpoint of another run: other images or settings")
    return state
