"""``softjpeg encode`` beside whatever lies in a folder: nothing lost, nothing left unsaid."""

import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers import warm
from helpers.commands import call, refusal
from helpers.images import smooth_image
from softjpeg import encode
from softjpeg.codec import byte_limit
from softjpeg.corpus import folders, targets

DEFAULT = ("--preset", "default", "--quality", 20)


def picture(path, seed=0, size=(24, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    smooth_image(size[1], size[0], seed).save(path, **options)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """photos/a.jpg and photos/sub/b.png, in the current folder."""
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "photos" / "a.jpg", 1)
    picture(tmp_path / "photos" / "sub" / "b.png", 2)
    return tmp_path


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def encoded(*words, code=0, out="out"):
    """The lines on stderr, without the last that counts failures; and the files."""
    result = call("encode", *words, *DEFAULT, "--out", out)
    assert result.exit_code == code, (result.output, result.exception)
    lines = result.stderr.splitlines()
    return [line for line in lines if "were not written" not in line], os.listdir(out)


# What is the same file


def test_photos_are_never_overwritten_under_another_name(folder):
    (folder / "link").symlink_to("photos")
    (folder / "hard").mkdir()
    os.link("photos/a.jpg", "hard/a.jpg")
    (folder / "single").mkdir()
    (folder / "single" / "a.jpg").symlink_to("../photos/a.jpg")
    before = files(folder)
    for source, out in (
        *(("photos", "link"), ("link", "photos"), ("photos/a.jpg", "link"), ("link/a.jpg", "link")),
        *(("photos", "hard"), ("photos", "single"), ("photos", "link/../photos")),
    ):
        message = refusal("encode", source, *DEFAULT, "--out", out)
        assert "would be written over the image" in message, (source, out)
    assert files(folder) == before


def test_what_was_written_is_not_read_under_another_name(folder):
    (folder / "photos" / "out").mkdir()
    (folder / "elsewhere").symlink_to("photos/out")
    for _ in range(2):
        encoded("photos", out="elsewhere")
        assert set(files(folder / "photos" / "out")) == {"a.jpg", "sub/b.jpg"}


@pytest.mark.parametrize("kind", ["fifo", "file"])
def test_out_that_is_no_folder(folder, kind):
    if kind == "fifo":
        os.mkfifo("out")
    else:
        (folder / "out").write_text("mine")
    assert refusal("encode", "photos", *DEFAULT, "--out", "out") == (
        "--out out: this is not a folder"
    )
    assert kind == "fifo" or (folder / "out").read_text() == "mine"


def test_a_pipe_among_the_files_is_left_alone(folder):
    (folder / "out").mkdir()
    os.mkfifo("out/a.jpg")
    (line,), _ = encoded("photos", code=3)
    assert line.endswith("out/a.jpg: this is no regular file, and is left alone")
    assert (folder / "out" / "a.jpg").is_fifo()
    assert (folder / "out" / "sub" / "b.jpg").is_file()


# What is left out


def test_what_is_left_out_is_said_and_in_the_manifest(folder):
    for name in ("c.gif", "d.heic", "sub/e.JFIF", ".hidden.png", "notes.txt"):
        (folder / "photos" / name).write_bytes(b"")
    lines, _ = encoded("photos", "--manifest")
    assert sorted(lines) == [
        "softjpeg: left out, hidden (1): photos/.hidden.png",
        "softjpeg: left out, of a suffix that is not read (3): photos/c.gif, photos/d.heic, "
        "photos/sub/e.JFIF",
    ]
    rows = [json.loads(row) for row in (folder / "out/manifest.jsonl").read_text().splitlines()]
    left_out = {row["left_out"]: row["reason"] for row in rows if "left_out" in row}
    assert left_out == {
        "photos/.hidden.png": "left out, hidden",
        **{
            f"photos/{name}": "left out, of a suffix that is not read"
            for name in ("c.gif", "d.heic", "sub/e.JFIF")
        },
    }
    # A second run says the same, and a manifest with such lines can be read.
    assert encoded("photos", "--manifest")[0] == lines


def test_a_folder_that_cannot_be_read_is_a_failure(folder, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    lines, written = encoded("photos", code=3)
    assert lines == ["softjpeg: photos/sub: left out, a folder that cannot be read"]
    assert written == ["a.jpg"]


def test_transparency_is_composed_and_the_first_frame_read(folder):
    half = np.zeros((16, 16, 4), np.uint8)
    half[:, 8:] = 255, 0, 0, 255
    Image.fromarray(half).save("photos/half.png")
    opaque = Image.new("RGBA", (16, 16), (0, 0, 255, 255))
    opaque.save("photos/opaque.png")
    frames = [Image.new("RGB", (16, 16), color) for color in ("lime", "red")]
    frames[0].save("photos/moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    Image.new("LA", (16, 16), (0, 0)).save("photos/gray.png")
    Image.new("L", (16, 16), 99).save("photos/plain.png")
    for option, under in ((), (255, 255, 255)), (("--background", "0,0,255"), (0, 0, 255)):
        lines, _ = encoded("photos", "--manifest", *option)
        shown = ",".join(map(str, under))
        assert lines == [
            f"softjpeg: what is transparent is composed on the background {shown} (2): "
            f"{folder}/photos/gray.png, {folder}/photos/half.png",
            f"softjpeg: only the first of several frames is read (1): {folder}/photos/moving.webp",
        ]
        with Image.open("out/half.jpg") as image:
            assert max(abs(a - b) for a, b in zip(image.getpixel((2, 8)), under, strict=True)) < 60
            assert image.getpixel((14, 8))[0] > 200
        with Image.open("out/gray.jpg") as image:
            assert image.mode == ("L" if not option else "RGB")
        with Image.open("out/plain.jpg") as image:
            assert image.mode == "L"
        with Image.open("out/moving.jpg") as image:
            assert image.getpixel((8, 8))[1] > 245
    rows = [json.loads(row) for row in (folder / "out/manifest.jsonl").read_text().splitlines()]
    (half_row,) = [row for row in rows if row.get("key") == "half.png"]
    assert half_row["remarks"] == ["what is transparent is composed on the background 0,0,255"]
    assert refusal("encode", "photos", *DEFAULT, "--out", "out", "--background", "1,2,300") == (
        "background must be three numbers from 0 to 255, got (1, 2, 300)"
    )


# What libjpeg only warns of


def jpeg(size=(64, 48), **options):
    file = io.BytesIO()
    smooth_image(size[1], size[0], 3).save(file, "jpeg", quality=90, **options)
    return file.getvalue()


def claiming(data, side):
    """The same file with another size in its header."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + side.to_bytes(2, "big") * 2 + data[at + 4 :]


def cut(data, part):
    """The same file without the end of its scan, but with an end."""
    return data[: int(len(data) * part)] + b"\xff\xd9"


def flipped(data):
    """The same file with a scan that goes astray in the middle."""
    return (
        data[: len(data) * 2 // 3]
        + bytes([data[len(data) * 2 // 3] ^ 0x55])
        + data[len(data) * 2 // 3 + 1 :]
    )


BAD = {
    "huge": claiming(jpeg(), 12000),
    "wide": claiming(jpeg(), 200),
    "cut": cut(jpeg(), 0.8),
    "progressive": cut(jpeg(progressive=True), 0.97),
    "astray": flipped(jpeg()),
    "no-end": jpeg()[:-40],
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BAD)
def test_jpegs_that_are_cut_off_or_corrupt_are_named(folder, name):
    path = folder / "photos" / "bad.jpg"
    path.write_bytes(BAD[name])
    lines, written = encoded("photos", code=3)
    (line,) = lines
    assert str(path) in line
    assert "cut off or corrupt" in line or "cannot be read as an image: " in line
    assert set(written) == {"a.jpg", "sub"}
    if name == "huge":
        assert line.endswith("bytes cannot hold 12000x12000 pixels")
        return
    lines, written = encoded("photos", "--truncated", "keep", "--manifest")
    assert lines == [f"softjpeg: cut off or corrupt, and kept (1): {path}"]
    assert set(written) == {"a.jpg", "bad.jpg", "sub", "manifest.jsonl"}
    # A run that refuses does not take what was kept for done.
    encoded("photos", "--manifest", code=3)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_whole_jpegs_have_no_fault(folder, options, mode):
    for quality in (5, 50, 95):
        file = folder / "photos" / f"{quality}.jpg"
        smooth_image(57, 61, quality).convert(mode).save(file, quality=quality, **options)
    assert encoded("photos")[0] == []


# One image's trouble is its own


def test_names_that_are_not_text_and_long_ones(folder):
    strange = os.fsdecode(b"caf\xe9.png")
    long = "x" * 251 + ".png"
    for name in (strange, long):
        picture(folder / "photos" / name, 4)
    lines, written = encoded("photos", "--manifest", "--follow-links")
    assert lines == []
    assert {os.fsdecode(b"caf\xe9.jpg"), "x" * 251 + ".jpg"} < set(written)
    assert (
        "(4 done already)"
        in call("encode", "photos", *DEFAULT, "--out", "out", "--manifest").stdout
    )
    # Named where it is broken, on a terminal that shows UTF-8 alone.
    (folder / "photos" / strange).write_bytes(b"no image")
    lines, _ = encoded("photos", code=3)
    assert len(lines) == 1
    assert "photos/caf\\udce9.png is no image that is read" in lines[0]
    # The draws of a name depend on its bytes.
    words = ("--mode", "probabilistic", "--seed", 1)
    picture(folder / "photos" / strange, 4)
    once, again = (
        encoded("photos", *words, out=out) and files(folder / out) for out in ("one", "two")
    )
    assert once == again


def test_a_list_of_strange_names_with_a_mark_before_it(folder):
    strange = os.fsdecode(b"photos/caf\xe9.png")
    picture(folder / strange, 4)
    (folder / "list.txt").write_bytes(b"\xef\xbb\xbfphotos/a.jpg\r\nphotos/caf\xe9.png\r\n")
    assert encoded("list.txt")[0] == []
    assert set(files(folder / "out")) == {"photos/a.jpg", os.fsdecode(b"photos/caf\xe9.jpg")}


def test_a_photo_that_vanishes_and_one_that_is_too_large(folder, monkeypatch):
    picture(folder / "photos" / "gone.png")
    picture(folder / "photos" / "large.png", size=(30, 30))
    picture(folder / "photos" / "later.png")

    def failing(image, *words, **options):
        for name in ("gone", "later"):
            (folder / "photos" / f"{name}.png").unlink(missing_ok=True)
        if image.size == (30, 30):
            raise MemoryError("no memory for 30x30")
        return encode(image, *words, **options)

    monkeypatch.setattr(byte_limit, "encode", failing)
    # The first call, before anything is written, tries the options alone.
    monkeypatch.setattr(folders, "plan_files", lambda *words: restored(folder, targets, words))
    result = call("encode", "photos", *DEFAULT, "--out", "out", "--jobs", 1)
    assert result.exit_code == 3
    gone, large, later, last = sorted(result.stderr.splitlines(), key=lambda line: "of 5" in line)
    assert "gone.png cannot be read as an image: [Errno 2]" in gone
    assert "large.png: no memory for 30x30" in large
    assert "later.png cannot be read as an image: [Errno 2]" in later
    assert last == "softjpeg: 3 of 5 images were not written"
    assert set(files(folder / "out")) == {"a.jpg", "sub/b.jpg"}


def restored(folder, module, words):
    for name in ("gone", "later"):
        picture(folder / "photos" / f"{name}.png")
    return module.plan_files(*words)


def test_a_full_disk_ends_the_run_with_one_sentence(folder, monkeypatch):
    from softjpeg.corpus import writing

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(writing, "write_atomically", full)
    assert refusal("encode", "photos", *DEFAULT, "--out", "out") == (
        f"{folder}/out/a.jpg: No space left on device"
    )


def test_names_that_collide_get_the_whole_name_with_a_rule(folder):
    for name in ("a.png", "a.bmp", "c.png", "c.tif"):
        picture(folder / "photos" / name)
    lines, written = encoded("photos", "--manifest", code=3)
    assert len(lines) == 5
    assert written == ["sub"]
    lines, _ = encoded("photos", "--name-collision", "suffix", "--manifest")
    assert lines == []
    found = {name for name in files(folder / "out") if name.endswith(".jpg")}
    assert found == {
        *("a.jpg", "a.png.jpg", "a.bmp.jpg", "c.png.jpg", "c.tif.jpg", "sub/b.jpg"),
    }
    # One that collides all the same is named.
    picture(folder / "photos" / "a.png.gif.png")
    picture(folder / "photos" / "a.png.jpg")
    lines, _ = encoded("photos", "--name-collision", "suffix", code=3, out="again")
    assert len(lines) == 2
    assert all("again/a.png.jpg, and so would " in line for line in lines)
    assert refusal("encode", "photos", *DEFAULT, "--out", "o", "--name-collision", "x") == (
        "name_collision must be error or suffix, got 'x'"
    )


def test_names_that_differ_in_case_collide_where_case_does_not_count(folder, monkeypatch):
    picture(folder / "photos" / "A.png")
    assert encoded("photos")[0] == []
    monkeypatch.setattr(targets, "ignores_case", lambda folder: True)
    lines, _ = encoded("photos", code=3, out="other")
    assert len(lines) == 2
    plans = targets.plan_files(folder / "photos", folder / "o")
    assert [job.name for plan in plans for job in plan.jobs] == ["sub/b.png"]


# Only regular files, each folder once, links out of it on demand


def test_pipes_devices_and_circles(folder):
    os.mkfifo("photos/pipe.jpg")
    (folder / "photos" / "zero.png").symlink_to("/dev/zero")
    (folder / "photos" / "one").symlink_to(".")
    (folder / "photos" / "two").symlink_to("..")
    (folder / "photos" / "sub" / "up").symlink_to("../sub")
    (folder / "photos" / "gone.png").symlink_to("nowhere.png")
    lines, written = encoded("photos", code=3)
    assert set(written) == {"a.jpg", "sub"}
    first, *others = lines
    assert "photos/gone.png cannot be read as an image: [Errno 2]" in first
    outside = "left out, a link out of the folder (--follow-links follows it)"
    assert sorted(others) == [
        f"softjpeg: {outside} (2): photos/zero.png, photos/two",
        "softjpeg: left out, a link to a folder that is read already (2): photos/one, "
        "photos/sub/up",
        "softjpeg: left out, no regular file (1): photos/pipe.jpg",
    ]
    # Followed, the device is none to read, and everything else is in the folder above.
    lines, _ = encoded("photos", "--follow-links", code=3)
    assert [line.partition(" (")[0] for line in sorted(lines)[1:]] == [
        "softjpeg: left out, a link to a folder that is read already",
        "softjpeg: left out, no regular file",
    ]


@pytest.mark.parametrize("source", ["pipe.jpg", "list.txt", "/dev/zero"])
def test_a_source_that_is_no_regular_file(folder, source):
    os.mkfifo("pipe.jpg")
    (folder / "list.txt").write_text("pipe.jpg\n")
    message = refusal("encode", source, *DEFAULT, "--out", "out")
    assert message == (
        "list.txt, line 1: pipe.jpg is no regular file"
        if source == "list.txt"
        else f"images must be a file or a folder, but {source} is neither"
    )


def test_links_out_of_the_folder_are_followed_on_demand(folder):
    picture(folder / "other" / "deep" / "c.png")
    (folder / "photos" / "c.png").symlink_to("../other/deep/c.png")
    (folder / "photos" / "more").symlink_to("../other")
    (folder / "photos" / "sub" / "inside.jpg").symlink_to("../a.jpg")
    lines, _ = encoded("photos")
    assert lines == [
        "softjpeg: left out, a link out of the folder (--follow-links follows it) (2): "
        "photos/c.png, photos/more"
    ]
    assert set(files(folder / "out")) == {"a.jpg", "sub/b.jpg", "sub/inside.jpg"}
    assert encoded("photos", "--follow-links")[0] == []
    assert set(files(folder / "out")) == {
        *("a.jpg", "c.jpg", "more/deep/c.jpg", "sub/b.jpg", "sub/inside.jpg"),
    }
    # A source that is itself a link is where it leads to.
    (folder / "link").symlink_to("other")
    assert encoded("link", out="linked") == ([], ["deep"])


# Interrupted, and not alone


SLOW = """
import os, signal, sys
from softjpeg.cli import app
from softjpeg.corpus import writing

plain, left = writing.write_atomically, [int(sys.argv[1])]

def write(path, data):
    plain(path, data)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), int(sys.argv[2]))

writing.write_atomically = write
app(sys.argv[3:])
"""


def started(folder, after, number, *words):
    (folder / "slow.py").write_text(SLOW)
    words = ["encode", "many", *DEFAULT, "--out", "out", *words]
    return warm.run("slow.py", after, int(number), *words)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", [1, 3])
def test_stopped_by_a_signal_what_is_written_is_recorded(folder, number, code, jobs):
    for i in range(9):
        picture(folder / "many" / f"{i}.png", i)
    encoded("many", "--manifest", out="whole")
    done = started(folder, 4, number, "--manifest", "--jobs", jobs)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr == (
        "softjpeg: interrupted: 4 files are written, each of them whole and in the manifest; the "
        "same command goes on from there\n"
    )
    found = sorted(os.listdir("out"))
    assert found == [*(f"{i}.jpg" for i in range(4)), "manifest.jsonl"]
    result = call("encode", "many", *DEFAULT, "--out", "out", "--manifest")
    assert "9 images (4 done already)" in result.stdout
    assert files(folder / "out") == files(folder / "whole")
    done = started(folder, 2, number, "--jobs", jobs)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == (
        "softjpeg: interrupted: 2 files are written, each of them whole; the same command writes "
        "all again (with --manifest it goes on)\n"
    )


HOLDING = """
import sys, time
from softjpeg.common.locks import sole_writer
with sole_writer(sys.argv[1]):
    print("inside", flush=True)
    sys.stdin.read()
"""


def test_one_out_has_one_writer(folder):
    (folder / "out").mkdir()
    words = [sys.executable, "-c", HOLDING, "out"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        message = refusal("encode", "photos", *DEFAULT, "--out", "out")
        assert message.startswith(f"out is being written by process {other.pid} on ")
        # A lock ends with its process, however that ends.
        other.kill()
        other.wait()
    assert (folder / "out" / ".softjpeg.lock").exists()
    assert encoded("photos")[0] == []
    assert set(files(folder / "out")) == {"a.jpg", "sub/b.jpg"}


def test_what_a_killed_run_left_is_removed_by_the_next(folder):
    (folder / "killed.py").write_text(
        "import os, sys\n"
        "from softjpeg.cli import app\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "app(sys.argv[1:])\n"
    )
    for source in ("photos", "photos/sub"):
        words = ["encode", source, *map(str, DEFAULT), "--out", f"out/{source}"]
        done = warm.run("killed.py", *words)
        assert done.returncode == -signal.SIGKILL
        assert sum(name.endswith(".tmp") for name in files(folder / "out")) > 0
    encoded("photos", out="out/photos")
    assert set(files(folder / "out")) == {"photos/a.jpg", "photos/sub/b.jpg"}
