"""Does the loss move over an attack's distance as its gradient says?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.evaluation.robustness.attacks import frozen, log_odds, loss_gradient


def difference_agreement(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    step: float,
    directions: int = 16,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The gradient against central differences ``(loss(x + step·d) - loss(x - step·d))/2step``.

    The loss is `log_odds`, whose gradient is parallel to the cross-entropy's: it runs nearly
    straight where the cross-entropy of a sure network grows a hundredfold within one pixel level.
    The step is the attack's own eps: what counts is whether the gradient tells how the loss moves
    over the distance an attack goes. It is also far above float32's noise (a relative 1e-7 in
    the logits), where a step small enough to be a derivative would measure little else. A soft
    quantizer with steep edges has exact derivatives and fails here, as it should.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits; put in eval mode.
        x, y: (B, 3, H, W) in [0, 1] and (B,) int64, on the model's device.
        step: largest change of a pixel, 0..0.5; x is first moved this far into its range.
        directions: random ones, every entry ±1.
        generator: of the directions, on the CPU.

    Returns:
        Per image (B,): the cosine between gradient and differences over the random directions,
        and along the gradient's sign the difference over what the gradient says; 0 where the
        gradient is 0.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> x, y = torch.rand(2, 3, 8, 8), torch.tensor([0, 3])
    >>> cosine, rise = difference_agreement(network, x, y, 1 / 255)
    >>> bool((cosine > 0.99).all() and ((rise - 1).abs() < 0.01).all())
    True
    """
    x = x.clamp(step, 1 - step)
    derivatives, differences = [], []
    with frozen(model):
        gradient = loss_gradient(model, x, y)
        for i in range(directions + 1):
            drawn = 2 * torch.randint(0, 2, x.shape, generator=generator).to(x) - 1
            direction = gradient.sign() if i == directions else drawn
            with torch.no_grad():
                ahead, behind = (
                    log_odds(model(x + s * direction).double(), y) for s in (step, -step)
                )
            derivatives.append((gradient.double() * direction).sum((1, 2, 3)))
            differences.append((ahead - behind) / (2 * step))
    expected, measured = torch.stack(derivatives, 1), torch.stack(differences, 1)
    # Normalized by hand: torch's cosine takes a tiny gradient for none.
    a, b = (F.normalize(t[:, :-1], dim=1, eps=1e-300) for t in (expected, measured))
    rise = torch.where(expected[:, -1] > 0, measured[:, -1] / expected[:, -1], 0.0)
    return (a * b).sum(1).cpu(), rise.cpu()
