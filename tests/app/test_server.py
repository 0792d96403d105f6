"""The app over HTTP, with a tiny network; files are judged by Pillow and by `softjpeg encode`."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.commands import call
from helpers.images import smooth_image
from helpers.networks import linear_reader

pytest.importorskip("starlette", reason="softjpeg[app] is not installed")
pytest.importorskip("matplotlib", reason="softjpeg[app] is not installed")

from starlette.testclient import TestClient

from softjpeg.app.answers import MARK
from softjpeg.app.held import Bounds
from softjpeg.app.looking import QUALITIES, default_file
from softjpeg.app.readers import Readers
from softjpeg.app.server import make_app
from softjpeg.codec.image import encode
from softjpeg.corpus.limits import Limits
from softjpeg.models.network import Network
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

BOUNDS = Bounds(Limits(pixels=40_000, bytes=100_000), pictures=2)
WISH = {"network": "tiny", "preset": "universal", "quality": 30}


def tiny(name):
    return Network(linear_reader(64, 8, 12).eval(), name, (64, 64), 64, "bilinear")


@pytest.fixture(scope="module")
def app():
    return make_app({"universal": Ladder.load("universal")}, Readers(["tiny"], tiny), BOUNDS)


@pytest.fixture
def client(app):
    client = TestClient(app, base_url="http://127.0.0.1", headers={MARK: "1"})
    client.post("/api/clear")
    return client


def png_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


IMAGE = smooth_image(120, 160, 3)
DATA = png_of(IMAGE)


@pytest.fixture
def picture(client):
    answer = client.post("/api/pictures", params={"name": "my cat.png"}, content=DATA)
    assert answer.status_code == 200, answer.text
    words = answer.json()
    assert (words["name"], words["width"], words["height"]) == ("my cat.png", 160, 120)
    return f"/api/pictures/{words['id']}"


def opened(answer):
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def test_the_file_is_what_the_shown_command_writes(client, picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my cat.png").write_bytes(DATA)
    for side in ("", "64"):
        words = {**WISH, "side": side}
        line = client.get(f"{picture}/compare", params=words).json()["command"]
        *command, out = line.replace("'my cat.png'", "PICTURE").split()[1:]
        result = call(*("my cat.png" if word == "PICTURE" else word for word in command), out)
        assert result.exit_code == 0, result.output
        file = client.get(f"{picture}/preset.jpg", params=words)
        assert file.content == (tmp_path / "jpegs" / "my cat.jpg").read_bytes()
        assert min(opened(file).size) == (64 if side else 120)


def test_the_tables_are_inside_the_file(client, picture):
    shown = opened(client.get(f"{picture}/preset.jpg", params=WISH)).quantization
    tables = client.get(f"{picture}/tables.json", params=WISH)
    preset = Preset.from_json(tables.text)
    assert [shown[0], shown[1]] == preset.export("pillow")
    maps = client.get(f"{picture}/compare", params=WISH).json()["maps"]
    assert [[int(text) for text, *_ in row] for row in maps[0]["rows"]] == preset.luma.tolist()


def test_default_jpeg_has_as_many_bytes(client, picture):
    found = client.get(f"{picture}/compare", params=WISH).json()
    file = client.get(f"{picture}/default.jpg", params=WISH)
    size, quality = found["default"]["bytes"], found["default"]["quality"]
    assert len(file.content) == size >= found["preset"]["bytes"]

    def by_pillow(quality):
        buffer = io.BytesIO()
        IMAGE.save(buffer, "jpeg", quality=quality, subsampling=2, optimize=True)
        return buffer.getvalue()

    assert file.content == by_pillow(quality)
    assert len(by_pillow(quality - 1)) < found["preset"]["bytes"]


def asked(image):
    """Of Pillow's own resizing, which the network's is near to."""
    pixels = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR))
    batch = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    return tiny("").module(batch)[0].detach()


def test_default_jpeg_is_stored_as_the_preset_is():
    image = smooth_image(160, 240, 3, cells=30)
    own = Preset.from_quality(40)
    stored = {"short_side": 128, "center": 0.5}
    file = default_file(image, Preset(own.luma, own.chroma, **stored))
    # Tables at quality 40 need the bytes of quality 40.
    assert file == encode(image, Preset(own.luma, own.chroma, **stored), metadata=False)


def test_readings_are_the_networks(client):
    square = smooth_image(128, 128, 5)
    number = client.post("/api/pictures", content=png_of(square)).json()["id"]
    where = f"/api/pictures/{number}"
    found = client.get(f"{where}/curves", params={**WISH, "label": 4}).json()
    assert found["target"] == {"index": 4, "name": "class 4"}
    assert [each["quality"] for each in found["preset"]] == [*QUALITIES]
    sizes = [each["bytes"] for each in found["preset"]]
    assert sizes == sorted(sizes)
    readings = [(found["original"], square)]
    for quality in (10, 30, 95):
        place = QUALITIES.index(quality)
        data = client.get(f"{where}/preset.jpg", params={**WISH, "quality": quality}).content
        default = io.BytesIO()
        square.save(default, "jpeg", quality=quality, subsampling=2, optimize=True)
        for each, file in (("preset", data), ("default", default.getvalue())):
            assert found[each][place]["bytes"] == len(file)
            readings.append((found[each][place], Image.open(io.BytesIO(file))))
    for each, image in readings:
        scores = asked(image)
        assert each["probability"] == pytest.approx(float(scores.softmax(-1)[4]), abs=0.01)
        near = (scores - scores[4]).abs() < 0.02
        ranks = 1 + int((scores > scores[4]).sum()), int(near.sum()) - 1
        assert abs(each["rank"] - ranks[0]) <= ranks[1]
    file = opened(client.get(f"{where}/preset.jpg", params=WISH))
    own = client.get(f"{where}/compare", params=WISH).json()
    assert own["target"]["index"] == int(asked(square).argmax())
    chance = float(asked(file).softmax(-1)[own["target"]["index"]])
    assert own["preset"]["probability"] == pytest.approx(chance, abs=0.01)


def test_the_difference_is_grey_where_nothing_changed(client, picture):
    file = np.asarray(opened(client.get(f"{picture}/preset.jpg", params=WISH)), int)
    shown = np.asarray(opened(client.get(f"{picture}/preset-difference.png", params=WISH)), int)
    assert (shown == (128 + 4 * (file - np.asarray(IMAGE, int))).clip(0, 255)).all()


def test_the_sensitivity_map_is_as_large_as_the_picture(client, picture):
    image = opened(client.get(f"{picture}/sensitivity.png", params=WISH))
    assert image.size == IMAGE.size
    assert np.asarray(image).std() > 0


def test_the_archive_holds_every_picture(client, picture):
    client.post("/api/pictures", params={"name": "x/my cat.bmp"}, content=DATA)
    answer = client.get("/api/archive.zip", params=WISH)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        names = {"my cat", "my cat-2"}
        files = {f"jpg/{n}.jpg" for n in names} | {f"tables/{n}.json" for n in names}
        assert {*file.namelist()} == files | {"answers.csv"}
        jpg = file.read("jpg/my cat.jpg")
        assert jpg == client.get(f"{picture}/preset.jpg", params=WISH).content
        assert json.loads(file.read("tables/my cat.json"))["format"] == "softjpeg-preset"
        rows = file.read("answers.csv").decode().splitlines()
    assert len(rows) == 3
    assert rows[1].startswith(f"my cat.png,my cat.jpg,{len(DATA)},{len(jpg)},class ")


@pytest.mark.parametrize(
    ("name", "data", "status", "words"),
    [
        ("a.txt", b"hello", 422, "a.txt is no image that is read"),
        ("cut.png", DATA[:300], 422, "cut.png"),
        ("large.png", png_of(Image.new("L", (300, 300))), 422, "at most 40000 are read"),
        ("long.png", DATA + bytes(100_000), 413, "may have 100000 bytes at most"),
    ],
)
def test_bad_uploads_are_refused(client, name, data, status, words):
    answer = client.post("/api/pictures", params={"name": name}, content=data)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert client.get("/api/archive.zip", params=WISH).status_code == 422


def test_only_so_many_pictures_are_held(client):
    answers = [client.post("/api/pictures", content=DATA).status_code for _ in range(3)]
    assert answers == [200, 200, 413]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"preset": "/etc/passwd"}, "preset must be one of universal, got '/etc/passwd'"),
        ({"network": "net.py:f"}, "network must be one of tiny, got 'net.py:f'"),
        ({"quality": 101}, "quality must be from 1 to 100, got 101"),
        ({"quality": "1e3"}, "quality must be a whole number, got '1e3'"),
        ({"side": 15}, "side must be from 16 to 65500 pixels, got 15"),
        ({"label": 12}, "label must be from 0 to 11, got 12"),
    ],
)
def test_bad_wishes_are_refused(client, picture, change, words):
    answer = client.get(f"{picture}/compare", params={**WISH, **change})
    assert (answer.status_code, answer.json()["detail"]) == (422, words)


def test_a_picture_that_is_gone_is_said_to_be(client, picture):
    client.post("/api/clear")
    answer = client.get(f"{picture}/compare", params=WISH)
    assert answer.status_code == 404
    assert "add it again" in answer.json()["detail"]


def test_other_sites_reach_nothing(app, client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    stranger = TestClient(app, base_url="http://127.0.0.1")
    assert stranger.post("/api/pictures", content=DATA).status_code == 403
    assert stranger.post("/api/clear").status_code == 403
    policy = stranger.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
