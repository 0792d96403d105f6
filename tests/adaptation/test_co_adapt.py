"""Tables and reader in turns: what is kept was measured better, by hand too."""

import numpy as np
import pytest
import torch
from torch import nn

import softjpeg
from helpers.images import photos
from helpers.networks import texture_reader
from softjpeg.adaptation import co_adapt as module
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.presets.preset import Preset

RUN = {"qualities": (10, 50), "epochs": 8, "learning_rate": 0.05, "batch_size": 8}


def reader(count=64):
    images = photos(count, 32)
    return texture_reader(nn.BatchNorm2d(8), images), images


def read(network, adapter, images, preset):
    """Bytes, and the KL of the adapted reader from the frozen one on the originals."""
    files = [softjpeg.encode(image, preset) for image in images]
    shown = [softjpeg.decode(data) for data in files]
    outputs = AdaptedNetwork(network, adapter).outputs_of_files(shown, files)
    with torch.no_grad():
        target = network(images / 255).log_softmax(-1)
    kl = (target.exp() * (target - outputs.log_softmax(-1))).sum(-1).mean()
    return sum(map(len, files)), float(kl)


def test_both_ends_beat_the_adapted_reader_alone(tmp_path):
    network, images = reader()
    file = tmp_path / "run.safetensors"
    found = softjpeg.co_adapt(network, images, rates=[15, 35], turns=1, checkpoint=file, **RUN)
    alone = softjpeg.adapt(network, images, **RUN)
    ((saved, low, high),) = found.saved
    assert 0 < low < saved < high
    assert found.ladder is not None
    assert {p.name for p in tmp_path.iterdir()} == {
        "run-turn-0.safetensors",
        "run-turn-1.safetensors",
    }
    others = photos(32, 32, seed=7)
    for quality in (15, 35):
        size, loss = read(network, found.adapter, others, found.ladder.at(quality))
        # Default JPEG of no fewer bytes.
        sizes = [
            (read(network, alone, others, Preset.from_quality(q)), q) for q in range(10, 90, 2)
        ]
        ((_, default), _) = next(row for row in sizes if row[0][0] >= size)
        assert loss < default
    # The tables are those that the adapted network asks for, not the frozen one.
    frozen = softjpeg.learned_ladder(
        network, images[[i for i in range(64) if i % 4 != 3]], qualities=[15, 35], batch_size=8
    )
    assert any((frozen.at(q).luma != found.ladder.at(q).luma).any() for q in (15, 35))


def test_a_turn_that_is_not_better_is_not_kept(monkeypatch):
    network, images = reader(32)
    sizes, losses = np.array([[100.0] * 4, [400.0] * 4]), np.array([[3.0] * 4, [1.0] * 4])
    monkeypatch.setattr(module, "_measured", lambda *_: (sizes, losses))
    found = softjpeg.co_adapt(network, images, rates=[20], turns=3, **RUN)
    alone = softjpeg.adapt(network, images, **RUN)
    assert found.ladder is None
    assert found.saved == ((pytest.approx(0), pytest.approx(0), pytest.approx(0)),)
    assert found.adapter.to_bytes() == alone.to_bytes()


def test_bytes_saved_by_hand():
    before = np.array([[100.0] * 4, [400.0] * 4]), np.array([[3.0] * 4, [1.0] * 4])
    # A loss of 2 costs 200 bytes before.
    after = np.array([[100.0] * 4]), np.array([[2.0] * 4])
    assert module._saved(before, after, 0) == pytest.approx((0.5, 0.5, 0.5))
    # Of three files and more the outer ones, which the other curve may not reach, do not count.
    many = np.repeat(after[0], 3, 0), np.array([[9.0] * 4, [2.0] * 4, [0.0] * 4])
    assert module._saved(before, many, 0) == pytest.approx((0.5, 0.5, 0.5))
    one_image = after[0], np.array([[2.0, 2.0, 2.0, 3.0]])
    saved, low, high = module._saved(before, one_image, 0)
    assert low < saved < high == pytest.approx(0.5)


def test_refused():
    network, images = reader()
    with pytest.raises(ValueError, match="turns must be at least 1, got 0"):
        softjpeg.co_adapt(network, images, turns=0)
    with pytest.raises(ValueError, match="mode must be hard or rdo, got 'probabilistic'"):
        softjpeg.co_adapt(network, images, mode="probabilistic")


def test_tables_are_learned_for_the_mode_that_files_are_written_in():
    network, images = reader(32)
    rates = [15, 35]
    start = softjpeg.learned_ladder(
        network, images, qualities=rates, mode="rdo", batch_size=8, seed=3
    )
    found = softjpeg.co_adapt(
        network, images, rates=rates, turns=1, preset=start, mode="rdo", **RUN
    )
    assert found.adapter.provenance["files"] == "a ladder, qualities 10 to 50, mode rdo"
    ladder = found.ladder or start
    assert all(rung.distortion is not None for rung in ladder.rungs)
