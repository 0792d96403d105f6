"""Manifests of folders, beside a dictionary of what they should say."""

import json
import random

import pytest

from helpers.damaged_lines import DAMAGED_LINES
from softjpeg.corpus.manifest import NAME, PART, Manifest


def said(folder):
    """What the manifest says of each image, and what it says was left out."""
    bodies = [json.loads(line) for line in (folder / NAME).read_text().splitlines()]
    runs = [body["run"] for body in bodies if "settings" in body]
    images = [body for body in bodies if "key" in body]
    assert {image["run"] for image in images} <= set(runs) == set(dict.fromkeys(runs))
    assert [image["key"] for image in images] == sorted(image["key"] for image in images)
    left_out = [body["left_out"] for body in bodies if "left_out" in body]
    return {image["key"]: image["value"] for image in images}, left_out


def change(folder, changes, run, stop_after=None):
    """Bring a manifest up to date: values by keys, None for a line that does not stay."""
    manifest = Manifest(folder, {"of": run})
    lines = {line.body["key"]: line for line in manifest.lines()}
    for count, key in enumerate(sorted(lines.keys() | changes.keys())):
        if count == stop_after:
            return manifest
        if key not in changes:
            manifest.keep(lines[key])
        elif changes[key] is None:
            manifest.drop()
        else:
            manifest.add({"key": key, "status": "written", "value": changes[key]})
    manifest.publish()
    return manifest


@pytest.mark.parametrize("seed", range(40))
def test_whatever_changes_and_wherever_it_is_killed(tmp_path, seed):
    draw = random.Random(seed)
    expected, left_out = {}, []
    for run in range(6):
        known = {f"{n:02}" for n in range(12)}
        changes = {key: draw.random() for key in known if draw.random() < 0.3}
        changes |= dict.fromkeys(key for key in expected if draw.random() < 0.1)
        everything = sorted(expected.keys() | changes.keys())
        stop = draw.choice([None, *range(len(everything))])
        manifest = change(tmp_path, changes, run, stop)
        seen = everything[:stop]
        if (tmp_path / PART).exists() and draw.random() < 0.5:
            # Killed: the last line may have no end. Else it was stopped, and puts things in order.
            manifest._close()
            with (tmp_path / PART).open("ab") as file:
                file.write(draw.choice([b"", b'{"key": "zz", "stat']))
        else:
            manifest.put_together()
        # Up to the last line that was appended all is new; a line that was dropped after it stays.
        last = max((key for key in seen if changes.get(key, expected.get(key))), default="")
        for key in seen:
            if changes.get(key) is not None:
                expected[key] = changes[key]
            elif key in changes and (key < last or stop is None):
                del expected[key]
        again = Manifest(tmp_path, {"of": "nothing"})
        assert not (tmp_path / PART).exists()
        if (tmp_path / NAME).exists():
            assert said(tmp_path) == (expected, left_out)
        if draw.random() < 0.3:
            left_out = [f"{n}.gif" for n in range(draw.randrange(3))]
            for line in again.lines():
                again.keep(line)
            again.publish({"hidden": left_out})


def test_nothing_is_written_where_nothing_has_changed(tmp_path):
    change(tmp_path, {"a": 1, "b": 2}, 0)
    before = (tmp_path / NAME).stat()
    change(tmp_path, {}, 1)
    after = (tmp_path / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_no_manifest_is_named_with_its_line(tmp_path):
    change(tmp_path, {"a": 1}, 0)
    for line in (b"x", b"[]", b'{"key": "b"}', b'{"key": "b", "status": "written", "run": "x"}'):
        data = (tmp_path / NAME).read_bytes()
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / NAME).write_bytes(data + line + b"\n")
        with pytest.raises(ValueError, match=r"other/manifest.jsonl, line 3: this is no manifest"):
            list(Manifest(tmp_path / "other", {}).lines())


DAMAGED = {name: line + b"\n" for name, line in DAMAGED_LINES.items()} | {
    "no number": b'{"key": "c", "status": "written", "run": NaN}\n',
    "no status": b'{"key": "c", "run": "x"}\n',
    "an unknown run": b'{"key": "c", "status": "written", "run": "x"}\n',
    "cut off": b'{"key": "c", "stat',
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_part_counts_up_to_the_damage(tmp_path, line):
    """As if the run had been killed there: later images are as the manifest has them."""
    change(tmp_path, dict.fromkeys("abcd", 1), 0)
    # Stopped after three of four; the third's line is damaged, and so what follows it is lost.
    change(tmp_path, dict.fromkeys("abcd", 2), 1, stop_after=3)._close()
    lines = (tmp_path / PART).read_bytes().splitlines(keepends=True)
    assert b'"c"' in lines[-1]
    for after in (b"", lines[-1]):
        if after and not line.endswith(b"\n"):
            continue
        (tmp_path / PART).write_bytes(b"".join(lines[:-1]) + line + after)
        before = (tmp_path / NAME).read_bytes()
        Manifest(tmp_path, {"of": "nothing"})
        assert not (tmp_path / PART).exists()
        assert said(tmp_path) == ({"a": 2, "b": 2, "c": 1, "d": 1}, [])
        (tmp_path / NAME).write_bytes(before)


def test_a_damaged_part_without_a_manifest(tmp_path):
    for line in DAMAGED.values():
        (tmp_path / PART).write_bytes(line)
        assert list(Manifest(tmp_path, {}).lines()) == []
        assert not (tmp_path / PART).exists()


def test_wherever_a_part_is_cut_off(tmp_path):
    """Its last line counts with its end alone, behind which the next line begins."""
    change(tmp_path, dict.fromkeys("abc", 1), 0)
    change(tmp_path, dict.fromkeys("abc", 2), 1, stop_after=2)._close()
    part, whole = (tmp_path / PART).read_bytes(), (tmp_path / NAME).read_bytes()
    start = part.index(b'{"key"')  # Behind the runs.
    for end in range(start, len(part) + 1):
        (tmp_path / PART).write_bytes(part[:end])
        (tmp_path / NAME).write_bytes(whole)
        Manifest(tmp_path, {"of": "nothing"})
        done = "ab"[: part[start:end].count(b"\n")]
        assert said(tmp_path) == (dict.fromkeys("abc", 1) | dict.fromkeys(done, 2), [])
