"""`softjpeg.transforms.JPEG`, judged by torchvision's and by Pillow."""

import io
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._pytree import tree_flatten
from torch.utils.data import DataLoader, Dataset

from helpers.images import noise, photos, smooth_image, smooth_images
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

pytest.importorskip("torchvision", reason="softjpeg[models] is not installed")
from torchvision import tv_tensors
from torchvision.transforms import v2

from softjpeg.transforms import JPEG

COLOUR, GRAY = smooth_images(1, 37, 50, grain=0.1)[0], noise(1, 24, 3)[0, :1]
BATCH = photos(6).view(2, 3, 3, 32, 32)
LADDER = Ladder.load("universal")


def torchvisions(image, quality):
    """What torchvision's own transform gives; its codec says that it is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return v2.JPEG(quality)(image)


def pillows(image, **options):
    """What Pillow decodes of the file that it wrote, for one uint8 tensor."""
    pixels, buffer = image.permute(1, 2, 0).numpy(), io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.save(buffer, "jpeg", **options)
    shown = np.array(Image.open(buffer)).reshape(pixels.shape)
    return torch.from_numpy(shown).permute(2, 0, 1)


@pytest.mark.parametrize("image", [COLOUR, GRAY, noise(1, 17)[0]], ids=["colour", "gray", "noise"])
def test_torchvisions_and_pillows_pixels_at_every_quality(image):
    for quality in range(1, 101):
        shown = JPEG(quality)(image)
        assert torch.equal(shown, torchvisions(image, quality)), quality
        assert torch.equal(shown, pillows(image, quality=quality)), quality


def test_pillow_images_at_every_quality():
    picture = smooth_image(33, 47)
    for quality in range(1, 101):
        shown = JPEG(quality)(picture)
        assert type(shown) is Image.Image
        assert shown.tobytes() == torchvisions(picture, quality).tobytes(), quality


def test_the_same_draws_as_torchvision():
    for seed in range(20):
        torch.manual_seed(seed)
        ours, after = JPEG((5, 95))(BATCH), torch.rand(())
        torch.manual_seed(seed)
        assert torch.equal(ours, torchvisions(BATCH, (5, 95)))
        assert torch.rand(()) == after
    torch.manual_seed(0)
    drawn = {JPEG((7, 9)).make_params([])["quality"] for _ in range(50)}
    assert drawn == {7, 8, 9}


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_presets_and_subsampling(subsampling):
    tables = Preset(np.full((8, 8), 21), np.full((8, 8), 34), subsampling=subsampling)
    shown = pillows(COLOUR, qtables=tables.export("pillow"), subsampling=subsampling)
    assert torch.equal(JPEG(tables)(COLOUR), shown)
    other = pillows(COLOUR, quality=40, subsampling=subsampling)
    assert torch.equal(JPEG(40, subsampling=subsampling)(COLOUR), other)


def test_ladders():
    preset = LADDER.at(30)
    assert LADDER.size_exponent == 1
    shown = pillows(COLOUR, qtables=preset.export("pillow"), subsampling=preset.subsampling)
    assert torch.equal(JPEG(30, ladder=LADDER)(COLOUR), shown)
    assert JPEG(LADDER).quality == (1, 100)
    torch.manual_seed(3)
    quality = torch.randint(1, 101, ()).item()
    torch.manual_seed(3)
    assert torch.equal(JPEG(LADDER)(COLOUR), JPEG(quality, ladder=LADDER)(COLOUR))


@pytest.mark.parametrize("differentiable", [False, True])
def test_a_quality_for_each_sample(differentiable):
    transform = JPEG((1, 100), per_sample=True, differentiable=differentiable)
    images = BATCH if not differentiable else BATCH / 255
    torch.manual_seed(5)
    shown = transform(images)
    torch.manual_seed(5)
    qualities = torch.randint(1, 101, (6,)).tolist()
    assert len({*qualities}) > 3
    for i, quality in enumerate(qualities):
        alone = JPEG(quality, differentiable=differentiable)(images.flatten(0, 1)[i])
        assert torch.equal(shown.flatten(0, 1)[i], alone)


def test_a_pillow_image_alone_has_a_draw_of_its_own():
    picture = smooth_image(40, 40)
    torch.manual_seed(3)
    shown = [JPEG((1, 100), per_sample=True)(picture).tobytes() for _ in range(6)]
    assert len(set(shown)) == 6


def test_the_frames_of_a_video_share_a_quality():
    videos = tv_tensors.Video(BATCH)
    torch.manual_seed(5)
    shown = JPEG((1, 100), per_sample=True)(videos)
    torch.manual_seed(5)
    qualities = torch.randint(1, 101, (2,)).tolist()
    for video, frames, quality in zip(videos, shown, qualities, strict=True):
        assert torch.equal(frames, JPEG(quality)(torch.Tensor(video).to(torch.uint8)))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16])
def test_floats_are_rounded_to_8_bits_first(kind):
    shown = JPEG(30)((COLOUR / 255).to(kind))
    assert shown.dtype == kind
    exact = pillows(COLOUR, quality=30).to(kind) / 255
    assert torch.equal(shown, exact)


@pytest.mark.parametrize(("quantizer", "levels"), [("soft", 2), ("hard", 0.5)])
def test_the_layer_shows_nearly_the_file_and_has_a_gradient(quantizer, levels):
    exact = JPEG(30)(COLOUR).float()
    assert (COLOUR - exact).abs().mean() > 20
    transform = JPEG(30, differentiable=True, quantizer=quantizer)
    image = (COLOUR / 255).requires_grad_()
    shown = transform(image)
    assert (255 * shown - exact).abs().mean() < levels
    shown.square().sum().backward()
    assert image.grad.abs().mean() > 1e-3
    bytes_shown = transform(COLOUR)
    assert bytes_shown.dtype == torch.uint8
    assert torch.equal(bytes_shown, (shown * 255).round().to(torch.uint8))


CONTAINERS = {
    "tensor": COLOUR,
    "gray": GRAY,
    "image": tv_tensors.Image(COLOUR),
    "batch": tv_tensors.Image(BATCH),
    "video": tv_tensors.Video(BATCH),
    "none": torch.zeros(0, 3, 8, 8, dtype=torch.uint8),
    "pillow": smooth_image(),
}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("options", [{}, {"per_sample": True}, {"differentiable": True}])
def test_type_shape_and_device_are_kept_and_the_input_too(name, options):
    given = CONTAINERS[name]
    before = given.copy() if name == "pillow" else given.clone()
    shown = pickle.loads(pickle.dumps(JPEG((10, 20), **options)))(given)
    assert type(shown) is type(given)
    assert shown is not given
    if name == "pillow":
        assert (given.tobytes(), shown.size, shown.mode) == (before.tobytes(), given.size, "RGB")
    else:
        assert torch.equal(given, before)
        assert (shown.shape, shown.dtype, shown.device) == (given.shape, given.dtype, given.device)


@pytest.mark.parametrize("container", [dict, list, tuple])
@pytest.mark.parametrize("name", ["tensor", "image", "video", "pillow"])
def test_what_is_no_image_is_passed_through(container, name):
    boxes = tv_tensors.BoundingBoxes([[0, 0, 5, 5]], format="XYXY", canvas_size=(37, 50))
    rest = {
        "boxes": boxes,
        "mask": tv_tensors.Mask(torch.ones(1, 37, 50, dtype=torch.uint8)),
        "label": 3,
        "text": "words",
        "nothing": None,
        "array": np.zeros(3),
        "numbers": torch.zeros(5),
    }
    sample = {"image": CONTAINERS[name], **rest}
    given = sample if container is dict else container(sample.values())
    shown = JPEG(10)(given)
    assert type(shown) is container
    values = [*shown.values()] if container is dict else [*shown]
    assert type(values[0]) is type(CONTAINERS[name])
    assert all(a is b for a, b in zip(values[1:], rest.values(), strict=True))


BOTH = pytest.mark.parametrize("kind", [v2.JPEG, JPEG], ids=["torchvision", "softjpeg"])


@BOTH
@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
@pytest.mark.parametrize("quality", [5, (10, 20)])
@pytest.mark.parametrize("name", ["tensor", "gray", "image", "video", "pillow"])
def test_torchvisions_contract_of_a_transform(kind, quality, name):
    image = CONTAINERS[name]
    size = v2.functional.get_size(image)
    degenerate = {
        form: tv_tensors.BoundingBoxes(
            [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, -1, 1]], format=form, canvas_size=size
        )
        for form in ("XYXY", "XYWH", "CXCYWH")
    }
    sample = {
        "given": image,
        "image": tv_tensors.Image(COLOUR),
        "deeper": ({"video": tv_tensors.Video(BATCH)}, [smooth_image(), torch.empty(5)]),
        **degenerate,
        "boxes": tv_tensors.BoundingBoxes([[1, 1, 9, 9]], format="XYXY", canvas_size=size),
        "masks": tv_tensors.Mask(torch.ones(2, *size)),
        "others": [0, 0.0, True, None, "str", Path.cwd(), object(), np.empty(5)],
    }
    transform = pickle.loads(pickle.dumps(kind(quality)))
    given, form = tree_flatten(sample)
    shown, same_form = tree_flatten(transform(sample))
    assert form == same_form
    concerned = v2.Transform()._needs_transform_list(given)
    is_pixels = (tv_tensors.Image, tv_tensors.Video, Image.Image)
    for before, after, mine in zip(given, shown, concerned, strict=True):
        pixels = isinstance(before, is_pixels)
        assert type(after) is type(before)
        assert (after is before) == (not pixels), type(before)
        assert mine or after is before
    for boxes in degenerate:
        labelled = {"boxes": transform(sample)[boxes], "labels": torch.arange(3)}
        assert v2.SanitizeBoundingBoxes()(labelled)["boxes"].shape == (0, 4)


@BOTH
def test_torchvisions_contract_of_a_quality(kind):
    for seed in range(10):
        torch.manual_seed(seed)
        assert kind(5).make_params([])["quality"] == 5
        assert 10 <= kind((10, 20)).make_params([])["quality"] <= 20
    for quality in ([0], [0, 0, 0]):
        with pytest.raises(ValueError, match="quality should be a sequence of length 2"):
            kind(quality)
    for quality in (-1, 0, 150, (0, 5), (9, 8), (9, 101)):
        with pytest.raises(ValueError, match="quality must be an integer from 1 to 100"):
            kind(quality)
    for quality in (True, 5.0, None):
        with pytest.raises(TypeError, match="quality"):
            kind(quality)


def test_all_images_of_a_call_share_the_draw():
    picture = tv_tensors.Image(COLOUR)
    for _ in range(5):
        first, (second,) = JPEG((1, 100))(picture, [tv_tensors.Image(COLOUR)])
        assert torch.equal(first, second)


def test_inside_compose():
    chain = v2.Compose([v2.RandomCrop(24), JPEG(20), v2.ToDtype(torch.float32, scale=True)])
    shown = chain(tv_tensors.Image(COLOUR))
    assert (shown.dtype, shown.shape) == (torch.float32, (3, 24, 24))


class Images(Dataset):
    """Transformed where a worker asks for them."""

    transform = JPEG((1, 100))

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return self.transform(COLOUR)


@pytest.mark.parametrize(("method", "workers"), [("fork", 2), ("spawn", 1)])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_workers_draw_from_their_own_generator(method, workers):
    data = Images()
    data.transform = JPEG((1, 100))
    options = {"batch_size": 2, "num_workers": workers, "multiprocessing_context": method}
    runs = []
    for seed in (0, 0, 1):
        loader = DataLoader(data, generator=torch.Generator().manual_seed(seed), **options)
        runs.append(torch.cat([*loader]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("quality", [40, Preset.from_quality(40)], ids=["quality", "preset"])
def test_compiles_without_a_graph_break(quality):
    transform, images = JPEG(quality, differentiable=True), BATCH / 255
    compiled = torch.compile(transform, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(images), transform(images))


SHRINKING = Ladder.load("universal-288")


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (((True,), {}), TypeError, "quality can't be bool"),
        ((((1, True),), {}), ValueError, r"got \(1, True\)"),
        (((0,), {}), ValueError, "quality must be an integer from 1 to 100.* got 0"),
        (((101,), {}), ValueError, "got 101"),
        ((((60, 40),), {}), ValueError, r"got \(60, 40\)"),
        ((((1, 2, 3),), {}), ValueError, r"sequence of length 2, got \(1, 2, 3\)"),
        (((50.0,), {}), TypeError, "quality must be an integer, a pair .* got 50.0"),
        ((("75",), {}), TypeError, "got '75'"),
        (((50,), {"subsampling": "4:1:1"}), ValueError, "4:1:1"),
        (((50,), {"quantizer": "lsq"}), ValueError, "quantizer must be soft or hard, got 'lsq'"),
        (((SHRINKING,), {}), ValueError, r"ladder.rungs\[0\].short_side must be None"),
        (((SHRINKING.at(50),), {}), ValueError, "quality.short_side must be None .* got 288"),
        (((LADDER,), {"ladder": LADDER}), ValueError, "ladder must be None .* Ladder"),
    ],
)
def test_bad_arguments(arguments, kind, words):
    with pytest.raises(kind, match=words):
        JPEG(*arguments[0], **arguments[1])


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(4, 8, 8, dtype=torch.uint8), r"shape \(..., 3 or 1, H, W\), got \(4, 8, 8\)"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "uint8 or float"),
        (torch.full((3, 8, 8), 2.0), "values from 2.0 to 2.0"),
    ],
)
def test_bad_images(image, words):
    with pytest.raises(ValueError, match=words):
        JPEG(50)(image)
