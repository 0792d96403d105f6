"""torchvision's and timm's classifiers, with any number of classes."""

from __future__ import annotations

from torch import nn

from softjpeg.common.extras import import_extra
from softjpeg.models import check_known


def torchvision_model(name: str, classes: int, pretrained: bool) -> nn.Module:
    """A classifier of torchvision's.

    Args:
        name: as in ``torchvision.models``.
        classes: how many logits.
        pretrained: with torchvision's weights, all but the classifier's where `classes` is another
            number than theirs.

    Raises:
        ValueError: no such network, or its weights cannot be had.
        ImportError: torchvision is not installed.

    >>> torchvision_model("squeezenet1_1", 10, pretrained=False).classifier[1].out_channels
    10
    """
    models = import_extra("torchvision.models", extra="models")
    check_known("torchvision", name, models.list_models(module=models))
    # Without a word from the caller, these two warn that their default will change.
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    fresh: nn.Module = models.get_model(name, weights=None, num_classes=classes, **options)
    if pretrained:
        try:
            network: nn.Module = models.get_model(name, weights="DEFAULT")
        # Network, disk and unpickling each have errors of their own.
        except Exception as error:
            raise ValueError(
                f"torchvision could not load the weights of {name!r}: {error}"
            ) from error
        fresh = _with_classifier_of(fresh, network)
    return _without_auxiliary_heads(fresh)


def timm_model(name: str, classes: int, pretrained: bool) -> nn.Module:
    """A classifier of timm's.

    Args:
        name: as in ``timm.list_models()``, also with a tag of pretrained weights.
        classes: how many logits.
        pretrained: with timm's weights, all but the classifier's where `classes` is another number
            than theirs.

    Raises:
        ValueError: no such network, or its weights cannot be had.
        ImportError: timm is not installed.
    """
    timm = import_extra("timm", extra="models")
    check_known("timm", name.partition(".")[0], timm.list_models())
    try:
        network: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=classes)
    # timm, the hub's client and its transport each have errors of their own.
    except Exception as error:
        wanted = " with its pretrained weights" if pretrained else ""
        raise ValueError(f"timm could not make {name!r}{wanted}: {error}") from error
    return network


def _with_classifier_of(fresh: nn.Module, network: nn.Module) -> nn.Module:
    """`network`, its classifier replaced by that of `fresh` where the shapes differ."""
    layers = (n for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d))
    *_, classifier = layers
    trained, untrained = network.get_submodule(classifier), fresh.get_submodule(classifier)
    if trained.weight.shape != untrained.weight.shape:
        parent, _, leaf = classifier.rpartition(".")
        setattr(network.get_submodule(parent), leaf, untrained)
    return network


def _without_auxiliary_heads(network: nn.Module) -> nn.Module:
    """GoogLeNet and Inception v3 would give more than the logits in training."""
    for head in ("aux1", "aux2", "AuxLogits"):
        if hasattr(network, head):
            setattr(network, head, None)
            network.aux_logits = False  # type: ignore[assignment]
    return network
