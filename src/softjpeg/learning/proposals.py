"""Tables that are worth measuring: optima of models, published tables, and the default ones."""

from __future__ import annotations

from dataclasses import replace

from softjpeg.learning.rate_control import QuadraticModel, RateControl
from softjpeg.learning.state import Candidate

BLENDS = (0.0, 0.35, 0.7)
"""Shares of the way to what the default tables imply."""


def optimum(model: QuadraticModel, control: RateControl) -> Candidate:
    """The best tables by a model."""
    tables, rate_weight = control.solve(model)
    return Candidate(tables, model, rate_weight)


def default_candidate(model: QuadraticModel, rate_weight: float, control: RateControl) -> Candidate:
    """The default tables, with the sensitivities they imply.

    Args:
        model: whose scale and rate factor the implied one takes.
        rate_weight: λ in loss per bit per pixel, of the candidates they are compared with.
        control: at the rate that is learned for.
    """
    implied = control.blend(model, 1.0)
    return Candidate(control.default, implied, rate_weight, is_default=True)


def published_candidates(
    model: QuadraticModel, rate_weight: float, control: RateControl
) -> list[Candidate]:
    """Published tables other than the default ones, each with the sensitivities it implies.

    Args:
        model: whose scale and rate factor the implied ones take.
        rate_weight: λ in loss per bit per pixel, of the candidates they are compared with.
        control: at the rate that is learned for.
    """
    return [
        Candidate(tables, control.blend(model, 1.0, tables), rate_weight)
        for tables in control.published()
    ]


def blends(model: QuadraticModel, control: RateControl) -> list[Candidate]:
    """Optima between a model and what the default tables imply."""
    return [optimum(control.blend(model, share), control) for share in BLENDS]


def at_rate(candidate: Candidate, control: RateControl) -> Candidate:
    """The optimum of the same model at the rate of `control`; the default tables stay default."""
    solved = optimum(candidate.model, control)
    if candidate.is_default:
        return replace(solved, tables=control.default, is_default=True)
    return solved
