"""The experiments about JPEG-DL: they train, go on, attack, and their tables say what was found."""

import io
import json
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import jpeg_dl_attacks as attacks  # noqa: E402
from benchmarks import jpeg_dl_attacks_page as page  # noqa: E402
from benchmarks import jpeg_dl_page as results  # noqa: E402
from benchmarks import jpeg_dl_regimes as regimes  # noqa: E402
from benchmarks.fixed_jpeg import FixedJPEG, differentiable  # noqa: E402

from helpers.images import noise  # noqa: E402
from helpers.tiny_training import tiny_recipe, write_images, write_recipe  # noqa: E402

# ------------------------------------------------------------------------------------- the grid


@pytest.fixture
def grid(tmp_path, monkeypatch):
    write_images(tmp_path / "images")
    tree = tiny_recipe(tmp_path / "images", train__epochs=1, jpeg__init="sensitivity")
    write_recipe(tmp_path / "resnet20.toml", tree)
    monkeypatch.setattr(regimes, "RECIPES", tmp_path)
    (tmp_path / "cub200").mkdir()
    for plane in ("Y", "Cb", "Cr"):
        np.save(tmp_path / "cub200" / f"{plane}_resnet18.npy", np.geomspace(1e-8, 1e-12, 64))
    return Namespace(
        model="resnet20",
        runs=tmp_path / "runs",
        data=tmp_path / "images",
        sensitivities=tmp_path,
        epochs=0,
    )


def test_the_grid_trains_goes_on_and_is_collected(grid, tmp_path):
    for seed in (0, 1):
        for row in ("own/baseline", "clipping/clip"):
            regimes.train_row(grid, row, seed)
    found = regimes.write(tmp_path / "out.json", grid.runs)
    assert {row: set(seeds) for row, seeds in found.items()} == {
        "own/baseline": {"0", "1"},
        "clipping/clip": {"0", "1"},
    }
    for row, seeds in found.items():
        for seed, top1 in seeds.items():
            log = (grid.runs / row / f"seed-{seed}" / "log.jsonl").read_text().splitlines()
            assert json.loads(log[-1])["top1"] == top1
    body = json.loads((tmp_path / "out.json").read_text())
    assert body["starts"]["clipping/clip"]["dc_beyond"] == 1.0
    assert body["setting"]["test images"] == 9
    file = grid.runs / "clipping/clip/seed-1/last.safetensors"
    before = file.stat().st_mtime_ns
    regimes.train_row(grid, "clipping/clip", 1)
    assert file.stat().st_mtime_ns == before


def test_a_row_s_gain_is_paired_and_its_interval_is_student_s():
    found = {
        "own/baseline": {"0": 0.50, "1": 0.60, "2": 0.70},
        "vgg8/jpeg-dl": {"0": 0.51, "1": 0.62, "2": 0.73},
        "vgg8/hard": {"1": 0.61},
    }
    lines = regimes.table(found)[2:]
    assert lines[0].endswith("| 3 | 60.0 ± 10.0 |  |  |")
    # 2 ± 4.303·1/√3, Student's t for 2 degrees of freedom.
    assert lines[1].endswith("| 3 | 62.0 ± 11.0 | +2.0 ± 1.0 | -0.5 to +4.5 |")
    assert lines[2].endswith("| 1 | 61.0 | +1.0 |  |")
    assert regimes.interval([2.0, 2.1, 2.2]).startswith("**+1.9")


# ------------------------------------------------------------------------------------ the attacks


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(294, 3)).eval()


def test_attacks_go_on_where_they_were(tmp_path):
    model, images, labels = network(), noise(12), torch.arange(12) % 3
    made = []

    def system():
        made.append(1)
        return attacks.System(model, model)

    run = partial(
        attacks.run,
        tmp_path / "out.json",
        {"nothing": system},
        images,
        labels,
        baseline=model,
        eps=[4.0],
        setting={"images": "noise"},
    )
    run(chosen=["FGSM"])
    run(chosen=["FGSM"])
    assert len(made) == 1
    run(chosen=["FGSM", "BPDA FGSM", attacks.TRANSFER])
    cells = page.read(tmp_path / "out.json")
    assert {attack for _, attack, _ in cells} == {"none", "FGSM", "BPDA FGSM", attacks.TRANSFER}
    with torch.no_grad():
        right = (model(images / 255).argmax(-1) == labels).numpy()
    assert (cells["nothing", "none", 0.0] == right).all()
    # Without a layer there is nothing to go straight through.
    assert (cells["nothing", "FGSM", 4.0] == cells["nothing", "BPDA FGSM", 4.0]).all()
    with pytest.raises(SystemExit, match="of another setting"):
        run(chosen=["FGSM"], setting={"images": "others"})


@pytest.mark.parametrize("name", attacks.attacks(0.0, torch.Generator()))
def test_every_attack_stays_near_the_images(name):
    if name == "AutoPGD":
        pytest.importorskip("art", reason="needs adversarial-robustness-toolbox")
    model, x = network(), noise(2).float() / 255
    with torch.no_grad():
        y = model(x).argmax(-1)
    attack = attacks.attacks(2 / 255, torch.Generator())[name]
    assert 0 < (attack(model, x, y) - x).abs().max() <= 2 / 255 + 1e-6


def cells():
    bits = {
        "nothing|none|0": "1111",
        "nothing|FGSM|1": "1100",
        "nothing|PGD-5|1": "0110",
        "layer, seed 0|none|0": "1110",
        "layer, seed 0|FGSM|1": "1110",
        "layer, seed 1|none|0": "1111",
        "layer, seed 1|FGSM|1": "1000",
    }
    return {
        (s, a, float(e)): np.array([b == "1" for b in value])
        for (s, a, e), value in ((key.split("|"), value) for key, value in bits.items())
    }


def test_the_worst_of_all_attacks_is_taken_image_by_image():
    lines = page.tables(cells())
    assert lines[0] == "| eps 1/255, in front | none | FGSM | PGD-5 | worst of these |"
    assert lines[2] == "| nothing | 100.0 | 50.0 | 50.0 | 25.0 |"
    assert lines[3] == "| layer | 87.5 ± 17.7 | 50.0 ± 35.4 |  | 50.0 ± 35.4 |"
    # Wilson's interval of 2 of 4 is .15 to .85.
    assert lines[-1].startswith(
        "4 images; the 95 % interval of one network is at most ± 35.0. Mean"
    )


def test_differences_are_paired():
    alone = {(s.removesuffix(", seed 0"), a, e): right for (s, a, e), right in cells().items()}
    lines = page.differences(alone, "nothing", 1.0, ["FGSM"])
    # 0, 0, 1, 0: .25 with a standard error of .25.
    assert lines[2:] == ["| layer | FGSM | +25.0 | -24.0 to +74.0 |"]
    seeds = {(s.replace("nothing", "nothing, seed 1"), *key): r for (s, *key), r in cells().items()}
    seeds |= {(s + ", seed 0", *key): r for (s, *key), r in cells().items() if s == "nothing"}
    lines = page.differences(seeds, "nothing", 1.0, ["FGSM"])
    # Over both seeds 0, -.5, .5, 0: standard error √(1/6)/2.
    assert lines[2:] == ["| layer | FGSM | +0.0 | -40.0 to +40.0 |"]


def test_the_page_shows_what_the_files_say():
    text = results.PAGE.read_text(encoding="utf-8")
    assert results.filled(text) == text
    assert text.count("<!-- table ") == text.count("<!-- end -->") == len(results.TABLES)


def test_the_plot_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="needs softjpeg[report]")
    page.plot(cells(), tmp_path / "a.png", 1.0)
    with Image.open(tmp_path / "a.png") as image:
        assert min(image.size) > 200


def test_the_fixed_jpeg_is_pillow_s_and_its_layer_shows_nearly_the_same():
    images = noise(2, 16) // 8 + 100
    defended = FixedJPEG(nn.Identity(), 75)(images / 255)
    for image, shown in zip(images, defended, strict=True):
        file = io.BytesIO()
        pixels = image.permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file, "jpeg", quality=75, subsampling=2)
        judge = np.asarray(Image.open(file))
        assert np.array_equal((shown * 255).round().permute(1, 2, 0).numpy(), judge)
    with torch.no_grad():
        layer = differentiable(nn.Identity(), 75, hardness=1e4)(images / 255)
    assert (255 * (layer - defended)).abs().mean() < 0.5
