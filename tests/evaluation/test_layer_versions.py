"""A trained network's layer beside hard rounding and real files: judged by Pillow."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers import references
from helpers.images import smooth_images
from softjpeg import FeatureJPEGLayer, JPEGLayer, wrap
from softjpeg.evaluation.layer_versions import (
    layer_file,
    layer_versions,
    save_versions,
    versions_table,
    why_not_a_file,
)
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.tables import quality_tables


def network(layer, seed=0):
    torch.manual_seed(seed)
    classifier = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.Tanh(), nn.Flatten(), nn.LazyLinear(6)
    )
    classifier(torch.zeros(1, 3, 40, 56))
    return wrap(classifier, layer, [0.5] * 3, [0.2] * 3).eval()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_real_files_are_what_pillow_decodes_with_these_tables(subsampling):
    layer = JPEGLayer(*quality_tables(30), quantizer="soft", subsampling=subsampling)
    image = smooth_images(1, 40, 56)[0]
    data = layer_file(layer, image)
    with Image.open(io.BytesIO(data)) as file:
        tables = file.quantization
        shown = np.asarray(file.convert("RGB")).astype(int)
    assert [tables[0], tables[1]] == [
        t.flatten().tolist() for t in map(np.asarray, quality_tables(30))
    ]
    reference = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(
        reference, "jpeg", qtables=tables, subsampling=subsampling, optimize=True
    )
    other = np.asarray(Image.open(reference)).astype(int)
    # An index that falls on the other side of a half moves a whole block.
    assert np.abs(shown - other).mean() < 1
    assert abs(len(data) / len(reference.getvalue()) - 1) < 0.03


def test_versions_agree_where_they_must_and_count_right():
    images, labels = smooth_images(24, 40, 56), torch.arange(24) % 6
    model = network(JPEGLayer(*quality_tables(40), hardness=1e4, levels=127))
    trained, hard, real, none = layer_versions(model, images, labels, batch_size=7)
    with torch.no_grad():
        expected = (model(images / 255).argmax(1) == labels).float().mean().item()
    assert trained.top1 == pytest.approx(expected)
    assert [v.name for v in (trained, hard, real, none)] == [
        "as trained", "hard rounding", "real JPEG", "no layer",
    ]  # fmt: skip
    assert hard.agreement >= 0.9
    assert real.agreement >= 0.8
    assert 0 < hard.bpp < real.bpp < 24
    sizes = [len(layer_file(model.jpeg, image)) for image in images]
    assert real.bpp == pytest.approx(8 * np.mean(sizes) / (40 * 56))
    assert model.jpeg.quantizer == "soft"


def test_steps_below_half_have_no_file_and_the_table_says_why(tmp_path):
    images, labels = smooth_images(4, 40, 56), torch.zeros(4, dtype=torch.int64)
    model = network(JPEGLayer(torch.full((8, 8), 0.2), torch.full((8, 8), 3.0), levels=127))
    versions = layer_versions(model, images, labels)
    assert versions[2].note == "64 of 128 steps are below 0.5, and the smallest of JPEG is 1"
    assert versions_table(versions).row_count == 4
    save_versions(versions, tmp_path / "v.json", {"seed": 0})
    assert '"top1": null' in (tmp_path / "v.json").read_text()


def test_layers_inside_and_rounds_are_no_files():
    assert "inside" in why_not_a_file(FeatureJPEGLayer(3))
    assert why_not_a_file(JPEGLayer(rounds=2)) == "the layer has 2 rounds, a file has one"
    inside = network(None)
    inside.network[0] = nn.Sequential(inside.network[0], FeatureJPEGLayer(8, levels=127))
    images, labels = smooth_images(4, 40, 56), torch.zeros(4, dtype=torch.int64)
    trained, hard, real, none = layer_versions(inside, images, labels)
    assert hard.bpp is None
    assert real.note == "the layer stands inside the network"
    assert none.top1 == layer_versions(network(None), images, labels)[0].top1
    assert trained.images == 4


def test_labels_must_match_images():
    with pytest.raises(ValueError, match="labels must be 4, one per image, got 3"):
        layer_versions(network(None), smooth_images(4, 40, 56), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize(("levels", "zero_dc"), [(3, False), (None, False), (127, True), (2, True)])
def test_files_hold_the_indices_that_the_layer_passes(levels, zero_dc):
    """Rounded and bounded in float64, the DC taken out: read from the bytes of the file."""
    steps = torch.full((8, 8), 7.4), torch.full((8, 8), 4.6)
    layer = JPEGLayer(*steps, levels=levels, zero_dc=zero_dc, subsampling="4:2:0")
    image = smooth_images(1, 40, 56, grain=0.2)[0]
    file = read_coefficients(layer_file(layer, image))
    assert [int(table[0, 0]) for table in file.tables] == [7, 5, 5]
    planes = references.planes(image.numpy().astype(float), "4:2:0")
    bound = levels or 1023
    for plane, found, q in zip(planes, file.components, (7, 5, 5), strict=True):
        ratio = references.dct(plane) / q
        if zero_dc:
            ratio[..., 0, 0] = 0
        wanted = np.rint(ratio).clip(-bound, bound)
        # libjpeg rounds pixels of colour and chroma on the way, which tips what is near a half.
        assert (found == wanted).mean() > 0.8
        assert np.abs(found - wanted).max() <= 1
        assert np.abs(found).max() == np.abs(wanted).max()
        assert (found[..., 0, 0] == 0).all() == zero_dc
