"""`JPEG`: torchvision's transform of that name, with any tables, and with a gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from PIL import Image

from softjpeg.codec.adaptive_quality import at_quality
from softjpeg.common.extras import import_extra
from softjpeg.jpeg.subsampling import Subsampling, luma_factors
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset
from softjpeg.transforms.functional import (
    Choice,
    LayerTables,
    check_keeps_size,
    default_preset,
    differentiable_jpeg,
    is_image,
    jpeg_pillow,
    jpeg_tensor,
    on_pixels,
)

_Transform: Any = import_extra("torchvision.transforms.v2", extra="models").Transform
tv_tensors = import_extra("torchvision.tv_tensors", extra="models")


class JPEG(_Transform):  # type: ignore[misc]
    """Images as a decoder shows their JPEG files: `torchvision.transforms.v2.JPEG`, and more.

    Tensors (..., 3 or 1, H, W), `tv_tensors.Image`, `tv_tensors.Video` and Pillow images are
    transformed wherever they stand in the input; everything else is passed through. Pixels are bit
    for bit those that Pillow decodes, unless `differentiable`.

    Args:
        quality: 1..100; or (least, most), both included, to draw from with torch's generator, once
            a call; or a `Preset`; or a `Ladder`, for (1, 100) of it.
        ladder: whose presets the qualities choose; default: libjpeg's tables.
        subsampling: of libjpeg's tables; presets and ladders have their own.
        per_sample: draw for each image of a batch, and for each video, instead of once a call.
        differentiable: `softjpeg.JPEGLayer` of the same tables instead of files: on the images'
            device, with a gradient for float images.

    Shape:
        uint8, or float in [0, 1]; the same out.

    Raises:
        TypeError: a quality that is no number, pair, preset or ladder.
        ValueError: a quality that is not from 1 to 100, tables that shrink images, or arguments
            that contradict each other.

    >>> images = torch.zeros(4, 3, 20, 30, dtype=torch.uint8)
    >>> images, labels = JPEG((30, 90))(images, torch.arange(4))
    >>> tuple(images.shape), labels.tolist()
    ((4, 3, 20, 30), [0, 1, 2, 3])
    """

    def __init__(
        self,
        quality: int | Sequence[int] | Preset | Ladder,
        *,
        ladder: Ladder | None = None,
        subsampling: Subsampling = "4:2:0",
        per_sample: bool = False,
        differentiable: bool = False,
        quantizer: Literal["soft", "hard"] = "soft",
    ) -> None:
        super().__init__()
        if isinstance(quality, Preset | Ladder) and ladder is not None:
            kind = type(quality).__name__
            raise ValueError(f"ladder must be None where quality is tables, got a {kind}, too")
        if isinstance(quality, Ladder):
            ladder, quality = quality, (1, 100)
        if ladder is not None:
            for i, rung in enumerate(ladder.rungs):
                check_keeps_size(rung, f"ladder.rungs[{i}]")
        luma_factors(subsampling)
        if quantizer not in ("soft", "hard"):
            raise ValueError(f"quantizer must be soft or hard, got {quantizer!r}")
        self.preset = quality if isinstance(quality, Preset) else None
        if isinstance(quality, Preset):
            check_keeps_size(quality, "quality")
        else:
            self.quality = _quality_range(quality)
        self.ladder, self.subsampling = ladder, subsampling
        self.per_sample, self.differentiable = per_sample, differentiable
        self.quantizer = quantizer
        fixed = self._fixed()
        # Made here, what is traced by torch.compile is tensors alone.
        self._fixed_tables = LayerTables.of(fixed) if isinstance(fixed, Preset) else None

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is drawn once for all images of a call: quality, an int or one for each sample.

        A preset draws nothing.
        """
        if self.preset is not None:
            return {}
        least, most = self.quality
        if torch.compiler.is_compiling() and least == most:
            # What is not random needs no number out of a tensor, which breaks the graph.
            return {"quality": least}
        if not self.per_sample:
            return {"quality": int(torch.randint(least, most + 1, ()).item())}
        count = max((_samples(image) for image in flat_inputs if is_image(image)), default=0)
        return {"quality": torch.randint(least, most + 1, (count,)).tolist()}

    # Its name until torchvision 0.21.
    _get_params = make_params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One image, batch or video at the quality that `make_params` drew; all else as it is.

        Args:
            inpt: a tensor, tv_tensor or Pillow image.
            params: what `make_params` gave.
        """
        if not is_image(inpt):
            return inpt
        if isinstance(inpt, Image.Image):
            return jpeg_pillow(inpt, self._presets(params, 1)[0])
        fixed = self._fixed_tables if self.differentiable else None
        presets: list[Any] = self._presets(params, _samples(inpt)) if fixed is None else [fixed]
        if self.differentiable:
            return on_pixels(inpt, lambda x: differentiable_jpeg(x, presets, self.quantizer))
        return on_pixels(inpt, lambda x: jpeg_tensor(x, presets))

    _transform = transform

    def _presets(self, params: dict[str, Any], count: int) -> list[Any]:
        if self.preset is not None:
            return [self.preset]
        quality = params["quality"]
        if isinstance(quality, int):
            return [self._at(quality)]
        # An empty batch still has a preset that nothing is encoded with.
        return [self._at(q) for q in quality[:count] or [self.quality[0]]]

    def _at(self, quality: int) -> Choice:
        if self.ladder is None:
            return default_preset(quality, self.subsampling)
        return at_quality(self.ladder, quality)

    def _fixed(self) -> Choice | None:
        """Where nothing is drawn, what every image gets."""
        if self.preset is not None:
            return self.preset
        return self._at(self.quality[0]) if self.quality[0] == self.quality[1] else None


def _samples(image: Any) -> int:
    """How many images or videos an input is."""
    if isinstance(image, Image.Image):
        return 1
    return math.prod(image.shape[: -4 if isinstance(image, tv_tensors.Video) else -3])


def _quality_range(quality: Any) -> tuple[int, int]:
    if isinstance(quality, bool):
        raise TypeError("quality can't be bool")
    pair = (quality, quality) if isinstance(quality, int) else quality
    if not isinstance(pair, Sequence) or isinstance(pair, str):
        raise TypeError(
            f"quality must be an integer, a pair of them, a Preset or a Ladder, got {quality!r}"
        )
    if len(pair) != 2:
        # In torchvision's words, which its users look for.
        raise ValueError(f"quality should be a sequence of length 2, got {quality!r}")
    whole = all(isinstance(q, int) and not isinstance(q, bool) for q in pair)
    if not whole or not 1 <= pair[0] <= pair[1] <= 100:
        raise ValueError(
            f"quality must be an integer from 1 to 100, or two that do not fall, got {quality!r}"
        )
    return pair[0], pair[1]
