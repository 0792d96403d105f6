"""What each image and each shard of a large job costs: the figures that docs/billion.md plans with.

    python benchmarks/corpus_plan.py [--images 1000] [--shard 250] [--side 500]

Prints JSON. `image_ms`: CPU milliseconds of one image in one process, a JPEG of quality 92, medians
over it all. `driver_ms`: those of the process that reads and writes shards, while two others
encode. `row_bytes`: of an image's row in a manifest; `head_bytes`: of a shard's line in the index.
`calls`: of each kind, for a shard in a store that fsspec knows, in a run and in the same once more.
`done_ms`: seconds of the same command over shards that are done, per thousand of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from corpus import picture, rows_in_turns, write_tar
from softjpeg import Preset
from softjpeg.codec.adaptive_quality import load_for_images
from softjpeg.corpus.samples import Encoder
from softjpeg.corpus.shards import encode_shards
from softjpeg.report.environment import environment

CALLS = ("find", "isfile", "info", "ukey", "get_file", "put_file", "makedirs", "cat_file")
HARD = Encoder(Preset.from_quality(40))


def image_ms(files: list[bytes]) -> dict[str, float]:
    """Of reading and encoding an image, by way."""
    ladder = Encoder(load_for_images("universal", 40))
    ways = {"hard": HARD, "ladder": ladder, "requantize": Encoder(HARD.preset, requantize=True)}
    _, times = rows_in_turns(files, ways)
    return {name: round(statistics.median(each), 2) for name, each in times.items()}


def write_shards(folder: Path, files: list[bytes], images: int, shard: int) -> None:
    """Tar files of so many images."""
    folder.mkdir()
    for start in range(0, images, shard):
        names = range(start, min(start + shard, images))
        members = ((f"{i:09}.jpg", files[i % len(files)]) for i in names)
        write_tar(folder / f"{start:09}.tar", members)


def driver_ms(scratch: Path, files: list[bytes], images: int, shard: int) -> float:
    """CPU of this process while two others encode: what more images cost, not the start."""
    spent = []
    for count in (shard, images + shard):
        source = scratch / f"{count}"
        write_shards(source, files, count, shard)
        before = resource.getrusage(resource.RUSAGE_SELF)
        encode_shards(source, HARD, scratch / f"{count}-out", jobs=2)
        after = resource.getrusage(resource.RUSAGE_SELF)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1000 * (spent[1] - spent[0]) / images


@contextmanager
def counted(counts: Counter[str]) -> Iterator[None]:
    """Count what is asked of a store in memory while inside."""
    kind = fsspec.get_filesystem_class("memory")
    plain = {name: getattr(kind, name) for name in CALLS}

    def counting(name: str) -> object:
        def call(self: object, *words: object, **options: object) -> object:
            counts[name] += 1
            return plain[name](self, *words, **options)

        return call

    try:
        for name in CALLS:
            setattr(kind, name, counting(name))
        yield
    finally:
        for name, function in plain.items():
            setattr(kind, name, function)


def calls(files: list[bytes], scratch: Path) -> dict[str, dict[str, float]]:
    """Of each kind for a shard, what all shards share left out."""
    found: dict[str, list[Counter[str]]] = {"encode": [], "the same again": []}
    for shards in (10, 20):
        write_shards(scratch / f"calls{shards}", files, shards, 1)
        store = fsspec.filesystem("memory")
        store.put(f"{scratch / f'calls{shards}'}/", f"/plan{shards}/in/", recursive=True)
        for counts in found.values():
            counts.append(Counter())
            with counted(counts[-1]):
                encode_shards(
                    f"memory://plan{shards}/in", HARD, f"memory://plan{shards}/out", jobs=1
                )
    return {
        run: {name: (more[name] - few[name]) / 10 for name in CALLS if more[name] > few[name]}
        for run, (few, more) in found.items()
    }


def done_ms(scratch: Path, files: list[bytes]) -> float:
    """Of a shard that is done, in the same command once more."""
    spent = []
    for count in (10, 1010):
        source, out = scratch / f"done{count}", scratch / f"done{count}-out"
        write_shards(source, files, count, 1)
        encode_shards(source, HARD, out, jobs=2)
        start = time.perf_counter()
        assert encode_shards(source, HARD, out, jobs=2).done == count
        spent.append(time.perf_counter() - start)
    return spent[1] - spent[0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for option, default in (("images", 1000), ("shard", 250), ("side", 500)):
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    files = [picture(i, given.side) for i in range(60)]
    tiny = [picture(i, 16) for i in range(10)]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        found = {"source_bytes": round(statistics.fmean(map(len, files)))}
        found |= {"image_ms": image_ms(files)}
        found |= {"driver_ms": round(driver_ms(scratch, files, given.images, given.shard), 3)}
        head, *rows = (
            (scratch / f"{given.shard}-out" / "000000000.tar.manifest.jsonl")
            .read_text()
            .splitlines()
        )
        found |= {"row_bytes": round(statistics.fmean(map(len, rows))) + 1}
        found |= {"head_bytes": len(head) + 1, "calls": calls(tiny, scratch)}
        found |= {"done_ms": round(done_ms(scratch, tiny), 3)}
    print(json.dumps({"options": vars(given), **found, **environment()}, indent=2))


if __name__ == "__main__":
    main()
