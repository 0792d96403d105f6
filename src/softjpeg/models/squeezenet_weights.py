"""SqueezeNet 1.1's ImageNet weights, as the package `ndf` brings them from Caffe."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
"""RGB; nothing is divided by."""

_FIRES = [
    f"fire{i}/{part}" for i in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")
]
_LAYERS = ["conv1", *_FIRES, "conv10"]


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under torchvision's names, for pixels RGB - 255·`CAFFE_MEAN`.

    Args:
        path: a pickle of {layer: (kernel (height, width, in, out) for BGR, bias)}.
        expected: the state dict of torchvision's ``squeezenet1_1``.

    Raises:
        ValueError: the file cannot be read, holds something else, or its shapes differ.
    """
    try:
        with path.open("rb") as file:
            body = _ArraysOnly(file).load()
        arrays = [np.asarray(body[layer][i], np.float32) for layer in _LAYERS for i in (0, 1)]
    # A damaged pickle raises nearly anything.
    except Exception as error:
        raise ValueError(f"SqueezeNet's weights {path} cannot be read: {error}") from error
    tensors = [
        torch.from_numpy(a.transpose(3, 2, 0, 1).copy() if a.ndim == 4 else a) for a in arrays
    ]
    if [t.shape for t in tensors] != [t.shape for t in expected.values()]:
        raise ValueError(f"SqueezeNet's weights {path} do not fit torchvision's squeezenet1_1")
    # The network was trained on BGR with pixels of 0..255.
    tensors[0] = tensors[0].flip(1) * 255
    return dict(zip(expected, tensors, strict=True))


class _ArraysOnly(pickle.Unpickler):
    """A pickle may name any function; arrays need these alone."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("numpy.") and name in ("_reconstruct", "_frombuffer"):
            return super().find_class(module, name)
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")
