"""J4D: tables and hardness learned by backpropagation through the soft quantizer (2026; ours)."""

from __future__ import annotations

from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.learning.backpropagation import Backpropagation
from softjpeg.learning.learn_ladder import learn_ladder


def j4d(context: Context, steps: int = 100) -> dict[str, Encoder]:
    """What `softjpeg.learn_ladder` learns by backpropagation for each of the target rates.

    The paper's encoder draws every coefficient from the learned CPMF; so does this one, with the
    context's seed.

    Args:
        context: its network, images, labels, subsampling, targets_bpp, seed and progress are used.
        steps: of Adam at each rate.
    """
    assert context.images is not None
    assert context.model is not None
    targets = sorted(context.targets_bpp)
    presets = learn_ladder(
        context.model,
        context.images,
        targets,
        labels=context.labels,
        subsampling=context.subsampling,
        method=Backpropagation(steps=steps),
        seed=context.seed,
        progress=context.progress,
    )
    return {
        f"{target} bpp": preset_encoder(preset, "probabilistic", context.seed)
        for target, preset in zip(targets, presets, strict=True)
    }
