"""All manifests' rows as one Parquet file, read back by pyarrow and pandas."""

import json
import os
import tarfile

import pytest

from helpers.commands import call, refusal
from helpers.images import smooth_image

pa = pytest.importorskip("pyarrow", reason="softjpeg[corpus] is not installed")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("pebble", reason="softjpeg[corpus] is not installed")

NETWORK = """
from torch import nn

def small():
    net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(12, 5))
    net.input_size = 16
    return net
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """photos with a subfolder, the same as shards, and a network; one image of each is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    (tmp_path / "shards").mkdir()
    for name in ("a.png", "sub/b.png", "sub/c.png"):
        smooth_image(40, 30, len(name)).save(f"photos/{name}")
    (tmp_path / "photos/sub/d.png").write_bytes(b"no image")
    (tmp_path / "photos/e.gif").write_bytes(b"left out, and said")
    for shard in ("0.tar", "sub/1.tar"):
        path = tmp_path / "shards" / shard
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w") as archive:
            archive.add("photos/a.png", "a.png")
            archive.add("photos/sub/d.png", "d.png")
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


def encoded(*words, code=3):
    result = call("encode", *words, "--out", "out")
    assert result.exit_code == code, (result.output, result.exception)


def lines(folder, name):
    """The rows that the manifests hold, as JSON has them."""
    rows = (json.loads(x) for p in sorted(folder.rglob(name)) for x in p.read_text().splitlines())
    return [row for row in rows if "key" in row]


def table(code=0):
    result = call("manifest", "out", "--out", "rows.parquet")
    assert result.exit_code == code, (result.output, result.exception)
    found = pq.read_table("rows.parquet")
    assert f"{found.num_rows} rows" in result.stdout
    return found


def without_nulls(row):
    said = {k: v for k, v in row.items() if v is not None and k != "manifest"}
    return said | ({"measures": dict(said["measures"])} if "measures" in said else {})


def test_folders_with_qualities_and_failures(folder):
    encoded("photos", "--preset", "default", "--max-bytes", 2000, "--manifest")
    assert '"left_out": ' in (folder / "out/manifest.jsonl").read_text()
    found, wanted = table(), lines(folder / "out", "manifest.jsonl")
    assert len(wanted) == 4
    assert [without_nulls(row) for row in found.to_pylist()] == wanted
    assert set(found.column("manifest").to_pylist()) == {"manifest.jsonl", "sub/manifest.jsonl"}
    assert found.column("quality").null_count == 1
    pd = pytest.importorskip("pandas")
    frame = pd.read_parquet("rows.parquet")
    assert list(frame.key) == [row["key"] for row in wanted]
    assert list(frame[frame.status == "failed"].error) == ["decode"]
    assert frame.bytes.sum() == sum(row.get("bytes", 0) for row in wanted)
    # The same bytes from the same manifests.
    before = (folder / "rows.parquet").read_bytes()
    table()
    assert (folder / "rows.parquet").read_bytes() == before


def test_shards(folder, monkeypatch):
    from softjpeg.corpus import manifest_table

    monkeypatch.setattr(manifest_table, "_GROUP", 3)
    encoded("shards", "--preset", "default", "--quality", 20, "--jobs", 1)
    found, wanted = table(), lines(folder / "out", "*.tar.manifest.jsonl")
    assert len(wanted) == 4
    assert [without_nulls(row) for row in found.to_pylist()] == wanted
    assert found.column("manifest").to_pylist()[-1] == "sub/1.tar.manifest.jsonl"
    assert pq.ParquetFile("rows.parquet").num_row_groups == 2


def test_networks_answers(folder):
    encoded("photos", "--network", "net.py:small", "--quality", "10,80")
    wanted = lines(folder / "out", "manifest.jsonl")
    assert any("measures" in row for row in wanted)
    assert [without_nulls(row) for row in table().to_pylist()] == wanted


def test_what_is_no_manifest_is_refused_and_nothing_is_left(folder):
    (folder / "out").mkdir()
    (folder / "rows.parquet").write_bytes(b"mine")
    command = ("manifest", "out", "--out", "rows.parquet")
    assert refusal(*command).startswith("out holds no manifest")
    absent = refusal("manifest", "absent", "--out", "rows.parquet")
    assert absent == "the folder absent does not exist"
    for line, what in (
        (b'{"key": "a", "status": "written", "more": 1}', "line 1 is not known here: more"),
        (b'{"key": "a"}', "line 1 is not known here: no manifest's line"),
        (b"[1]", "line 1 is not known here: no manifest's line"),
        (b'{"key": "a", ', "line 1 is not known here: no manifest's line"),
        (b'{"key": "a", "status": "written", "bytes": "many"}', "manifest.jsonl"),
    ):
        (folder / "out/manifest.jsonl").write_bytes(line + b"\n")
        assert what in refusal(*command), line
        assert (folder / "rows.parquet").read_bytes() == b"mine"
        assert {p.name for p in folder.iterdir()} >= {"rows.parquet"}
        assert not list(folder.glob(".softjpeg*"))


def test_a_name_that_is_no_utf8(folder):
    (folder / os.fsdecode(b"photos/a\xff.png")).write_bytes((folder / "photos/a.png").read_bytes())
    encoded("photos", "--preset", "default", "--quality", 20, "--manifest")
    assert table().column("key").to_pylist()[:2] == ["a.png", r"a\udcff.png"]


def test_a_manifest_is_not_written_over(folder):
    (folder / "out").mkdir()
    (folder / "out/manifest.jsonl").write_bytes(b'{"key": "a", "status": "written"}\n')
    said = refusal("manifest", "out", "--out", "out/manifest.jsonl")
    assert said == "--out must end in .parquet, got 'out/manifest.jsonl'"
    assert (folder / "out/manifest.jsonl").read_bytes().startswith(b'{"key"')
