"""A recipe: everything that decides a training run, typed and checked.

A key that no section has, or a value out of its range, is an error; see `recipe_file` for TOML.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from softjpeg.functional.quantizers import Quantizer

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Section):
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
        skip_bad: leave out images that cannot be read, counted and listed in the log.
    """

    name: str
    root: str = "data"
    size: Count = 32
    crop: Literal["pad", "resized", "center"] = "pad"
    resize: Annotated[int, Field(ge=0)] = 0
    test_resize: Annotated[int, Field(ge=0)] = 0
    interpolation: Literal["bicubic", "bilinear"] = "bilinear"
    flip: bool = True
    randaugment: tuple[int, int] | None = None
    jpeg_quality: tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    workers: Annotated[int, Field(ge=0)] = 0
    skip_bad: bool = False


class Model(_Section):
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


class Jpeg(_Section):
    """The JPEG layer.

    Attributes:
        quantizer: soft, hard, noise, cubic, lsq, clip (bound only) or none.
        at: dotted path of the module that the layer follows; empty: in front of the network.
        per_channel: after a module, a table for each channel.
        rounds: quantizers in a row, each with its own tables.
        levels: L of the index set {-L..L}; 0 for all integers.
        window: odd number of indices the soft sum runs over; 0 for all.
        alpha, hardness: a fixed sharpness, default 5, or a hardness h that α = h/q² follows.
        train_tables, train_hardness: which parameters train.
        zero_dc: set every block's DC coefficient to 0 first.
        subsampling: of chroma, in front of the network.
        init: where the tables start. "sensitivity": of the run `init_from`, largest step q_max;
            "magnitude": 2·E|z|/√(2^{bits-1}); "quality": Annex K at `quality`; "ones"; "random":
            log-uniform in [q_max/1000, q_max].
        init_from: a training run for init = "sensitivity"; empty: this recipe's
            baseline of the same seed, trained first where it has not been.
        init_images: how many training images the statistics are taken from.
    """

    quantizer: Quantizer = "soft"
    at: str = ""
    per_channel: bool = False
    rounds: Annotated[int, Field(ge=1, le=5)] = 1
    levels: Annotated[int, Field(ge=0)] = 127
    window: Annotated[int, Field(ge=0)] = 5
    alpha: Positive | None = None
    hardness: Positive | None = None
    train_tables: bool = True
    train_hardness: bool = False
    zero_dc: bool = False
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:4:4"
    init: Literal["sensitivity", "magnitude", "quality", "ones", "random"] = "sensitivity"
    init_from: str = ""
    init_images: Count = 1000
    q_max: Positive = 10.0
    quality: Annotated[int, Field(ge=1, le=100)] = 75
    bits: Annotated[int, Field(ge=2, le=16)] = 8

    @model_validator(mode="after")
    def _one_sharpness(self) -> Jpeg:
        if self.alpha is not None and self.hardness is not None:
            raise ValueError("give jpeg.alpha or jpeg.hardness, not both")
        if self.train_hardness and self.hardness is None:
            raise ValueError("jpeg.train_hardness needs jpeg.hardness, got none")
        return self

    @property
    def is_active(self) -> bool:
        """Whether there is a layer at all."""
        return self.quantizer != "none" or self.zero_dc


class Optimizer(_Section):
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


class Schedule(_Section):
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


class Train(_Section):
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
    checkpoint_every: Annotated[int, Field(ge=0)] = 0
    log_every: Count = 50
    max_steps: Annotated[int, Field(ge=0)] = 0
    tensorboard: bool = False


class Expected(_Section):
    """What a paper, or a measurement of ours, says that a variant reaches: top-1 in percent.

    Attributes:
        top1, std, runs: mean and standard deviation over so many runs; std and runs where known.
        source: where the number stands.
    """

    top1: float
    std: float | None = None
    runs: int | None = None
    source: str = ""


class Recipe(_Section):
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
    expected: dict[str, Expected] = {}

    @property
    def needs_baseline(self) -> bool:
        """Whether the tables start from a baseline of the same seed, to be trained before."""
        starts_from_network = self.jpeg.quantizer != "none" and self.jpeg.init == "sensitivity"
        return starts_from_network and not (self.jpeg.init_from or self.model.pretrained)
