"""Put the tables that the experiments' JSON files make into docs/results/jpeg_dl.md.

python -m benchmarks.jpeg_dl_page

A table stands between the lines <!-- table NAME --> and <!-- end -->; the words around it stay. The
plots beside the page are drawn again.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.jpeg_dl_attacks_page import Cells, differences, plot, read, tables
from benchmarks.jpeg_dl_regimes import table
from softjpeg.common.files import write_atomically

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PAGE = RESULTS / "jpeg_dl.md"
TRAINED, UNTRAINED, MORE = (
    RESULTS / f"jpeg_dl_attacks_{which}.json" for which in ("trained", "untrained", "untrained_400")
)
REGIMES, SPEED = RESULTS / "jpeg_dl_regimes.json", RESULTS / "small_training.json"

QUANTIZING = ("VGG-8's start", "ResNet-56's start", "VGG-13's start")
FEW, MANY = ("FGSM", "PGD-5", "BPDA PGD-5"), ("PGD-50", "softened PGD-50")


def regimes() -> list[str]:
    return table(json.loads(REGIMES.read_text())["top1"])


def speed() -> list[str]:
    body = json.loads(SPEED.read_text())
    lines = ["| images a second | median | quartiles |", "|---|---|---|"]
    for name in ("loading", "training steps"):
        for what, (low, middle, high) in body[f"{name}, images a second"].items():
            lines.append(f"| {name}: {what} | {middle:,.0f} | {low:,.0f} to {high:,.0f} |")
    return lines


def only(cells: Cells, *systems: str) -> Cells:
    return {key: right for key, right in cells.items() if key[0] in systems}


TABLES: Mapping[str, Callable[[], list[str]]] = {
    "regimes": regimes,
    "speed": speed,
    "trained": lambda: tables(read(TRAINED)),
    "untrained": lambda: tables(read(UNTRAINED)),
    "untrained_400": lambda: tables(read(MORE)),
    "differences": lambda: differences(
        only(read(MORE), "nothing", *QUANTIZING), "nothing", 1.0, FEW
    ),
    "gains": lambda: [
        line
        for eps in (1.0, 4.0)
        for line in [*differences(read(TRAINED), "baseline", eps, (*FEW, *MANY)), ""]
    ],
}


def filled(page: str) -> str:
    """The page with every table as the files have it now.

    >>> filled("no table")
    'no table'
    """

    def block(found: re.Match[str]) -> str:
        name = found[1]
        return "\n".join([f"<!-- table {name} -->", *TABLES[name](), "<!-- end -->"])

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", block, page, flags=re.DOTALL)


if __name__ == "__main__":
    write_atomically(PAGE, filled(PAGE.read_text(encoding="utf-8")).encode())
    for file in (TRAINED, UNTRAINED):
        plot(read(file), file.with_suffix(".svg"), 1.0)
    print(f"wrote {PAGE.name} and its plots")
