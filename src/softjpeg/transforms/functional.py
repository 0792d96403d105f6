"""Images to what a decoder shows of their JPEG files: tensors of any batch shape, and Pillow's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from softjpeg.codec.image import decode, encode
from softjpeg.common.extras import import_extra
from softjpeg.common.image_planes import picture_of
from softjpeg.functional.jpeg_layer import Layout, jpeg_layer
from softjpeg.functional.quantizers import Quantizer
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.presets.preset import Preset

Choice = Preset | Callable[[Any], Preset]
"""A preset, or what chooses one for an image: `AdaptiveQuality`."""


class LayerTables(NamedTuple):
    """A preset as the layer takes it.

    Attributes:
        steps, alphas: (1, 2, 8, 8) q and sharpness.
        subsampling: of colour images.
    """

    steps: Tensor
    alphas: Tensor
    subsampling: Subsampling

    @classmethod
    def of(cls, preset: Preset) -> LayerTables:
        """The tables of a preset."""
        steps = torch.tensor([[preset.luma.tolist(), preset.chroma.tolist()]], dtype=torch.float32)
        hardness = torch.tensor([preset.hardness.tolist()], dtype=torch.float32)
        return cls(steps, hardness / steps**2, preset.subsampling)


def jpeg(image: Any, quality: int | Preset, *, subsampling: Subsampling = "4:2:0") -> Any:
    """`torchvision.transforms.v2.functional.jpeg`, also with a preset, and for Pillow's images.

    Args:
        image: a tensor (..., 3 or 1, H, W), `tv_tensors.Image`, `tv_tensors.Video` or a Pillow
            image; uint8, or float in [0, 1].
        quality: 1..100, of libjpeg's tables; or a preset.
        subsampling: of libjpeg's tables; a preset has its own.

    Returns:
        Of the same type and shape, what Pillow shows of the file, bit for bit.

    Raises:
        TypeError: something else than an image.
        ValueError: a quality out of its range, tables that shrink images, or what `jpeg_tensor`
            refuses.

    >>> jpeg(torch.zeros(2, 3, 20, 30, dtype=torch.uint8), quality=30).shape
    torch.Size([2, 3, 20, 30])
    """
    preset = quality if isinstance(quality, Preset) else default_preset(quality, subsampling)
    check_keeps_size(preset, "quality")
    if isinstance(image, Image.Image):
        return jpeg_pillow(image, preset)
    if not is_image(image):
        raise TypeError(
            "image must be a tensor, tv_tensors.Image, tv_tensors.Video or a Pillow image, "
            f"got {type(image)}"
        )
    return on_pixels(image, lambda pixels: jpeg_tensor(pixels, [preset]))


@lru_cache(maxsize=300)
def default_preset(quality: int, subsampling: Subsampling) -> Preset:
    """libjpeg's tables, made once for each quality."""
    return Preset.from_quality(quality, subsampling)


def is_image(value: Any) -> bool:
    """Whether it holds pixels: not a box, a mask or what else torchvision keeps in tensors."""
    if isinstance(value, Image.Image) or type(value) is Tensor:
        return True
    tv = import_extra("torchvision.tv_tensors", extra="models")
    if isinstance(value, tv.TVTensor):
        return isinstance(value, tv.Image | tv.Video)
    return isinstance(value, Tensor)


def on_pixels(image: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of plain tensors, of a tensor or tv_tensor; the same type comes out."""
    if type(image) is Tensor:
        return function(image)
    tv = import_extra("torchvision.tv_tensors", extra="models")
    if not isinstance(image, tv.TVTensor):
        return function(image)
    wrapped: Tensor = tv.wrap(function(image.as_subclass(Tensor)), like=image)
    return wrapped


def jpeg_tensor(images: Tensor, presets: Sequence[Choice]) -> Tensor:
    """What Pillow shows of each image's file, bit for bit.

    Args:
        images: (..., 3 or 1, H, W) uint8, or float in [0, 1], which is rounded to 8 bits first; on
            any device.
        presets: one for all images; or several, each for as many images in a row as fall to it.

    Returns:
        Like `images`, and without a gradient.

    Raises:
        ValueError: images of another shape, type or range, or whose number the presets do not
            divide.

    >>> gray = torch.full((2, 1, 8, 8), 128, dtype=torch.uint8)
    >>> bool((jpeg_tensor(gray, [Preset.from_quality(5)]) == gray).all())
    True
    """
    flat, each = _flat(images, presets)
    if not len(flat):
        return images.clone()
    # Of another layout of Huffman codes, a file shows the same pixels.
    shown = [
        decode(encode(image, preset, optimize=False))
        for image, preset in zip(flat.detach().cpu(), each, strict=True)
    ]
    pixels = torch.stack(shown).view(images.shape)
    if images.is_floating_point():
        pixels = pixels.to(images.dtype) / 255
    return pixels.to(images.device)


def differentiable_jpeg(
    images: Tensor, presets: Sequence[Choice | LayerTables], quantizer: Quantizer = "soft"
) -> Tensor:
    """The same through `softjpeg.functional.jpeg_layer`: on the images' device, with a gradient.

    Args:
        images: as of `jpeg_tensor`; float, or uint8, which has no gradient.
        presets: as of `jpeg_tensor`, or their tables.
        quantizer: one of `softjpeg.functional.quantizers.QUANTIZERS` that needs no levels.

    Returns:
        Like `images`.

    Raises:
        ValueError: images of another shape or type, or whose number the presets do not divide.

    >>> x = torch.rand(3, 16, 16, requires_grad=True)
    >>> differentiable_jpeg(x, [Preset.from_quality(50)]).sum().backward()
    >>> bool(x.grad.abs().sum() > 0)
    True
    """
    flat, each = _flat(images, presets)
    if not len(flat):
        return images.clone()
    samples = flat if flat.is_floating_point() else flat.float() / 255
    if len(presets) == 1 and isinstance(presets[0], Preset | LayerTables):
        shown = _through_layer(samples, presets[0], quantizer)
    else:
        one_by_one = zip(samples, each, strict=True)
        shown = torch.cat([_through_layer(x[None], p, quantizer) for x, p in one_by_one])
    if not images.is_floating_point():
        shown = (shown * 255).round().to(torch.uint8)
    return shown.reshape(images.shape)


def jpeg_pillow(image: Image.Image, preset: Choice) -> Image.Image:
    """What Pillow shows of a Pillow image's file; RGB, or gray where the image is.

    >>> jpeg_pillow(Image.new("RGB", (9, 5)), Preset.from_quality(50)).size
    (9, 5)
    """
    return picture_of(decode(encode(image, preset, optimize=False, metadata=False)))


def check_keeps_size(preset: Preset, name: str = "preset") -> None:
    """Refuse a preset that shrinks images, whose boxes would lie elsewhere, or stores a part."""
    if preset.short_side is not None:
        raise ValueError(
            f"{name}.short_side must be None for a transform, got {preset.short_side}: shrink the "
            "images before it (torchvision.transforms.v2.Resize)"
        )
    if preset.center is not None:
        raise ValueError(f"{name}.center must be None for a transform, got {preset.center}")


def _flat(images: Tensor, presets: Sequence[Any]) -> tuple[Tensor, list[Any]]:
    if images.ndim < 3 or images.shape[-3] not in (1, 3):
        raise ValueError(f"image must have shape (..., 3 or 1, H, W), got {tuple(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"image must be uint8 or float in [0, 1], got {images.dtype}")
    flat = images.reshape(-1, *images.shape[-3:])
    run, rest = divmod(len(flat), len(presets))
    if rest:
        raise ValueError(f"presets must divide {len(flat)} images, got {len(presets)} presets")
    return flat, [preset for preset in presets for _ in range(run)]


def _through_layer(images: Tensor, choice: Choice | LayerTables, quantizer: Quantizer) -> Tensor:
    if not isinstance(choice, LayerTables):
        chosen = choice if isinstance(choice, Preset) else choice(images[0].clamp(0, 1))
        choice = LayerTables.of(chosen)
    layout: Layout = "gray" if images.shape[1] == 1 else choice.subsampling
    steps, alphas = choice.steps.to(images.device), choice.alphas.to(images.device)
    return jpeg_layer(images, steps, alphas, layout=layout, quantizer=quantizer, rounding=True)
