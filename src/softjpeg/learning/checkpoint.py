"""A learning run on disk, so that a killed one goes on exactly where it was."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softjpeg.common.files import write_atomically
from softjpeg.common.image_sequence import Images
from softjpeg.learning.rate_control import QuadraticModel
from softjpeg.learning.state import Candidate, MeasuredGain, State

_RECORDS = {record.__name__: record for record in (Candidate, MeasuredGain, QuadraticModel, State)}
_RECORD = "record"


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


def of_images(images: Images) -> Tensor | list[str]:
    """What stands for images in a `fingerprint`.

    >>> photos = [torch.zeros(3, 2, 4), torch.zeros(3, 5, 1)]
    >>> [len(name) for name in of_images(photos)]
    [64, 64]
    """
    # Photos one by one: decoded, all may be more than fits into memory.
    return images if isinstance(images, Tensor) else [fingerprint(image) for image in images]


def save_checkpoint(
    path: str | os.PathLike[str], run: str, state: State, gathered: dict[str, Any] | None
) -> None:
    """Replace the file at `path`.

    Args:
        path: of the file.
        run: the run's `fingerprint`.
        state: what has been learned.
        gathered: by a running pass, `Pass.state_dict`; None between two passes.
    """
    body = {"run": run, "done": state.done, "state": state, "gathered": gathered}
    buffer = io.BytesIO()
    torch.save(_to_plain(body), buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(
    path: str | os.PathLike[str], run: str
) -> tuple[State, dict[str, Any] | None] | None:
    """State and gathered at `path`, or None where there is no such file.

    Raises:
        ValueError: the file is not a checkpoint, or is one of another run.
    """
    if not Path(path).exists():
        return None
    try:
        body = _from_plain(torch.load(path, map_location="cpu", weights_only=True))
        saved_run, state, gathered = body["run"], body["state"], body["gathered"]
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is not a checkpoint of learn") from error
    if saved_run != run:
        where = os.fspath(path)
        raise ValueError(f"{where} is the checkpoint of another run: other images or settings")
    return state, gathered


def _to_plain(value: Any) -> Any:
    """Records as dicts: a file of tensors, numbers and text alone is safe to load."""
    if isinstance(value, tuple(_RECORDS.values())):
        fields = value._asdict() if isinstance(value, QuadraticModel) else vars(value)
        return {_RECORD: type(value).__name__, **_to_plain(fields)}
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_to_plain, value))
    return value


def _from_plain(value: Any) -> Any:
    """The inverse."""
    if isinstance(value, dict):
        fields = {key: _from_plain(item) for key, item in value.items()}
        return _RECORDS[fields.pop(_RECORD)](**fields) if _RECORD in fields else fields
    if isinstance(value, (list, tuple)):
        return type(value)(map(_from_plain, value))
    return value
