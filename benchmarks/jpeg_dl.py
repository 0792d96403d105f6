"""Collect the runs of recipes/small into one JSON file and a Markdown table.

python benchmarks/jpeg_dl.py OUT.json NAME=RUNS [NAME=RUNS ...]: RUNS is the folder that
`softjpeg train` wrote for several variants and seeds, its baseline among them.
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev

from softjpeg.common.files import write_atomically
from softjpeg.report.environment import environment
from softjpeg.training.checkpoint import load_checkpoint
from softjpeg.training.variants import VARIANTS


def collect(runs: Path) -> dict[str, dict[int, float]]:
    """Variant → seed → top-1 after the last epoch, of the runs that have ended."""
    found: dict[str, dict[int, float]] = {}
    for variant in VARIANTS:
        for file in sorted(runs.glob(f"{variant}/seed-*/last.safetensors")):
            facts = load_checkpoint(file)[1]
            epochs = facts["recipe"]["train"]["epochs"]
            if facts["result"].get("epoch") == epochs:
                found.setdefault(variant, {})[facts["seed"]] = facts["result"]["top1"]
    return found


def rows(found: dict[str, dict[int, float]]) -> list[str]:
    """A line for each variant: mean ± standard deviation, and the gain on the same seeds."""
    lines = ["| variant | seeds | top-1 % | against the baseline |", "|---|---|---|---|"]
    for variant, by_seed in found.items():
        top1 = [100 * value for value in by_seed.values()]
        shared = [seed for seed in by_seed if seed in found["baseline"]]
        gains = [100 * (by_seed[s] - found["baseline"][s]) for s in shared]
        gain = "" if variant == "baseline" else _spread(gains, sign="+")
        lines.append(f"| {variant} | {len(top1)} | {_spread(top1)} | {gain} |")
    return lines


def _spread(values: list[float], sign: str = "") -> str:
    text = f"{mean(values):{sign}.1f}"
    return f"{text} ± {stdev(values):.1f}" if len(values) > 1 else text


if __name__ == "__main__":
    results = {}
    for word in sys.argv[2:]:
        name, _, folder = word.partition("=")
        results[name] = collect(Path(folder))
        print(f"\n{name}\n")
        print("\n".join(rows(results[name])))
    body = {"environment": dict(environment()), "top1": results}
    write_atomically(sys.argv[1], (json.dumps(body, indent=1) + "\n").encode())
