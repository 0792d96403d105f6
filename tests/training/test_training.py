"""What callers of `softjpeg.training` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "accuracy.accuracy": "progress=False",
    "build.build_network": "tables=None, pretrained=True",
    "data.loader.batches": "start=0, train=True, rank=0, world=1, workers=0, skip_bad=False",
    "data.memory.in_memory": "limit=1073741824",
    "data.mix.mix": "mixup=0.0, cutmix=0.0",
    "data.split.ArraySplit": "names=()",
    "data.transforms.CropAndFlip": "padding=0, random=False, flip=False",
    "data.transforms.train_transform": (
        "crop='pad', resize=None, interpolation='bicubic', flip=True, randaugment=None"
        ", jpeg_quality=None"
    ),
    "distributed.Group": "rank=0, world=1, device=<factory>",
    "experiment.load_experiment": "settings=(), jpeg_at=None",
    "experiment.parse_experiment": "variants=('jpeg-dl',), jpeg_at=None, source='recipe'",
    "held_out.held_out_images": "root=None, limit=None, seed=0, progress=False",
    "log.Log": "step=0, tested=0, tensorboard=None",
    "plan.Run": "facts=<factory>, progress=False",
    "recipe_file.load_recipe": "settings=()",
    "runs.sweep": "group=None, progress=False",
    "runs.train": "variant='jpeg-dl', seed=0, group=None, progress=False",
    "state.State": "step=0, tested=0, best=(-1.0, 0), losses=(0.0, 0), skipped=0",
    "trained_network.load_run": "trust=False",
    "variants.with_variant": "jpeg_at=None",
}


def test_defaults():
    assert defaults("training") == DEFAULTS
