"""The site's pictures, from the published results and from the layer itself.

Run it as ``python docs/figures.py``; each picture is drawn for light and for dark pages.
"""

import io
import json
from dataclasses import replace
from pathlib import Path

import matplotlib
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from PIL import Image
from skimage import data

from softjpeg import Preset, encode
from softjpeg.functional import quantize

DOCS = Path(__file__).parent
STYLES = {"light": "default", "dark": "dark_background"}
CURVES = {
    "default 4:2:0": "default JPEG",
    "mozjpeg": "mozjpeg",
    "universal-288": "softjpeg --preset universal-288",
    "universal-288, center": "softjpeg --preset universal-288 --center 0.9",
}


def accuracy(axes: Axes) -> None:
    """Top-1 of EfficientNet-Lite0 over the bits per pixel of real files."""
    points = json.loads((DOCS / "results/centre.points.json").read_text())["points"]
    for curve, label in CURVES.items():
        chosen = [
            (point["bpp"], 100 * point["top1"])
            for point in points
            if point["curve"] == curve and point["reader"] == "efficientnet-lite0"
        ]
        ours = curve.startswith("universal")
        axes.plot(*zip(*sorted(chosen), strict=True), "o-", lw=3 if ours else 1.5, label=label)
    axes.set(xscale="log", xlabel="bits per pixel of the files", ylabel="top-1, %")
    axes.set_xticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    axes.minorticks_off()


def soft_quantizer(axes: Axes) -> None:
    """`Q_d` of the papers over the coefficient, from nearly the identity to rounding."""
    u = torch.linspace(-2.5, 2.5, 1001, dtype=torch.float64)
    for hardness in (1.0, 3.0, 6.0, 20.0, 200.0):
        g = quantize(u, torch.ones_like(u), torch.full_like(u, hardness), kind="soft")
        axes.plot(u.numpy(), g.numpy(), label=f"h = {hardness:g}")
    axes.set(xlabel="z / q", ylabel="Q_d(z) / q")


FIGURES = {"accuracy": accuracy, "soft_quantizer": soft_quantizer}


def center(folder: Path) -> None:
    """Write center.jpg: a photo of scikit-image at quality 30, whole and with `Preset.center`."""
    photo, preset = Image.fromarray(data.chelsea()), Preset.from_quality(30)
    sheet = Image.new("RGB", (2 * photo.width + 10, photo.height), "white")
    for i, share in enumerate((None, 0.9)):
        file = encode(photo, replace(preset, center=share))
        print(f"center {share}: {len(file)} bytes")
        with Image.open(io.BytesIO(file)) as shown:
            sheet.paste(shown, (i * (photo.width + 10), 0))
    sheet.save(folder / "center.jpg", quality=90)


def draw(name: str, folder: Path) -> None:
    """Write NAME-light.svg and NAME-dark.svg into a folder."""
    for theme, style in STYLES.items():
        settings = {"svg.hashsalt": name, "font.size": 12}
        with pyplot.style.context(style), matplotlib.rc_context(settings):
            figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
            FIGURES[name](axes)
            axes.grid(alpha=0.25)
            axes.legend()
            figure.savefig(
                folder / f"{name}-{theme}.svg", transparent=True, metadata={"Date": None}
            )
            pyplot.close(figure)


if __name__ == "__main__":
    (DOCS / "pictures").mkdir(exist_ok=True)
    for name in FIGURES:
        draw(name, DOCS / "pictures")
    center(DOCS / "pictures")
