"""What callers of `softjpeg.evaluation` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "bootstrap.resample_means": "resamples=1000, seed=0",
    "comparison.table": "title=None",
    "competitors.competitor.Context": (
        "subsampling='4:2:0', qualities=(5, 8, 12, 18, 26, 35, 50, 65, 80, 90)"
        ", targets_bpp=(0.3, 0.45, 0.65, 0.9, 1.3), images=None, labels=None, model=None"
        ", center=None, seed=0, progress=False"
    ),
    "competitors.competitor.Competitor": (
        "arguments=<factory>, needs=(), subsamplings=('4:4:4', '4:2:2', '4:2:0'), jpeg=True"
        ", short_side=None"
    ),
    "competitors.deepn_jpeg.deviations": "batch_size=32",
    "competitors.default.default": "optimize=True",
    "competitors.j4d.j4d": "steps=100",
    "competitors.kornia_tables.kornia_tables": "steps=30, batch_size=8",
    "competitors.opts.opts": "soft_decisions=False",
    "competitors.sorted_random.sorted_random": "candidates=48",
    "encoders.preset_encoder": "mode='hard', seed=0",
    "gain.gains": "curves=None, reference=None, resamples=1000, seed=0",
    "gain.gains_table": "title=None",
    "judging.judge": "labels=None, batch_size=32, ssim=False, failed=None, progress=False",
    "layer_versions.LayerVersion": "note=''",
    "layer_versions.layer_versions": "batch_size=32, progress=False",
    "layer_versions.versions_table": "title=None",
    "points.PerImage": "correct=None, ssim=None",
    "points.RatePoint": "cosine=nan, curve='', reader='', ssim=nan, images=None",
    "points.table": "title=None",
    "qualities.QualitySweep.better": "below=100",
    "qualities.QualitySweep.worse": "below=100",
    "qualities.sweep_qualities": (
        "qualities=range(1, 101), subsampling='4:2:0', batch_size=32, progress=False"
    ),
    "rate_accuracy.evaluate": (
        "labels=None, qualities=(10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)"
        ", subsampling='4:2:0', mode='hard', encoders=None, change=None, ssim=False"
        ", failed=None, seed=0, batch_size=32, progress=False"
    ),
    "results.save_json": "gains=(), resamples=1000, seed=0",
    "results.save_csv": "resamples=1000, seed=0",
    "robustness.accuracy_under_attack.robustness": (
        "eps=(1, 2, 3, 4), attacks=('fgsm', 'pgd'), steps=5, restarts=1, batch_size=64"
        ", seed=0, progress=False"
    ),
    "robustness.accuracy_under_attack.correct_under": "attack=None, source=None, batch_size=64",
    "robustness.attacks.pgd": "steps=5, step=None, random_start=True, restarts=1, generator=None",
    "robustness.autopgd.autopgd": "steps=100, restarts=1, seed=0",
    "robustness.finite_differences.difference_agreement": "directions=16, generator=None",
    "robustness.gradient_masking.masking_checks": (
        "baseline=None, eps=1.0, steps=(5, 10, 50), restarts=5, queries=200, directions=16"
        ", batch_size=64, seed=0, progress=False"
    ),
    "robustness.gradient_masking.table": "title=None",
    "robustness.points.table": "title=None",
    "robustness.points.save_json": "checks=None",
    "robustness.random_search.random_search": "queries=200, generator=None",
    "robustness.softened.softened": "hardness=1.0",
}


def test_defaults():
    assert defaults("evaluation") == DEFAULTS
