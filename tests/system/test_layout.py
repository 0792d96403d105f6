"""The house as CONTRIBUTING shows it: its rooms, what stands in them, and how long that is."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import softjpeg
from softjpeg.evaluation.competitors import COMPETITORS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "softjpeg"
ROOMS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
MODULES = sorted(SOURCE.rglob("*.py"))

LONG_FILES: dict[str, str] = {name: "to be split" for name in ()}
"""Over 250 lines, and why."""
LONG_FUNCTIONS: dict[str, str] = {}
"""Over 60 statements, and why."""


def test_contributing_shows_the_rooms_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, flags=re.M))
    sentences = {
        room: importlib.import_module(f"softjpeg.{room}").__doc__.split("\n\n")[0].split()
        for room in ROOMS
    }
    assert {room: row.split() for room, row in rows.items()} == sentences
    assert len(text.splitlines()) <= 45


def test_the_top_level_is_the_public_names_alone():
    assert {path.name for path in SOURCE.glob("*.py")} == {"__init__.py", "__main__.py"}
    for name in softjpeg.__all__:
        assert getattr(softjpeg, name) is not None
    assert set(softjpeg._MODULE_OF) == {*softjpeg.__all__} - {"__version__", "functional"}


@pytest.mark.parametrize("competitor", COMPETITORS.values(), ids=COMPETITORS)
def test_every_competitor_names_a_function(competitor):
    module, name = competitor.function.split(":")
    assert callable(
        getattr(importlib.import_module(f"softjpeg.evaluation.competitors.{module}"), name)
    )


def test_no_file_is_long():
    lengths = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in MODULES}
    assert {name for name, lines in lengths.items() if lines > 250} == set(LONG_FILES)


def statements(function: ast.AST) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1


def test_no_function_is_long():
    functions = {
        f"{path.relative_to(SOURCE)}:{node.name}": statements(node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name for name, count in functions.items() if count > 60} == set(LONG_FUNCTIONS)


def test_tests_lie_in_the_rooms_of_what_they_test():
    for path in sorted((ROOT / "tests").glob("*/test_*.py")):
        room, subject = path.parent.name, path.stem.removeprefix("test_")
        if room in ("system", "fuzz"):
            continue
        names = {p.stem for p in (SOURCE / room).rglob("*.py")}
        packages = {p.parent.name for p in (SOURCE / room).rglob("__init__.py")}
        assert subject in names | packages, f"{path} names no module of {room}"
    assert not list((ROOT / "tests").glob("*.py"))


CLASSES = {
    node.name: node
    for path in MODULES
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.ClassDef)
}


def said_by_a_base(owner: ast.ClassDef, name: str) -> bool:
    bases = [CLASSES[b.id] for b in owner.bases if isinstance(b, ast.Name) and b.id in CLASSES]
    return any(
        any(isinstance(item, ast.FunctionDef) and item.name == name for item in base.body)
        or said_by_a_base(base, name)
        for base in bases
    )


def public_functions(path: Path) -> list[ast.FunctionDef]:
    """Functions and methods that no base class describes."""
    body = ast.parse(path.read_text()).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    for owner in body:
        if isinstance(owner, ast.ClassDef) and not owner.name.startswith("_"):
            methods = [item for item in owner.body if isinstance(item, ast.FunctionDef)]
            functions += [m for m in methods if not said_by_a_base(owner, m.name)]
    return [function for function in functions if not function.name.startswith("_")]


def test_public_functions_say_what_their_arguments_are():
    """Three or more; but commands, whose options do, and Triton's programs."""
    silent = [
        f"{path.relative_to(SOURCE)}:{function.name}"
        for path in MODULES
        if not {"cli", "triton"} & set(path.relative_to(SOURCE).parts)
        for function in public_functions(path)
        if len({a.arg for a in (*function.args.args, *function.args.kwonlyargs)} - {"self", "cls"})
        >= 3
        and "Args:" not in (ast.get_docstring(function) or "")
    ]
    assert not silent


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name)
def test_pages_name_files_that_are_there(page):
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("[bestdr]*/**/*.py")]
    for name in re.findall(
        r"`((?:softjpeg/|tests/|benchmarks/)?[a-z_0-9/]+\.py)`", page.read_text()
    ):
        assert any(f"/{file}".endswith(f"/{name}") for file in files), f"{page}: no {name}"
