"""Many images lie in a file, and learning takes views of them, never a copy of all."""

import sys
import tracemalloc
from dataclasses import replace

import pytest
import torch

from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.common import image_set as images_module
from softjpeg.common.image_planes import picture_of
from softjpeg.common.image_set import load_images
from softjpeg.common.scratch import scratch_tensor
from softjpeg.learning.checkpoint import fingerprint
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import ImageRates
from softjpeg.learning.objective import Objective
from softjpeg.learning.rate_control import RateControl


def test_scratch_tensors_are_ordinary():
    for large in (0, 1 << 20):
        for dtype in (torch.uint8, torch.float32, torch.int64):
            x = scratch_tensor((3, 5), dtype, large)
            x[1] = 7
            assert (x.shape, x.dtype, int(x[1].sum())) == ((3, 5), dtype, 35)
    assert scratch_tensor((0, 3), torch.uint8, 0).shape == (0, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_large_one_is_mapped_to_a_file_without_a_name():
    x = scratch_tensor((1 << 20,), torch.uint8, large=0)
    with open("/proc/self/maps") as file:
        maps = [line.split() for line in file]
    inside = [
        line
        for line in maps
        if int(line[0].split("-")[0], 16) <= x.data_ptr()
        and x.data_ptr() < int(line[0].split("-")[1], 16)
    ]
    assert inside[0][1].endswith("s"), "shared with the file, which takes the pages"
    assert inside[0][-1] == "(deleted)"


def test_loaded_images_may_lie_in_a_file(tmp_path, monkeypatch):
    for i, pixels in enumerate(images(4, 16)):
        picture_of(pixels).save(tmp_path / f"{i}.png")
    in_memory = load_images(tmp_path).pixels
    mapped = []

    def in_file(shape, dtype):
        mapped.append(scratch_tensor(shape, dtype, large=0))
        return mapped[-1]

    monkeypatch.setattr(images_module, "scratch_tensor", in_file)
    loaded = load_images(tmp_path).pixels
    assert loaded.data_ptr() == mapped[0].data_ptr()
    assert torch.equal(loaded, in_memory)
    assert torch.equal(loaded, images(4, 16))


def test_learning_reads_the_images_where_they_lie():
    pixels = images(80, 16)
    objective = Objective(FrozenNetworks(HighFrequencyReader(), pixels, batch_size=8), "4:2:0")
    control = RateControl(ImageRates(objective.images, "4:2:0"))
    storage = pixels.untyped_storage().data_ptr()
    other = replace(objective, subsampling="4:4:4")
    for view in (objective.images, other.images, control.rates.sample):
        assert view.untyped_storage().data_ptr() == storage
    assert control.at(9.0).rates.sample.untyped_storage().data_ptr() == storage
    many = torch.zeros(1 << 24, dtype=torch.uint8)
    tracemalloc.start()
    fingerprint(many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
