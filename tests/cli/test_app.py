import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import softjpeg
from helpers import warm
from helpers.commands import call, refusal
from helpers.images import as_tensor
from softjpeg.jpeg.table_formats import read_tables
from softjpeg.learning.losses import cosine_loss
from softjpeg.models.network import load_network
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

NETWORK = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 2 * 2, 5))
    net.input_size, net.resize = 16, 20
    return net
"""


def picture(path, size=(24, 20), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three photos, a network and a preset, in the current folder."""
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "photos" / "a.png", seed=1)
    picture(tmp_path / "photos" / "sub" / "b.jpg", (33, 17), seed=2)
    picture(tmp_path / "photos" / "sub" / "c.d.bmp", seed=3)
    (tmp_path / "net.py").write_text(NETWORK)
    Preset.from_quality(30).save("preset.json")
    return tmp_path


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


# The program as a whole


def test_help_names_every_command():
    result = call("--help")
    assert result.exit_code == 0
    for command in ("demo", "learn", "encode", "evaluate", "inspect"):
        assert command in result.stdout


def test_version():
    result = call("--version")
    assert (result.exit_code, result.stdout) == (0, f"softjpeg {softjpeg.__version__}\n")


def test_unknown_command_and_option():
    assert call("frobnicate").exit_code == 2
    assert call("inspect", "x.jpg", "--export", "gimp").exit_code == 2


def test_interrupt(monkeypatch):
    def interrupted(output, *, seed):
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "softjpeg.cli.demo_steps", SimpleNamespace(run=interrupted))
    result = call("demo")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == (
        "softjpeg: interrupted; what was written is whole, and the same command goes on or begins "
        "anew\n"
    )


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("a\n  b"), "a b"),
        (ModuleNotFoundError("no foolbox: pip install"), "no foolbox: pip install"),
        (PermissionError(13, "Permission denied", "out/x"), "out/x: Permission denied"),
    ],
)
def test_errors_are_one_sentence(monkeypatch, error, sentence):
    def failing(output, *, seed):
        raise error

    monkeypatch.setitem(sys.modules, "softjpeg.cli.demo_steps", SimpleNamespace(run=failing))
    assert refusal("demo") == sentence


def test_other_errors_keep_their_traceback(monkeypatch):
    def failing(output, *, seed):
        raise ZeroDivisionError

    monkeypatch.setitem(sys.modules, "softjpeg.cli.demo_steps", SimpleNamespace(run=failing))
    assert isinstance(call("demo").exception, ZeroDivisionError)


def test_demo(monkeypatch, tmp_path):
    seen = []
    run = SimpleNamespace(run=lambda output, *, seed: seen.append((output, seed)))
    monkeypatch.setitem(sys.modules, "softjpeg.cli.demo_steps", run)
    assert call("demo", "--out", tmp_path, "--seed", 4).exit_code == 0
    assert seen == [(tmp_path, 4)]


def test_progress_bar_in_a_terminal():
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    terminal, stderr = pty.openpty()
    code = (
        "from softjpeg.common.progress import track; print(list(track('abc', 'reading letters')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, text=True, check=True
    )
    shown = os.read(terminal, 100_000).decode()
    assert done.stdout == "['a', 'b', 'c']\n"
    assert "reading letters" in shown
    assert "3/3" in shown
    os.close(terminal)
    os.close(stderr)


# The package's names


def test_public_names_are_lazy():
    code = "import softjpeg, sys; print('torch' in sys.modules, 'learn' in dir(softjpeg))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("name", sorted(set(softjpeg.__all__) - {"learn"}))
def test_public_names(name):
    assert getattr(softjpeg, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = softjpeg.nothing


def test_learn_is_a_function_however_imported():
    code = """if True:
        import sys
        for lines in sys.argv[1:]:
            for name in [name for name in sys.modules if name.startswith("softjpeg")]:
                # Kernels are registered with PyTorch once.
                if not name.startswith("softjpeg.kernels"):
                    del sys.modules[name]
            exec(lines)
            print(type(learn).__name__, learn.__module__)
    """
    ways = [
        "import softjpeg; learn = softjpeg.learn",
        "import softjpeg.learning.learn; learn = softjpeg.learn",
        "from softjpeg import learn",
        "from softjpeg.learning.learn import learn",
        "import softjpeg.learning.learn; from softjpeg import learn",
        "import softjpeg; softjpeg.learn; import softjpeg.learning.learn; learn = softjpeg.learn",
    ]
    done = warm.run("-c", code, *ways)
    expected = ["function softjpeg.learning.learn"] * len(ways)
    assert done.stdout.splitlines() == expected, done.stderr


# softjpeg encode


def test_encode_keeps_names_and_sizes(folder):
    result = call("encode", "photos", "--preset", "preset.json", "--out", "out")
    assert result.exit_code == 0, result.output
    written = files(folder / "out")
    assert set(written) == {"a.jpg", "sub/b.jpg", "sub/c.d.jpg"}
    assert Image.open(io.BytesIO(written["sub/b.jpg"])).size == (33, 17)
    for data in written.values():
        np.testing.assert_array_equal(read_tables(data)[0], Preset.from_quality(30).luma)
    bytes_in = sum(len(data) for data in files(folder / "photos").values())
    bytes_out = sum(len(data) for data in written.values())
    share = f"{bytes_out / bytes_in:.1%}"
    assert result.stdout == f"3 images: {bytes_in:,} bytes in, {bytes_out:,} bytes out ({share})\n"
    assert result.stderr == ""


def test_encode_again_is_byte_equal(folder):
    def encoded(out, seed, source="photos"):
        words = ("--preset", "preset.json", "--mode", "probabilistic", "--seed", seed)
        assert call("encode", source, "--out", out, *words).exit_code == 0
        return files(folder / out)

    first = encoded("out", 7)
    assert encoded("out", 7) == first
    assert encoded("other", 8).keys() == first.keys()
    assert encoded("other", 8) != first
    (folder / "photos" / "a.png").unlink()
    assert encoded("fewer", 7) == {name: first[name] for name in ("sub/b.jpg", "sub/c.d.jpg")}


def test_encode_a_file_and_a_list(folder):
    words = ("--preset", "preset.json", "--out", "out")
    assert call("encode", "photos/a.png", *words).exit_code == 0
    assert set(files(folder / "out")) == {"a.jpg"}
    (folder / "list.txt").write_text("photos/sub/b.jpg\n")
    assert call("encode", "list.txt", *words).exit_code == 0
    assert set(files(folder / "out")) == {"a.jpg", "photos/sub/b.jpg"}


def test_encode_into_a_folder_of_its_source(folder):
    for _ in range(2):
        assert call("encode", ".", "--preset", "preset.json", "--out", "out").exit_code == 0
        assert set(files(folder / "out")) == {
            "photos/a.jpg",
            "photos/sub/b.jpg",
            "photos/sub/c.d.jpg",
        }


def test_encode_reports_broken_images_and_writes_the_rest(folder):
    (folder / "photos" / "0.png").write_bytes(b"no image")
    (folder / "photos" / "sub" / "z.jpg").write_bytes(b"")
    result = call("encode", "photos", "--preset", "preset.json", "--out", "out")
    assert result.exit_code == 3
    assert set(files(folder / "out")) == {"a.jpg", "sub/b.jpg", "sub/c.d.jpg"}
    first, second, last = result.stderr.splitlines()
    assert "0.png is no image that is read (JPEG, PNG, " in first
    assert "z.jpg is no image that is read (JPEG, PNG, " in second
    assert last == "softjpeg: 2 of 5 images were not written"
    assert result.stdout.startswith("3 images: ")


def test_encode_refuses_collisions(folder):
    """Those that would be one file are named, the others written."""
    picture(folder / "photos" / "a.bmp")
    result = call("encode", "photos", "--preset", "preset.json", "--out", "out")
    assert result.exit_code == 3
    first, second, last = result.stderr.splitlines()
    bmp, png, target = (
        f"{folder}/{name}" for name in ("photos/a.bmp", "photos/a.png", "out/a.jpg")
    )
    rule = "rename one, or say --name-collision suffix"
    assert first == f"softjpeg: {bmp} would be written to {target}, and so would {png}: {rule}"
    assert second == f"softjpeg: {png} would be written to {target}, and so would {bmp}: {rule}"
    assert last == "softjpeg: 2 of 4 images were not written"
    assert set(files(folder / "out")) == {"sub/b.jpg", "sub/c.d.jpg"}


def test_encode_never_overwrites_its_images(folder):
    before = files(folder / "photos")
    assert refusal("encode", "photos", "--preset", "preset.json", "--out", "photos") == (
        f"{folder}/photos/sub/b.jpg would be written over the image {folder}/photos/sub/b.jpg: "
        "choose another --out"
    )
    assert files(folder / "photos") == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("absent", "--preset", "preset.json"), "images must be a file or a folder, but absent"),
        (("photos", "--preset", "absent.json"), "absent.json is neither a file nor a built-in"),
        (("photos", "--preset", "net.py"), "net.py is not a preset: "),
    ],
)
def test_encode_bad_input(folder, words, sentence):
    assert refusal("encode", *words, "--out", "out").startswith(sentence)
    assert not (folder / "out").exists()


def test_encode_into_a_file(folder):
    message = refusal("encode", "photos", "--preset", "preset.json", "--out", "net.py")
    assert "net.py" in message


# softjpeg learn


@pytest.fixture
def learned(monkeypatch):
    """The arguments `softjpeg learn` passes on, instead of minutes of learning."""
    seen = {}

    def stub(model, images, **options):
        seen.update(options, model=model, images=images)
        judged = {"loss": 0.25, "bpp": 0.5, "default_loss": 0.375, "default_bpp": 0.5}
        facts = {"judged": judged, "loss_kind": "KL", "bpp": 0.75, "target_bpp": 0.5}
        tables = Preset.from_quality(20, subsampling=options["subsampling"])
        return replace(tables, provenance={"learned": facts})

    monkeypatch.setitem(vars(softjpeg), "learn", stub)
    return seen


def test_learn(folder, learned):
    result = call(
        *("learn", "net.py:small", "photos", "--rate-weight", 0.1, "--out", "new.json"),
        *("--subsampling", "4:4:4", "--rounds", 3, "--batch-size", 2, "--seed", 9),
        *("--checkpoint", "state.bin", "--limit", 2, "--crops", "--method", "hybrid"),
    )
    assert result.exit_code == 0, result.output
    assert np.array_equal(Preset.load("new.json").luma, Preset.from_quality(20).luma)
    assert "KL 0.2500 at 0.500 bpp; default tables 0.3750 at 0.500 bpp" in result.stdout
    assert "0.5 bpp cannot be reached: the nearest is 0.750" in result.stdout
    assert "softjpeg inspect new.json" in result.stdout
    assert tuple(learned["images"].shape) == (2, 3, 16, 16)
    assert learned["images"].dtype == torch.uint8
    assert not learned["model"].training
    expected = {
        "labels": None,
        "subsampling": "4:4:4",
        "rate_weight": 0.1,
        "target_bpp": None,
        "method": "hybrid",
        "rounds": 3,
        "batch_size": 2,
        "seed": 9,
        "progress": True,
    }
    assert {key: learned[key] for key in expected} == expected
    assert str(learned["checkpoint"]) == "state.bin"
    provenance = learned["provenance"]
    assert (provenance["network"], provenance["images"]) == ("net.py:small", "photos")
    assert (provenance["count"], provenance["size"], provenance["seed"]) == (2, [16, 16], 9)
    json.dumps(provenance)


def test_learn_writes_a_page(folder, learned):
    words = ("learn", "net.py:small", "photos", "--rate-weight", 0.1, "--out", "new.json")
    result = call(*words, "--crops", "--page", "new.html")
    assert result.exit_code == 0, result.output
    assert "wrote new.html" in result.stdout
    text = Path("new.html").read_text()
    for part in ("softjpeg learn net.py:small", "new 0.75 bpp", "luma, learned", "<h2>Pictures"):
        assert part in text
    assert refusal(*words, "--page", "new.txt") == "--page must end in .html, got 'new.txt'"
    assert "--out writes to the same file" in refusal(*words[:-1], "x.html", "--page", "x.html")


def test_learn_at_the_photos_own_size(folder, learned):
    words = ("--rate-weight", 0.1, "--out", "new.json")
    assert call("learn", "net.py:small", "photos", *words).exit_code == 0
    paths = sorted(path for path in Path("photos").rglob("*") if path.is_file())
    for image, path in zip(learned["images"], paths, strict=True):
        with Image.open(path) as picture:
            assert torch.equal(image, as_tensor(picture.convert("RGB")))
    # The network reads them through its own preprocessing: a crop of 16 pixels, as it says.
    whole = torch.rand(2, 3, 20, 24)
    cropped = whole[..., 2:18, 4:20]
    network = load_network("net.py:small")
    assert torch.equal(learned["model"](whole), network.module(cropped))
    provenance = learned["provenance"]
    assert provenance["size"] == "each photo's own"
    assert provenance["preprocessing"]["crop"] == (16, 16)


def test_learn_with_labels_and_size(folder, learned):
    (folder / "labels.csv").write_text("file,label\na.png,3\nsub/b.jpg,1\nsub/c.d.bmp,0\n")
    words = ("--target-bpp", 0.6, "--out", "new.json", "--labels", "labels.csv", "--size", 12)
    assert call("learn", "net.py:small", "photos", *words).exit_code == 0
    assert learned["labels"].tolist() == [3, 1, 0]
    assert (learned["target_bpp"], tuple(learned["images"].shape)) == (0.6, (3, 3, 12, 12))
    # Without a --resize of its own, --size crops the image as it is.
    first = np.asarray(Image.open("photos/a.png").crop((6, 4, 18, 16)))
    np.testing.assert_array_equal(learned["images"][0].permute(1, 2, 0), first)


def test_learn_a_ladder(folder, monkeypatch):
    seen = {}

    def stub(models, images, **options):
        seen.update(options, models=models)
        rung = Preset.from_quality(50)
        return Ladder((rung,), ((0, 0.1), (1, 1.0), (2, 8.0)), ((1, 0.1), (50, 1.0), (100, 8.0)))

    monkeypatch.setitem(vars(softjpeg), "learned_ladder", stub)
    words = ("--qualities", "10,60", "--also", "net.py:small", "--mode", "rdo", "--loss", "cosine")
    result = call("learn", "net.py:small", "photos", "--out", "new.json", *words)
    assert result.exit_code == 0, result.output
    assert result.stdout == "wrote new.json: a preset for every quality from 1 to 100\n"
    assert Ladder.load("new.json").at(50) is not None
    assert (seen["qualities"], seen["mode"], seen["loss"]) == ((10, 60), "rdo", cosine_loss)
    assert (len(seen["models"]), seen["provenance"]["networks"]) == (2, ["net.py:small"] * 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give exactly one of --target-bpp, --target-bytes, --max-drop, --rate-weight"),
        (
            ("--target-bpp", 1, "--rate-weight", 1),
            "give exactly one of --target-bpp, --target-bytes, --max-drop, --rate-weight",
        ),
        (("--max-drop", 0, "--ladder"), "and --ladder, got --max-drop 0.0, --ladder"),
        (("--qualities", "5,0"), "--qualities must be from 1 to 100, got 0"),
        (("--target-bpp", 1, "--size", 99), "smaller than the crop 99x99"),
        (("--target-bpp", 1, "--labels", "absent.csv"), "labels absent.csv cannot be read"),
        (("--target-bpp", 1, "--labels", "folders"), "a.png is in no class folder"),
    ],
)
def test_learn_bad_input(folder, learned, words, sentence):
    assert sentence in refusal("learn", "net.py:small", "photos", "--out", "new.json", *words)
    assert learned == {}


def test_learn_checks_where_to_write_first(folder, learned):
    words = ("learn", "net.py:small", "photos", "--target-bpp", 1, "--out", "absent/new.json")
    assert refusal(*words) == "--out absent/new.json: the folder absent does not exist"


def test_learn_bad_network(folder, learned):
    words = ("photos", "--target-bpp", 1, "--out", "new.json")
    assert refusal("learn", "absent.py:f", *words) == "network file absent.py does not exist"
    assert refusal("learn", "small", *words).startswith("network must be timm:NAME, ")


# softjpeg inspect


def test_inspect(folder):
    result = call("inspect", "photos/sub/b.jpg")
    assert result.exit_code == 0
    assert "33 × 17 pixels" in result.stdout
    assert "libjpeg 30 (exactly)" in call("inspect", "preset.json").stdout


def test_inspect_export(folder):
    result = call("inspect", "preset.json", "--export", "cjpeg")
    assert result.stdout == Preset.load("preset.json").export("cjpeg")


def test_inspect_bad_input(folder):
    assert refusal("inspect", "absent.jpg") == "absent.jpg: No such file or directory"
    assert refusal("inspect", "net.py") == "net.py is neither a JPEG file nor a preset"
    assert refusal("inspect", "photos") == "photos: Is a directory"
    (folder / "cut.jpg").write_bytes((folder / "photos/sub/b.jpg").read_bytes()[:300])
    assert refusal("inspect", "cut.jpg").startswith("cut.jpg: data is cut off")
