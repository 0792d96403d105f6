"""A recipe: everything that decides a training run, typed and checked.

A key that no section has, or a value out of its range, is an error; see `recipe_file` for TOML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from softjpeg.common.image_files import MAX_SIDE
from softjpeg.training.jpeg_recipe import Jpeg
from softjpeg.training.recipe_section import Count, CountOrNone, NonNegative, Positive, Section


class Data(Section):
    """Which images, and how they are augmented.

    Attributes:
        name: one of `softjpeg.training.data.sources.SOURCES`.
        root: the folder that holds the data set.
        size: height and width of the crop that the network reads.
        crop: "pad" (random, with ``size // 8`` black pixels around the image), "resized" (a random
            part, 8 to 100 % of the area, scaled to the crop) or "center".
        resize: shorter side before the crop; 0 for no resizing.
        interpolation: of all resizing.
        flip: mirror every second training image.
        randaugment: (number of operations, magnitude 0..30).
        jpeg_quality: (lowest, highest) of libjpeg's random quality for each training image.
        test_resize: shorter side before the centre crop of a test image; 0 for no resizing.
        mean, std: normalization; default: the data set's usual ones.
        workers: processes that read images.
        in_memory: decode all images once and keep them, where all are good, of one size and below
            1 GiB.
        skip_bad: leave out images that cannot be read, counted and listed in the log.
    """

    name: str
    root: str = "data"
    size: Annotated[int, Field(ge=1, le=MAX_SIDE)] = 32
    crop: Literal["pad", "resized", "center"] = "pad"
    resize: CountOrNone = 0
    test_resize: CountOrNone = 0
    interpolation: Literal["bicubic", "bilinear"] = "bilinear"
    flip: bool = True
    randaugment: tuple[Count, CountOrNone] | None = None
    jpeg_quality: tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    workers: CountOrNone = 0
    in_memory: bool = True
    skip_bad: bool = False


class Model(Section):
    """The network.

    Attributes:
        name: cifar:NAME, torchvision:NAME, timm:NAME or FILE.py:FACTORY.
        pretrained: start from the library's weights.
        channels_last: the layout in which convolutions are fast.
        compile: by `torch.compile`.
    """

    name: str
    pretrained: bool = False
    channels_last: bool = True
    compile: bool = False


class Optimizer(Section):
    """Of the network, or of the JPEG parameters.

    Attributes:
        name: sgd, adam or adamw.
        lr: per optimizer step, before the schedule.
        momentum, nesterov: of sgd.
        betas: of adam and adamw.
        weight_decay: on all of its parameters.
        scheduled: whether the schedule scales lr.
    """

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Positive
    momentum: NonNegative = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: NonNegative = 0.0
    scheduled: bool = True


class Schedule(Section):
    """What the learning rate is multiplied by over the epochs.

    Attributes:
        name: constant, step (×gamma at each milestone) or cosine (to 0 at the end).
        milestones: epochs, for step.
        gamma: for step.
        warmup: epochs of linear increase from 0.
    """

    name: Literal["constant", "step", "cosine"] = "cosine"
    milestones: tuple[Positive, ...] = ()
    gamma: Positive = 0.1
    warmup: NonNegative = 0.0


class Train(Section):
    """The loop.

    Attributes:
        epochs, batch_size: batch_size is per process and per accumulated part.
        accumulate: batches per optimizer step.
        label_smoothing: of the cross entropy, 0..1.
        mixup, cutmix: a of Beta(a, a); 0 for none.
        precision: float32, or bf16 autocast.
        ema: decay of an exponential moving average of the weights, which is then what is tested; 0
            for none.
        clip_gradient: largest norm of the gradient; 0 for none.
        evaluate_every: epochs between tests.
        checkpoint_every: steps between checkpoints within an epoch; 0: only after each epoch.
        log_every: steps between lines of the log.
        max_steps: end after so many steps; 0 for all.
        tensorboard: write its event files too.
    """

    epochs: Count
    batch_size: Count
    accumulate: Count = 1
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mixup: NonNegative = 0.0
    cutmix: NonNegative = 0.0
    precision: Literal["float32", "bf16"] = "float32"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_gradient: NonNegative = 0.0
    evaluate_every: Count = 1
    checkpoint_every: CountOrNone = 0
    log_every: Count = 50
    max_steps: CountOrNone = 0
    tensorboard: bool = False


class Expected(Section):
    """What a paper, or a measurement of ours, says that a variant reaches: top-1 in percent.

    Attributes:
        top1, std, runs: mean and standard deviation over so many runs; std and runs where known.
        source: where the number stands.
    """

    top1: float
    std: float | None = None
    runs: int | None = None
    source: str = ""


class Recipe(Section):
    """A training run.

    Attributes:
        name: a title.
        hardware, wall_time: what it needs, and how that is known.
        expected: variant → numbers (see `softjpeg.training.variants`).

    >>> recipe = Recipe(
    ...     data=Data(name="cifar100"),
    ...     model=Model(name="cifar:resnet32"),
    ...     optimizer=Optimizer(lr=0.05),
    ...     train=Train(epochs=240, batch_size=64),
    ... )
    >>> recipe.jpeg.quantizer, recipe.jpeg.levels
    ('soft', 127)
    """

    name: str = ""
    hardware: str = ""
    wall_time: str = ""
    data: Data
    model: Model
    jpeg: Jpeg = Jpeg()
    optimizer: Optimizer
    jpeg_optimizer: Optimizer = Optimizer(name="adam", lr=0.003, scheduled=False)
    schedule: Schedule = Schedule()
    train: Train
    expected: Mapping[str, Expected] = {}

    @property
    def needs_baseline(self) -> bool:
        """Whether the tables start from a baseline of the same seed, to be trained before."""
        starts_from_network = self.jpeg.quantizer != "none" and self.jpeg.init == "sensitivity"
        return starts_from_network and not (self.jpeg.init_from or self.model.pretrained)
