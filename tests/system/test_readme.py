"""The Python of the README and of the pages runs as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPETS = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("code", SNIPPETS)
def test_snippets_run(code, capsys):
    exec(compile(code, "snippet", "exec"), {})
    assert capsys.readouterr().out


def test_the_pages_loop_is_short():
    (loop,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/j4d.md").read_text(), re.DOTALL)
    body = loop.partition("start = ")[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 20
