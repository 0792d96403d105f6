"""Bytes that default JPEG needs for the same loss: against Pillow's files, read one by one."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.images import photos, smooth_images
from helpers.networks import HighFrequencyReader
from softjpeg import Preset, encode
from softjpeg.jpeg.tables import quality_tables
from softjpeg.learning import bytes_saved
from softjpeg.learning.bytes_saved import saved_at_equal_loss, with_bytes_saved
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.learn import learn
from softjpeg.learning.learned_presets import gain_sentences
from softjpeg.learning.objective import Objective


@torch.no_grad()
def pillow_point(network, images, **options):
    """(bytes, KL) of Pillow's own files."""
    total, losses = 0, []
    for image in images:
        buffer = io.BytesIO()
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture.save(buffer, "jpeg", optimize=True, subsampling=2, **options)
        total += len(buffer.getvalue())
        shown = torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1)
        asked, answered = (network(x[None] / 255.0).log_softmax(-1) for x in (image, shown))
        losses.append(float((asked.exp() * (asked - answered)).sum()))
    return total, float(np.mean(losses))


def test_the_share_is_that_of_pillows_files_on_the_judging_half():
    images, network = photos(24, 48), HighFrequencyReader()
    preset = learn(network, images, target_bpp=4.0, batch_size=4)
    (share, low, high), *others = preset.provenance["learned"]["saved"]
    assert not others
    tables = [preset.luma.ravel().tolist(), preset.chroma.ravel().tolist()]
    size, loss = pillow_point(network, images[12:], qtables=tables)
    default = [pillow_point(network, images[12:], quality=q) for q in range(40, 100, 2)]
    sizes, losses = np.array(default).T
    needed = np.exp(np.interp(-loss, -np.minimum.accumulate(losses), np.log(sizes)))
    assert share == pytest.approx(1 - size / needed, abs=0.02)
    assert 0.1 < low < share < high < 0.9
    sentence = f"KL these files save {100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
    assert sentence in gain_sentences(preset)


def with_bpp(preset, bpp):
    return Preset(preset.luma, preset.chroma, provenance={"learned": {"bpp": bpp}})


def test_default_jpeg_saves_nothing_on_itself_for_any_network():
    networks = [HighFrequencyReader(), nn.Sequential(nn.AvgPool2d(8), nn.Flatten())]
    objective = Objective(FrozenNetworks(networks, photos(24, 48), batch_size=4), "4:2:0")
    bpp = objective.rates.bpp(tuple(map(torch.from_numpy, tables_at(60))))
    (preset,) = with_bytes_saved(objective, [with_bpp(Preset.from_quality(60), bpp)])
    saved = preset.provenance["learned"]["saved"]
    assert len(saved) == 2
    for share, low, high in saved:
        assert share == pytest.approx(0, abs=0.03)
        assert low - 0.03 <= 0 <= high + 0.03


def tables_at(quality):
    preset = Preset.from_quality(quality)
    return preset.luma, preset.chroma


def test_a_curve_that_rises_is_held_and_what_lies_beyond_it_is_its_end():
    sizes = np.array([[100.0], [200.0], [400.0], [100.0], [300.0], [50.0], [150.0]])
    losses = np.array([[4.0], [2.0], [3.0], [3.0], [1.0], [9.0], [2.0]])
    saved = saved_at_equal_loss(sizes, losses, 3)[:, 0]
    assert saved[0] == pytest.approx(1 - 100 / (100 * 200) ** 0.5)
    # Better than anything measured: default JPEG needs at least the most bytes that were.
    assert saved[1] == pytest.approx(1 - 300 / 400)
    assert saved[2] == pytest.approx(1 - 50 / 100)
    assert saved[3] == pytest.approx(1 - 150 / 200)


def test_default_jpeg_is_measured_at_rates_of_its_own_whole_files(monkeypatch):
    images = smooth_images(16, 64, 96, grain=0.2)
    networks = FrozenNetworks(nn.Sequential(nn.AvgPool2d(16), nn.Flatten()), images, batch_size=4)
    objective, written = Objective(networks, "4:2:0", center=0.3), []

    def noted(image, preset):
        written.append((preset.center, tuple(preset.luma.ravel().tolist())))
        return encode(image, preset)

    monkeypatch.setattr(bytes_saved, "encode", noted)
    preset = Preset(*quality_tables(40), center=0.3)
    bpp = 8 * sum(len(encode(i, preset)) for i in images) / images[:, 0].numel()
    with_bytes_saved(objective, [replace(with_bpp(preset, bpp), center=0.3)])
    whole = {luma for center, luma in written if center is None}
    size_of = {
        tuple(quality_tables(q)[0].ravel().tolist()): 8
        * sum(len(encode(i, Preset.from_quality(q))) for i in images)
        / images[:, 0].numel()
        for q in range(1, 101)
    }
    # From .8 to 2 times the preset's rate, by the coarsest tables that reach each.
    assert whole
    assert min(size_of[luma] for luma in whole) == pytest.approx(0.8 * bpp, rel=0.1)
    assert max(size_of[luma] for luma in whole) == pytest.approx(2 * bpp, rel=0.1)
