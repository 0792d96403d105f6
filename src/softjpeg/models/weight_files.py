"""Files of weights: read, whatever training scripts wrapped them in, and loaded into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a state dict, also below "state_dict" or "model" or with "module.".

    No code in the file is run.

    Raises:
        ValueError: another suffix than one of `SUFFIXES`, or a file that is missing, damaged or
            holds something else.
    """
    if path.suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise ValueError(f"checkpoint must end in one of {known}, got {str(path)!r}")
    if not path.is_file():
        raise ValueError(f"checkpoint {path} does not exist")
    body: Any
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            body = load_file(path)
        else:
            body = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file raises nearly anything: pickle, zip, safetensors and runtime errors.
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"checkpoint {path} cannot be read: {reason}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(body, dict) and isinstance(body.get(wrapper), dict):
            body = body[wrapper]
    if not isinstance(body, dict) or not all(isinstance(w, Tensor) for w in body.values()):
        raise ValueError(f"checkpoint {path} does not hold a state dict of named tensors")
    return {key.removeprefix("module."): weight for key, weight in body.items()}


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], file: str) -> None:
    """Give a network all of its weights, by their names.

    Args:
        network: changed in place.
        weights: each of a shape the network expects.
        file: what an error calls them.

    Raises:
        ValueError: a tensor that is missing, unexpected, or of another shape, named.

    >>> load_weights(nn.Linear(2, 1), {"weight": torch.zeros(1, 2)}, "w.pth")
    Traceback (most recent call last):
    ValueError: w.pth does not fit the network: tensor bias is missing
    """
    expected = network.state_dict()
    for key, tensor in expected.items():
        if key not in weights:
            raise ValueError(f"{file} does not fit the network: tensor {key} is missing")
        if weights[key].shape != tensor.shape:
            raise ValueError(
                f"{file} does not fit the network: tensor {key} must have shape "
                f"{tuple(tensor.shape)}, got {tuple(weights[key].shape)}"
            )
    for key in weights:
        if key not in expected:
            raise ValueError(f"{file} does not fit the network: tensor {key} is unexpected")
    network.load_state_dict(weights)
