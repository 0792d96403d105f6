import pytest
import torch
from torch import nn

from softjpeg.codec.file_sizes import equal_bytes_quality
from softjpeg.codec.image import encode
from softjpeg.presets.preset import Preset


@pytest.mark.parametrize("quality", [1, 23, 60, 100])
def test_default_jpeg_gets_no_fewer_bytes(quality):
    generator = torch.Generator().manual_seed(0)
    small = torch.randint(0, 256, (2, 3, 6, 6), dtype=torch.uint8, generator=generator)
    images = nn.functional.interpolate(small.float(), (48, 48), mode="bilinear").byte()
    preset = Preset.from_quality(quality, "4:2:0")
    found = equal_bytes_quality(images, preset)

    def total(tables):
        return sum(len(encode(image, tables)) for image in images)

    assert total(Preset.from_quality(found, "4:2:0")) >= total(preset)
    assert found <= quality
