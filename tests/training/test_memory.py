"""Images in memory: the same as files, and every crop one of those that torchvision makes."""

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")

from torchvision.transforms import v2

from helpers.tiny_training import tiny_recipe, train_variant, write_images
from softjpeg.training.data.loader import batches
from softjpeg.training.data.memory import in_memory
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.split import ArraySplit
from softjpeg.training.data.transforms import CropAndFlip, test_transform, train_transform
from softjpeg.training.log import read_log

SIZE, PAD = 8, 1


def array_split(count, height=8, width=8):
    """Image i has label i."""
    pixels = np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return ArraySplit(tuple(map(str, range(count))), "random", pixels, tuple(range(count)))


def epoch_of(split, transform, *, batch_size=6, epoch=3, seed=7, **options):
    return list(batches(split, transform, batch_size=batch_size, epoch=epoch, seed=seed, **options))


def by_label(epoch):
    return {
        int(label): image
        for batch in epoch
        for image, label in zip(batch.images, batch.labels, strict=True)
    }


def all_crops(image, height, width):
    """Whatever crop and mirror torchvision may make of a PIL image, by (top, left, mirrored)."""
    padded = v2.functional.pad(image, PAD)
    found = {}
    for top in range(height + 2 * PAD - SIZE + 1):
        for left in range(width + 2 * PAD - SIZE + 1):
            crop = v2.functional.crop(padded, top, left, SIZE, SIZE)
            for mirrored in (False, True):
                shown = v2.functional.horizontal_flip(crop) if mirrored else crop
                found[top, left, mirrored] = v2.functional.to_dtype(
                    v2.functional.to_image(shown), torch.float32, scale=True
                )
    return found


class TestCrops:
    def test_are_those_of_torchvision_each_as_often(self):
        """Non-square images tell rows from columns."""
        split = array_split(60, height=9, width=8)
        counts = {}
        for epoch in range(12):
            drawn = by_label(epoch_of(split, train_transform(SIZE), epoch=epoch))
            assert len(drawn) == 60
            for i, image in drawn.items():
                crops = all_crops(split.read(i), 9, 8)
                (place,) = [at for at, crop in crops.items() if torch.equal(crop, image)]
                counts[place] = counts.get(place, 0) + 1
        # 4 rows, 3 columns, 2 mirrors: 720 draws, 30 each on average.
        assert len(counts) == 24
        assert 10 < min(counts.values()) < 30 < max(counts.values()) < 55
        # Half are mirrored, within four standard deviations.
        assert abs(sum(n for (*_, mirrored), n in counts.items() if mirrored) - 360) < 54

    def test_of_an_image_are_others_in_each_epoch_and_of_each_seed(self):
        split = array_split(12)
        transform = train_transform(SIZE)
        epochs = [
            by_label(epoch_of(split, transform, epoch=epoch, seed=seed))
            for epoch, seed in ((0, 0), (1, 0), (0, 1), (0, 0))
        ]
        for other in epochs[1:3]:
            assert sum(torch.equal(epochs[0][i], other[i]) for i in range(12)) < 6
        assert all(torch.equal(epochs[0][i], epochs[3][i]) for i in range(12))

    def test_do_not_depend_on_batches_ranks_or_where_an_epoch_begins(self):
        split = array_split(24)
        transform = train_transform(SIZE)
        whole = by_label(epoch_of(split, transform))
        for options in ({"batch_size": 4}, {"batch_size": 3, "rank": 1, "world": 2}, {"start": 2}):
            part = by_label(epoch_of(split, transform, **options))
            assert 0 < len(part) <= 24
            assert all(torch.equal(image, whole[i]) for i, image in part.items())

    def test_without_mirror_and_without_padding(self):
        split = array_split(12, height=8, width=8)
        drawn = by_label(epoch_of(split, train_transform(SIZE, crop="center", flip=False)))
        for i, image in drawn.items():
            expected = torch.from_numpy(split.pixels[i]).permute(2, 0, 1)
            assert torch.equal((255 * image).round().byte(), expected)

    @pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 10), (11, 13)])
    def test_of_tests_are_the_centre_that_torchvision_takes(self, height, width):
        split = array_split(5, height, width)
        transform = test_transform(SIZE, resize=None, interpolation="bilinear")
        drawn = epoch_of(split, transform, train=False, batch_size=3)
        assert [len(batch.labels) for batch in drawn] == [3, 2]
        for i, image in by_label(drawn).items():
            crop = v2.functional.center_crop(split.read(i), [SIZE, SIZE])
            expected = v2.functional.to_image(crop)
            assert torch.equal(image, v2.functional.to_dtype(expected, torch.float32, scale=True))

    def test_larger_than_the_images_are_refused(self):
        with pytest.raises(ValueError, match="random, image 0: the image is 7x6, smaller than"):
            epoch_of(array_split(6, height=6, width=7), train_transform(SIZE))


def test_other_augmentation_goes_image_by_image():
    assert isinstance(train_transform(8), CropAndFlip)
    for options in ({"crop": "resized"}, {"resize": 9}, {"randaugment": (1, 1)}):
        assert not isinstance(train_transform(8, **options), CropAndFlip)
    assert not isinstance(train_transform(8, jpeg_quality=(5, 9)), CropAndFlip)
    assert not isinstance(test_transform(8, resize=9, interpolation="bilinear"), CropAndFlip)


class TestInMemory:
    @pytest.fixture
    def root(self, tmp_path):
        write_images(tmp_path)
        return tmp_path

    def test_holds_what_the_files_show(self, root):
        files = open_split("folder", root, True)
        kept = in_memory(files)
        assert isinstance(kept, ArraySplit)
        assert kept.classes == files.classes
        for i in range(len(files)):
            with Image.open(files.name(i)) as image:
                np.testing.assert_array_equal(kept.pixels[i], np.array(image))
            assert (kept.label(i), kept.name(i)) == (files.label(i), files.name(i))

    def test_needs_one_size_good_images_and_room(self, root):
        files = open_split("folder", root, True)
        assert in_memory(files, limit=24 * 16 * 16 * 3 - 1) is files
        path = files.name(len(files) - 1)
        Image.new("RGB", (16, 17)).save(path)
        assert in_memory(files) is files
        with open(path, "wb") as broken:
            broken.write(b"no image")
        assert in_memory(files) is files

    def test_a_recipe_may_leave_files_where_they_are(self, root):
        """The same losses either way, where nothing is drawn."""
        changes = {"data__crop": "center", "data__flip": False, "train__epochs": 1}
        losses = []
        for kept in (True, False):
            out = root / f"runs-{kept}"
            tree = tiny_recipe(root, "plain", data__in_memory=kept, **changes)
            train_variant(tree, out)
            log = read_log(out / "jpeg-dl" / "seed-0" / "log.jsonl")
            losses.append([r["loss"] for r in log if r["event"] in ("step", "test")])
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)
        assert len(set(losses[0])) > 3
