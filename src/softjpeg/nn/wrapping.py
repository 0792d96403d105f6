"""Put a JPEG layer into a network: in front of it, or after one of its modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.functional.arguments import check_floats, warn_once_of_range
from softjpeg.functional.rate.rate_model import RateModel
from softjpeg.nn.feature_layer import FeatureJPEGLayer
from softjpeg.nn.hub import OnHub
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.table_quantizer import TableQuantizer

_CHILD = "jpeg"
_LAYERS = {layer.__name__: layer for layer in (JPEGLayer, FeatureJPEGLayer)}


class JPEGNetwork(nn.Module, OnHub):
    """``network((jpeg(x) - mean) / std)``; made by `wrap`.

    ``from_pretrained(name, network=network)`` puts the weights of the Hub and the layer around a
    network of the same kind, which it changes: a repository holds no code.

    Attributes:
        jpeg: the layer in front; `torch.nn.Identity` where there is none.
        network: the network itself; it may hold a layer inside.
        input_mean, input_std: (C, 1, 1), not part of the state dict.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(
        self, network: nn.Module, jpeg: nn.Module, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.jpeg, self.network = jpeg, network
        # ONNX calls these tensors by their own names, and what a pooling gives out is a "mean".
        self.register_buffer("input_mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("input_std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    @property
    def layer(self) -> TableQuantizer | None:
        """The JPEG layer, wherever it stands; None where there is none."""
        return next((m for m in self.modules() if isinstance(m, TableQuantizer)), None)

    def hub_config(self) -> dict[str, Any]:
        """Mean, std, the layer with its settings, where it stands, and what class is wrapped.

        Raises:
            ValueError: a layer of another class, which cannot be made again.
        """
        facts: dict[str, Any] = {"layer": None, "at": None}
        name, layer = self._placed_layer()
        if layer is not None:
            if type(layer) not in _LAYERS.values():
                kinds = " or ".join(_LAYERS)
                raise ValueError(f"layer must be a {kinds} for the Hub, got {type(layer).__name__}")
            facts["layer"] = {"class": type(layer).__name__, **layer.hub_config()}
            inside = name.removeprefix("network.").removesuffix(f".{_CHILD}")
            facts["at"] = None if name == _CHILD else inside
        return {
            "mean": self.input_mean.flatten().tolist(),
            "std": self.input_std.flatten().tolist(),
            **facts,
            "network_class": type(self.network).__name__,
        }

    def hub_loading(self) -> str:
        """As of `OnHub`, with the network that goes in."""
        return super().hub_loading()[:-1] + f", network={type(self.network).__name__}(...))"

    def _placed_layer(self) -> tuple[str, Any]:
        if not isinstance(self.jpeg, nn.Identity):
            return _CHILD, self.jpeg
        named = self.named_modules()
        return next(((n, m) for n, m in named if isinstance(m, TableQuantizer)), ("", None))

    @classmethod
    def _from_pretrained(  # type: ignore[override]
        cls, *, config: dict[str, Any], network: nn.Module | None = None, **options: Any
    ) -> Any:
        if network is None:
            raise ValueError(
                f"network must be given, a {config['network_class']} as it was before it was "
                "wrapped: the repository holds weights, and no code"
            )
        layer: nn.Module = nn.Identity()
        if config["layer"] is not None:
            settings = dict(config["layer"])
            layer = _LAYERS[settings.pop("class")](**settings)
        if config["at"] is not None:
            insert_after(network, config["at"], layer)
            layer = nn.Identity()
        return super()._from_pretrained(network=network, jpeg=layer, **options)

    def forward(self, image: Tensor, rate: RateModel | None = None) -> Any:
        """(B, C, H, W) RGB in [0, 1] → what the network makes of it.

        With `rate`: (that, bits of one image's scan), as `JPEGLayer.forward_with_rate` has them;
        the layer must stand in front.
        """
        if isinstance(self.jpeg, nn.Identity):
            check_floats(image=image)
            warn_once_of_range(self, image)
        if rate is None:
            return self.network((self.jpeg(image) - self.input_mean) / self.input_std)
        if not isinstance(self.jpeg, JPEGLayer):
            raise ValueError(f"rate {rate!r} needs a JPEG layer in front of the network")
        shown, bits = self.jpeg.forward_with_rate(image, rate=rate)
        return self.network((shown - self.input_mean) / self.input_std), bits


def wrap(
    model: nn.Module,
    layer: nn.Module | None,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    at: str | None = None,
) -> JPEGNetwork:
    """A network behind a JPEG layer and the normalization it expects.

    Args:
        model: takes normalized (B, C, H, W). With `at` it is changed in place.
        layer: a `JPEGLayer`, or with `at` a `FeatureJPEGLayer`; None for the baseline.
        mean, std: one number per channel, of images in [0, 1].
        at: dotted path of the module whose output the layer takes, as "conv1" or
            "features.0"; default: the layer stands in front and takes the images.

    Returns:
        A module from RGB in [0, 1] to the model's output.

    Raises:
        ValueError: the model has no module `at`, or `at` is given without a layer.

    >>> from softjpeg import JPEGLayer
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    >>> wrapped = wrap(network, JPEGLayer(alpha=5.0), mean=[0.5] * 3, std=[0.25] * 3)
    >>> tuple(wrapped(torch.rand(2, 3, 16, 16)).shape)
    (2, 10)
    """
    if at is None:
        return JPEGNetwork(model, nn.Identity() if layer is None else layer, mean, std)
    if layer is None:
        raise ValueError(f"layer must be given to stand at {at!r}, got None")
    insert_after(model, at, layer)
    return JPEGNetwork(model, nn.Identity(), mean, std)


def insert_after(model: nn.Module, at: str, layer: nn.Module) -> None:
    """Send what the module at a dotted path gives out through `layer`, its new child ``jpeg``.

    The module itself and the names of its weights stay as they are.

    Args:
        model: changed in place.
        at: dotted path of a module.
        layer: that its output goes through.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU())
    >>> insert_after(model, "0", nn.Hardtanh(0, 1))
    >>> sorted(model.state_dict()), bool((model[0](100 * torch.ones(1, 3, 3, 3)) <= 1).all())
    (['0.weight'], True)
    """
    module = find_module(model, at)
    if hasattr(module, _CHILD):
        raise ValueError(f"module {at!r} has a child {_CHILD!r} already")
    module.add_module(_CHILD, layer)
    # A Sequential runs its last child by itself.
    if not isinstance(module, nn.Sequential):
        module.register_forward_hook(_through_child)


def _through_child(module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
    # By name, not bound to a layer: a deep copy of the module has a layer of its own.
    result: Tensor = module.get_submodule(_CHILD)(output)
    return result


def find_module(model: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path.

    Raises:
        ValueError: there is none; the sentence names those that could be meant.

    >>> find_module(nn.Sequential(nn.ReLU()), "0")
    ReLU()
    """
    try:
        if path:
            return model.get_submodule(path)
    except AttributeError:
        pass
    names = [name for name, _ in model.named_modules() if name]
    known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise ValueError(f"the network has no module {path!r}; its modules are {known}")
