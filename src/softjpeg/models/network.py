"""Networks by name: timm's, a checkpoint of one, or a function in a Python file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from softjpeg.common.extras import import_extra
from softjpeg.models.demo_weights import efficientnet_lite, squeezenet
from softjpeg.models.preprocessing import Fit, Interpolation, Preprocessed, Preprocessing
from softjpeg.models.weight_files import load_weights, read_weights
from softjpeg.nn.wrapping import wrap

_LITES = {
    "efficientnet-lite0": (224, 256),
    "efficientnet-lite1": (240, 272),
    "efficientnet-lite2": (260, 292),
}
"""Sides of the crop, and the shorter side before it."""


_FITS: dict[str, Fit] = {"squash": "squash", "border": "letterbox"}
"""timm's crop modes; "center" resizes the shorter side."""


@dataclass(frozen=True, eq=False)
class Network:
    """A network that reads images, and the images it wants.

    Attributes:
        module: (B, 3, H, W) float RGB in [0, 1] → its output; in eval mode.
        name: the words it was loaded by.
        size: (height, width) of its input; None when unknown.
        resize: the shorter side of an image before the centre crop to `size`; None for no resizing.
        interpolation: "bicubic" or "bilinear".
        fit: what `resize` is about, see `Preprocessing`.
    """

    module: nn.Module
    name: str
    size: tuple[int, int] | None = None
    resize: int | None = None
    interpolation: Interpolation = "bicubic"
    fit: Fit = "shorter"

    @property
    def preprocessing(self) -> Preprocessing | None:
        """From an image of any size to the network's input; None when that is unknown."""
        if self.size is None:
            return None
        return Preprocessing(self.resize, self.fit, self.size, self.interpolation)

    @property
    def reader(self) -> nn.Module:
        """The network behind its preprocessing: it reads images of any size."""
        preprocessing = self.preprocessing
        return self.module if preprocessing is None else Preprocessed(self.module, preprocessing)


def load_network(spec: str) -> Network:
    """Load the network that `spec` names, ready to read RGB in [0, 1].

    Args:
        spec: one of

            * ``timm:NAME``: a timm model with its pretrained weights, downloaded when needed;
            * ``timm:NAME@FILE``: a timm model with the weights in a .safetensors, .pth, .pt, .bin;
            * ``FILE.py:FACTORY``: what a function in a Python file returns, an nn.Module whose
              attributes `input_size` (int or (height, width)), `resize` and `interpolation`, where
              it has them, say what it reads;
            * ``efficientnet-lite0``, ``-lite1``, ``-lite2``, ``squeezenet1.1``: for ImageNet, their
              weights from packages.

    Raises:
        ValueError: no such network or file, or weights that do not fit; one sentence.
        ImportError: timm, or the package with the weights, is not installed.
    """
    if spec in _LITES:
        side, resize = _LITES[spec]
        return Network(efficientnet_lite(int(spec[-1])), spec, (side, side), resize)
    if spec == "squeezenet1.1":
        return Network(squeezenet(), spec, (224, 224), 256, "bilinear")
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


def _timm_network(spec: str, name: str, checkpoint: Path | None) -> Network:
    timm = import_extra("timm", extra="models")
    weights = None if checkpoint is None else read_weights(checkpoint)
    try:
        model: nn.Module = timm.create_model(name, pretrained=weights is None)
    # timm, the hub's client and its transport each have errors of their own.
    except Exception as error:
        wanted = " with its pretrained weights" if weights is None else ""
        raise ValueError(f"timm could not make {name!r}{wanted}: {error}") from error
    if weights is not None:
        _fit_classifier(model, weights)
        load_weights(model, weights, str(checkpoint))
    config = timm.data.resolve_model_data_config(model)
    height, width = config["input_size"][1:]
    return Network(
        wrap(model, None, config["mean"], config["std"]).eval(),
        spec,
        size=(height, width),
        resize=int(min(height, width) / config["crop_pct"]),
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        fit=_FITS.get(config.get("crop_mode", "center"), "shorter"),
    )


def _fit_classifier(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a timm model as many classes as the checkpoint has."""
    name = getattr(model, "pretrained_cfg", {}).get("classifier")
    bias = weights.get(f"{name}.bias")
    if bias is not None and len(bias) != getattr(model, "num_classes", len(bias)):
        model.reset_classifier(len(bias))  # type: ignore[operator]


def _file_network(spec: str, path: Path, factory: str) -> Network:
    module = module_from_file(path, factory)
    size = getattr(module, "input_size", None)
    sides = (size, size) if isinstance(size, int) else size
    resize = getattr(module, "resize", None)
    if sides is not None and not (_are_sides(sides) and len(sides) == 2):
        raise ValueError(
            f"{spec}: input_size must be an integer or (height, width) above 0, got {size!r}"
        )
    if resize is not None and not _are_sides([resize]):
        raise ValueError(f"{spec}: resize must be an integer above 0, got {resize!r}")
    interpolation: Any = getattr(module, "interpolation", "bicubic")
    if interpolation not in ("bicubic", "bilinear"):
        raise ValueError(
            f"{spec}: interpolation must be bicubic or bilinear, got {interpolation!r}"
        )
    return Network(
        module.eval(),
        spec,
        size=None if sides is None else (sides[0], sides[1]),
        resize=resize,
        interpolation=interpolation,
    )


def _are_sides(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and all(isinstance(v, int) and v > 0 for v in values)


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
