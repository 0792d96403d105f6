"""Checkpoints: one safetensors file with everything a run needs to go on, written atomically."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from softjpeg.common.bounds import MAX_DEPTH
from softjpeg.common.files import write_atomically
from softjpeg.common.versioned_json import depth_of

_KEY = "softjpeg"


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts.

    Args:
        path: the file, replaced as one.
        tensors: by name.
        facts: in JSON's types.

    Raises:
        OSError: the disk is full, ...; the file that was there is then as it was.
    """
    # safetensors wants every tensor dense and sharing no memory.
    dense = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    write_atomically(path, save(dense, {_KEY: json.dumps(facts, sort_keys=True)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts of `save_checkpoint`.

    Raises:
        ValueError: the file is missing, damaged, or no checkpoint of a training run.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "x.safetensors")
    ...     save_checkpoint(file, {"a": torch.ones(2)}, {"step": 3})
    ...     load_checkpoint(file)
    ({'a': tensor([1., 1.])}, {'step': 3})
    """
    with _opened(path) as file:
        # Copies: else they would change with the file.
        names = file.keys()
        tensors = {name: file.get_tensor(name).clone() for name in names}
        return tensors, _facts(file, path)


def load_facts(path: Path) -> dict[str, Any]:
    """The facts alone, without reading the tensors.

    Raises:
        ValueError: as `load_checkpoint`.
    """
    with _opened(path) as file:
        return _facts(file, path)


def optimizer_tensors(name: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's state by names: ``optimizer.NAME.INDEX.KEY``."""
    return {
        f"optimizer.{name}.{index}.{key}": value
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(name: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of `optimizer_tensors`.

    Args:
        name: as it was saved.
        optimizer: of the same parameters; changed in place.
        tensors: of the checkpoint; those with other names are left out.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for full, value in tensors.items():
        kind, _, rest = full.partition(".")
        owner, _, place = rest.partition(".")
        if (kind, owner) != ("optimizer", name):
            continue
        index, _, key = place.partition(".")
        like = parameters[int(index)]
        if key != "step" and value.shape == like.shape:
            # With the parameter's own layout a resumed step runs the very same code.
            value = torch.empty_like(like, requires_grad=False).copy_(value)
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise ValueError(f"checkpoint {path} does not exist")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ValueError(f"checkpoint {path} cannot be read: {error}") from error


def _facts(file: Any, path: Path) -> dict[str, Any]:
    text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise ValueError(f"checkpoint {path} was not written by softjpeg train")
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"checkpoint {path} cannot be read: {error}") from None
    if not isinstance(facts, dict) or depth_of(facts) > MAX_DEPTH:
        raise ValueError(f"checkpoint {path}: its facts must be an object of {MAX_DEPTH} levels")
    return facts
