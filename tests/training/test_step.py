"""Steps of training against loops written by hand in plain PyTorch."""

import copy

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from helpers.tiny_training import tiny_recipe, write_images
from softjpeg.codec.image import encode
from softjpeg.functional.rate.entropy import entropy_bits
from softjpeg.functional.rate.jpeg_bits import jpeg_bits
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.training.build import build_network
from softjpeg.training.data.loader import batches
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.transforms import train_transform
from softjpeg.training.distributed import Group
from softjpeg.training.fit import fit
from softjpeg.training.log import read_log
from softjpeg.training.plan import Run
from softjpeg.training.recipe_file import parse_recipe
from softjpeg.training.seeding import seed_everything
from softjpeg.training.state import new_state

CPU = Group()
BEFORE_NORMALIZATION = "network.0.bias"
"""Of the small network: it learns nothing but rounding errors."""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    write_images(root)
    return root


def trained(images, folder, network=None, model="plain", seed=3, **changes):
    """A state after `fit`, and the network it began with."""
    recipe = parse_recipe(tiny_recipe(images, model, **changes), "test")
    if network is None:
        torch.manual_seed(0)
        tables = (torch.full((8, 8), 9.0), torch.full((8, 8), 14.0))
        network = build_network(recipe, 3, tables)
    first = copy.deepcopy(network)
    state = new_state(network, recipe)
    splits = [open_split("folder", images, train) for train in (True, False)]
    folder.mkdir(exist_ok=True)
    facts = {"variant": "jpeg-dl"}
    result = fit(Run(recipe, seed, folder, *splits, CPU, facts), state)
    return state, first, result, read_log(folder / "log.jsonl")


def drawn(images, epoch, seed=3):
    split = open_split("folder", images, True)
    transform = train_transform(16, interpolation="bilinear")
    return list(batches(split, transform, batch_size=4, epoch=epoch, seed=seed))


def assert_close(model, other, **tolerance):
    for name, value in other.state_dict().items():
        torch.testing.assert_close(
            model.state_dict()[name], value, msg=lambda m, n=name: f"{n}: {m}", **tolerance
        )


def test_plain_pytorch_does_the_same_steps(images, tmp_path):
    """Two optimizers, warm-up and cosine, smoothing, clipping, accumulation, weight decay, EMA."""
    state, model, _, log = trained(
        images,
        tmp_path,
        train__epochs=3,
        train__accumulate=2,
        train__label_smoothing=0.1,
        train__clip_gradient=0.5,
        train__ema=0.8,
        optimizer__nesterov=True,
        model__channels_last=False,
        # Soft: a coefficient near a tie would make much of the last digit of a step.
        jpeg__alpha=0.02,
    )
    layer = [model.jpeg.tables]
    others = [p for name, p in model.named_parameters() if name != "jpeg.tables"]
    sgd = torch.optim.SGD(others, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)
    adam = torch.optim.Adam(layer, lr=0.5)
    warm = torch.optim.lr_scheduler.LinearLR(sgd, 1e-12, total_iters=3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 6)
    schedule = torch.optim.lr_scheduler.SequentialLR(sgd, [warm, cosine], [3])
    average, losses = None, []
    for epoch in range(3):
        parts = drawn(images, epoch)
        for first, second in zip(parts[::2], parts[1::2], strict=True):
            loss = sum(
                F.cross_entropy(model(part.images), part.labels, label_smoothing=0.1) / 2
                for part in (first, second)
            )
            sgd.zero_grad()
            adam.zero_grad()
            loss.backward()
            norm = torch.stack([p.grad.square().sum() for p in (*others, *layer)]).sum().sqrt()
            for p in (*others, *layer):
                p.grad.mul_(min(1.0, 0.5 / (norm.item() + 1e-6)))
            sgd.step()
            adam.step()
            schedule.step()
            with torch.no_grad():
                now = [p.clone() for p in model.parameters()]
                average = now if average is None else average
                average = [0.8 * a + 0.2 * w for a, w in zip(average, now, strict=True)]
            losses.append(loss.item())
    assert state.step == len(losses) == 9
    assert [r["loss"] for r in log if r["event"] == "step"] == pytest.approx(losses, rel=1e-4)
    assert_close(state.model, model, rtol=1e-4, atol=1e-5)
    for mine, byhand in zip(state.tested_model.parameters(), average, strict=True):
        torch.testing.assert_close(mine, byhand, rtol=2e-3, atol=1e-5)


def test_tables_stay_in_their_range(images, tmp_path):
    state, first, _, _ = trained(images, tmp_path, jpeg_optimizer__lr=400.0, train__max_steps=1)
    # Adam's first step is its learning rate, up or down.
    assert first.jpeg.tables.unique().tolist() == [9.0, 14.0]
    reached = state.model.jpeg.tables
    assert (reached.min().item(), reached.max().item()) == (pytest.approx(1e-5), 255.0)


def test_dropout_batch_norm_and_mixing_draw_from_seed_and_step_alone(images, tmp_path):
    from torchvision.transforms import v2

    changes = {"train__epochs": 1, "train__mixup": 0.4, "jpeg_optimizer__name": "sgd"}
    state, model, _, _ = trained(images, tmp_path, model="small", **changes)
    jpeg = [model.jpeg.tables]
    others = [p for name, p in model.named_parameters() if name != "jpeg.tables"]
    optimizers = [
        torch.optim.SGD(others, lr=0.0, momentum=0.9, weight_decay=0.01),
        torch.optim.SGD(jpeg, lr=0.5, momentum=0.9),
    ]
    mix = v2.MixUp(alpha=0.4, num_classes=3)
    # One epoch of warm-up and no more: 0, 1/6, 2/6, ...
    for step, part in enumerate(drawn(images, 0)):
        optimizers[0].param_groups[0]["lr"] = 0.05 * step / 6
        seed_everything(3, step, 0)
        mixed, targets = v2.RandomChoice([mix])(part.images, part.labels)
        loss = -(targets * model(mixed).log_softmax(1)).sum(1).mean()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    assert_close(state.model, model, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"train__cutmix": 1.0},
        {"train__cutmix": 1.0, "train__mixup": 0.2, "train__precision": "bf16"},
        {"data__randaugment": (2, 9), "data__jpeg_quality": (10, 90), "data__crop": "resized"},
        {"optimizer__name": "adamw", "jpeg__hardness": 3.0, "jpeg__train_hardness": True},
    ],
)
def test_options_train(images, tmp_path, changes):
    if "jpeg__hardness" in changes:
        changes = {**changes, "jpeg__alpha": None}
    state, first, result, _ = trained(images, tmp_path, model="small", **changes)
    assert result["step"] == 12
    plain, *_ = trained(images, tmp_path / "plain", model="small")
    for (name, before), after in zip(
        first.named_parameters(), state.model.parameters(), strict=True
    ):
        assert not torch.equal(before, after), name
        # The option made another network of it.
        other = plain.model.state_dict().get(name)
        if name != BEFORE_NORMALIZATION:
            assert other is None or not torch.equal(other, after), name


def test_channels_last_changes_rounding_only(images, tmp_path):
    runs = []
    for flag in (True, False):
        # Adam would make much of a gradient that is rounding alone.
        changes = {"model__channels_last": flag, "jpeg_optimizer__name": "sgd"}
        state, _, _, _ = trained(images, tmp_path / str(flag), **changes)
        runs.append(state.model)
    last = torch.channels_last
    conv = [model.network[3].weight for model in runs]
    assert conv[0].is_contiguous(memory_format=last)
    assert not conv[1].is_contiguous(memory_format=last)
    assert_close(*runs, rtol=1e-3, atol=1e-5)


def test_compiled_network_equals_eager(images, tmp_path, monkeypatch):
    # The default backend compiles C++ for minutes; what is ours is the graph that it is given.
    compiled, compile_module = [], nn.Module.compile

    def capture(module):
        compiled.append(module)
        compile_module(module, backend="aot_eager")

    monkeypatch.setattr(nn.Module, "compile", capture)
    changes = {"jpeg_optimizer__name": "sgd", "train__max_steps": 2}
    runs = [
        trained(images, tmp_path / str(flag), model__compile=flag, **changes)
        for flag in (True, False)
    ]
    assert compiled == [runs[0][0].model]
    assert_close(runs[0][0].model, runs[1][0].model, rtol=1e-3, atol=1e-5)
    assert runs[0][2]["loss"] == pytest.approx(runs[1][2]["loss"], rel=1e-4)


def test_a_network_that_comes_in_eval_mode_is_trained_all_the_same(images, tmp_path):
    state, first, _, _ = trained(images, tmp_path, model="evaluating", train__max_steps=2)
    statistics = [m for m in state.model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert statistics[0].num_batches_tracked.item() == 2
    assert first.training


def test_every_process_draws_dropout_of_its_own(images, tmp_path):
    """Two ranks of one seed see what (seed, step, rank) draws, and not the same."""
    from softjpeg.training import fit as module

    drawn = {}
    for rank in (0, 1, 0):
        seen = []

        def step(*given, seen=seen):
            seen.append(torch.rand(4).tolist())
            return torch.zeros(())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "train_step", step)
            patch.setattr(Group, "sum", lambda self, values: values)
            recipe = parse_recipe(tiny_recipe(images, train__epochs=1), "test")
            state = new_state(build_network(recipe, 3, None), recipe)
            splits = [open_split("folder", images, train) for train in (True, False)]
            folder = tmp_path / str(rank)
            folder.mkdir(exist_ok=True)
            run = Run(recipe, 3, folder, *splits, Group(rank, 2), {})
            module._epoch(run, state, state.model, None, lambda: 0)
        for number, values in enumerate(seen):
            seed_everything(3, number, rank)
            assert values == torch.rand(4).tolist()
        drawn.setdefault(rank, []).append(seen)
    assert len(drawn[0][0]) == 3
    assert drawn[0][0] == drawn[0][1]
    assert all(a != b for a, b in zip(drawn[0][0], drawn[1][0], strict=True))


def test_of_equally_good_epochs_the_first_is_the_best(images, tmp_path):
    """Nothing is learned, so every test is as good as the first."""
    changes = {"optimizer__lr": 1e-30, "jpeg_optimizer__lr": 1e-30, "train__epochs": 3}
    state, _, result, log = trained(images, tmp_path, **changes)
    tests = [r for r in log if r["event"] == "test"]
    assert len({r["top1"] for r in tests}) == 1
    assert [r["best_step"] for r in tests] == [6, 6, 6]
    assert state.best == (result["top1"], 6)


class TestBitsInTheLoss:
    @pytest.mark.parametrize("rate", ["entropy", "jpeg"])
    def test_plain_pytorch_does_the_same_step(self, images, tmp_path, rate):
        state, model, _, log = trained(
            images,
            tmp_path,
            train__max_steps=1,
            model__channels_last=False,
            jpeg__alpha=0.02,
            jpeg__rate_weight=0.7,
            jpeg__rate=rate,
        )
        part = drawn(images, 0)[0]
        # The bits of the images' coefficients, whose counting tests/functional checks.
        z = image_to_coefficients(part.images, "4:4:4")
        luma, chroma = model.jpeg.steps()[0]
        tables, alphas = (luma, chroma, chroma), [torch.full((8, 8), 0.02)] * 3
        if rate == "entropy":
            bits = entropy_bits(z, tables, alphas, levels=127, window=5)
        else:
            bits = jpeg_bits(z, tables, alphas, size=(16, 16)).scan.mean()
        loss = F.cross_entropy(model(part.images), part.labels) + 0.7 * bits / 256
        loss.backward()
        assert next(r["loss"] for r in log if r["event"] == "step") == pytest.approx(
            loss.item(), rel=1e-5
        )
        # Adam's first step is its learning rate against the gradient's sign.
        gradient = model.jpeg.tables.grad
        known = gradient.abs() > 1e-5
        assert known.float().mean() > 0.9
        torch.testing.assert_close(
            (model.jpeg.tables - state.model.jpeg.tables)[known],
            0.5 * gradient.sign()[known],
            rtol=1e-2,
            atol=0.0,
        )

    def test_dearer_bits_make_smaller_files(self, images, tmp_path):
        sizes = []
        for weight in (0.0, 1.0):
            state, *_ = trained(
                images,
                tmp_path / str(weight),
                train__epochs=4,
                jpeg__alpha=None,
                jpeg__hardness=20.0,
                jpeg__train_hardness=True,
                jpeg__rate_weight=weight,
            )
            preset = state.model.layer.to_preset()
            files = [encode(Image.open(path), preset) for path in sorted(images.rglob("*.png"))]
            sizes.append(sum(scan_bytes(data) for data in files))
        assert sizes[1] < 0.95 * sizes[0]

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [({"quantizer": "clip"}, "'clip'"), ({"at": "0"}, "jpeg.at = '0'")],
    )
    def test_what_has_no_bits_is_refused(self, images, settings, reason):
        changes = {f"jpeg__{name}": value for name, value in settings.items()}
        recipe = tiny_recipe(images, jpeg__rate_weight=0.1, **changes)
        with pytest.raises(ValueError, match=f"jpeg.rate_weight needs the bits.*{reason}"):
            parse_recipe(recipe, "test")
