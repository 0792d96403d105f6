"""What callers of `softjpeg.adaptation` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "adapt.adapt": (
        "preset=None, qualities=(6, 90), mode='hard', train='norm', loss=None, labels=None"
        ", feature_weight=3.0, epochs=None, learning_rate=0.001, batch_size=32"
        ", clean_weight=0.1, max_clean_drop=1.0, seed=0, checkpoint=None, progress=False"
        ", provenance=None"
    ),
    "adapted_network.AdaptedNetwork.forward": "strengths=0.0",
    "adapted_network.AdaptedNetwork.outputs_of_files": "batch_size=32",
    "adapter.Adapter": "fixed_strength=1.0, provenance=<factory>",
    "adapter.Adapter.apply": "strength=None",
    "co_adapt.co_adapt": (
        "rates=(8, 15, 30, 60), turns=2, preset=None, qualities=(6, 90), mode='hard'"
        ", loss=None, labels=None, batch_size=32, seed=0, checkpoint=None, progress=False"
        ", provenance=None"
    ),
    "judging.judged": "progress=False",
    "stored_files.StoredFiles": "tables=None, qualities=(6, 90), mode='hard'",
    "task.Task": "feature_weight=0.0",
    "training.trained_weights": "checkpoint=None, progress=False",
    "views.written": "mode='hard', seed=0",
    "views.training_view": "mode='hard'",
}


def test_defaults():
    assert defaults("adaptation") == DEFAULTS
