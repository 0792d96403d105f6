"""The recipes that are shipped: every cell of the papers' tables, and that each one trains."""

import json
import math
from pathlib import Path

import pytest
import torch

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("timm", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from helpers.stand_ins import write
from helpers.tiny_training import train_variant
from softjpeg.nn.table_quantizer import TableQuantizer
from softjpeg.training.build import build_network
from softjpeg.training.checkpoint import load_checkpoint
from softjpeg.training.data.sources import SOURCES
from softjpeg.training.recipe_file import load_recipe, override, parse_recipe
from softjpeg.training.variants import VARIANTS, with_variant

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "recipes"
RECIPES = sorted(
    path.relative_to(FOLDER).as_posix()
    for path in FOLDER.glob("**/*.toml")
    if path.name != "base.toml"
)

# JPEG-DL, tables 1, 3, 6 and 7: variant, then top-1 ± standard deviation in the order of the names.
CIFAR100 = "resnet32 resnet56 resnet110 vgg8 vgg13 mobilenetv2 shufflenetv2"
IMAGENET = "squeezenet1_1 resnet18 resnet34"
RESNET18 = "resnet18_cub200 resnet18_dogs resnet18_flowers102 resnet18_pets"
DENSENET121 = "densenet121_cub200 densenet121_dogs densenet121_flowers102 densenet121_pets"
TABLES = [
    ("cifar100", CIFAR100, "baseline", "71.14 72.34 73.79 70.36 73.77 64.6 71.82"),
    (
        *("cifar100", CIFAR100, "jpeg-dl"),
        "71.92±.31 73.39±.19 74.46±.11 71.10±.41 75.32±.10 65.91±.11 73.04±.16",
    ),
    ("imagenet", IMAGENET, "baseline", "57.95 69.75 73.31"),
    ("imagenet", IMAGENET, "jpeg-dl", "58.26 70.13 73.54"),
    ("imagenet", "squeezenet1_1", "rounds-5", "58.46"),
    ("fine_grained", RESNET18, "baseline", "54.00±1.43 63.71±.32 57.13±1.28 70.37±.84"),
    ("fine_grained", RESNET18, "noise", "50.78±2.21 53.47±7.37 55.46±.59 56.14±17.16"),
    ("fine_grained", RESNET18, "cubic", "55.34±.14 63.03±.56 55.78±1.44 71.45±1.01"),
    ("fine_grained", RESNET18, "lsq", "51.58±.18 60.45±.23 58.04±.58 68.81±.55"),
    ("fine_grained", RESNET18, "jpeg-dl", "58.81±.12 65.57±.37 68.76±.57 74.84±.66"),
    ("fine_grained", RESNET18, "conv1", "59.27±.04 65.33±.07 72.10±1.46 76.11±.37"),
    ("fine_grained", DENSENET121, "baseline", "57.70±.44 66.61±.17 51.32±.57 70.26±.79"),
    ("fine_grained", DENSENET121, "noise", "52.00±1.41 60.07±6.41 46.60±2.87 61.91±1.88"),
    ("fine_grained", DENSENET121, "cubic", "57.19±.78 66.90±.13 51.04±.87 69.95±1.21"),
    ("fine_grained", DENSENET121, "lsq", "56.46±.30 64.89±.12 55.98±.24 69.58±.59"),
    ("fine_grained", DENSENET121, "jpeg-dl", "61.32±.43 69.67±.58 72.22±1.05 75.90±.68"),
]


def cells(table):
    family, names, variant, numbers = table
    for name, number in zip(names.split(), numbers.split(), strict=True):
        top1, _, std = number.partition("±")
        yield f"{family}/{name}.toml", variant, float(top1), float(std) if std else None


def parsed(name, variant="jpeg-dl"):
    return parse_recipe(with_variant(load_recipe(FOLDER / name), variant), name)


def test_every_cell_of_the_papers_tables_has_its_number():
    wanted = {(file, variant): (a, b) for t in TABLES for file, variant, a, b in cells(t)}
    found = {
        (name, variant): (number.top1, number.std)
        for name in RECIPES
        for variant, number in parsed(name).expected.items()
    }
    assert found == wanted
    assert len(found) == 65


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_takes_and_expects(name):
    for variant in VARIANTS:
        recipe = parsed(name, variant)
    assert recipe.data.name in SOURCES
    assert set(recipe.expected) <= set(VARIANTS)
    for number in recipe.expected.values():
        assert number.source.startswith("JPEG-DL, table ")
        assert (number.std is None) or number.runs == 3
    for words in (recipe.name, recipe.hardware, recipe.wall_time):
        assert words
        assert words == words.strip()
    if recipe.schedule.name == "step":
        assert len(recipe.schedule.milestones) > 0
        assert max(recipe.schedule.milestones) < recipe.train.epochs


def test_the_authors_settings():
    resnet, mobile = parsed("cifar100/resnet32.toml"), parsed("cifar100/mobilenetv2.toml")
    assert (resnet.optimizer.lr, mobile.optimizer.lr) == (0.05, 0.01)
    assert (resnet.optimizer.momentum, resnet.optimizer.weight_decay) == (0.9, 5e-4)
    assert (resnet.train.epochs, resnet.train.batch_size) == (240, 64)
    assert (resnet.schedule.milestones, resnet.schedule.gamma) == ((150, 180, 210), 0.1)
    assert (resnet.jpeg.alpha, resnet.jpeg.q_max, resnet.jpeg.init) == (5, 10, "sensitivity")
    assert (resnet.jpeg_optimizer.name, resnet.jpeg_optimizer.lr) == ("adam", 0.003)
    fine = parsed("fine_grained/densenet121_dogs.toml")
    assert (fine.optimizer.lr, fine.optimizer.weight_decay) == (0.1, 1e-4)
    assert (fine.train.epochs, fine.train.batch_size, fine.data.size) == (200, 32, 224)
    assert (fine.schedule.milestones, fine.jpeg.alpha) == ((100, 150), 5)
    for name, (lr, decay, batch, epochs, hardness, jpeg_lr) in {
        "resnet18": (0.1, 1e-4, 256, 90, 0.8, 0.4),
        "squeezenet1_1": (0.01, 2e-4, 128, 100, 3.0, 0.1),
    }.items():
        recipe = parsed(f"imagenet/{name}.toml")
        assert (recipe.optimizer.lr, recipe.optimizer.weight_decay) == (lr, decay)
        assert (recipe.train.batch_size, recipe.train.epochs) == (batch, epochs)
        assert (recipe.jpeg.hardness, recipe.jpeg.alpha) == (hardness, None)
        assert (recipe.jpeg.init, recipe.jpeg.bits, recipe.jpeg.levels) == ("magnitude", 8, 127)
        assert (recipe.jpeg_optimizer.name, recipe.jpeg_optimizer.lr) == ("sgd", jpeg_lr)
        assert (recipe.jpeg_optimizer.momentum, recipe.jpeg_optimizer.scheduled) == (0.9, True)
    for name in RECIPES:
        jpeg = parsed(name).jpeg
        assert (jpeg.levels, jpeg.window, jpeg.subsampling) == (127, 5, "4:4:4")


def shrunk(name, root, **more):
    """A recipe with settings that only make it smaller."""
    tree = load_recipe(FOLDER / name)
    small = {
        "data.root": str(root),
        "data.workers": 0,
        "train.batch_size": 2,
        "train.accumulate": 1,
        "train.max_steps": 2,
        "train.log_every": 1,
    }
    return override(tree, small | more)


def train_two_steps(tree, out, variant="jpeg-dl"):
    """Train; the tables before and after, None where there is no layer."""
    result = train_variant(tree, out, variant)
    assert (result["step"], result["images"]) == (2, 4)
    run = out / variant / "seed-0"
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["event"] == "step"]
    assert len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    tensors, facts = load_checkpoint(run / "last.safetensors")
    ends = [value for name, value in tensors.items() if name.endswith(".tables")]
    if not ends:
        assert facts.get("initial_tables") is None
        return None, None
    return torch.tensor(facts["initial_tables"]), ends[0]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_two_steps(name, tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    data = parsed(name).data
    write(data.name, tmp_path / "data", monkeypatch)
    more = {}
    if data.size == 224 and "efficientformer" not in name:
        # EfficientFormer's attention is made for 224; the others read any size, and 64 is fast.
        more = {"data.size": 64, "data.test_resize": 72}
    tree = shrunk(name, tmp_path / "data", **more)
    start, end = train_two_steps(tree, tmp_path / "out")
    assert start.shape == end.shape == (1, 2, 8, 8)
    assert torch.isfinite(end).all()
    assert (start != end).any()
    init = parsed(name).jpeg.init
    if init == "sensitivity":
        torch.testing.assert_close(start[0, 0].max(), torch.tensor(10.0))
    assert (tmp_path / "out/baseline/seed-0/last.safetensors").is_file() == (init == "sensitivity")


def test_every_variant_trains_two_steps(tmp_path, monkeypatch):
    write("cifar100", tmp_path / "data", monkeypatch)
    tree = shrunk("cifar100/resnet32.toml", tmp_path / "data", **{"model.name": "cifar:resnet8"})
    moved = {}
    for variant in VARIANTS:
        start, end = train_two_steps(tree, tmp_path / "out", variant)
        moved[variant] = None if start is None else bool((start != end).any())
    others = {"baseline": None, "jpeg-augmentation": None, "zero-dc": False, "fixed-tables": False}
    assert moved == {variant: others.get(variant, True) for variant in VARIANTS}


@pytest.mark.parametrize(
    ("name", "at", "channels"),
    [
        ("cifar100/resnet110.toml", "conv1", 16),
        ("cifar100/vgg13.toml", "block0.0", 64),
        ("cifar100/mobilenetv2.toml", "conv1.0", 16),
        ("imagenet/resnet34.toml", "conv1", 64),
        ("imagenet/squeezenet1_1.toml", "features.0", 64),
        ("fine_grained/densenet121_pets.toml", "features.conv0", 64),
    ],
)
def test_the_layer_after_the_first_convolution(name, at, channels):
    tree = with_variant(load_recipe(FOLDER / name), "conv1", None if at == "conv1" else at)
    network = build_network(parse_recipe(tree, name), 10)
    (layer,) = [module for module in network.modules() if isinstance(module, TableQuantizer)]
    assert layer.channels == channels


def refusal(path, *settings):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_recipe(load_recipe(path, settings), str(path))
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


RESNET32 = FOLDER / "cifar100/resnet32.toml"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.epoch=3", "unknown key train.epoch; the nearest known one is epochs"),
        ("jpegs.rounds=3", "unknown key jpegs; the nearest known one is jpeg"),
        (
            "expected.baseline.top=3",
            "unknown key expected.baseline.top; the nearest known one is top1",
        ),
        ("train.epochs=many", "train.epochs: input should be a valid integer"),
        ("jpeg.rounds=6", "jpeg.rounds: input should be less than or equal to 5, got 6"),
        ("jpeg.quantizer=sofd", "got 'sofd'"),
        ("jpeg.hardness=3", "give jpeg.alpha or jpeg.hardness, not both"),
        ("optimizer.lr=0", "optimizer.lr: input should be greater than 0, got 0"),
    ],
)
def test_bad_settings_are_named(setting, words):
    sentence = refusal(RESNET32, setting)
    assert sentence.startswith(f"{RESNET32}: ")
    assert words in sentence


def test_settings_have_a_key_and_a_value():
    assert refusal(RESNET32, "train.epochs") == "--set must be key=value, got 'train.epochs'"
    assert refusal(RESNET32, "=3") == "--set must be key=value, got '=3'"
    assert refusal(RESNET32, "name.x=3") == "name.x cannot be set: name is not a section"
    tree = load_recipe(
        RESNET32,
        ["jpeg.init=ones", "data.mean=[0.5, 0.5, 0.5]", 'name = "a = b"', "model.name=x:y"],
    )
    recipe = parse_recipe(tree, "x")
    assert (recipe.jpeg.init, recipe.data.mean, recipe.name) == ("ones", (0.5,) * 3, "a = b")
    assert recipe.model.name == "x:y"


def test_bases(tmp_path):
    (tmp_path / "a.toml").write_text('base = "deep/b.toml"\n[train]\nepochs = 3\n')
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b.toml").write_text(
        'base = "../c.toml"\n[train]\nepochs = 2\nbatch_size = 8\n[jpeg]\ninit = "ones"\n'
    )
    (tmp_path / "c.toml").write_text('name = "c"\n[jpeg]\ninit = "random"\nrounds = 2\n')
    assert load_recipe(tmp_path / "a.toml") == {
        "name": "c",
        "train": {"epochs": 3, "batch_size": 8},
        "jpeg": {"init": "ones", "rounds": 2},
    }
    (tmp_path / "c.toml").write_text('base = "a.toml"\n')
    assert refusal(tmp_path / "a.toml").endswith("has itself for a base")
    (tmp_path / "c.toml").unlink()
    assert refusal(tmp_path / "a.toml") == (
        f"recipe {tmp_path / 'deep/../c.toml'} cannot be read: No such file or directory"
    )
    (tmp_path / "deep/b.toml").write_text("epochs = \n")
    assert refusal(tmp_path / "a.toml").startswith(f"recipe {tmp_path / 'deep/b.toml'} is not TOML")
    (tmp_path / "a.toml").write_text("[train]\nepochs = 3\n")
    assert refusal(tmp_path / "a.toml").startswith(f"{tmp_path / 'a.toml'}: key ")
    assert refusal(tmp_path / "a.toml").endswith(" is missing")
