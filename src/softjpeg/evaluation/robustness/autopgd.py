"""AutoPGD (Croce & Hein 2020) by the Adversarial Robustness Toolbox."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from softjpeg.common.extras import import_extra
from softjpeg.evaluation.robustness.attacks import check_batch, frozen


class _DoubleCrossEntropy(nn.CrossEntropyLoss):
    """In float32 the gradient at a confident network is rounded to 0."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return super().forward(input.double(), target)


def autopgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    *,
    steps: int = 100,
    restarts: int = 1,
    seed: int = 0,
) -> Tensor:
    """PGD that halves its own step where the loss stops rising; white-box, cross-entropy.

    Images that the network gets wrong as they are stay as they are. The toolbox keeps the last
    iterate of a start, not the best.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes).
        x, y: images and labels, on the model's device.
        eps: largest change of a pixel, 0..1.
        steps: gradients per start.
        restarts: how many random starts.
        seed: of the random starts.

    Returns:
        (B, 3, H, W) in [0, 1].

    Raises:
        ImportError: adversarial-robustness-toolbox is not installed.
        ValueError: x, y or eps of the wrong shape, type or range, or steps or restarts below 1.
    """
    check_batch(x, y, eps)
    for name, value in (("steps", steps), ("restarts", restarts)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    attacks = import_extra("art.attacks.evasion", extra="attack")
    classifiers = import_extra("art.estimators.classification", extra="attack")
    if eps == 0:
        return x.clone()
    # The toolbox draws from numpy's global generator.
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        with frozen(model), torch.enable_grad():
            classes = model(x[:1]).shape[-1]
            classifier = classifiers.PyTorchClassifier(
                model,
                loss=_DoubleCrossEntropy(),
                input_shape=tuple(x.shape[1:]),
                nb_classes=classes,
                clip_values=(0.0, 1.0),
                device_type="cpu" if x.device.type == "cpu" else "gpu",
            )
            attack = attacks.AutoProjectedGradientDescent(
                classifier,
                eps=float(eps),
                eps_step=2.0 * eps,
                max_iter=steps,
                nb_random_init=restarts,
                batch_size=len(x),
                verbose=False,
            )
            adversarial = attack.generate(x.detach().cpu().numpy(), y.cpu().numpy())
    finally:
        np.random.set_state(state)
    return torch.from_numpy(adversarial).to(x)
