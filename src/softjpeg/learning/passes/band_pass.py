"""*Bands*: steps of frequency bands are moved, and what that costs corrects the model."""

from __future__ import annotations

from dataclasses import replace

import torch

from softjpeg.common.image_sequence import same_size_groups
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.learning.band_correction import SizedCoefficients, correct, shifted_tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.proposals import (
    at_rate,
    default_candidate,
    optimum,
    published_candidates,
)
from softjpeg.learning.rate_control import QuadraticModel, RateControl
from softjpeg.learning.relative_loss import weights
from softjpeg.learning.state import State

_IMAGES = 128
"""Enough: by the standard errors measured on 60 photos, these slopes are known to about a quarter,
as they were on 400 images when bands moved one by one."""
_LEAST_BATCHES = 8


class BandPass(Pass):
    """Measures the current tables with bands moved, and proposes what the corrected model says.

    Attributes:
        current: the tables that are moved.
        shifted: those tables, moved.
        losses: (candidates, networks) of each batch.
    """

    def batches(self, objective: Objective) -> list[slice]:
        """Some of the measuring half, evenly spread: images may lie in the order of classes."""
        measured = objective.measured
        enough = max(_LEAST_BATCHES, -(-_IMAGES // objective.networks.batch_size))
        return measured[:: max(1, len(measured) // enough)]

    def begin(self, state: State, objective: Objective, control: RateControl) -> None:
        """Move the bands of the current tables."""
        # After a step to another rate nothing is chosen yet, and these are not its tables.
        self.current = state.current if state.gain else at_rate(state.current, control)
        self.shifted = shifted_tables(self.current.tables)
        self.losses: list[list[list[float]]] = []

    def step(self, batch: slice, state: State, objective: Objective, control: RateControl) -> None:
        """The loss of one batch behind all of the moved tables."""
        self.losses.append(objective.losses(batch, self.shifted))

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Propose the optima of the model corrected, of the current one, and default tables."""
        models = self._corrected(state, objective, control)
        candidates = [self.current, *(optimum(model, control) for model in models)]
        rate_weight = self.current.rate_weight
        if state.finished:
            # Only a ladder's first rate has had its blends measured.
            candidates.append(optimum(control.blend(self.current.model, 0.5), control))
            candidates += published_candidates(self.current.model, rate_weight, control)
        candidates.append(default_candidate(models[0], rate_weight, control))
        return replace(state, current=self.current, candidates=candidates)

    def _corrected(
        self, state: State, objective: Objective, control: RateControl
    ) -> list[QuadraticModel]:
        """The current model corrected all the way and half-way."""
        sensitivity, rate = self.current.model
        losses = torch.tensor(self.losses, dtype=torch.float64)
        groups = [
            SizedCoefficients(
                image_to_coefficients(images, objective.subsampling, rounding=True),
                (images.shape[-2], images.shape[-1]),
            )
            for _, images in same_size_groups(control.rates.sample)
        ]
        loss_factor, rate_factor = correct(
            (losses * weights(state.scales)).mean(-1),
            groups,
            self.current.tables,
            sensitivity,
            objective.subsampling,
        )
        return [
            QuadraticModel(sensitivity * loss_factor**share, rate * (rate_factor / rate) ** share)
            for share in (1.0, 0.5)
        ]
