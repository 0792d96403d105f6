import numpy as np
import pytest
import torch
from PIL import Image

from softjpeg.common.image_planes import picture_of
from softjpeg.common.image_search import find_images, relative_name
from softjpeg.common.image_set import from_image, load_images
from softjpeg.common.image_warning import ImageWarning


def save(path, size=(20, 16), seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def refusal(*args, **options):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_images(*args, **options)
    return str(caught.value)


def test_folder(tmp_path):
    b, a = save(tmp_path / "b.png", seed=1), save(tmp_path / "sub" / "a.PNG", seed=2)
    save(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.warns(ImageWarning, match=r"left out, hidden \(1\): .*/\.hidden\.png$"):
        images = load_images(tmp_path)
    assert images.names == ("b.png", "sub/a.PNG")
    assert images.pixels.dtype == torch.uint8
    np.testing.assert_array_equal(images.pixels.permute(0, 2, 3, 1), np.stack([b, a]))
    assert (images.labels, images.class_names, len(images)) == (None, None, 2)


def test_list_and_single_file(tmp_path):
    save(tmp_path / "x" / "1.png")
    save(tmp_path / "0.png")
    listing = tmp_path / "list.txt"
    listing.write_text("x/1.png\n\n0.png\n")
    assert load_images(listing).names == ("0.png", "x/1.png")
    assert find_images(tmp_path / "0.png") == [tmp_path / "0.png"]
    assert load_images(tmp_path / "0.png").names == ("0.png",)
    listing.write_text("0.png\nabsent.png\n")
    assert refusal(listing) == f"{listing}, line 2: absent.png does not exist"
    assert relative_name(tmp_path / "0.png", tmp_path / "x") == "0.png"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("absent", "images must be a file or a folder, but {} does not exist"),
        ("empty", "{} holds no images (.jpg .jpeg .png .webp .bmp .tif .tiff .ppm .pgm)"),
        ("data.bin", "{} is neither an image nor a text file that lists some"),
    ],
)
def test_bad_sources(tmp_path, source, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.bin").write_bytes(b"\xff\xfe\xfd")
    assert refusal(tmp_path / source) == sentence.format(tmp_path / source)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(37, 23), (23, 40), (30, 30), (21, 24)])
def test_resize_and_crop_are_torchvisions(tmp_path, size, interpolation):
    transforms = pytest.importorskip(
        "torchvision.transforms", reason="softjpeg[models] is not installed"
    )
    save(tmp_path / "a.png", size)
    images = load_images(tmp_path, size=16, resize=18, interpolation=interpolation)
    mode = transforms.InterpolationMode(interpolation)
    judge = transforms.Compose([transforms.Resize(18, mode), transforms.CenterCrop(16)])
    assert torch.equal(images.pixels[0], from_image(judge(Image.open(tmp_path / "a.png"))))


def test_sizes_must_agree(tmp_path):
    save(tmp_path / "a.png", (20, 16))
    save(tmp_path / "b.png", (20, 12))
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    assert refusal(tmp_path) == (
        f"{a} is 20x16 and {b} is 20x12: give one size to crop them to (--size)"
    )
    assert load_images(tmp_path, size=(12, 10)).pixels.shape == (2, 3, 12, 10)
    assert refusal(tmp_path, size=(14, 10)) == (
        f"{b} is 20x12, smaller than the crop 10x14: give a shorter side to resize to (--resize)"
    )


def test_bad_arguments(tmp_path):
    save(tmp_path / "a.png")
    assert refusal(tmp_path, size=0) == "size must be at least 1, got 0"
    assert refusal(tmp_path, resize=-3) == "resize must be at least 1, got -3"
    assert refusal(tmp_path, limit=0) == "limit must be at least 1, got 0"
    assert refusal(tmp_path, interpolation="box") == (
        "interpolation must be bicubic or bilinear, got 'box'"
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 no", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_broken_image_is_named(tmp_path, content):
    save(tmp_path / "a.png")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(content)
    assert refusal(tmp_path).startswith(f"{broken} cannot be read as an image: ")


def test_truncated_image_is_named(tmp_path):
    save(tmp_path / "a.png", (64, 64))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    assert refusal(tmp_path).startswith(f"{tmp_path / 'a.png'} cannot be read as an image: ")


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    pixels = save(tmp_path / "a.png", (6, 4), exif=exif)
    turned = torch.from_numpy(np.rot90(pixels, -1).copy()).permute(2, 0, 1)
    assert torch.equal(load_images(tmp_path).pixels[0], turned)


def test_folders_as_labels(tmp_path):
    for name in ("dog/1.png", "cat/2.png", "cat/deep/3.png"):
        save(tmp_path / name)
    images = load_images(tmp_path, labels="folders")
    assert images.names == ("cat/2.png", "cat/deep/3.png", "dog/1.png")
    assert images.labels is not None
    assert (images.labels.tolist(), images.labels.dtype) == ([0, 0, 1], torch.int64)
    assert images.class_names == ("cat", "dog")
    save(tmp_path / "stray.png")
    assert refusal(tmp_path, labels="folders") == (
        "stray.png is in no class folder, but labels are the folders' names"
    )


def test_csv_labels(tmp_path):
    for name in ("a.png", "s/b.png"):
        save(tmp_path / name)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label,more\ns/b.png,7,x\na.png,12,y\nelsewhere.png,1,z\n")
    images = load_images(tmp_path, labels=labels)
    assert images.labels is not None
    assert (images.labels.tolist(), images.class_names) == ([12, 7], None)
    labels.write_text("file,label\ns/b.png,cat\na.png,dog\n")
    images = load_images(tmp_path, labels=labels)
    assert images.labels is not None
    assert (images.labels.tolist(), images.class_names) == ([1, 0], ("cat", "dog"))
    labels.write_text("file,label\ns/b.png,-1\na.png,12\n")
    images = load_images(tmp_path, labels=labels)
    assert images.labels is not None
    assert (images.labels.tolist(), images.class_names) == ([12, -1], None)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name,label\n", "{} has no column 'file', only name, label"),
        (b"file,label\nb.png,1\n", "{} has no label for a.png"),
        (b"file,label\na.png,\n", "{} has no label for a.png"),
        (
            b"file,label\na.png,9999999999999999999\n",
            "{} has a label that is no class index: 9999999999999999999",
        ),
        (b"\xff\xfe\0", "labels {} cannot be read: it is not CSV text"),
        (None, "labels {} cannot be read: No such file or directory"),
    ],
)
def test_bad_labels(tmp_path, content, sentence):
    save(tmp_path / "a.png")
    labels = tmp_path / "labels.csv"
    if content is not None:
        labels.write_bytes(content)
    assert refusal(tmp_path, labels=labels) == sentence.format(labels)


def test_limit_is_a_seeded_subset(tmp_path):
    for i in range(12):
        save(tmp_path / str(i % 3) / f"{i:02}.png", seed=i)
    every = load_images(tmp_path, labels="folders")
    few = load_images(tmp_path, labels="folders", limit=4, seed=5)
    assert few.names == load_images(tmp_path, limit=4, seed=5).names
    assert few.names != load_images(tmp_path, limit=4, seed=6).names
    assert few.labels is not None
    assert every.labels is not None
    for name, pixels, label in zip(few.names, few.pixels, few.labels, strict=True):
        i = every.names.index(name)
        assert torch.equal(pixels, every.pixels[i])
        assert label == every.labels[i]
    assert few.class_names == ("0", "1", "2")
    assert load_images(tmp_path, limit=99).names == every.names


def test_image_and_tensor_are_inverse():
    pixels = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    assert torch.equal(from_image(picture_of(pixels)), pixels)
