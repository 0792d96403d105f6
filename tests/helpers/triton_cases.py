"""Triton kernels in Triton's interpreter, on the CPU, beside the pure functions in float64.

Run as a program, with TRITON_INTERPRET=1: prints the errors of every case as JSON.
"""

import json
import math

import torch

from softjpeg.functional import jpeg_layer

CASES = {
    # Layout, shape, and what differs from float32, one round, hardness about 3, steps about 20.
    "4:4:4 odd": ("4:4:4", (2, 3, 7, 9), {}),
    "4:4:4 many programs": ("4:4:4", (1, 3, 17, 97), {}),
    "4:4:4 whole blocks, channels last": ("4:4:4", (1, 3, 16, 8), {"last": True}),
    "4:4:4 sliced": ("4:4:4", (1, 3, 9, 8), {"sliced": True}),
    "4:4:4 rounding": ("4:4:4", (1, 3, 9, 15), {"rounding": True}),
    "4:4:4 bfloat16": ("4:4:4", (1, 3, 8, 10), {"dtype": "bfloat16"}),
    "4:4:4 one pixel": ("4:4:4", (1, 3, 1, 1), {"dtype": "float16"}),
    "4:4:4 levels": ("4:4:4", (1, 3, 8, 8), {"window": 5, "levels": 3, "q": 60.0, "h": 0.7}),
    "4:2:0 odd": ("4:2:0", (1, 3, 17, 33), {}),
    "4:2:0 even, not whole": ("4:2:0", (1, 3, 6, 10), {}),
    "4:2:0 channels last": ("4:2:0", (2, 3, 8, 22), {"last": True, "rounds": 2}),
    "4:2:0 whole blocks": ("4:2:0", (1, 3, 16, 32), {"dtype": "float16"}),
    "4:2:0 rounding": ("4:2:0", (1, 3, 15, 19), {"rounding": True}),
    "4:2:0 narrow": ("4:2:0", (1, 3, 6, 3), {"window": 7}),
    "4:2:0 one pixel": ("4:2:0", (1, 3, 1, 1), {}),
    "4:2:2 odd": ("4:2:2", (1, 3, 7, 33), {"window": 5}),
    "4:2:2 rounding": ("4:2:2", (1, 3, 9, 10), {"rounding": True}),
    "gray rounds": ("gray", (2, 1, 9, 15), {"rounds": 3, "zero_dc": True}),
    "gray rounding": ("gray", (1, 1, 8, 9), {"rounding": True, "kinds": 1}),
    "gray hard": ("gray", (1, 1, 16, 16), {"h": 50.0, "q": 2.0, "slack": 20.0}),
    "gray soft": ("gray", (1, 1, 16, 16), {"h": 0.05, "spread": 40.0}),
    "gray fine steps": ("gray", (1, 1, 8, 8), {"q": 0.02, "h": 0.9, "slack": 500.0}),
    "gray paper's window": ("gray", (1, 1, 8, 8), {"h": 0.2, "window": 5, "levels": 127}),
    "planes": ("planes", (2, 3, 7, 9), {"q": 0.3, "kinds": 3, "rounds": 2}),
    "planes, many": ("planes", (2, 70, 5, 3), {"q": 0.3, "window": 5}),
    "planes, channels last": ("planes", (2, 18, 9, 8), {"q": 0.3, "last": True}),
    "planes, channels last, kinds": ("planes", (2, 2, 8, 8), {"q": 0.3, "last": True, "kinds": 2}),
    "planes, expanded": ("planes", (2, 3, 8, 9), {"q": 0.3, "expanded": True, "zero_dc": True}),
}


def run(layout, shape, *, dtype="float32", rounds=1, kinds=None, h=3.0, q=20.0, spread=2.0,
        last=False, sliced=False, expanded=False, window=None, levels=None, zero_dc=False,
        rounding=False, slack=1.0):  # fmt: skip
    """Largest errors of value and gradients, in units of the largest true entry.

    `last`, `sliced`, `expanded`: how image and gradient lie in memory; `slack` is the test's.
    """
    from softjpeg.kernels.triton.layer import backward, forward

    generator = torch.Generator().manual_seed(math.prod(shape))
    batch, channels, height, width = shape
    image = torch.rand(shape, generator=generator)
    # A smooth picture: its small coefficients and its large ones both occur.
    image = (
        0.3 * image + 0.6 * torch.linspace(0, 1, width) * torch.linspace(1, 0.5, height)[:, None]
    )
    grad = torch.randn(shape, generator=generator)
    image, grad = image.to(getattr(torch, dtype)), grad.to(getattr(torch, dtype))
    if last:
        image = image.contiguous(memory_format=torch.channels_last)
    if sliced:
        wide = torch.zeros(batch, channels + 2, 2 * height, width + 3, dtype=image.dtype)
        wide[:, 1:-1, ::2, 3:] = image
        image, grad = wide[:, 1:-1, ::2, 3:], grad.transpose(-1, -2).contiguous().transpose(-1, -2)
    if expanded:
        image, grad = image[:1, :, :1].expand(shape), grad[:, :1].expand(shape)
    kinds = kinds or (1 if layout == "planes" else 2)
    tables = spread ** (2 * torch.rand(2, rounds, kinds, 8, 8, generator=generator) - 1)
    steps = q * tables[0]
    alphas = h * tables[1] / steps**2
    settings = {"layout": layout, "window": window, "levels": levels, "zero_dc": zero_dc,
                "rounding": rounding}  # fmt: skip
    shown = forward(image, steps, alphas, **settings)
    found = (shown, *backward(grad, image, steps, alphas, **settings))
    assert shown.dtype == found[1].dtype == image.dtype
    assert shown.stride() == torch.empty_like(image).stride()
    leaves = [t.double().requires_grad_() for t in (image, steps, alphas)]
    value = jpeg_layer(*leaves, **settings)
    truth = (value.detach(), *torch.autograd.grad(value, leaves, grad.double()))
    return {
        name: ((a.double() - b).abs().max() / b.abs().max()).item()
        for name, a, b in zip(("value", "image", "steps", "alphas"), found, truth, strict=True)
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({name: run(case[0], case[1], **case[2]) for name, case in CASES.items()}))
