"""Changed answers, counted again from decoded files by Pillow."""

import io

import numpy as np
import torch
from PIL import Image

from helpers.images import photos
from helpers.networks import HighFrequencyReader
from softjpeg import Preset, evaluate
from softjpeg.codec.image import encode
from softjpeg.evaluation.changed_answers import changed_answers
from softjpeg.evaluation.points import RatePoint


def answers(network, images, preset):
    shown = [np.asarray(Image.open(io.BytesIO(encode(image, preset)))) for image in images]
    batch = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float() / 255
    return network(batch).argmax(-1)


def test_every_image_is_in_one_group():
    network, images = HighFrequencyReader(), photos(40, 32)
    own = network(images.float() / 255).argmax(-1)
    fine = Preset(np.full((8, 8), 60), np.full((8, 8), 99))
    points = evaluate(network, images, {"mine": fine}, qualities=[10, 30, 95])
    (found,) = changed_answers(points)
    assert (found.learned, found.images) == ("mine", 40)
    quality = int(found.default.rpartition(" ")[2])
    changed = answers(network, images, fine) != own
    by_default = answers(network, images, Preset.from_quality(quality)) != own
    assert by_default.any()
    for indices, mask in (
        (found.learned_alone, changed & ~by_default),
        (found.default_alone, ~changed & by_default),
        (found.both, changed & by_default),
    ):
        assert list(indices) == mask.nonzero().flatten().tolist()
    assert found.neither == int((~changed & ~by_default).sum())


def test_points_without_images_and_presets_without_a_default_are_left_out():
    def point(name, mode, size):
        return RatePoint(name, mode, "4:2:0", size, size / 100, size / 100, None, 0.5, 0.4)

    assert changed_answers([point("mine", "hard", 150), point("default q 9", "default", 200)]) == []
    assert changed_answers([point("mine", "hard", 300), point("default q 9", "default", 200)]) == []
