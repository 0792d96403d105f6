"""Attacks against foolbox, the closed form on linear networks, and masked networks found out."""

import json
import warnings
from dataclasses import astuple
from functools import partial

import pytest
import torch
from rich.console import Console
from torch import nn

from helpers.images import noise
from softjpeg import JPEGLayer
from softjpeg.evaluation.robustness import gradient_masking
from softjpeg.evaluation.robustness.accuracy_under_attack import correct_under, robustness
from softjpeg.evaluation.robustness.attacks import bpda, fgsm, log_odds, margin, pgd
from softjpeg.evaluation.robustness.autopgd import autopgd
from softjpeg.evaluation.robustness.finite_differences import difference_agreement
from softjpeg.evaluation.robustness.gradient_masking import masking_checks
from softjpeg.evaluation.robustness.points import (
    Check,
    RobustnessPoint,
    over_runs,
    save_json,
    table,
)
from softjpeg.evaluation.robustness.random_search import random_search
from softjpeg.evaluation.robustness.softened import softened

EPS = 2 / 255


def convolutional(front=None):
    """Three classes, each the answer to a third of random images."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, padding=1),
        nn.GELU(),
        nn.Conv2d(16, 16, 3, 2, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(256, 3),
    )
    with torch.no_grad():
        net[-1].bias -= net(images(64).float() / 255).mean(0)
    return nn.Sequential(front or nn.Identity(), net).eval()


def images(count=32):
    return noise(count, seed=1)


@torch.no_grad()
def own_answers(model, pictures):
    return model(pictures.float() / 255).argmax(-1)


def top1(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(-1) == y).double().mean().item()


def layers():
    steps = torch.full((8, 8), 6.0)
    return {
        "none": None,
        "soft": JPEGLayer(steps, steps, hardness=2.0),
        "paper": JPEGLayer(steps, steps, alpha=0.1, window=5, levels=127),
        "hard": JPEGLayer(steps, steps, quantizer="hard"),
    }


ATTACKS = {
    "fgsm": fgsm,
    "pgd": pgd,
    "restarts": partial(pgd, steps=3, restarts=2),
    "bpda": partial(bpda, steps=3),
    "softened": partial(softened, steps=3),
    "random search": partial(random_search, queries=20),
}


# ------------------------------------------------------------------ what every attack keeps to


@pytest.mark.parametrize("layer", ["none", "soft", "paper", "hard"])
@pytest.mark.parametrize("name", ATTACKS)
def test_adversarial_images_are_within_eps_and_range(name, layer):
    model = convolutional(layers()[layer])
    model.train()
    pictures = images(4)
    x, y = pictures.float() / 255, own_answers(model, pictures)
    x[0, 0, 0] = 0.0
    x[0, 1, 0] = 1.0
    before = x.clone()
    attacked = ATTACKS[name](model, x, y, EPS)
    assert attacked.shape == x.shape
    assert not attacked.requires_grad
    assert 0 <= attacked.min() <= attacked.max() <= 1
    assert 0.9 * EPS < (attacked - x).abs().max() <= EPS + 1e-6
    assert torch.equal(x, before)
    assert not any(m.training for m in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_works_without_gradients_around_it_and_gives_parameters_back_after_an_error():
    model = convolutional()
    x, y = images(2).float() / 255, torch.tensor([0, 1])
    with torch.no_grad():
        inside = fgsm(model, x, y, EPS)
    assert torch.equal(inside, fgsm(model, x, y, EPS))
    with pytest.raises(IndexError):
        fgsm(nn.Sequential(model, nn.Flatten(0)), x, y, EPS)
    assert all(p.requires_grad for p in model.parameters())


# ------------------------------------------------------------------------------------- the judges


@pytest.fixture(scope="module")
def foolbox():
    pytest.importorskip("numpy")
    with warnings.catch_warnings():
        # It imports from names that SciPy is about to drop.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        return pytest.importorskip("foolbox", reason="needs foolbox, in softjpeg[demo]")


@pytest.mark.parametrize("layer", ["none", "soft", "hard"])
@pytest.mark.parametrize("eps", [EPS, 4 / 255])
def test_the_same_images_as_foolbox(foolbox, layer, eps):
    model = convolutional(layers()[layer])
    pictures = images(48)
    x, y = pictures.float() / 255, own_answers(model, pictures)
    judge = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    sign = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    descent = foolbox.attacks.LinfPGD(abs_stepsize=eps / 2, steps=5, random_start=False)
    by_sign, by_descent = (a(judge, x, y, epsilons=eps) for a in (sign, descent))
    mine = fgsm(model, x, y, eps), pgd(model, x, y, eps, random_start=False)
    # Where the gradient is about 0 its sign is rounding's; hard quantizers make more of that.
    assert ((mine[0] - by_sign[1]).abs() > 1e-6).double().mean() < 0.002
    if layer != "hard":
        assert ((mine[1] - by_descent[1]).abs() > 1e-6).double().mean() < 0.002
    for attacked, (_, _, fooled) in zip(mine, (by_sign, by_descent), strict=True):
        theirs = 1 - fooled.double().mean().item()
        assert top1(model, attacked, y) == pytest.approx(theirs, abs=0.01 + (layer == "hard") / 24)
        assert theirs < 1


def test_random_starts_reach_what_foolbox_reaches(foolbox):
    model = convolutional()
    pictures = images(64)
    x, y = pictures.float() / 255, own_answers(model, pictures)
    judge = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    descent = foolbox.attacks.LinfPGD(abs_stepsize=EPS / 2, steps=5)
    fooled = descent(judge, x, y, epsilons=EPS)[2]
    assert top1(model, pgd(model, x, y, EPS), y) == pytest.approx(
        1 - fooled.double().mean().item(), abs=1.5 / 64
    )


def linear():
    weights = torch.randn(2, 3 * 8 * 8)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    with torch.no_grad():
        net[1].weight.copy_(weights)
    return net, weights


def test_a_linear_network_falls_as_far_as_the_closed_form_says():
    net, weights = linear()
    x = 0.2 + 0.6 * torch.rand(6, 3, 8, 8)
    y = torch.tensor([0, 1] * 3)
    towards_other = torch.stack([weights[1 - label] - weights[label] for label in y])
    best = x + EPS * towards_other.sign().view_as(x)
    least = margin(net(x), y) - EPS * towards_other.abs().sum(1)
    assert torch.allclose(fgsm(net, x, y, EPS), best, atol=1e-6)
    for attack in (pgd, partial(pgd, restarts=3), partial(pgd, steps=40, random_start=False)):
        assert torch.allclose(margin(net(attack(net, x, y, EPS)), y), least, atol=1e-3)
    searched = margin(net(random_search(net, x, y, EPS, queries=400)), y)
    assert (searched >= least - 1e-3).all()
    halfway = (margin(net(x), y) + least) / 2
    assert (searched < halfway).all()


def starts(x, count, seed=5):
    """The uniform points of the ball that a generator draws, without a step from them."""
    generator = torch.Generator().manual_seed(seed)
    noise = [2 * torch.rand(x.shape, generator=generator) - 1 for _ in range(count)]
    return [(x + EPS * part).clamp(0, 1) for part in noise]


def test_random_starts_are_the_generators():
    net, _ = linear()
    x, y = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])
    state = torch.get_rng_state()
    first, other = (
        pgd(net, x, y, EPS, steps=1, step=0.0, generator=torch.Generator().manual_seed(seed))
        for seed in (5, 6)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.allclose(first, starts(x, 1)[0], atol=1e-7)
    assert torch.allclose(other, starts(x, 1, seed=6)[0], atol=1e-7)
    straight = pgd(net, x, y, EPS, steps=1, step=0.0, random_start=False)
    assert torch.equal(straight, x)


def test_of_restarts_each_images_worst_is_kept():
    net, _ = linear()
    x, y = torch.rand(16, 3, 8, 8), torch.tensor([0, 1] * 8)
    generator = torch.Generator().manual_seed(5)
    kept = pgd(net, x, y, EPS, steps=1, step=0.0, restarts=6, generator=generator)
    tried = starts(x, 6)
    margins = torch.stack([margin(net(start), y) for start in tried])
    best = margins.argmin(0)
    assert len(best.unique()) > 3
    wanted = torch.stack([tried[k][i] for i, k in enumerate(best.tolist())])
    assert torch.allclose(kept, wanted, atol=1e-6)


def test_a_small_number_of_steps_must_reach_what_a_large_one_does():
    def right(share):
        return torch.arange(100) < share

    for few, many, passed in ((80, 76, True), (80, 74, False), (60, 70, True), (100, 0, False)):
        check = gradient_masking._enough_steps(right(few), right(many), (5, 50))
        assert check.value == pytest.approx((few - many) / 100)
        assert (check.limit, check.passed) == (0.05, passed)
        assert f"5 steps leave {few:.1f}% right and 50 steps {many:.1f}%" in check.sentence


def test_a_network_surer_than_float32_can_tell_is_still_attacked():
    net, _ = linear()
    x, y = 0.2 + 0.6 * torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])
    sure = nn.Sequential(net, nn.Identity())
    with torch.no_grad():
        net[1].weight *= 1e3
        y = net(x).argmax(-1)
    leaf = x.clone().requires_grad_()
    plain = torch.autograd.grad(nn.functional.cross_entropy(sure(leaf), y), leaf)[0]
    assert plain.abs().max() == 0
    changed = fgsm(sure, x, y, EPS)
    assert (margin(sure(changed), y) < margin(sure(x), y)).all()


def test_log_odds_are_those_of_the_softmax():
    logits, y = torch.randn(5, 4).double(), torch.tensor([0, 3, 2, 1, 1])
    p = logits.softmax(-1)[range(5), y]
    assert torch.allclose(log_odds(logits, y), torch.log((1 - p) / p))


def test_autopgd_is_at_least_as_strong_as_fgsm():
    pytest.importorskip("art", reason="needs adversarial-robustness-toolbox")
    model = convolutional(layers()["soft"])
    pictures = images(48)
    x, y = pictures.float() / 255, own_answers(model, pictures)
    attacked = autopgd(model, x, y, EPS, steps=20)
    assert attacked.dtype == x.dtype
    assert (attacked - x).abs().max() <= EPS + 1e-6
    assert 0 <= attacked.min() <= attacked.max() <= 1
    assert top1(model, attacked, y) <= top1(model, fgsm(model, x, y, EPS), y) < 1
    assert torch.equal(attacked, autopgd(model, x, y, EPS, steps=20))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert torch.equal(autopgd(model, x, y, 0.0), x)
    options = {"attacks": ["autopgd"], "eps": [255 * EPS]}
    without, under = robustness({"one": model}, pictures, y, **options)
    assert (without.top1, under.top1) == (1.0, pytest.approx(top1(model, attacked, y), abs=0.05))


def test_random_search_is_about_as_strong_as_the_square_attack():
    evasion = pytest.importorskip(
        "art.attacks.evasion", reason="needs adversarial-robustness-toolbox"
    )
    from art.estimators.classification import PyTorchClassifier

    model = convolutional()
    pictures = images(48)
    x, y = pictures.float() / 255, own_answers(model, pictures)
    judge = PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=(3, 16, 16),
        nb_classes=3,
        clip_values=(0, 1),
        device_type="cpu",
    )
    square = evasion.SquareAttack(judge, eps=4 / 255, max_iter=100, verbose=False)
    theirs = top1(model, torch.from_numpy(square.generate(x.numpy(), y.numpy())), y)
    ours = top1(model, random_search(model, x, y, 4 / 255, queries=100), y)
    assert ours < 1
    assert abs(ours - theirs) <= 0.12


class Deaf(nn.Module):
    """It notes what it is asked, and always answers the same."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, x):
        self.asked.append(x)
        return x.new_tensor([[1.0, 0.0]]).expand(len(x), 2)


def test_random_search_asks_for_stripes_and_then_for_squares_anywhere():
    """Andriushchenko et al. 2020: 0.8 of the area, halved after 10, 50, 200, ... of 10,000."""
    deaf, x, y = Deaf(), torch.full((64, 3, 12, 8), 0.5), torch.zeros(64, dtype=torch.long)
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(random_search(deaf, x, y, EPS, queries=500, generator=generator), x)
    asked = [(seen - x) / EPS for seen in deaf.asked]
    assert len(asked) == 1 + 500
    assert (asked[0] == 0).all()
    assert (asked[1].abs() - 1).abs().max() < 1e-4
    assert (asked[1] == asked[1][:, :, :1]).all()
    assert (asked[1].std(3) > 0).float().mean() > 0.9
    places = {}
    for query, change in enumerate(asked[2:], 1):
        halvings = sum(
            query / 500 > at / 10_000 for at in (10, 50, 200, 1000, 2000, 4000, 6000, 8000)
        )
        side = max(1, round((0.8 * 12 * 8 / 2**halvings) ** 0.5))
        tall, wide = min(side, 12), min(side, 8)
        inside = change.abs().amax(1) > 0.5
        top, left = inside.any(2).float().argmax(1), inside.any(1).float().argmax(1)
        for i in range(0, 64, 7):
            square = change[i, :, top[i] : top[i] + tall, left[i] : left[i] + wide]
            assert square.shape[1:] == (tall, wide)
            # One sign for each channel, and nothing beside the square.
            assert (square == square[:, :1, :1]).all()
            assert int(inside[i].sum()) == tall * wide
        places.setdefault(side, set()).update(zip(top.tolist(), left.tolist(), strict=True))
    assert sorted(places) == [1, 2, 3, 4, 6]
    for side, found in places.items():
        assert found == {
            (top, left) for top in range(13 - side) for left in range(max(1, 9 - side))
        }


# ------------------------------------------------------------------------------- gradient masking


class Masked(nn.Module):
    """Sixteen shades: the same picture to the eye, and a gradient of 0."""

    def forward(self, x):
        return (x * 255 / 4).round() * 4 / 255


def checks_of(model, baseline, count=48):
    pictures = images(count)
    return masking_checks(
        model,
        pictures,
        own_answers(model, pictures),
        baseline=baseline,
        eps=2,
        steps=(3, 6, 12),
        restarts=2,
        queries=80,
        directions=4,
    )


def test_random_starts_are_compared_with_as_many_steps_without(monkeypatch):
    asked = []

    def noted(*words, steps, restarts=1, random_start=True, **options):
        asked.append((steps, restarts, random_start))
        return gradient_masking.fgsm(*words, eps=options["eps"])

    monkeypatch.setattr(gradient_masking, "pgd", noted)
    checks_of(convolutional(), None, 4)
    few = {(n, 1, True) for n in (3, 6, 12)}
    assert set(asked) == few | {(3, 1, False), (3, 2, True), (50, 1, True)}


@pytest.mark.parametrize("layer", ["none", "paper", "hard"])
def test_an_honest_network_passes_every_check(layer):
    model = convolutional(layers()[layer])
    checks = checks_of(model, convolutional())
    assert [c.sentence for c in checks if not c.passed] == []
    for way in ("straight-through", "smooth edges"):
        assert any(way in c.name for c in checks) == (layer == "paper")
    assert len(checks) == 10 + 2 * (layer == "paper")


def test_a_masked_network_fails_the_checks_that_see_masking():
    checks = {c.name: c for c in checks_of(convolutional(Masked()), convolutional())}
    failed = {name for name, c in checks.items() if not c.passed}
    assert failed >= {
        "PGD with 12 steps against random search",
        "PGD with 12 steps against PGD on the baseline",
        "unbounded strength",
        "gradient in random directions",
        "gradient along its sign",
    }
    assert checks["gradient in random directions"].value == 0


def test_a_soft_quantizer_with_steep_edges_is_masked_and_straight_through_gradients_see_it():
    steps = torch.full((8, 8), 2.0)
    steep = JPEGLayer(steps, steps, hardness=50.0)
    model = convolutional(steep)
    checks = {c.name: c for c in checks_of(model, convolutional())}
    assert not checks["gradient in random directions"].passed
    assert not checks["PGD with 12 steps against PGD with straight-through gradients"].passed
    assert not checks["PGD with 12 steps against PGD with smooth edges"].passed
    assert steep.quantizer == "soft"


@pytest.mark.parametrize("settings", [{"hardness": 50.0}, {"alpha": 5.0, "window": 5}])
def test_softened_takes_the_gradient_of_smooth_edges_where_the_layer_is(settings):
    steps = torch.full((8, 8), 6.0)
    steps[0, 0] = 0.3  # softer than the limit already, with alpha = 5
    steep = JPEGLayer(steps, steps, **settings)
    hardness = steep.hardness().detach().clamp(max=1.0)
    smooth = JPEGLayer(steps, steps, window=settings.get("window"))
    with torch.no_grad():
        smooth.log_hardness.copy_(hardness.log())
    model = convolutional(steep)
    pictures = images(6)
    x, y = pictures.float() / 255, own_answers(model, pictures)
    # The chain rule by hand: the loss where the layer puts the images, the smooth layer before it.
    shown = steep(x).detach().requires_grad_()
    loss = nn.functional.cross_entropy(model[1](shown), y, reduction="sum")
    leaf = x.clone().requires_grad_()
    gradient = torch.autograd.grad(smooth(leaf), leaf, torch.autograd.grad(loss, shown)[0])[0]
    wanted = (x + EPS * gradient.sign()).clamp(0, 1)
    attacked = softened(model, x, y, EPS, steps=1, step=EPS, random_start=False)
    assert ((attacked - wanted).abs() < 1e-5).double().mean() > 0.999
    assert ((fgsm(model, x, y, EPS) - wanted).abs() < 1e-5).double().mean() < 0.9


def test_softened_finds_what_steep_edges_hide_and_leaves_the_layer_as_it_was():
    steps = torch.full((8, 8), 2.0)
    steep = JPEGLayer(steps, steps, hardness=50.0)
    model = convolutional(steep)
    pictures = images(96)
    x, y = pictures.float() / 255, own_answers(model, pictures)
    hidden = top1(model, pgd(model, x, y, EPS, steps=6), y)
    assert top1(model, softened(model, x, y, EPS, steps=6), y) < hidden - 0.1
    assert not steep._forward_hooks
    with pytest.raises(IndexError):
        softened(nn.Sequential(model, nn.Flatten(0)), x, y, EPS)
    assert not steep._forward_hooks
    assert steep.hardness().unique().tolist() == pytest.approx([50.0])
    with pytest.raises(ValueError, match="hardness must be above 0, got 0"):
        softened(model, x, y, EPS, hardness=0)


def test_the_gradient_agrees_with_differences_in_double_precision():
    model, x = convolutional(layers()["soft"]).double(), images(6).double() / 255
    cosine, rise = difference_agreement(model, x, torch.tensor([0, 1, 2] * 2), 1e-6)
    assert torch.allclose(cosine, torch.ones(6, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(rise, torch.ones(6, dtype=torch.float64), atol=1e-3)


def test_more_than_chance_is_what_tells_two_attacks_apart():
    right = {"weak": torch.arange(100) < 40, "strong": torch.arange(100) < 44}
    assert gradient_masking.not_weaker(right, "strong", "weak").passed
    assert gradient_masking.not_weaker(right, "weak", "strong").passed
    right["strong"] = torch.arange(100) < 45
    assert not gradient_masking.not_weaker(right, "strong", "weak").passed


# ----------------------------------------------------------------------------- points and reports


def test_robustness_counts_what_the_attacks_leave_right():
    model, pictures = convolutional(layers()["soft"]), images(20)
    labels = own_answers(model, pictures)
    labels[0] = (labels[0] + 1) % 3
    points = robustness(
        {"one": model, "two": [model, convolutional()]}, pictures, labels, eps=(1, 4), batch_size=7
    )
    assert [astuple(p)[:4] for p in points[:5]] == [
        ("one", 0, "none", 0.0),
        ("one", 0, "fgsm", 1.0),
        ("one", 0, "fgsm", 4.0),
        ("one", 0, "pgd", 1.0),
        ("one", 0, "pgd", 4.0),
    ]
    assert [(p.network, p.run) for p in points[5::5]] == [("two", 0), ("two", 1)]
    assert [p.top1 for p in points[:5]] == [p.top1 for p in points[5:10]]
    x = fgsm(model, pictures.float() / 255, labels, 4 / 255)
    assert points[2].top1 == pytest.approx(top1(model, x, labels))
    assert points[0].top1 == pytest.approx(0.95)
    assert points[0].count == 20
    (without, *attacked) = robustness({"one": model}, pictures, labels)
    assert astuple(without)[:4] == ("one", 0, "none", 0.0)
    assert [(p.attack, p.eps) for p in attacked] == [
        (attack, strength) for attack in ("fgsm", "pgd") for strength in (1.0, 2.0, 3.0, 4.0)
    ]


def test_transfer_reads_what_another_network_was_attacked_with():
    model, pictures = convolutional(Masked()), images(32)
    labels = own_answers(model, pictures)
    attack = partial(fgsm, eps=4 / 255)
    assert correct_under(model, pictures, labels, attack).all()
    assert not correct_under(model, pictures, labels, attack, source=convolutional()).all()


def some_points():
    return [
        RobustnessPoint(network, run, attack, eps, top1, 50)
        for network, run, drop in (("base", 0, 0.2), ("jpeg-dl", 0, 0.12), ("jpeg-dl", 1, 0.16))
        for attack, eps in (("none", 0.0), *((a, e) for a in ("fgsm", "pgd") for e in (1.0, 2.0)))
        for top1 in [0.9 - drop * eps]
    ]


def test_mean_table_and_file(tmp_path):
    means = {(m.network, m.attack, m.eps): m for m in over_runs(some_points())}
    middle = means["jpeg-dl", "pgd", 2.0]
    assert (middle.top1, middle.runs) == (pytest.approx(0.62), 2)
    assert middle.deviation == pytest.approx(0.04 * 2**0.5)
    assert means["base", "pgd", 2.0].deviation is None
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table(some_points(), "attacks"))
    head = ["network", "attack", "top-1 %", "eps 1/255", "eps 2/255"]
    view = table(some_points())
    assert [column.header for column in view.columns] == head
    assert [next(iter(column.cells)) for column in view.columns[:3]] == ["base", "fgsm", "90.0"]
    assert "62.0 ± 5.7" in capture.get()
    check = Check("a", 0.1, 0.2, True, "fine")
    save_json(some_points(), tmp_path / "x.json", {"seed": 0}, {"base": [check]})
    body = json.loads((tmp_path / "x.json").read_text())
    assert [RobustnessPoint(**p) for p in body["points"]] == some_points()
    assert body["checks"]["base"][0]["sentence"] == "fine"
    with console.capture() as capture:
        console.print(gradient_masking.table([check]))
    assert "passed" in capture.get()


def test_the_plot_has_a_line_and_bars_for_each_network():
    pytest.importorskip("matplotlib", reason="the plot needs softjpeg[report]")
    from softjpeg.report.robustness_plot import robustness_curve

    svg = robustness_curve(some_points(), "pgd")
    assert "jpeg-dl" in svg
    assert "eps in levels of 255" in svg
    # The bars of the only network of several runs, and of its name in the legend.
    assert svg.count('id="LineCollection') == 2
    alone = robustness_curve([p for p in some_points() if p.network == "base"], "pgd")
    assert alone.count('id="LineCollection') == 0
    with pytest.raises(ValueError, match="attack must be one that was measured, got 'autopgd'"):
        robustness_curve(some_points(), "autopgd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(2, 3, 8, 8, dtype=torch.uint8)}, "x must be float of shape"),
        ({"x": torch.full((2, 3, 8, 8), 2.0)}, r"x must lie in 0..1, got 2..2"),
        ({"x": torch.full((2, 3, 8, 8), torch.nan)}, r"x must lie in 0..1, got nan"),
        ({"y": torch.zeros(3).long()}, r"y must be int64 of shape \(2,\), got \(3,\)"),
        ({"eps": 4}, "eps must lie in 0..1 .* got 4"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"restarts": 2, "random_start": False}, "restarts must be 1 without a random start"),
        ({"model": nn.Threshold(2.0, 0.0)}, None),
    ],
)
def test_refused(change, message):
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    given = {"model": model, "x": torch.rand(2, 3, 8, 8), "y": torch.tensor([0, 4]), "eps": EPS}
    if message is None:

        class Detached(nn.Module):
            def forward(self, x):
                return model(x.detach())

        change, message = {"model": Detached()}, "no gradient passes through the network"
    with pytest.raises(ValueError, match=message):
        pgd(**{**given, **change})


def test_refused_by_name():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    pictures = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    labels = torch.tensor([0, 4])
    with pytest.raises(ValueError, match=r"attacks must be of .* softened, autopgd, got 'pdg'"):
        robustness({"a": model}, pictures, labels, attacks=["pdg"])
    with pytest.raises(ValueError, match=r"eps must lie above 0 .* got 0"):
        robustness({"a": model}, pictures, labels, eps=[0])
    with pytest.raises(ValueError, match="labels must be below 5 classes, got 7"):
        robustness({"a": model}, pictures, torch.tensor([0, 7]))
    with pytest.raises(ValueError, match="labels must be at least 0, got -1"):
        robustness({"a": model}, pictures, torch.tensor([0, -1]))
    with pytest.raises(ValueError, match=r"steps must ascend, got \(5, 5\)"):
        masking_checks(model, pictures, labels, steps=(5, 5))
