"""Where a command writes: checked before hours of work, and never one of its inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from softjpeg.common.files import not_replaceable, remove_orphans
from softjpeg.common.interrupt import told_when_stopped
from softjpeg.common.locks import sole_writer


def check_outputs(
    outputs: Mapping[str, Path | None], inputs: Iterable[str | Path | None] = ()
) -> None:
    """Refuse files that cannot be written, or that are an input or another output.

    Args:
        outputs: by the option that names it; None where none is to be written.
        inputs: files, folders of images, lists, and networks as commands take them; None for none.

    Raises:
        ValueError: the sentence names the option and the file.
    """
    files = {option: file for option, file in outputs.items() if file is not None}
    for option, file in files.items():
        if not file.parent.is_dir():
            raise ValueError(f"{option} {file}: the folder {file.parent} does not exist")
        if problem := not_replaceable(file):
            raise ValueError(f"{option} {file}: {problem}")
        remove_orphans(file.parent)
    options: dict[str, str] = {}
    for option, file in files.items():
        other = options.setdefault(os.path.realpath(file), option)
        if other != option:
            raise ValueError(f"{option} {file}: {other} writes to the same file")
    there = {option: file for option, file in files.items() if file.exists()}
    if there:
        _refuse_inputs(there, inputs)


def check_page(page: Path | None) -> None:
    """Refuse a page that cannot be made, before hours of work.

    Raises:
        ValueError: another ending than .html.
        ImportError: softjpeg[report] is not installed.
    """
    if page is None:
        return
    from softjpeg.common.extras import import_extra

    for module in ("jinja2", "matplotlib"):
        import_extra(module, extra="report")
    if page.suffix != ".html":
        raise ValueError(f"--page must end in .html, got {str(page)!r}")


@contextmanager
def resumable(out: Path, checkpoint: Path | None) -> Iterator[None]:
    """While inside, no other process writes to these files, and a stop says how to go on.

    Raises:
        ValueError: another process does.
        KeyboardInterrupt: its words say what is kept.
    """
    with ExitStack() as inside:
        for file in (out, checkpoint):
            if file is not None:
                inside.enter_context(sole_writer(file))
        inside.enter_context(told_when_stopped(lambda: _how_to_go_on(checkpoint)))
        yield


def check_output_folder(folder: Path) -> None:
    """Refuse what is no folder and cannot become one; remove what killed processes left in it."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder}: this is not a folder")
    remove_orphans(folder)


def _how_to_go_on(checkpoint: Path | None) -> str:
    if checkpoint is None or not checkpoint.exists():
        return "interrupted; nothing was written (with --checkpoint FILE the same command goes on)"
    return f"interrupted; {checkpoint} is saved, and the same command goes on from it"


def _refuse_inputs(outputs: Mapping[str, Path], inputs: Iterable[str | Path | None]) -> None:
    from softjpeg.common.image_search import identity

    known = {identity(file): file for given in inputs if given for file in _files_of(str(given))}
    # Links, hard links and, where case does not count, other cases are the same file.
    for option, file in outputs.items():
        if (here := identity(file)) in known:
            raise ValueError(
                f"{option} {file} would be written over the input {known[here]}: choose another"
            )


def _files_of(given: str) -> Iterable[Path]:
    """The files that an argument names: itself, a list's, a folder's, a network's."""
    from softjpeg.common.image_search import search_images

    # As timm:NAME@FILE, FILE.py:FUNCTION, FILE.
    path = Path(given.partition("@")[2] if given.startswith("timm:") else given)
    if not path.exists():
        path = Path(given.rpartition(":")[0])
    if not path.exists():
        return []
    files = [path, *path.glob("*.safetensors")]
    try:
        return [*files, *search_images(path, follow_links=True).paths]
    except ValueError:
        return files  # Neither images nor a list of some.
