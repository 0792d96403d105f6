"""The mathematics again, in float64 with NumPy and SciPy alone, as plainly as it can be written."""

import numpy as np
from scipy.fft import dctn, idctn

FACTORS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}
"""(H, V) of luma."""


def ycbcr(rgb):
    """JFIF 1.02 of (..., 3, H, W) in 0..255."""
    r, g, b = np.moveaxis(rgb, -3, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.stack([y, (b - y) / 1.772 + 128, (r - y) / 1.402 + 128], -3)


def rgb(image):
    """The inverse, by solving it."""
    y, cb, cr = np.moveaxis(image, -3, 0)
    r, b = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
    return np.stack([r, (y - 0.299 * r - 0.114 * b) / 0.587, b], -3)


def padded(plane, down, right):
    """Sides made multiples, by the last row and column again."""
    height, width = plane.shape[-2:]
    lead = [(0, 0)] * (plane.ndim - 2)
    return np.pad(plane, [*lead, (0, -height % down), (0, -width % right)], mode="edge")


def box(plane, subsampling):
    """The mean of the pixels that share a chroma sample."""
    h, v = FACTORS[subsampling]
    return np.mean([plane[..., i::v, j::h] for i in range(v) for j in range(h)], axis=0)


def triangle(plane, subsampling, size):
    """3/4 of the nearer sample and 1/4 of the farther, in each direction that has fewer samples."""
    h, v = FACTORS[subsampling]
    height, width = size
    plane = plane[..., : -(-height // v), : -(-width // h)]
    result = np.empty((*plane.shape[:-2], height, width))
    rows, columns = plane.shape[-2:]
    # libjpeg repeats samples where a row has no interior.
    fancy = h == 1 or columns > 2
    for i in range(height):
        for j in range(width):
            total = 0.0
            for row, wr in near(i, v, rows) if fancy else [(i // v, 1.0)]:
                for column, wc in near(j, h, columns) if fancy else [(j // h, 1.0)]:
                    total = total + wr * wc * plane[..., row, column]
            result[..., i, j] = total
    return result


def near(pixel, factor, count):
    """(index, weight) of the samples that a pixel is made of."""
    if factor == 1:
        return [(pixel, 1.0)]
    other = pixel // 2 + (1 if pixel % 2 else -1)
    return [(pixel // 2, 0.75), (min(max(other, 0), count - 1), 0.25)]


def planes(rgb_image, subsampling):
    """Level-shifted planes of whole blocks, as libjpeg hands them to its DCT; rgb in 0..255."""
    if rgb_image.shape[-3] == 1:
        return (padded(rgb_image[..., 0, :, :], 8, 8) - 128,)
    h, v = FACTORS[subsampling]
    components = ycbcr(rgb_image)
    luma = padded(components[..., 0, :, :], 8, 8) - 128
    # libjpeg repeats columns of pixels up to whole blocks of chroma, but rows of its samples.
    chroma = box(padded(components[..., 1:, :, :], v, 8 * h), subsampling)
    chroma = padded(chroma, 8, 8) - 128
    return luma, chroma[..., 0, :, :], chroma[..., 1, :, :]


def merged(components, size, subsampling):
    """Planes back to (..., 3 or 1, H, W) in 0..255."""
    height, width = size
    luma = components[0][..., :height, :width] + 128
    if len(components) == 1:
        return luma[..., None, :, :]
    chroma = [triangle(c + 128, subsampling, size) for c in components[1:]]
    return rgb(np.stack([luma, *chroma], -3))


def dct(plane):
    """(..., H, W) to (..., rows, columns, 8, 8)."""
    *lead, height, width = plane.shape
    blocks = plane.reshape(*lead, height // 8, 8, width // 8, 8).swapaxes(-3, -2)
    return dctn(blocks, axes=(-2, -1), norm="ortho")


def idct(z):
    """Back again."""
    *lead, rows, columns, _, _ = z.shape
    blocks = idctn(z, axes=(-2, -1), norm="ortho").swapaxes(-3, -2)
    return blocks.reshape(*lead, 8 * rows, 8 * columns)


def probabilities(z, q, alpha, levels=None, window=None):
    """Indices and the CPMF over them (eqs. 3-4), (..., W) each: all of a wide range."""
    z, q, alpha = np.broadcast_arrays(z, q, alpha)
    nearest = np.rint(z / q)
    if levels is not None:
        nearest = nearest.clip(-levels, levels)
    half = 150 if window is None else window // 2
    i = nearest[..., None] + np.arange(-half, half + 1)
    logits = -alpha[..., None] * (z[..., None] - i * q[..., None]) ** 2
    if levels is not None:
        logits = np.where(np.abs(i) > levels, -np.inf, logits)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return i, p / p.sum(-1, keepdims=True)


def soft(z, q, alpha, levels=None, window=None):
    """Q_d as the sum it is defined as (eq. 5)."""
    i, p = probabilities(z, q, alpha, levels, window)
    return (i * p).sum(-1) * q


def entropy(z, q, alpha, levels=None, window=None):
    """(8, 8): the entropy of each frequency's marginal, in bits."""
    i, p = probabilities(z.reshape(-1, 8, 8), q, alpha, levels, window)
    total = np.zeros((8, 8))
    for index in range(int(i.min()), int(i.max()) + 1):
        marginal = (p * (i == index)).sum(-1).mean(0)
        total -= marginal * np.log2(np.maximum(marginal, 1e-300))
    return total


def layer(image, steps, alphas, layout="4:4:4", levels=None, window=None, zero_dc=False):
    """The whole JPEG layer with its soft quantizer."""
    size = image.shape[-2:]
    if layout == "planes":
        components = (padded(image, 8, 8),)
        tables = [(s[:, None, None], a[:, None, None]) for s, a in zip(steps, alphas, strict=True)]
        kinds = [tables]
    else:
        subsampling = "4:4:4" if layout == "gray" else layout
        components = planes(255 * image, subsampling)
        kinds = [
            [(s[min(n, 1)], a[min(n, 1)]) for s, a in zip(steps, alphas, strict=True)]
            for n in range(len(components))
        ]
    shown = []
    for plane, rounds in zip(components, kinds, strict=True):
        z = dct(plane)
        if zero_dc:
            z[..., 0, 0] = 0
        for q, alpha in rounds:
            z = soft(z, q, alpha, levels, window)
        shown.append(idct(z))
    if layout == "planes":
        return shown[0][..., : size[0], : size[1]]
    return merged(shown, size, subsampling) / 255
