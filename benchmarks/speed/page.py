"""The page of results: the part of docs/speed.md between two markers, made from JSON files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softjpeg.common.files import write_atomically

START, END = "<!-- python -m benchmarks page: -->", "<!-- end of what it made -->"
ORDER = ("layer", "step", "learn", "files", "start-up", "scaling", "gpu")
COLUMNS = {
    "wall_ms": "ms (quartiles)",
    "cpu_ms": "CPU ms",
    "times_reference": "× {reference}",
    "times_reference_cpu": "in CPU time",
    "megapixels_s": "megapixels/s",
    "GB_s": "GB/s",
    "ns_per_value": "ns per value",
    "kept_images": "kept for backward, images",
    "peak_images": "peak memory, images",
}


def write_page(page: Path, results: Path) -> None:
    """Renew what lies between the markers.

    Raises:
        ValueError: no results, or no markers.
    """
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    subjects = [found[name] for name in ORDER if name in found]
    if not subjects:
        raise ValueError(f"{results} holds no results: run python -m benchmarks --out {results}")
    text = page.read_text()
    if START not in text or END not in text:
        raise ValueError(f"{page} must hold the lines {START} and {END}")
    before, _, rest = text.partition(START)
    machine = machine_text(subjects[0])
    parts = [goals_text(subjects), f"Where nothing else is said: {machine}."]
    made = "\n\n".join([*parts, *(section(subject, machine) for subject in subjects)])
    write_atomically(page, f"{before}{START}\n\n{made}\n\n{END}{rest.partition(END)[2]}".encode())


def goals_text(subjects: Sequence[dict[str, Any]]) -> str:
    """All numbers aimed at, what was measured, and which were missed."""
    lines = ["| # | what | aim | measured (quartiles) | | by |", "|---|---|---|---|---|---|"]
    goals = [{**goal, "by": s["subject"]} for s in subjects for goal in s["goals"]]
    for goal in sorted(goals, key=lambda goal: goal["number"]):
        sign = {">=": "≥", "<=": "≤"}[goal["sign"]]
        verdict = {True: "reached", False: "**missed**", None: "not measured"}[goal["reached"]]
        value = "" if goal["value"] is None else spread(goal["value"])
        words = [str(goal["number"]), goal["claim"], f"{sign} {goal['bound']}", value, verdict]
        words.append(f"[{goal['by']}](#{goal['by']})")
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def section(subject: dict[str, Any], machine: str = "") -> str:
    """A subject as Markdown: what it is, how to repeat it, its tables, and an unusual machine."""
    parts = [f"## {subject['subject'].capitalize()}", subject["about"], f"    {subject['command']}"]
    facts = (subject["setting"], machine_text(subject))
    said = " ".join(f"{fact}." for fact in facts if fact not in ("", machine))
    return "\n\n".join([*parts, *([said] if said else []), *map(table_text, subject["tables"])])


def machine_text(subject: dict[str, Any]) -> str:
    """Where a subject ran, with which versions."""
    return "; ".join(value for value in subject["environment"].values() if value != "none")


def subject_text(subject: dict[str, Any]) -> str:
    """A subject for a terminal: its tables and the numbers it aims at."""
    goals = [goals_text([subject])] if subject["goals"] else []
    return "\n\n".join(
        [f"## {subject['subject']}", *map(table_text, subject["tables"]), *goals, ""]
    )


def table_text(table: dict[str, Any]) -> str:
    """A Markdown table with the columns that its rows have."""
    keys = [key for key in COLUMNS if any(key in row for row in table["rows"])]
    titles = [COLUMNS[key].format(reference=table.get("reference", "")) for key in keys] or [""]
    lines = [f"| {' | '.join([table['title'], *titles])} |", "|---" * (len(titles) + 1) + "|"]
    for row in table["rows"]:
        cells = [cell(row[key]) if key in row else "" for key in keys]
        if "missing" in row:
            cells = [row["missing"], *cells[1:]]
        lines.append(f"| {' | '.join([row['name'], *cells])} |")
    return "\n".join(lines)


def cell(value: float | list[float]) -> str:
    """A number, or a median and its quartiles."""
    return spread(value) if isinstance(value, list) else short(value)


def spread(quartiles: Sequence[float]) -> str:
    """Median and quartiles.

    >>> spread([1.0, 1.25, 1.5])
    '1.25 (1.00-1.50)'
    """
    low, middle, high = map(short, quartiles)
    return middle if low == high else f"{middle} ({low}-{high})"


def short(value: float) -> str:
    """Three digits.

    >>> [short(x) for x in (1234.5, 12.345, 0.01234, 0.0)]
    ['1234', '12.3', '0.0123', '0']
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"
