"""The section of a recipe about the JPEG layer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from softjpeg.common.bounds import MAX_LEVELS, MAX_WINDOW
from softjpeg.functional.quantizers import Quantizer
from softjpeg.functional.rate.rate_model import RateModel
from softjpeg.training.recipe_section import Count, NonNegative, Positive, Section


class Jpeg(Section):
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
        rate_weight: λ of loss + λ·bits, bits per pixel of what the layer passes: network, tables
            and hardness then train for accuracy and for size; 0: for accuracy alone.
        rate: what counts the bits: "entropy" (J4D's), or "jpeg" (what JPEG's own code takes).
        init: where the tables start. "sensitivity": of the run `init_from`, largest step q_max;
            "magnitude": 2·E|z|/√(2^{bits-1}); "quality": Annex K at `quality`; "ones"; "random":
            log-uniform in [q_max/1000, q_max].
        init_from: for init = "sensitivity" a training run, or luma's file Y_NETWORK.npy as
            JPEG-DL's authors publish it, with Cb's and Cr's beside it; empty: this recipe's
            baseline of the same seed, trained first where it has not been.
        init_images: how many training images the statistics are taken from.
    """

    quantizer: Quantizer = "soft"
    at: str = ""
    per_channel: bool = False
    rounds: Annotated[int, Field(ge=1, le=5)] = 1
    levels: Annotated[int, Field(ge=0, le=MAX_LEVELS)] = 127
    window: Annotated[int, Field(ge=0, le=MAX_WINDOW)] = 5
    alpha: Positive | None = None
    hardness: Positive | None = None
    train_tables: bool = True
    train_hardness: bool = False
    zero_dc: bool = False
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:4:4"
    rate_weight: NonNegative = 0.0
    rate: RateModel = "entropy"
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

    @model_validator(mode="after")
    def _bits_are_known(self) -> Jpeg:
        if self.rate_weight and (self.at or self.quantizer == "clip"):
            what = f"jpeg.at = {self.at!r}" if self.at else "the quantizer 'clip'"
            raise ValueError(f"jpeg.rate_weight needs the bits of a file, and {what} has none")
        return self

    @property
    def prices_bits(self) -> bool:
        """Whether the bits of what the layer passes are part of the loss."""
        return self.rate_weight > 0 and self.quantizer != "none"

    @property
    def is_active(self) -> bool:
        """Whether there is a layer at all."""
        return self.quantizer != "none" or self.zero_dc
