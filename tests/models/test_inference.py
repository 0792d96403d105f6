import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from softjpeg.common.image_files import ImageFiles
from softjpeg.models.inference import check_inputs, check_labels, outputs_of

IMAGE = torch.zeros(3, 8, 9, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "images must be at least one, got none"),
        ([IMAGE, IMAGE.float()], "images must be uint8 of .*, got .3, 8, 9. torch.float32"),
        ([IMAGE, IMAGE[:1]], "images must be uint8 of .*, got .1, 8, 9. torch.uint8"),
        ([IMAGE, IMAGE[:, :0]], "images must be uint8 of .*, got .3, 0, 9. torch.uint8"),
        ([IMAGE, IMAGE.numpy()], "images must be uint8 of .*, got ndarray"),
        (["a.png"], "images must be uint8 of .*, got str"),
        (np.zeros((2, 3, 8, 8), np.uint8), "images must be a tensor or a sequence .*, got ndarray"),
        ((image for image in [IMAGE]), "images must be a tensor or a sequence .*, got generator"),
        (None, "images must be a tensor or a sequence .*, got NoneType"),
        (IMAGE[None, :, :0], "images must be uint8 of .*, got .1, 3, 0, 9. torch.uint8"),
    ],
)
def test_what_is_no_images(images, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_inputs(images, None, 1)


@pytest.mark.parametrize(
    ("labels", "got"), [([0], "list"), (np.zeros(1, int), "ndarray"), (torch.zeros(1), "float32")]
)
def test_what_is_no_labels(labels, got):
    with pytest.raises(ValueError, match=f"labels must be a tensor of class indices, got .*{got}"):
        check_inputs([IMAGE], labels, 1)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_outputs_are_of_one_shape(batch_size):
    class Columns(nn.Module):
        def forward(self, x):
            return x[:, 0, 0, : 1 if x.shape[-1] == 8 else 3]

    images = [IMAGE, IMAGE[..., :8]]
    with pytest.raises(ValueError, match=r"output must be of one shape, got \(1,\), \(3,\)"):
        outputs_of(Columns(), images, batch_size)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(AssertionError("needs 8x8"), "needs 8x8"), (IndexError(), "IndexError")],
)
def test_a_file_that_a_network_cannot_read_is_named(tmp_path, error, reason):
    class Fixed(nn.Module):
        def forward(self, x):
            if x.shape[-1] != 8:
                raise error
            return x.mean((2, 3))

    for name, width in (("a.png", 8), ("b.png", 9)):
        Image.new("RGB", (width, 8)).save(tmp_path / name)
    files = ImageFiles([tmp_path / "a.png", tmp_path / "b.png"])
    sentence = f"the network cannot read images of 9x8 pixels, as .*b.png is: {reason}"
    with pytest.raises(ValueError, match=sentence):
        outputs_of(Fixed(), files, 2)


def test_labels_are_one_for_each_image():
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    check_inputs(images, torch.tensor([0, 1, 2]), 1)
    for count in (2, 4):
        message = rf"labels must have shape \(3,\), got \({count},\)"
        with pytest.raises(ValueError, match=message):
            check_inputs(images, torch.zeros(count, dtype=torch.int64), 1)


@pytest.mark.parametrize("label", [4, 8, -2])
def test_labels_are_of_classes_however_many_images_there_are(label):
    outputs = torch.zeros(9, 4)
    check_labels(torch.tensor([-1, 0, 3]), outputs)
    with pytest.raises(ValueError, match=f"labels must be below 4 classes, got {label}"):
        check_labels(torch.tensor([0, label]), outputs)
