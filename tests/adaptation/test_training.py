import copy
import weakref
from collections.abc import Sequence
from functools import partial
from itertools import chain, combinations

import pytest
import torch
from torch import nn

from helpers.images import photos
from helpers.networks import TextureReader
from softjpeg.adaptation import training
from softjpeg.adaptation.features import Features
from softjpeg.adaptation.stored_files import StoredFiles
from softjpeg.adaptation.task import Task
from softjpeg.adaptation.training import batches, trained_weights
from softjpeg.presets.preset import Preset

RUN = {"epochs": 4, "learning_rate": 0.02}


def task(images=None, norm=None, **changed):
    images = photos(24, 24) if images is None else images
    settings = {"loss": None, "labels": None, "clean_weight": 0.2, "batch_size": 4, "seed": 0}
    reader = TextureReader(nn.BatchNorm2d(8) if norm is None else norm)
    return Task(reader, images, StoredFiles(qualities=(10, 60)), **{**settings, **changed})


def same(first, second):
    return all(torch.equal(a[n], b[n]) for a, b in zip(first, second, strict=True) for n in a)


def test_every_training_image_once_an_epoch_and_no_other():
    mine = task(batch_size=7)
    assert mine.judging == [3, 7, 11, 15, 19, 23]
    steps = list(batches(mine, 2))
    assert [len(step) for step in steps] == [7, 7, 4] * 2
    epochs = [[*chain(*steps[:3])], [*chain(*steps[3:])]]
    assert [sorted(epoch) for epoch in epochs] == [mine.training] * 2
    assert epochs[0] != epochs[1]
    assert sorted(mine.training + mine.judging) == list(range(24))


def test_only_what_is_trained_changes_and_not_in_the_network_itself():
    mine = task()
    before = copy.deepcopy(mine.network.state_dict())
    base, adapted = trained_weights(mine, "norm", **RUN)
    assert [*base] == [*adapted] == ["norm.weight", "norm.bias"]
    for name, weight in base.items():
        assert torch.equal(weight, before[name])
        assert not torch.equal(weight, adapted[name])
    after = mine.network.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_seeds():
    assert same(trained_weights(task(), "norm", **RUN), trained_weights(task(), "norm", **RUN))
    assert not same(
        trained_weights(task(), "norm", **RUN), trained_weights(task(seed=1), "norm", **RUN)
    )


class KilledError(Exception):
    pass


def killed_after(steps, real, *arguments):
    if arguments[2] == steps:
        raise KilledError
    return real(*arguments)


@pytest.mark.parametrize("train", ["norm", "all", "front"])
def test_a_killed_run_goes_on_exactly(train, tmp_path, monkeypatch):
    whole = trained_weights(task(), train, **RUN)
    file, real = tmp_path / "run.safetensors", training._step_loss
    for steps in (12, 17):
        monkeypatch.setattr(training, "_step_loss", partial(killed_after, steps, real))
        with pytest.raises(KilledError):
            trained_weights(task(), train, checkpoint=file, **RUN)
        assert file.exists()
    counted = []
    monkeypatch.setattr(
        training, "_step_loss", lambda *given: counted.append(given[2]) or real(*given)
    )
    assert same(trained_weights(task(), train, checkpoint=file, **RUN), whole)
    assert counted == list(range(10, 20))
    # A finished one has nothing left to do.
    counted.clear()
    assert same(trained_weights(task(), train, checkpoint=file, **RUN), whole)
    assert counted == []


def test_a_checkpoint_is_of_one_run(tmp_path):
    file = tmp_path / "run.safetensors"
    trained_weights(task(), "norm", epochs=1, learning_rate=0.1, checkpoint=file)
    for other, epochs in ((task(seed=1), 1), (task(), 2), (task(photos(24, 24, seed=5)), 1)):
        with pytest.raises(ValueError, match="checkpoint of another run"):
            trained_weights(other, "norm", epochs=epochs, learning_rate=0.1, checkpoint=file)
    file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read"):
        trained_weights(task(), "norm", epochs=1, learning_rate=0.1, checkpoint=file)


def test_statistics_are_those_of_the_files():
    mine = task(clean_weight=0.0, batch_size=6)
    _, adapted = trained_weights(mine, "statistics", **RUN)
    means, variances = [], []
    for step, places in enumerate(batches(mine, 1)):
        shown = torch.stack([shown for _, shown in mine.views(step, places)])
        details = mine.network.details(shown).abs().double().transpose(0, 1).flatten(1)
        means.append(details.mean(1))
        variances.append(details.var(1))
    expected = {"running_mean": torch.stack(means), "running_var": torch.stack(variances)}
    for name, values in expected.items():
        found = adapted[f"norm.{name}"].double()
        assert torch.allclose(found, values.mean(0), rtol=1e-4)


def test_views_differ_by_seed_step_and_image():
    def shown(seed, step, place):
        return task(photos(24, 24)[:1].expand(24, -1, -1, -1), seed=seed).views(step, [place])[0][1]

    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    views = [shown(*key) for key in keys]
    assert torch.equal(shown(0, 0, 0), views[0])
    assert not any(torch.equal(a, b) for a, b in combinations(views, 2))


def test_a_share_of_the_images_is_read_as_it_is():
    mine = task(clean_weight=0.25, seed=3)
    views = [view for step in range(40) for view in mine.views(step, mine.training)]
    clean = sum(torch.equal(original, shown) for original, shown in views)
    assert 0.2 < clean / len(views) < 0.3


def test_targets_are_labels_where_they_are_given():
    labels = torch.arange(24) % 6
    mine = task(labels=labels)
    assert torch.equal(mine.targets(torch.zeros(2, 6), [5, 7]), labels[[5, 7]])
    losses = mine.image_losses(torch.eye(6)[[5, 5]], labels[[5, 7]])
    log = torch.log_softmax(torch.eye(6)[5], 0)
    assert losses == pytest.approx([-float(log[5]), -float(log[1])])
    with pytest.raises(ValueError, match="labels must be given for every image"):
        task(labels=labels - 1)


def test_photos_are_not_held_all_at_once():
    held, most = weakref.WeakSet(), []

    class Photos(Sequence):
        def __len__(self):
            return 48

        def __getitem__(self, index):
            if isinstance(index, slice):
                return [self[i] for i in range(48)[index]]
            if index >= 48:
                raise IndexError
            photo = torch.full((3, 24, 24), index, dtype=torch.uint8)
            held.add(photo)
            most.append(len(held))
            return photo

    mine = task(Photos())
    most.clear()
    trained_weights(mine, "norm", epochs=1, learning_rate=0.01)
    assert len(most) == len(mine.training)
    assert max(most) <= 2 * mine.batch_size


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
    ],
)
def test_numbers_out_of_range(changed, words):
    with pytest.raises(ValueError, match=words):
        trained_weights(task(), "norm", **{**RUN, **changed})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"images": photos(7, 24)}, "images must be at least 8, got 7"),
        ({"clean_weight": 1.0}, "clean_weight must be from 0 to below 1, got 1.0"),
        ({"seed": -1}, "seed must be from 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"feature_weight": -1.0}, "feature_weight must be at least 0, got -1.0"),
        ({"feature_weight": float("inf")}, "feature_weight must be at least 0, got inf"),
    ],
)
def test_tasks_that_are_none(changed, words):
    with pytest.raises(ValueError, match=words):
        task(**changed)


def test_a_step_by_hand():
    mine = task(feature_weight=5.0, clean_weight=0.0)
    places, student = mine.training[:4], copy.deepcopy(mine.network)
    with torch.no_grad():
        student.norm.weight *= 1.5
    with Features(mine.network) as wanted, Features(student) as found:
        loss = training._step_loss(mine, student, 2, places, wanted, found)
    originals, shown = (torch.stack(x) for x in zip(*mine.views(2, places), strict=True))

    def read(network, x):
        features = network.norm(network.details(x).abs()).mean((-2, -1))
        return features, network.head(features).log_softmax(-1)

    target, log_target = read(mine.network, originals)
    features, log_output = read(student, shown)
    kl = (log_target.exp() * (log_target - log_output)).sum(-1).mean()
    distance = (features - target).square().sum() / target.square().sum()
    assert distance > 0.01
    assert loss.item() == pytest.approx((kl + 5 * distance).item(), rel=1e-4)


def test_a_loss_of_ones_own_is_all_of_it():
    def distance(outputs, targets):
        return (outputs - targets).abs().mean()

    same_weights = partial(trained_weights, train="norm", **RUN)
    mine, without = (task(loss=distance, feature_weight=w) for w in (9.0, 0.0))
    assert same(same_weights(mine), same_weights(without))
    mine, without = (task(feature_weight=w) for w in (9.0, 0.0))
    assert not same(same_weights(mine), same_weights(without))


def test_losses_that_cannot_be_learned():
    def infinite(outputs, targets):
        return (outputs - targets).square().mean() + float("inf")

    with pytest.raises(ValueError, match="the loss is inf on compressed images"):
        trained_weights(task(loss=infinite), "norm", **RUN)

    def stepped(outputs, targets):
        return (outputs.detach() - targets).square().mean()

    with pytest.raises(ValueError, match="no gradient in the network's weights"):
        trained_weights(task(loss=stepped), "norm", **RUN)


def test_one_preset():
    files = StoredFiles(Preset.from_quality(15))
    mine = Task(TextureReader(nn.BatchNorm2d(8)), photos(8, 24), files, None, None, 0.0, 4, 0)
    original, shown = mine.views(0, [2])[0]
    assert not torch.equal(original, shown)
