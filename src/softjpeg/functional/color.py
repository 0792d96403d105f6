"""Colour as JPEG uses it: full-range BT.601, and chroma at 4:4:4, 4:2:2 or 4:2:0.

Everything here is on the pixel scale 0..255 and differentiable. ``rounding=True`` also rounds where
libjpeg holds 8-bit samples, straight-through, so that a plane equals libjpeg's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.functional.arguments import check_floats
from softjpeg.functional.straight_through import clamp, round_half_up, straight_through
from softjpeg.jpeg.subsampling import Subsampling, luma_factors

_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
_TO_YCBCR_FIXED = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
"""libjpeg's own weights times 65536: of whole pixels every sum is exact in float32."""
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def _mix(planes: Tensor, matrix: Sequence[Sequence[float]]) -> Tensor:
    weights = torch.tensor(matrix, dtype=planes.dtype, device=planes.device)
    return torch.einsum("ij,...jhw->...ihw", weights, planes)


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """Full-range BT.601 (JFIF) RGB to YCbCr.

    Args:
        rgb: (..., 3, H, W) float, 0..255.

    Returns:
        (..., 3, H, W): Y in 0..255, Cb and Cr in 0..255 around 128.

    >>> rgb_to_ycbcr(torch.full((3, 1, 1), 200.0)).flatten().round().tolist()
    [200.0, 128.0, 128.0]
    """
    _check_rgb("rgb", rgb)
    offset = torch.tensor([0.0, 128.0, 128.0], dtype=rgb.dtype, device=rgb.device)
    return _mix(rgb, _TO_YCBCR) + offset[:, None, None]


def _rounded_ycbcr(rgb: Tensor) -> Tensor:
    """As libjpeg's encoder has it: chroma half-way between two integers is rounded down."""
    exact = rgb_to_ycbcr(rgb)
    down = 0.5 - 1 / 65536
    offset = torch.tensor([0.5, 128 + down, 128 + down], dtype=rgb.dtype, device=rgb.device)
    fixed = _mix(rgb, _TO_YCBCR_FIXED) / 65536
    return straight_through(torch.floor(fixed + offset[:, None, None]), exact)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """Inverse of `rgb_to_ycbcr`, not clamped.

    >>> x = torch.rand(3, 4, 4) * 255
    >>> torch.allclose(ycbcr_to_rgb(rgb_to_ycbcr(x)), x, atol=1e-3)
    True
    """
    _check_rgb("ycbcr", ycbcr)
    offset = torch.tensor([0.0, 128.0, 128.0], dtype=ycbcr.dtype, device=ycbcr.device)
    return _mix(ycbcr - offset[:, None, None], _TO_RGB)


def downsample(plane: Tensor, subsampling: Subsampling, *, rounding: bool = False) -> Tensor:
    """libjpeg's box downsampling: the mean of each 1×2 or 2×2 group.

    Args:
        plane: (..., H, W), H and W multiples of the subsampling factors.
        rounding: also round as libjpeg does (its bias alternates along a row), straight-through.

    >>> downsample(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "4:2:0").item()
    2.5
    """
    check_floats(plane=plane)
    h, v = luma_factors(subsampling)
    if v * h == 1:
        return plane
    *lead, height, width = plane.shape
    groups = plane.reshape(*lead, height // v, v, width // h, h)
    mean = groups.mean(dim=(-3, -1))
    if not rounding:
        return mean
    bias = torch.tensor([0.0, 1.0] if v == 1 else [1.0, 2.0], dtype=plane.dtype).to(plane.device)
    bias = bias.repeat(-(-mean.shape[-1] // 2))[: mean.shape[-1]]
    return straight_through(torch.floor(mean + bias / (v * h)), mean)


def upsample(
    plane: Tensor, subsampling: Subsampling, size: tuple[int, int], *, rounding: bool = False
) -> Tensor:
    """libjpeg's triangle ("fancy") upsampling: each sample is 3/4 the nearer, 1/4 the farther.

    Args:
        plane: (..., h, w) chroma samples; what lies past the image's own edge is ignored.
        size: (height, width) of the image in pixels.
        rounding: also round as libjpeg does, straight-through.

    Returns:
        (..., height, width).

    >>> upsample(torch.tensor([[0.0, 4.0, 8.0]]), "4:2:2", (1, 6)).tolist()
    [[0.0, 1.0, 3.0, 5.0, 7.0, 8.0]]
    """
    check_floats(plane=plane)
    h, v = luma_factors(subsampling)
    height, width = size
    plane = plane[..., : -(-height // v), : -(-width // h)]
    # libjpeg falls back to plain replication where a row has no interior.
    if h == 2 and plane.shape[-1] <= 2:
        wide = plane.repeat_interleave(v, dim=-2).repeat_interleave(h, dim=-1)
        return wide[..., :height, :width]
    wide = plane
    if v == 2:
        wide = _triangle(wide, dim=-2)
    if h == 2:
        wide = _triangle(wide, dim=-1)
        if rounding:
            low, high = (0.25, 0.5) if v == 1 else (0.5, 0.4375)
            bias = torch.tensor([low, high], dtype=plane.dtype, device=plane.device)
            biased = wide + bias.repeat(wide.shape[-1] // 2)
            # The bias must be exact even where a quarter sum came out a hair below its value.
            wide = straight_through(torch.floor(biased + 1e-3), wide)
    return wide[..., :height, :width]


def _triangle(x: Tensor, dim: int) -> Tensor:
    n = x.shape[dim]
    before = torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, n - 1)], dim)
    after = torch.cat([x.narrow(dim, 1, n - 1), x.narrow(dim, n - 1, 1)], dim)
    pair = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], dim=dim)
    # stack at a negative dim puts the new axis after the sampled one.
    return pair.flatten(dim - 1, dim)


def replicate_to(plane: Tensor, height: int, width: int) -> Tensor:
    """Extend (..., H, W) to (..., height, width) by repeating the last row and column.

    Args:
        plane: (..., H, W) samples.
        height, width: of the result, at least H and W.

    >>> replicate_to(torch.tensor([[1.0, 2.0]]), 2, 3).tolist()
    [[1.0, 2.0, 2.0], [1.0, 2.0, 2.0]]
    """
    down, right = height - plane.shape[-2], width - plane.shape[-1]
    if not down and not right:
        return plane
    lead = plane.shape[:-2]
    padded = F.pad(plane.reshape(-1, 1, *plane.shape[-2:]), (0, right, 0, down), mode="replicate")
    return padded.reshape(*lead, height, width)


def split_planes(
    rgb: Tensor, subsampling: Subsampling, *, rounding: bool = False
) -> tuple[Tensor, ...]:
    """RGB to level-shifted planes of whole 8×8 blocks, as libjpeg hands them to its DCT.

    Args:
        rgb: (..., 3, H, W) colour or (..., 1, H, W) grayscale, float, 0..255; any H, W ≥ 1.
        subsampling: "4:4:4", "4:2:2" or "4:2:0" (ignored for grayscale).
        rounding: round samples as libjpeg does, straight-through.

    Returns:
        (Y, Cb, Cr) or (Y,): each (..., 8·rows, 8·columns) in -128..127, edges replicated.

    >>> [tuple(p.shape) for p in split_planes(torch.zeros(3, 17, 9), "4:2:0")]
    [(24, 16), (16, 8), (16, 8)]
    """
    check_floats(rgb=rgb)
    height, width = rgb.shape[-2:]
    if height < 1 or width < 1:
        raise ValueError(f"image must have at least one pixel, got {width}x{height}")
    if rgb.shape[-3] == 1:
        gray = round_half_up(rgb) if rounding else rgb
        return (_whole_blocks(gray.squeeze(-3)) - 128,)
    h, v = luma_factors(subsampling)
    ycbcr = _rounded_ycbcr(rgb) if rounding else rgb_to_ycbcr(rgb)
    luma = _whole_blocks(ycbcr[..., 0, :, :])
    # libjpeg repeats columns before it downsamples, and rows after.
    across = -(-width // (8 * h)) * 8 * h
    chroma = replicate_to(ycbcr[..., 1:, :, :], -(-height // v) * v, across)
    chroma = _whole_blocks(downsample(chroma, subsampling, rounding=rounding))
    return luma - 128, chroma[..., 0, :, :] - 128, chroma[..., 1, :, :] - 128


def merge_planes(
    planes: Sequence[Tensor],
    size: tuple[int, int],
    subsampling: Subsampling,
    *,
    rounding: bool = False,
) -> Tensor:
    """Inverse of `split_planes`: level-shifted planes to RGB, cropped to `size`.

    Args:
        planes: (Y, Cb, Cr) or (Y,), each (..., 8·rows, 8·columns) in -128..127.
        size: (height, width) of the image.
        subsampling: that the planes were made with.
        rounding: round and clamp samples and pixels as libjpeg's decoder does, straight-through.

    Returns:
        (..., 3, H, W), or (..., 1, H, W) of one plane; with `rounding` integers 0..255
        (straight-through), else neither rounded nor clamped.

    >>> x = torch.rand(3, 9, 9) * 255
    >>> torch.allclose(merge_planes(split_planes(x, "4:4:4"), (9, 9), "4:4:4"), x, atol=1e-3)
    True
    """
    height, width = size
    check_floats(**{f"planes[{i}]": plane for i, plane in enumerate(planes)})
    planes = [p + 128 for p in planes]
    if rounding:
        planes = [clamp(round_half_up(p), 0, 255) for p in planes]
    luma = planes[0][..., :height, :width]
    if len(planes) == 1:
        return luma.unsqueeze(-3)
    chroma = [upsample(p, subsampling, size, rounding=rounding) for p in planes[1:]]
    rgb = ycbcr_to_rgb(torch.stack([luma, *chroma], dim=-3))
    return clamp(round_half_up(rgb), 0, 255) if rounding else rgb


def _whole_blocks(plane: Tensor) -> Tensor:
    height, width = plane.shape[-2:]
    return replicate_to(plane, -(-height // 8) * 8, -(-width // 8) * 8)


def _check_rgb(name: str, image: Tensor) -> None:
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"{name} must have shape (..., 3, H, W), got {tuple(image.shape)}")
    check_floats(**{name: image})
