"""What competitors that learn are given: everything of their context, with its value."""

import pytest
import torch

from helpers.calls import plain, spy
from helpers.images import noise
from helpers.networks import linear_reader
from softjpeg.evaluation.competitors import COMPETITORS, Context
from softjpeg.learning.backpropagation import Backpropagation
from softjpeg.presets.preset import Preset

CONTEXT = Context(
    subsampling="4:2:2",
    qualities=(7, 70),
    targets_bpp=(2.0, 0.5),
    images=noise(9, 16),
    labels=torch.arange(9) % 4,
    model=linear_reader(16, 4, 4),
    seed=5,
    progress=True,
)


def test_j4d(monkeypatch):
    presets = [Preset.from_quality(quality) for quality in (20, 60)]
    asked = spy(
        monkeypatch,
        "softjpeg.evaluation.competitors.j4d:learn_ladder",
        lambda *_, **__: presets,
    )
    drawn = spy(monkeypatch, "softjpeg.evaluation.competitors.j4d:preset_encoder")
    curve = COMPETITORS["j4d"].curve(CONTEXT)
    assert [*curve] == ["j4d 0.5 bpp", "j4d 2.0 bpp"]
    assert plain(asked) == [
        (
            ("Sequential", (9, 3, 16, 16), [0.5, 2.0]),
            {
                **{"labels": (torch.arange(9) % 4).tolist(), "subsampling": "4:2:2"},
                **{"method": Backpropagation(steps=100), "seed": 5, "progress": True},
            },
        )
    ]
    assert drawn == [((preset, "probabilistic", 5), {}) for preset in presets]


def test_opts(monkeypatch):
    asked = spy(monkeypatch, "softjpeg.evaluation.competitors.opts:sensitivity")
    COMPETITORS["opts"].curve(CONTEXT)
    ((given, options),) = asked
    assert plain(list(given)) == ["Sequential", (9, 3, 16, 16), None, "4:2:2"]
    assert options["loss"].func is torch.nn.functional.cross_entropy
    assert options["loss"].keywords == {"reduction": "sum"}
    assert torch.equal(options["targets"], CONTEXT.labels)
    assert (options["generator"].initial_seed(), options["progress"]) == (5, True)


def test_sorted_random(monkeypatch):
    asked = spy(monkeypatch, "softjpeg.evaluation.competitors.sorted_random:judge")
    many = Context(images=noise(50, 16), model=CONTEXT.model, progress=True)
    COMPETITORS["sorted-random"].curve(many)
    (((model, images, encoders), options),) = asked
    # At most 24, evenly spread: of 50 every third.
    assert torch.equal(images, many.images[::3])
    assert (model, options) == (CONTEXT.model, {"progress": True})
    assert [*encoders] == [f"table {i}" for i in range(48)]


def test_kornia(monkeypatch):
    pytest.importorskip("kornia", reason="softjpeg[competitors] is not installed")
    shown = spy(monkeypatch, "softjpeg.evaluation.competitors.kornia_tables:track")
    learned = spy(monkeypatch, "softjpeg.evaluation.competitors.kornia_tables:_learned")
    context = Context(**{**vars(CONTEXT), "subsampling": "4:2:0", "targets_bpp": (2.0, 0.5, 1.0)})
    curve = COMPETITORS["kornia"].curve(context)
    assert [*curve] == [f"kornia {target} bpp" for target in (0.5, 1.0, 2.0)]
    # From the highest rate down, with half as many steps after it.
    assert [given[3:] for given, _ in learned] == [(30, 8), (15, 8), (15, 8)]
    assert [(len(given[0]), given[1], options) for given, options in shown] == [
        (steps, "kornia", {"enabled": True}) for steps in (30, 15, 15)
    ]
