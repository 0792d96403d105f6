"""*Sensitivity*: what the gradient through the codec tells about every frequency."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.proposals import blends, default_candidate, published_candidates
from softjpeg.learning.rate_control import QuadraticModel, RateControl
from softjpeg.learning.relative_loss import weights
from softjpeg.learning.sensitivity import pooled
from softjpeg.learning.state import State


class SensitivityPass(Pass):
    """Backpropagates through the codec on the measuring half, and proposes tables.

    Attributes:
        gradients: (networks, 3, 8, 8) mean squares of each batch.
        default_losses: of each batch, for each of several networks.
    """

    def batches(self, objective: Objective) -> list[slice]:
        """Of the measuring half."""
        return objective.measured

    def begin(self, state: State, objective: Objective, control: RateControl) -> None:
        """Nothing gathered."""
        self.gradients: list[Tensor] = []
        self.default_losses: list[list[float]] = []

    def step(self, batch: slice, state: State, objective: Objective, control: RateControl) -> None:
        """The gradient of one batch, quantized at the current tables."""
        # A generator for every batch: a resumed run draws the same labels.
        generator = objective.draws(state.done)
        self.gradients.append(objective.sensitivities(batch, state.current.tables, generator))
        if len(objective.networks) > 1:
            # Networks are compared by what they lose behind the default tables.
            self.default_losses.append(objective.losses(batch, [control.default])[0])

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Propose blends of the model with the default tables, published tables, and those."""
        losses = torch.tensor(self.default_losses, dtype=torch.float64)
        scales = losses.mean(0).tolist() if self.default_losses else [1.0]
        balanced = weights(scales).reshape(-1, 1, 1, 1)
        sensitivity = pooled([(g * balanced).mean(0) for g in self.gradients])
        model = QuadraticModel(sensitivity, state.current.model.rate_factor)
        candidates = blends(model, control)
        default = default_candidate(model, candidates[0].rate_weight, control)
        if state.current.rate_weight:
            # Of an earlier round: a later one must not lose what that one learned.
            candidates.insert(0, state.current)
        candidates += published_candidates(model, candidates[0].rate_weight, control)
        return replace(state, candidates=[*candidates, default], scales=scales)
