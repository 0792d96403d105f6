"""Per image the smallest file found whose answer is kept, with few runs of the network.

Fidelity is no monotone function of a file's size: halving the ladder finds *a* file that is kept
with one below it that is not. Going up from the smallest file finds the smallest of all, and where
most images are content with small files it takes about as many runs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from softjpeg.codec.closed_loop.candidates import Candidate
from softjpeg.codec.closed_loop.judge import Inputs, Judge, Outputs, network_input, network_outputs
from softjpeg.codec.image import decode

EXHAUSTIVE = 1 << 30
"""The effort that goes up from the smallest file until one is kept."""

_PASSES = 8

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Choice:
    """The file chosen for one image.

    Attributes:
        data: the file.
        candidate: the name of the candidate that wrote it.
        kept: whether it keeps the fidelity; otherwise it is the last candidate's.
        measures: of each network.
        runs: candidates that the networks read, the image itself not counted.
    """

    data: bytes
    candidate: str
    kept: bool
    measures: tuple[float, ...]
    runs: int


def smallest_files(
    images: Sequence[Any],
    candidates: Sequence[Sequence[Candidate]],
    judge: Judge,
    *,
    effort: int = 0,
    by_size: bool = False,
    inputs: Sequence[Inputs] | None = None,
    mapper: Mapper = map,
) -> list[Choice]:
    """Find for every image the smallest file that keeps the networks' answers.

    Each round takes one candidate of every image that is still open, and runs each network once on
    all of them. The networks read what Pillow decodes from the files.

    Args:
        images: Pillow images, or uint8 tensors (3 or 1, H, W); of any size.
        candidates: those of each image, from the smallest expected file to the best.
        judge: networks and fidelity.
        effort: 0 halves the ladder: about log2 n runs for n candidates. m > 0 then tries the
            untested candidates below the found one, downwards, until m in a row were not kept;
            `EXHAUSTIVE` goes up from the smallest to the first one kept, the smallest of all (and
            implies `by_size`).
        by_size: write every candidate's file first and order them by their real sizes: for
            candidates whose order differs between images.
        inputs: the images as each network reads them, where they are known.
        mapper: such as the ``map`` of a thread pool, for encoding and decoding.

    Raises:
        ValueError: an image without candidates, a negative effort, or an image that a network
            cannot read.

    >>> import torch
    >>> from softjpeg.codec.closed_loop.candidates import default_presets, preset_candidates
    >>> from softjpeg.models.fidelity import parse_fidelity
    >>> from softjpeg.models.network import Network
    >>> brightness = Network(torch.nn.AdaptiveAvgPool2d(1), "brightness")
    >>> judge = Judge((brightness,), parse_fidelity("cosine:0.01"))
    >>> ladder = preset_candidates(default_presets([5, 20, 50]))
    >>> gray = torch.full((3, 16, 16), 100, dtype=torch.uint8)
    >>> (choice,) = smallest_files([gray], [ladder], judge)
    >>> choice.candidate, choice.kept, choice.runs
    ('default q 5 4:2:0', True, 2)
    """
    if effort < 0:
        raise ValueError(f"effort must be at least 0, got {effort}")
    if inputs is None:
        inputs = [tuple(network_input(image, n) for n in judge.networks) for image in images]
    originals = network_outputs(judge.networks, inputs)
    searches = [
        _Search(image, list(ladder), original, effort)
        for image, ladder, original in zip(images, candidates, originals, strict=True)
    ]
    if by_size or effort >= EXHAUSTIVE:
        list(mapper(_Search.sort, searches))

    def inputs_of_file(search: _Search) -> Inputs:
        picture = decode(search.file(search.at))
        return tuple(network_input(picture, network) for network in judge.networks)

    active = searches
    while active:
        outputs = network_outputs(judge.networks, list(mapper(inputs_of_file, active)))
        measured = [
            judge.measure(output, search.original)
            for search, output in zip(active, outputs, strict=True)
        ]
        active = [
            search
            for search, measures in zip(active, measured, strict=True)
            if search.update(measures, judge.keeps(measures))
        ]
    return [search.choice() for search in searches]


def parse_effort(text: str) -> tuple[int, int]:
    """The effort of a search, and the passes of a repair after it, that a text names.

    Args:
        text: one of

            * ``all``: `EXHAUSTIVE`;
            * ``N``: a number of at least 0;
            * ``repair``, ``repair:PASSES``: `EXHAUSTIVE`, then 8 or so many passes.

    Raises:
        ValueError: another text.

    >>> parse_effort("3"), parse_effort("repair:2") == (EXHAUSTIVE, 2)
    ((3, 0), True)
    """
    word, _, passes = text.partition(":")
    if text == "all":
        return EXHAUSTIVE, 0
    if text.isdecimal():
        return int(text), 0
    if word != "repair" or (passes and not passes.isdecimal()) or passes == "0":
        wanted = "a number of at least 0, all, repair or repair:PASSES"
        raise ValueError(f"--effort must be {wanted}, got {text!r}")
    return EXHAUSTIVE, int(passes or _PASSES)


def plan(count: int, effort: int) -> Generator[int, bool, None]:
    """The order in which candidates are tried: yields one's index, is sent whether it was kept.

    >>> search = plan(8, effort=1)
    >>> tried = [next(search)]
    >>> for is_kept in (False, True, True, False, False):  # of 3, 5, 4, 2, ...
    ...     try:
    ...         tried.append(search.send(is_kept))
    ...     except StopIteration:
    ...         break
    >>> tried
    [3, 5, 4, 2]
    """
    if effort >= EXHAUSTIVE:
        for index in range(count):
            if (yield index):
                return
        return
    low, high = 0, count - 1
    tried = set()
    while low < high:
        middle = (low + high) // 2
        tried.add(middle)
        low, high = (low, middle) if (yield middle) else (middle + 1, high)
    if high not in tried:
        yield high
    misses = 0
    for index in range(high - 1, -1, -1):
        if misses >= effort:
            return
        if index not in tried:
            misses = 0 if (yield index) else misses + 1


@dataclass
class _Search:
    """The search for one image."""

    image: Any
    ladder: list[Candidate]
    original: Outputs
    effort: int
    files: dict[int, bytes] = field(default_factory=dict)
    measures: dict[int, tuple[float, ...]] = field(default_factory=dict)
    kept_indices: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.ladder:
            raise ValueError("candidates must be one or more for every image, got none")
        self.begin()

    def begin(self) -> None:
        self.plan = plan(len(self.ladder), self.effort)
        self.at = next(self.plan)

    def file(self, index: int) -> bytes:
        if index not in self.files:
            self.files[index] = self.ladder[index].encode(self.image)
        return self.files[index]

    def sort(self) -> None:
        """Order the ladder by its files' sizes, of equal files the first one alone."""
        files: dict[bytes, Candidate] = {}
        for index, candidate in enumerate(self.ladder):
            files.setdefault(self.file(index), candidate)
        order = sorted(files.items(), key=lambda pair: len(pair[0]))
        self.ladder = [candidate for _, candidate in order]
        self.files = {place: data for place, (data, _) in enumerate(order)}
        self.begin()

    def update(self, measures: tuple[float, ...], is_kept: bool) -> bool:
        """Note what became of the candidate; whether there is another one to try."""
        self.measures[self.at] = measures
        if is_kept:
            self.kept_indices.append(self.at)
        try:
            self.at = self.plan.send(is_kept)
        except StopIteration:
            return False
        return True

    def choice(self) -> Choice:
        best = min(
            self.kept_indices, key=lambda i: (len(self.files[i]), i), default=len(self.ladder) - 1
        )
        return Choice(
            self.files[best],
            self.ladder[best].name,
            bool(self.kept_indices),
            self.measures[best],
            len(self.measures),
        )
