"""One optimizer for the network, one for the JPEG layer's parameters."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim import Optimizer as TorchOptimizer

from softjpeg.nn.table_quantizer import TableQuantizer
from softjpeg.training.recipe import Optimizer, Recipe


def make_optimizers(model: nn.Module, recipe: Recipe) -> dict[str, TorchOptimizer]:
    """ "network", and "jpeg" where the layer has something to train.

    >>> from softjpeg import JPEGLayer, wrap
    >>> from softjpeg.training.recipe import Data, Model, Train
    >>> model = wrap(nn.Conv2d(3, 8, 3), JPEGLayer(), [0.5] * 3, [0.25] * 3)
    >>> recipe = Recipe(
    ...     data=Data(name="cifar10"),
    ...     model=Model(name="cifar:resnet20"),
    ...     optimizer=Optimizer(lr=0.1),
    ...     train=Train(epochs=1, batch_size=2),
    ... )
    >>> [f"{name}: {type(o).__name__}" for name, o in make_optimizers(model, recipe).items()]
    ['network: SGD', 'jpeg: Adam']
    """
    jpeg = [
        parameter
        for module in model.modules()
        if isinstance(module, TableQuantizer)
        for parameter in module.parameters()
    ]
    known = {id(parameter) for parameter in jpeg}
    network = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    trained = [p for p in jpeg if p.requires_grad]
    optimizers = {"network": _make(recipe.optimizer, network)}
    if trained:
        optimizers["jpeg"] = _make(recipe.jpeg_optimizer, trained)
    return optimizers


def set_learning_rates(
    optimizers: dict[str, TorchOptimizer], recipe: Recipe, factor: float
) -> None:
    """Scale each scheduled optimizer's learning rate.

    Args:
        optimizers: of `make_optimizers`; changed in place.
        recipe: with the learning rates, and whether they are scheduled.
        factor: of `learning_rate_factor`.
    """
    for name, optimizer in optimizers.items():
        settings = recipe.optimizer if name == "network" else recipe.jpeg_optimizer
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * (factor if settings.scheduled else 1.0)


def _make(settings: Optimizer, parameters: list[nn.Parameter]) -> TorchOptimizer:
    decay = settings.weight_decay
    if settings.name == "sgd":
        return SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=decay,
        )
    kind = Adam if settings.name == "adam" else AdamW
    return kind(parameters, lr=settings.lr, betas=settings.betas, weight_decay=decay)
