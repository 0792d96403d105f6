"""What callers of `softjpeg.learning` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "backpropagation.Backpropagation": (
        "start='default', forward='soft', rate='entropy', steps=200, learning_rate=0.03"
        ", hardness=(4.0, 20.0)"
    ),
    "bit_allocation.RateDistortion.measure": "blocks=10000",
    "bytes_saved.with_bytes_saved": "progress=False",
    "choice.choose": "worst_case=False",
    "choice.measured_gain": "worst_case=False",
    "frozen_networks.FrozenNetworks": "labels=None, loss=None, batch_size=32",
    "goal.Goal": "rate_weight=None, target_bpp=None, target_bytes=None, max_drop=None",
    "image_rates.ImageRates": "short_side=None, center=None",
    "learn.learn": (
        "labels=None, loss=None, worst_case=False, subsampling='4:2:0', short_side=None"
        ", center=None, rate_weight=None, target_bpp=None, target_bytes=None, max_drop=None"
        ", mode='hard', method='measured', rounds=1, batch_size=32, seed=0, checkpoint=None"
        ", progress=False, provenance=None, say=None"
    ),
    "learn_ladder.learn_ladder": (
        "targets_bpp=None, qualities=None, labels=None, loss=None, worst_case=False"
        ", subsampling='4:2:0', short_side=None, center=None, mode='hard'"
        ", method='measured', rounds=1, batch_size=32, seed=0, checkpoint=None"
        ", progress=False, provenance=None, say=None"
    ),
    "learn_ladder.learned_ladder": (
        "targets_bpp=None, qualities=None, labels=None, loss=None, worst_case=False"
        ", subsampling='4:2:0', short_side=None, center=None, mode='hard'"
        ", method='measured', rounds=1, batch_size=32, seed=0, checkpoint=None"
        ", progress=False, provenance=None, say=None"
    ),
    "learned_presets.learned_presets": "provenance=None",
    "measured_ladder.measured_ladder": "provenance=None, size_exponent=1.0",
    "objective.Objective": "seed=0, worst_case=False, short_side=None, center=None",
    "objective.Objective.losses": "hardness=None, generator=None",
    "passes.descent_passes.DescentPass": "settings=<factory>, target_bpp=None",
    "passes.descent_passes.DescentChoice": "settings=<factory>, target_bpp=None",
    "passes.learning_pass.Pass": "target_bpp=None",
    "rate_control.RateControl": "rate_weight=None, target_bpp=None",
    "rate_control.RateControl.blend": "tables=None",
    "rdo_trials.best_trials": "progress=False",
    "run_options.RunOptions": (
        "mode='hard', rounds=1, seed=0, checkpoint=None, progress=False, log=None"
        ", short_side=None, center=None, method='measured'"
    ),
    "runner.run_passes": "state=None",
    "schedule.schedule": "targets_bpp=(), max_drop=None, descent=None",
    "sensitivity.sensitivity": (
        "tables=None, subsampling='4:4:4', loss=None, targets=None, batch_size=32"
        ", generator=None, progress=False"
    ),
    "sensitivity.coefficient_gradients": "loss=None, targets=None, generator=None",
    "size_exponent.measured_exponent": (
        "labels=None, loss=None, batch_size=32, seed=0, progress=False"
    ),
    "size_exponent.exponent_on": "progress=False",
    "size_exponent.size_exponent": "area=1.0",
    "state.Candidate": "is_default=False, hardness=None",
    "state.State": (
        "done=0, target_bpp=None, candidates=<factory>, scales=<factory>, gain=None"
        ", finished=<factory>, drop=None, default_bpp=None"
    ),
    "subsampling_choice.choose_subsampling": "rate_weight=None",
}


def test_defaults():
    assert defaults("learning") == DEFAULTS
