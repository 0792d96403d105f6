"""Learning at several rates: presets in order, and a ladder from one reading of the images."""

import pytest
import torch
from PIL import Image
from torch import nn

import softjpeg
from helpers.images import photos
from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.codec.image import encode
from softjpeg.common.image_files import ImageFiles
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.learning.learn_ladder import learn_ladder, learned_ladder
from softjpeg.learning.learned_presets import gain_sentences
from softjpeg.learning.measured_ladder import measured_ladder
from softjpeg.learning.size_exponent import measured_exponent


def test_ladder_keeps_the_order_of_its_rates():
    presets = learn_ladder(HighFrequencyReader(), images(8), [6.0, 4.0, 5.0], batch_size=4)
    rates = [p.provenance["learned"]["bpp"] for p in presets]
    for rate, target in zip(rates, (6.0, 4.0, 5.0), strict=True):
        assert rate == pytest.approx(target, rel=0.05)


class CountingReader(HighFrequencyReader):
    """Counts how often it reads each of some images as they are."""

    def __init__(self, originals):
        super().__init__()
        self.originals = originals.float() / 255
        self.counts = torch.zeros(len(originals))

    def forward(self, x):
        for image in x:
            self.counts += (image == self.originals).flatten(1).all(1)
        return super().forward(x)


@pytest.mark.parametrize("options", [{"subsampling": "4:4:4"}, {"subsampling": "auto"}])
def test_a_ladder_is_learned_in_one_call_and_reads_every_image_once(options):
    pixels = images(24, 16)
    network, said = CountingReader(pixels), []
    options = {**options, "qualities": [30, 80, 60], "batch_size": 2}
    facts = {"network": "a tiny one"}
    ladder = softjpeg.learned_ladder(network, pixels, provenance=facts, say=said.append, **options)
    assert network.counts.tolist() == [1] * 24
    presets = learn_ladder(HighFrequencyReader(), pixels, provenance=facts, **options)
    exponent = measured_exponent(HighFrequencyReader(), pixels, presets, batch_size=2)
    assert ladder == measured_ladder(presets, pixels, facts, size_exponent=exponent)
    assert ladder.provenance == facts
    for quality, preset, sentence in zip([30, 80, 60], presets, said[-3:], strict=True):
        assert sentence == f"quality {quality}: {gain_sentences(preset)}"


def test_a_ladder_of_single_pixels():
    pixels = torch.full((4, 3, 1, 1), 128, dtype=torch.uint8)
    ladder = learned_ladder(nn.Flatten(), pixels, qualities=(20, 50))
    assert len(ladder.rungs) == 2


def test_rates_that_make_no_sense():
    for rates, sentence in (
        ({"targets_bpp": []}, "targets_bpp must name at least one rate, got none"),
        ({"qualities": []}, "qualities must name at least one rate, got none"),
        ({"qualities": [5], "mode": "soft"}, "mode must be hard or rdo, got 'soft'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            softjpeg.learned_ladder(HighFrequencyReader(), images(2, 16), **rates)


class DetailReader(nn.Module):
    """Answers from the differences between the pixels of any image."""

    def forward(self, x):
        detail = torch.stack([x.diff(dim=-1).abs().mean((1, 2, 3)), x.mean((1, 2, 3))], 1)
        return 40 * torch.cat([detail, -detail], 1)


def test_images_of_one_size_are_the_same_however_they_come():
    pixels = photos(16, 16)
    options = {"batch_size": 2, "subsampling": "4:4:4"}
    whole, listed = (
        learn_ladder(DetailReader(), x, [15.0, 19.0], **options) for x in (pixels, list(pixels))
    )
    for a, b in zip(whole, listed, strict=True):
        assert (a.luma == b.luma).all()
        assert (a.chroma == b.chroma).all()
        judged = [preset.provenance["learned"]["judged"] for preset in (a, b)]
        assert judged[0] == judged[1]


@pytest.mark.parametrize("mode", ["hard", "rdo"])
def test_images_of_many_sizes(mode, tmp_path):
    sides = [(16, 24), (24, 16), (16, 24), (31, 9)] * 4
    pictures = [photos(1, 40, seed=i)[0, :, :h, :w] for i, (h, w) in enumerate(sides)]
    for i, image in enumerate(pictures):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i:02}.png")
    files = ImageFiles(sorted(tmp_path.iterdir()))
    options = {"batch_size": 4, "mode": mode, "qualities": [50, 80, 90]}
    ladders = [learned_ladder(DetailReader(), x, **options) for x in (pictures, files)]
    for a, b in zip(ladders[0].rungs, ladders[1].rungs, strict=True):
        assert (a.luma == b.luma).all()
        assert a.provenance["learned"]["judged"] == b.provenance["learned"]["judged"]
    # All bytes over all pixels, as `evaluate` counts them.
    preset = ladders[0].rungs[0]
    total = sum(len(encode(image, preset)) for image in pictures)
    wanted = 8 * total / sum(h * w for h, w in sides)
    _, point, *_ = evaluate(DetailReader(), pictures, {"a": preset}, qualities=[50])
    assert point.bpp == pytest.approx(wanted)
    if mode == "hard":
        assert preset.provenance["learned"]["bpp"] == pytest.approx(wanted)
