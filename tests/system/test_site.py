"""The site's pictures are of the published results, and the tutorials' commands run."""

import io
import json
import re
import shlex
import tarfile
from importlib import util
from pathlib import Path

import pytest
from PIL import Image

import softjpeg
from helpers.commands import call
from helpers.images import smooth_image

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
BUCKET = ROOT / "docs/tutorials/bucket.md"
WITH_COMMANDS = [page for page in TUTORIALS if "```sh" in page.read_text() and page != BUCKET]

NETWORK = """
from torch import nn

def create():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)
    )
    net.input_size = 32
    net(__import__("torch").rand(2, 3, 32, 32))
    return net.eval()
"""


def commands(page):
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("softjpeg ")]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_tutorials_commands_run_in_their_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, count in (("photos", 16), ("others", 4)):
        (tmp_path / name).mkdir()
        for i in range(count):
            smooth_image(40, 48, i + count).save(tmp_path / name / f"{i}.png")
    (tmp_path / "network.py").write_text(NETWORK)
    assert commands(page)
    for words in commands(page):
        result = call(*words)
        if words[0] == "adapt" and result.exit_code == 2:
            # As the page says: a network of random weights need not gain, and then has no adapter.
            assert "nothing beat the frozen network beyond chance" in result.output
            assert not Path(words[words.index("--out") + 1]).exists()
        else:
            assert result.exit_code == 0, result.output
        if words[0] == "encode":
            files = sorted(Path(words[words.index("--out") + 1]).glob("*.jpg"))
            assert len(files) == 16
            for file in files:
                with Image.open(file) as written:
                    assert written.size == (48, 40)


def test_the_buckets_commands_run_on_one_in_memory(tmp_path):
    pytest.importorskip("pebble", reason="softjpeg[corpus] is not installed")
    there = pytest.importorskip("fsspec").filesystem("memory")
    image, shard = tmp_path / "0.png", tmp_path / "0.tar"
    smooth_image(40, 48, 0).save(image)
    with tarfile.open(shard, "w") as archive:
        archive.add(image, "0.png")
    there.pipe("/bucket/shards/0.tar", shard.read_bytes())
    try:
        dry, real = commands(BUCKET)
        assert call(*(word.replace("s3://", "memory://") for word in dry)).exit_code == 0
        assert not there.exists("/bucket/smaller")
        assert call(*(word.replace("s3://", "memory://") for word in real)).exit_code == 0
        written = {path.rpartition("/")[2] for path in there.find("/bucket/smaller")}
        assert written >= {"0.tar", "0.tar.manifest.jsonl", "index.jsonl"}
        with tarfile.open(fileobj=io.BytesIO(there.cat("/bucket/smaller/0.tar"))) as archive:
            data = archive.extractfile("0.jpg").read()
        with Image.open(io.BytesIO(data)) as shown:
            assert (shown.format, shown.size) == ("JPEG", (48, 40))
    finally:
        there.store.clear()
        there.pseudo_dirs[:] = [""]


def test_every_page_is_in_the_sites_navigation():
    shown = set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    docs = ROOT / "docs"
    assert shown == {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}


def test_every_public_name_is_on_a_page_of_the_api():
    pages = "\n".join(page.read_text() for page in (ROOT / "docs/api").glob("*.md"))
    shown = set(re.findall(r"^::: \S+\.(\w+)$", pages, re.MULTILINE))
    assert shown >= {*softjpeg.__all__} - {"__version__", "functional"}


@pytest.fixture
def figures():
    pytest.importorskip("matplotlib", reason="softjpeg[report] is not installed")
    spec = util.spec_from_file_location("figures", ROOT / "docs/figures.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_first_picture_is_of_the_published_points(figures):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    figures.accuracy(axes)
    drawn = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    pyplot.close(figure)
    points = json.loads((ROOT / "docs/results/centre.points.json").read_text())["points"]
    for name, label in (
        ("universal-288 q 5", "softjpeg --preset universal-288"),
        ("universal-288 q 5, center", "softjpeg --preset universal-288 --center 0.9"),
    ):
        (point,) = [p for p in points if p["name"] == name and p["reader"] == "efficientnet-lite0"]
        assert list(drawn[label][0]) == pytest.approx([point["bpp"], 100 * point["top1"]])
    assert len(drawn) == 4


def test_the_centres_picture_is_of_files_as_large_as_its_page_says(figures, tmp_path, capsys):
    figures.center(tmp_path)
    assert (tmp_path / "center.jpg").stat().st_size > 10_000
    page = (ROOT / "docs/encoding.md").read_text()
    sizes = [int(line.split()[-2]) for line in capsys.readouterr().out.splitlines()]
    assert len(sizes) == 2
    assert all(f"{size:,} bytes" in page for size in sizes)


def test_pictures_are_drawn_for_both_themes(figures, tmp_path):
    figures.draw("soft_quantizer", tmp_path)
    shown = {path.name for path in tmp_path.iterdir()}
    assert shown == {"soft_quantizer-dark.svg", "soft_quantizer-light.svg"}
    assert shown <= {path.name for path in (ROOT / "docs/pictures").iterdir()}
