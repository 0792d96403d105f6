"""The service over ASGI: its bytes are the command line's, and every refusal has its status."""

import hashlib
import io
import json
import tarfile

import pytest
from PIL import Image

from helpers.commands import call
from helpers.images import smooth_image
from helpers.sources import write_tar
from softjpeg.corpus.limits import Limits

PACKAGES = ("starlette.testclient", "pebble", "prometheus_client", "python_multipart")
TestClient = None
for package in PACKAGES:
    module = pytest.importorskip(package, reason="softjpeg[serve] is not installed")
    TestClient = TestClient or module.TestClient
app = pytest.importorskip("softjpeg.corpus.service.app")
make_app, Settings = app.make_app, app.Settings

PRESETS = {"universal": "universal", "default": "default"}
QUERY = {"preset": "universal", "quality": "40"}
HEADERS = {"Content-Type": "image/png"}


def image_bytes(kind="png", seed=0, **options):
    buffer = io.BytesIO()
    smooth_image(50, 70, seed).save(buffer, kind, **options)
    return buffer.getvalue()


def tar_of(files):
    buffer = io.BytesIO()
    write_tar(buffer, files)
    return buffer.getvalue()


def untarred(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}
    rows = [json.loads(line) for line in files.pop("manifest.jsonl").decode().splitlines()]
    return files, {row["source"]: row for row in rows}


@pytest.fixture(scope="module")
def client():
    limits = Limits(pixels=100_000, bytes=200_000, seconds=20)
    with TestClient(make_app(Settings(PRESETS, limits, queue_bytes=1_000_000))) as client:
        yield client


def post(client, content, query=QUERY, headers=HEADERS):
    return client.post("/v1/encode", params=query, content=content, headers=headers)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_bytes_are_those_of_the_command_line(client, tmp_path, kind):
    data = image_bytes(kind, icc_profile=bytes(16) + b"RGB " + bytes(200))
    (tmp_path / f"a.{kind}").write_bytes(data)
    words = ("--preset", "universal", "--quality", 40, "--manifest", "--out", tmp_path / "out")
    assert call("encode", tmp_path / f"a.{kind}", *words).exit_code == 0
    written = (tmp_path / "out" / "a.jpg").read_bytes()
    manifest = next((tmp_path / "out").glob("*manifest*")).read_text()
    answer = post(client, data)
    assert answer.status_code == 200
    assert answer.content == written
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{hashlib.sha256(written).hexdigest()}"'
    assert answer.headers["x-source-bytes"] == str(len(data))
    assert answer.headers["x-preset-digest"] in manifest


def test_other_qualities_and_the_default_tables(client):
    sizes = []
    for quality in (10, 60):
        answer = post(client, image_bytes(), {"preset": "default", "quality": quality})
        buffer = io.BytesIO()
        smooth_image(50, 70).save(buffer, "jpeg", quality=quality, optimize=True)
        with Image.open(buffer) as expected, Image.open(io.BytesIO(answer.content)) as image:
            assert image.quantization == expected.quantization
        sizes.append(len(answer.content))
    assert sizes[0] < sizes[1]


def cut(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("status", "content", "query", "headers", "words"),
    [
        (400, image_bytes(), {"preset": "../x"}, {}, "preset must be one of universal, default"),
        (400, image_bytes(), {"preset": "http://a"}, {}, "preset must be one of universal"),
        (400, image_bytes(), QUERY | {"quality": "0"}, {}, "quality must be an integer from 1"),
        (400, image_bytes(), QUERY | {"url": "http://a"}, {}, "got 'url'"),
        (400, image_bytes(), {"preset": ["universal"] * 2}, {}, "each parameter once"),
        (400, image_bytes(), {"preset": "universal"}, {}, "choose a quality from 1 to 100"),
        (400, image_bytes(), QUERY | {"mode": "probabilistic"}, {}, "mode must be hard or rdo"),
        (413, bytes(200_001), QUERY, {}, "the body must have at most 200000 bytes"),
        (415, image_bytes(), QUERY, {"Content-Type": "text/html"}, "got 'text/html'"),
        (415, image_bytes(), QUERY, {"Content-Encoding": "gzip"}, "compressed once more"),
        (415, b"<svg/>", QUERY, {}, "is no image that is read"),
        (415, b"", QUERY, {}, "is no image that is read"),
        (422, cut(image_bytes()), QUERY, {}, "image cannot be read as an image"),
        (422, cut(image_bytes("jpeg")), QUERY, {}, "image"),
    ],
)
def test_refusals(client, status, content, query, headers, words):
    answer = post(client, content, query, HEADERS | headers)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert client.get("/readyz").status_code == 200


def test_too_many_pixels_are_refused_by_the_header(client):
    buffer = io.BytesIO()
    Image.new("L", (400, 300)).save(buffer, "png")
    answer = post(client, buffer.getvalue())
    assert (answer.status_code, answer.json()["error"]) == (413, "limit-pixels")
    assert "400x300 pixels" in answer.json()["detail"]


def test_a_length_that_is_not_declared_is_counted(client):
    def pieces():
        for _ in range(300):
            yield bytes(1000)

    answer = client.post("/v1/encode", params=QUERY, content=pieces(), headers=HEADERS)
    assert answer.status_code == 413


def test_what_is_held_is_let_go(client):
    assert "softjpeg_held_bytes 0.0" in client.get("/metrics").text.splitlines()


def test_metrics_count_images(client):
    def count(name):
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    names = ('softjpeg_images_total{status="encoded"}', 'softjpeg_bytes_total{way="in"}')
    before = [count(name) for name in names]
    data = image_bytes()
    assert post(client, data).status_code == 200
    assert [count(name) for name in names] == [before[0] + 1, before[1] + len(data)]


FILES = [("a/x.png", image_bytes(seed=1)), ("b.webp", image_bytes("webp", 2))]
BROKEN = [
    ("broken.png", cut(image_bytes())),
    ("../out.png", image_bytes()),
    ("b.png", image_bytes()),
    ("c.svg", b"<svg/>"),
]


@pytest.mark.parametrize("kind", ["tar", "form"])
def test_a_batch_says_what_became_of_every_image(client, kind):
    files = FILES + BROKEN
    if kind == "tar":
        sent = {"content": tar_of(files), "headers": {"Content-Type": "application/x-tar"}}
    else:
        sent = {"files": [("images", (name, data, "image/png")) for name, data in files]}
    answer = client.post("/v1/batch", params=QUERY, **sent)
    assert answer.status_code == 200, answer.text
    found, rows = untarred(answer.content)
    assert {*found} == {"a/x.jpg", "b.jpg"}
    for name, data in FILES:
        assert found[rows[name]["file"]] == post(client, data).content
        assert rows[name]["source_sha256"] == hashlib.sha256(data).hexdigest()
        assert rows[name]["sha256"] == hashlib.sha256(found[rows[name]["file"]]).hexdigest()
    errors = {name: rows[name]["error"] for name, _ in BROKEN}
    assert errors == {
        "broken.png": "decode",
        "../out.png": "request",
        "b.png": "request",
        "c.svg": "decode",
    }
    assert len(rows) == len(files)


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (422, b"no tar", "application/x-tar"),
        (422, b"x", "multipart/form-data"),
        (415, tar_of(FILES), "application/zip"),
        (413, bytes(1_000_001), "application/x-tar"),
    ],
)
def test_no_batch(client, status, content, kind):
    answer = client.post("/v1/batch", params=QUERY, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    test_what_is_held_is_let_go(client)


def test_a_batch_that_is_cut_off_keeps_what_came(client):
    data = tar_of(FILES)
    at = 512 + -(-len(FILES[0][1]) // 512) * 512 + 600
    answer = client.post(
        "/v1/batch", params=QUERY, content=data[:at], headers={"Content-Type": "application/x-tar"}
    )
    found, rows = untarred(answer.content)
    assert {*found} == {"a/x.jpg"}
    assert rows[None]["error"] == "decode"


def test_a_token_is_asked_for():
    with TestClient(make_app(Settings(PRESETS, token="s" * 20))) as client:
        for given in ({}, {"Authorization": "Bearer " + "s" * 19}, {"Authorization": "s" * 20}):
            answer = post(client, image_bytes(), headers=HEADERS | given)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        given = {"Authorization": "Bearer " + "s" * 20}
        assert post(client, image_bytes(), headers=HEADERS | given).status_code == 200
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 200


def test_a_slow_image_is_ended_and_the_next_one_is_encoded():
    limits = Limits(seconds=0.4)
    buffer = io.BytesIO()
    smooth_image(6000, 6000).save(buffer, "png", compress_level=1)
    with TestClient(make_app(Settings(PRESETS, limits))) as client:
        answer = post(client, buffer.getvalue())
        assert (answer.status_code, answer.json()["error"]) == (504, "limit-seconds")
        assert answer.json()["detail"] == "image took over 0.4 seconds"


def test_before_and_after_it_runs_images_are_refused():
    # Without its lifespan, no process is started.
    client = TestClient(make_app(Settings(PRESETS)))
    answer = post(client, image_bytes())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"presets": {}}, {"workers": 0}, {"queue_bytes": 0}, {"body_seconds": -1}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**{"presets": PRESETS, **wrong})


def test_a_limit_of_bytes_chooses_the_quality(client):
    data = image_bytes()
    query = {"preset": "universal", "max_bytes": "1500"}
    answer = post(client, data, query)
    quality = int(answer.headers["x-quality"])
    assert answer.status_code == 200
    assert len(answer.content) <= 1500
    there, above = (
        post(client, data, QUERY | {"quality": str(q)}).content for q in (quality, quality + 1)
    )
    assert answer.content == there
    assert len(above) > 1500
    assert "x-quality" not in post(client, data).headers
    capped = post(client, data, query | {"quality": str(quality - 5), "preset": "default"})
    assert capped.headers["x-quality"] == str(quality - 5)
    too_small = post(client, data, query | {"max_bytes": "300"})
    assert (too_small.status_code, too_small.json()["error"]) == (422, "limit-output")
    assert too_small.json()["detail"].startswith("no quality has at most 300 bytes")
    for wrong in ("0", "-1", "1e3", str(10**10), "\u0661"):
        answer = post(client, data, query | {"max_bytes": wrong})
        assert answer.status_code == 400
        assert "max_bytes must be an integer from 1 to 1000000000" in answer.json()["detail"]
    batch = client.post(
        "/v1/batch",
        params=query,
        content=tar_of([("a.png", data)]),
        headers={"Content-Type": "application/x-tar"},
    )
    files, rows = untarred(batch.content)
    assert (files["a.jpg"], rows["a.png"]["quality"]) == (there, quality)
