"""Batches, augmentation and mixing."""

import io
import multiprocessing
import os
import random

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")

from torchvision import transforms as v1

from softjpeg.training.data.loader import batch_count, batches
from softjpeg.training.data.mix import mix
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.split import ArraySplit
from softjpeg.training.data.transforms import test_transform, train_transform


def noise(size=(12, 12), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def photo(size=(64, 48)):
    """Smooth, with an edge: something JPEG changes, and changes more at a lower quality."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    planes = [x * 3 + y, 200 * (x > y), 128 + 100 * np.sin(x * y / 90)]
    return Image.fromarray(np.stack(planes, -1).clip(0, 255).astype(np.uint8))


def array_split(count, size=8):
    """Image i has label i."""
    pixels = np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return ArraySplit(tuple(map(str, range(count))), "random", pixels, tuple(range(count)))


AUGMENT = train_transform(8, randaugment=(2, 9), jpeg_quality=(20, 90))


def epoch_of(split, transform=AUGMENT, *, batch_size=4, epoch=3, seed=7, **options):
    return list(batches(split, transform, batch_size=batch_size, epoch=epoch, seed=seed, **options))


def assert_same(some, others):
    assert len(some) == len(others)
    for a, b in zip(some, others, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)
        assert a.skipped == b.skipped


def labels_of(some):
    return torch.cat([batch.labels for batch in some]).tolist()


def test_an_epoch_is_a_permutation_without_its_last_incomplete_batch():
    split = array_split(22)
    epoch = epoch_of(split)
    assert [tuple(b.images.shape) for b in epoch] == [(4, 3, 8, 8)] * 5
    assert (epoch[0].images.dtype, epoch[0].labels.dtype) == (torch.float32, torch.int64)
    assert 0 <= min(b.images.min() for b in epoch) <= max(b.images.max() for b in epoch) <= 1
    labels = labels_of(epoch)
    assert len(set(labels)) == 20
    assert labels != sorted(labels)
    assert labels != labels_of(epoch_of(split, epoch=4)) != labels_of(epoch_of(split, seed=8))
    assert len(epoch) == batch_count(split, 4, 1, train=True)
    assert_same(epoch, epoch_of(split))


def test_each_image_has_another_augmentation_in_each_epoch():
    split = array_split(4, size=16)
    transform = train_transform(16)
    seen = [
        {
            label: image
            for b in epoch_of(split, transform, epoch=e)
            for image, label in zip(b.images, b.labels, strict=True)
        }
        for e in range(2)
    ]
    seen = [{int(label): image for label, image in s.items()} for s in seen]
    assert sum(torch.equal(seen[0][i], seen[1][i]) for i in range(4)) < 3


def test_testing_gives_every_image_in_its_order():
    split = array_split(10)
    plain = test_transform(8, resize=None, interpolation="bilinear")
    epoch = epoch_of(split, plain, train=False)
    assert [len(b.labels) for b in epoch] == [4, 4, 2]
    assert labels_of(epoch) == list(range(10))
    pixels = torch.from_numpy(split.pixels).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(torch.cat([b.images for b in epoch]), pixels)


@pytest.mark.parametrize("train", [True, False])
def test_workers_change_nothing(train):
    split = array_split(22)
    alone = epoch_of(split, train=train)
    assert_same(alone, epoch_of(split, train=train, workers=1))
    assert_same(alone, epoch_of(split, train=train, workers=2))


@pytest.mark.parametrize("workers", [0, 2])
def test_starting_at_a_batch_gives_the_tail_and_reads_nothing_before_it(workers):
    split = array_split(22)
    tail = epoch_of(split)[3:]
    assert_same(tail, epoch_of(split, start=3, workers=workers))
    assert epoch_of(split, start=5, workers=workers) == []

    class Counting(ArraySplit):
        def read(self, i):
            read.append(i)
            return super().read(i)

    read = []
    counting = Counting(split.classes, split.title, split.pixels, split.labels)
    assert read == [] == list(epoch_of(counting, start=5))
    assert read == labels_of(epoch_of(counting, start=3)) != []


@pytest.mark.parametrize("train", [True, False])
def test_ranks_together_have_the_batch_of_one_process(train):
    split = array_split(13)
    alone = epoch_of(split, batch_size=4, train=train)
    ranks = [
        epoch_of(split, batch_size=2, world=2, rank=r, train=train, workers=r) for r in range(2)
    ]
    assert [len(r) for r in ranks] == [len(alone)] * 2 == [batch_count(split, 2, 2, train)] * 2
    for whole, even, odd in zip(alone, *ranks, strict=True):
        assert torch.equal(whole.labels[0::2], even.labels)
        assert torch.equal(whole.labels[1::2], odd.labels)
        assert torch.equal(whole.images[0::2], even.images)
        assert odd.images.numel() == 0 or torch.equal(whole.images[1::2], odd.images)
    if not train:  # 13 = 3·4 + 1
        assert tuple(ranks[1][-1].images.shape) == (0, 3, 0, 0)


def three_draws(image):
    draws = [torch.rand(()).item(), float(np.random.rand()), random.random()]
    return torch.tensor(draws).view(3, 1, 1)


def test_every_generator_is_seeded_for_the_image_and_then_left_as_it_was():
    split = array_split(8)
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    draws = [epoch_of(split, three_draws, workers=workers) for workers in (0, 2)]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())
    assert_same(*draws)
    numbers = torch.cat([b.images for b in draws[0]])[..., 0, 0]
    assert len(numbers.unique()) == 24
    torch.rand(9), np.random.rand(9), random.random()
    assert_same(draws[0], epoch_of(split, three_draws))


def write_folder(root):
    for name in ("a", "b"):
        (root / "train" / name).mkdir(parents=True)
        for i in range(4):
            noise(seed=i).save(root / "train" / name / f"{i}.png")
    return root / "train"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_named_or_skipped_and_listed(tmp_path, workers):
    folder = write_folder(tmp_path)
    broken = folder / "b/1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    split = open_split("folder", tmp_path, train=True)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        epoch_of(split, workers=workers)
    sentence = str(caught.value)
    assert sentence.startswith(f"{broken} cannot be read as an image: ")
    assert "\n" not in sentence
    epoch = epoch_of(split, workers=workers, skip_bad=True)
    assert sorted(len(b.labels) for b in epoch) == [3, 4]
    assert [b.skipped for b in epoch if len(b.labels) == 3] == [(sentence,)]
    assert [b.skipped for b in epoch if len(b.labels) == 4] == [()]
    assert sum(labels_of(epoch)) == 3
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    epoch = epoch_of(split, workers=workers, skip_bad=True)
    assert [tuple(b.images.shape) for b in epoch] == [(0, 3, 0, 0)] * 2
    assert [len(b.skipped) for b in epoch] == [4, 4]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_of_the_wrong_size_is_named_even_when_bad_ones_are_skipped(tmp_path, workers):
    folder = write_folder(tmp_path)
    split = open_split("folder", tmp_path, train=True)
    noise((16, 11)).save(folder / "a/2.png")
    for transform in (
        train_transform(12),
        train_transform(12, crop="center"),
        test_transform(12, resize=None, interpolation="bicubic"),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            epoch_of(split, transform, workers=workers, skip_bad=True)
        assert str(caught.value) == (
            f"{folder}/a/2.png: the image is 16x11, smaller than the crop 12x12: "
            "give a shorter side to resize to"
        )
    assert len(epoch_of(split, train_transform(12, crop="resized"), workers=workers)) == 2
    assert len(epoch_of(split, train_transform(12, resize=12), workers=workers)) == 2


def process_group(image):
    return torch.full((3, 1, 1), os.getpgrp(), dtype=torch.float64)


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="needs process groups")
def test_signals_to_the_process_group_do_not_reach_workers():
    groups = {b.images[0, 0].item() for b in epoch_of(array_split(8), process_group, workers=2)}
    assert len(groups) == 2
    assert os.getpgrp() not in groups


def refuse(image):
    raise ValueError("no")


@pytest.mark.parametrize("how", ["error", "close"])
def test_no_worker_survives_its_epoch(how):
    transform = refuse if how == "error" else AUGMENT
    epoch = batches(array_split(8), transform, batch_size=2, epoch=0, seed=0, workers=2)
    if how == "error":
        with pytest.raises(ValueError, match=r"^random, image \d: no$") as caught:
            next(epoch)
        assert caught.traceback  # it holds the frames
    else:
        next(epoch)
        epoch.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epoch": -1}, "epoch must be at least 0, got -1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"workers": -1}, "workers must be at least 0, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"world": 0}, "rank must be 0..world-1 = -1, got 0"),
        ({"world": 2, "rank": 2}, "rank must be 0..world-1 = 1, got 2"),
        ({"start": 3}, "start must be 0..2, the epoch's batches, got 3"),
        ({"batch_size": 10}, "batch_size must be at most what 9 training images allow, got 10"),
        (
            {"batch_size": 5, "world": 2},
            "batch_size must be at most what 9 training images allow, got 5 in each of 2 processes",
        ),
    ],
)
def test_bad_arguments_of_batches(options, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        epoch_of(array_split(9), **options)
    assert str(caught.value) == sentence


def levels(tensor):
    return (tensor * 255).round().to(torch.uint8)


def as_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_pad_takes_a_window_of_the_padded_image():
    padded = torch.nn.functional.pad(as_tensor(noise((16, 16))), (2, 2, 2, 2))
    windows = {(y, x): padded[:, y : y + 16, x : x + 16] for y in range(5) for x in range(5)}
    torch.manual_seed(0)
    seen = set()
    for _ in range(60):
        crop = levels(train_transform(16)(noise((16, 16))))
        seen |= {
            (*place, flipped)
            for place, window in windows.items()
            for flipped in (False, True)
            if torch.equal(window.flip(2) if flipped else window, crop)
        }
    assert 30 < len(seen) <= 50
    assert {flipped for _, _, flipped in seen} == {False, True}
    still = train_transform(16, crop="center", flip=False)(noise((16, 16)))
    assert torch.equal(levels(still), as_tensor(noise((16, 16))))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resize_and_centre_crop(interpolation):
    mode = v1.InterpolationMode(interpolation)
    judge = v1.Compose([v1.Resize(30, mode), v1.CenterCrop(24), v1.ToTensor()])(photo())
    for transform in (
        test_transform(24, resize=30, interpolation=interpolation),
        train_transform(24, crop="center", resize=30, interpolation=interpolation, flip=False),
    ):
        torch.testing.assert_close(transform(photo()), judge)


def test_resized_crops_differ_and_fill_the_size():
    torch.manual_seed(0)
    crops = [train_transform(24, crop="resized")(photo()) for _ in range(4)]
    assert [tuple(c.shape) for c in crops] == [(3, 24, 24)] * 4
    assert len({c.sum().item() for c in crops}) == 4
    assert min(c.max() for c in crops) > 0.3  # not padding


def test_jpeg_augmentation_is_the_real_codec():
    image = photo((32, 32))

    def pillow(quality):
        file = io.BytesIO()
        image.save(file, "jpeg", quality=quality)
        return as_tensor(Image.open(file)).float() / 255

    def augmented(low, high):
        return train_transform(32, crop="center", flip=False, jpeg_quality=(low, high))(image)

    for quality in (10, 50, 90):
        torch.testing.assert_close(
            augmented(quality, quality), pillow(quality), atol=2 / 255, rtol=0
        )
    assert (pillow(10) - pillow(50)).abs().max() > 10 / 255
    torch.manual_seed(0)
    nearest = [
        min(range(40, 71, 10), key=lambda q: (crop - pillow(q)).abs().mean())
        for crop in (augmented(40, 70) for _ in range(30))
    ]
    assert set(nearest) == {40, 50, 60, 70}


def test_randaugment_changes_pixels():
    torch.manual_seed(0)
    plain = train_transform(32, crop="center", flip=False)(photo((32, 32)))
    strong = train_transform(32, crop="center", flip=False, randaugment=(2, 15))
    changes = [(strong(photo((32, 32))) - plain).abs().mean().item() for _ in range(8)]
    assert sum(change > 0.01 for change in changes) >= 5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"crop": "five"}, "crop must be one of pad, resized, center, got 'five'"),
        ({"interpolation": "box"}, "interpolation must be bicubic or bilinear, got 'box'"),
        ({"resize": 31}, "resize must be at least the crop's size 32, got 31"),
        (
            {"randaugment": (2, 31)},
            "randaugment must be (operations >= 1, magnitude 0..30), got (2, 31)",
        ),
        (
            {"jpeg_quality": (0, 50)},
            "jpeg_quality must be (lowest, highest) in 1..100, got (0, 50)",
        ),
    ],
)
def test_bad_arguments_of_transforms(options, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train_transform(32, **options)
    assert str(caught.value) == sentence
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        test_transform(0, resize=None, interpolation="bicubic")


def test_no_mixing_is_one_hot():
    images, labels = torch.rand(3, 3, 4, 4), torch.tensor([2, 0, 1])
    same, targets = mix(images, labels, 4)
    assert torch.equal(same, images)
    assert targets.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert targets.dtype == torch.float32
    with pytest.raises(ValueError, match=r"cutmix must be at least 0, got -1"):
        mix(images, labels, 4, cutmix=-1)


def partners(images, targets):
    """The weight and the partner that the targets of distinct labels say."""
    own = targets.diagonal()
    other = (targets - torch.diag(own)).argmax(1)
    torch.testing.assert_close(targets.sum(1), torch.ones(len(own)))
    return own.view(-1, 1, 1, 1), images[other]


def test_mixup_mixes_pixels_as_it_mixes_labels():
    torch.manual_seed(0)
    images = torch.rand(5, 3, 6, 6)
    shares = set()
    for _ in range(5):
        mixed, targets = mix(images, torch.arange(5), 5, mixup=1.0)
        share, other = partners(images, targets)
        torch.testing.assert_close(mixed, share * images + (1 - share) * other)
        shares.add(share[0].item())
    assert len(shares) == 5
    torch.manual_seed(1)
    again = [mix(images, torch.arange(5), 5, mixup=1.0)[1] for _ in range(2)]
    torch.manual_seed(1)
    assert torch.equal(mix(images, torch.arange(5), 5, mixup=1.0)[1], again[0])
    assert not torch.equal(*again)


def test_cutmix_pastes_as_much_as_the_labels_say():
    torch.manual_seed(0)
    images = torch.rand(5, 3, 16, 16)
    for _ in range(5):
        mixed, targets = mix(images, torch.arange(5), 5, cutmix=1.0)
        share, other = partners(images, targets)
        kept = mixed == images
        assert (kept | (mixed == other)).all()
        torch.testing.assert_close(kept.float().mean((1, 2, 3)), share.flatten())


def test_mixup_and_cutmix_take_turns():
    torch.manual_seed(0)
    images = torch.rand(4, 3, 16, 16)
    pasted = 0
    for _ in range(40):
        mixed, targets = mix(images, torch.arange(4), 4, mixup=1.0, cutmix=1.0)
        _, other = partners(images, targets)
        pasted += bool(((mixed == images) | (mixed == other)).all())
    assert 8 < pasted < 32


def test_the_share_follows_the_beta_distribution_of_its_parameter():
    """Beta(a, a) has the variance 1/(4(2a + 1)); CutMix crops its rectangle at the border."""
    torch.manual_seed(0)
    images, labels = torch.rand(2, 3, 16, 16), torch.arange(2)

    def shares(**options):
        return torch.tensor(
            [mix(images, labels, 2, **options)[1].diagonal()[0].item() for _ in range(150)]
        )

    for a in (0.2, 8.0):
        variance = 1 / (4 * (2 * a + 1))
        assert shares(mixup=a).var().item() == pytest.approx(variance, rel=0.3)
    # With a large a the rectangle is near half of the image, with a small one all of it or nothing.
    assert shares(cutmix=50.0).max() < 0.95
    nothing = (shares(cutmix=0.02) > 0.99).double().mean().item()
    assert nothing == pytest.approx(0.5, abs=0.12)
    assert (shares(cutmix=1.0) > 0.99).double().mean() < 0.2
