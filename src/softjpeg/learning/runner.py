"""Going through passes batch by batch, from where a checkpoint left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from softjpeg.common.progress import track
from softjpeg.learning.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.run_options import RunOptions
from softjpeg.learning.state import State, first_state


def run_passes(
    passes: Sequence[Pass],
    objective: Objective,
    control: RateControl,
    options: RunOptions,
    state: State | None = None,
) -> State:
    """Go through passes, one after the other.

    Args:
        passes: in their order; all that the result depends on is in them and the next two.
        objective: networks and images.
        control: of the images' rate, at λ or at no rate yet.
        options: where to resume from.
        state: to start from where there is no checkpoint; None for the default tables.

    Returns:
        What has been learned in the end.

    Raises:
        ValueError: the checkpoint is none, or another run's.
    """
    run, saved = "", None
    if options.checkpoint is not None:
        run = _run_fingerprint(passes, objective, control)
        saved = load_checkpoint(options.checkpoint, run)
    state, gathered = saved or (state or first_state(), None)
    steps = [
        (running, batch, i == 0, i == len(batches) - 1)
        for running in passes
        for batches in [running.batches(objective)]
        for i, batch in enumerate(batches)
    ]
    for running, batch, first, last in track(
        steps[state.done :], "learning", enabled=options.progress
    ):
        if first:
            state = state.at(running.target_bpp)
        here = control.at(state.target_bpp)
        if first:
            running.begin(state, objective, here)
        elif gathered is not None:
            running.load_state_dict(gathered)
        gathered = None
        state = replace(state, done=state.done + 1)
        running.step(batch, state, objective, here)
        if last:
            state = running.finish(state, objective, here)
            if options.log is not None and (sentence := running.sentence(state, objective)):
                options.log(sentence)
        if options.checkpoint is not None:
            unfinished = None if last else running.state_dict()
            save_checkpoint(options.checkpoint, run, state, unfinished)
    return state


def _run_fingerprint(passes: Sequence[Pass], objective: Objective, control: RateControl) -> str:
    networks = objective.networks
    custom = networks.custom_loss
    return fingerprint(
        version("softjpeg"),
        networks.digest,
        networks.batch_size,
        networks.loss_kind,
        getattr(custom, "__qualname__", repr(type(custom))),
        (objective.subsampling, objective.seed, objective.worst_case),
        (objective.short_side, objective.center),
        control.rate_weight,
        list(passes),
    )
