"""Which regime a start lands in: counted by hand, and said where training begins."""

import json
import math

import numpy as np
import pytest
import torch

pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from helpers.commands import call
from helpers.tiny_training import tiny_recipe, train_variant, write_images, write_recipe
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.training.log import read_log
from softjpeg.training.regime import regime


def test_shares_and_hardness_by_hand():
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    luma = torch.linspace(0.05, 3.0, 64).view(8, 8)
    chroma = torch.full((8, 8), 0.9)
    layer = JPEGLayer(luma, chroma, alpha=5.0, levels=20)
    beyond = []
    for plane, table in zip(
        image_to_coefficients(images, "4:4:4"), (luma, chroma, chroma), strict=True
    ):
        values = plane.numpy().reshape(-1, 64)
        beyond.append(np.abs(values) > 20 * table.numpy().reshape(64))
    found = regime(layer, images)
    assert found.beyond == pytest.approx(np.mean(beyond))
    assert found.dc_beyond == pytest.approx(beyond[0][:, 0].mean())
    assert 0 < found.beyond < found.dc_beyond
    both = torch.stack([luma, chroma]).double()
    assert found.hardness == pytest.approx((5 * both**2).median().item(), rel=1e-6)
    _, bits = layer.forward_with_rate(images)
    assert found.bpp == pytest.approx(bits.item() / 256)


def test_without_bound_nothing_is_beyond_and_without_indices_there_are_no_bits():
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert regime(JPEGLayer(alpha=5.0), images).beyond == 0
    clipping = regime(JPEGLayer(alpha=5.0, quantizer="clip", levels=3), images)
    assert clipping.beyond > 0
    assert math.isnan(clipping.bpp)
    assert clipping.facts()["bpp"] is None
    assert "bpp" not in clipping.sentence()


def test_training_says_where_it_starts_and_may_start_from_published_files(tmp_path):
    write_images(tmp_path)
    for plane in ("Y", "Cb", "Cr"):
        # The largest step is 10 at DC, and 1 elsewhere.
        np.save(tmp_path / f"{plane}_net.npy", np.array([1.0] + [10.0] * 63))
    source = str(tmp_path / "Y_net.npy")
    settings = {"jpeg__init": "sensitivity", "jpeg__init_from": source, "train__max_steps": 1}
    recipe = write_recipe(tmp_path / "r.toml", tiny_recipe(tmp_path, "plain", **settings))
    done = call("train", recipe, "--out", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    assert "the layer's start: beyond the bound 0.0 % of coefficients" in done.stderr
    assert "median hardness 5, " in done.stderr
    run = tmp_path / "runs" / "jpeg-dl" / "seed-0"
    first = next(r for r in read_log(run / "log.jsonl") if r["event"] == "start")
    assert first["start"]["hardness"] == 5
    assert first["start"]["bpp"] > 0
    tables = np.array(first["initial_tables"])[0]
    np.testing.assert_allclose(tables[:, 0, 0], 10)
    np.testing.assert_allclose(tables.reshape(2, 64)[:, 1:], 1)
    # No baseline was needed.
    assert not (tmp_path / "runs" / "baseline").exists()
    assert json.dumps(first["start"])


def test_training_starts_from_the_run_that_is_named(tmp_path):
    """As from the baseline of its own experiment, if that is the one named; no other's is run."""
    write_images(tmp_path)
    start = {"jpeg__init": "sensitivity", "train__max_steps": 1}
    train_variant(tiny_recipe(tmp_path, "plain", **start), tmp_path / "a", "baseline")
    train_variant(tiny_recipe(tmp_path, "plain", **start), tmp_path / "a", "baseline", seed=1)
    train_variant(tiny_recipe(tmp_path, "plain", **start), tmp_path / "a")

    def tables(folder):
        log = read_log(folder / "jpeg-dl" / "seed-0" / "log.jsonl")
        return next(r["initial_tables"] for r in log if r["event"] == "start")

    for seed, out in enumerate("bc"):
        named = {**start, "jpeg__init_from": str(tmp_path / "a" / "baseline" / f"seed-{seed}")}
        train_variant(tiny_recipe(tmp_path, "plain", **named), tmp_path / out)
        assert not (tmp_path / out / "baseline").exists()
    assert tables(tmp_path / "b") == tables(tmp_path / "a") != tables(tmp_path / "c")
