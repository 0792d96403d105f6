"""One writer for each path, whoever else asks, and no orphan of a file that is being written."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from softjpeg.common import files, locks
from softjpeg.common.files import atomic_file, remove_orphans, write_atomically
from softjpeg.common.locks import sole_writer


def test_a_folder_and_each_file_in_it_are_paths_of_their_own(tmp_path):
    with sole_writer(tmp_path), sole_writer(tmp_path / "a"), sole_writer(tmp_path / "b"):
        assert len(os.listdir(tmp_path)) == 3
        for path in (tmp_path, tmp_path / "a", f"{tmp_path}/b"):
            with (
                pytest.raises(ValueError, match=f"{path} is being written by .* {os.getpid()} "),
                sole_writer(path),
            ):
                pass
    assert os.listdir(tmp_path) == []
    with sole_writer(tmp_path):
        pass


def test_a_lock_left_behind_is_nobodys(tmp_path):
    (tmp_path / ".softjpeg.lock").write_text("process 1 on another machine")
    with sole_writer(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".softjpeg.lock").read_text()
    assert os.listdir(tmp_path) == []


def test_of_many_threads_one_is_inside(tmp_path):
    inside, most, refused = [], [], []
    start = threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(50):
            try:
                with sole_writer(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except ValueError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) + len(refused) == 400
    assert os.listdir(tmp_path) == []


def is_open(path):
    for handle in range(256):
        try:
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return True
        except OSError:
            continue
    return False


@pytest.fixture
def windows(monkeypatch):
    """What Windows lacks: `fcntl`, and names of open files that can be removed or changed."""

    def unless_open(function):
        def call(path, *rest, **options):
            if is_open(path):
                raise PermissionError(13, "used by another process", str(path))
            return function(path, *rest, **options)

        return call

    for module in (locks, files):
        monkeypatch.setattr(module, "fcntl", None)
    for owner, name in ((Path, "unlink"), (Path, "replace"), (os, "unlink")):
        monkeypatch.setattr(owner, name, unless_open(getattr(owner, name)))


@pytest.mark.usefixtures("windows")
def test_on_windows_files_are_whole_or_not_there_and_no_lock_is_left(tmp_path):
    path = tmp_path / "x"
    with sole_writer(tmp_path):
        for data in (b"abc", b"abcd"):
            write_atomically(path, data)
        # What fails half written leaves the whole file before it.
        with pytest.raises(TypeError), atomic_file(path) as file:
            file.writelines([b"half", None])
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"abcd", ["x"])
    orphan = tmp_path / ".softjpeg-abc.tmp"
    orphan.touch()
    # Nobody knows whether its process lives.
    remove_orphans(tmp_path)
    assert orphan.exists()


# Files while they are written


def test_the_longest_name_that_a_folder_takes(tmp_path):
    path = tmp_path / ("x" * 251 + ".jpg")
    write_atomically(path, b"abc")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"abc", [path.name])


def test_errors_name_the_file_and_leave_nothing(tmp_path):
    for path in (tmp_path / ("x" * 256), tmp_path / "absent" / "x"):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            write_atomically(path, b"abc")
        assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_regular_file_stays(tmp_path, kind):
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(ValueError, match=f"{path}: this is "):
        write_atomically(path, b"abc")
    assert os.listdir(tmp_path) == [kind]


def test_a_file_that_is_being_written_is_no_orphan(tmp_path, monkeypatch):
    """Somebody cleans up while somebody else is at the most delicate point."""
    plain, seen = os.fsync, []

    def fsync(handle):
        seen.extend(os.listdir(tmp_path))
        remove_orphans(tmp_path)
        plain(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "a", b"abc")
    assert len(seen) == 1
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_taken_for_an_orphan_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    from softjpeg.common import files

    plain, calls = files.try_lock, []

    def late(handle):
        if not calls:
            for name in os.listdir(tmp_path):
                os.unlink(tmp_path / name)
        calls.append(handle)
        return plain(handle)

    monkeypatch.setattr(files, "try_lock", late)
    write_atomically(tmp_path / "a", b"abc")
    assert (len(calls), os.listdir(tmp_path)) == (2, ["a"])


def test_many_write_and_clean_up_at_once(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from softjpeg.common.files import remove_orphans, write_atomically\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for i in range(60):\n"
        "    remove_orphans(folder)\n"
        "    write_atomically(folder / f'{sys.argv[2]}-{i % 7}', bytes(99))\n"
    )
    words = [[sys.executable, "-c", code, str(tmp_path), name] for name in "abc"]
    others = [subprocess.Popen(each) for each in words]
    assert [other.wait() for other in others] == [0, 0, 0]
    assert sorted(os.listdir(tmp_path)) == sorted(f"{n}-{i}" for n in "abc" for i in range(7))
