"""JPEG-DL's two regimes on CIFAR-10: train the grid, seed by seed, and make its table.

    python -m benchmarks.jpeg_dl_regimes RUNS OUT.json --data DIR --sensitivities DIR
        [--model resnet20] [--rows own/baseline,vgg8/jpeg-dl,...] [--seeds 0,1,2] [--epochs N]
    python -m benchmarks.jpeg_dl_regimes RUNS OUT.json --collect

Each run is a folder RUNS/START/VARIANT/seed-K as `softjpeg train` makes it: what has ended is not
trained again, what was stopped goes on. OUT.json is written after every run; --collect only reads
the runs that have ended. Both print the table.
"""

import argparse
import json
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t

from softjpeg.common.files import write_atomically
from softjpeg.report.environment import environment
from softjpeg.training.checkpoint import load_facts
from softjpeg.training.experiment import load_experiment
from softjpeg.training.runs import train

RECIPES = Path(__file__).parents[1] / "recipes" / "regimes"
STARTS = {
    "own": "",
    "vgg8": "cifar100/Y_vgg8.npy",
    "resnet56": "cifar100/Y_resnet56.npy",
    "clipping": "cub200/Y_resnet18.npy",
}
"""Where tables start: the network's own sensitivity, or a published one."""

ROWS = {
    "own/baseline": "baseline: no layer",
    "vgg8/jpeg-dl": "JPEG-DL from VGG-8's published start (quantizing)",
    "clipping/jpeg-dl": "JPEG-DL from ResNet-18's published start on CUB-200 (clipping)",
    "own/jpeg-dl": "JPEG-DL from its own sensitivity",
    "vgg8/hard": "quantizing start, straight-through rounding",
    "clipping/clip": "clipping start, only the bound",
    "vgg8/fixed-tables": "quantizing start, fixed tables",
    "clipping/fixed-tables": "clipping start, fixed tables",
    "resnet56/jpeg-dl": "JPEG-DL from ResNet-56's published start (quantizing)",
    "own/jpeg-augmentation": "JPEG augmentation, quality 10..100, no layer",
    "own/lsq": "LSQ",
    "own/noise": "additive noise",
    "own/cubic": "cubic rounding",
    "vgg8/rounds-5": "quantizing start, five rounds",
    "at-conv1/jpeg-dl": "after conv1, from the sensitivity there",
}
"""START/VARIANT of all that issue and paper ask for, the most telling first."""

Found = dict[str, dict[str, float]]
"""Row → seed → top-1 after the last epoch."""


def train_row(given: argparse.Namespace, row: str, seed: int) -> None:
    """One run, its folder beside the others."""
    start, variant = row.split("/")
    settings = [f"data.root={given.data}"]
    if given.epochs:
        settings += [f"train.epochs={given.epochs}", f"train.evaluate_every={given.epochs}"]
    at = None
    if start == "at-conv1":
        at = "conv1" if given.model == "resnet20" else "block0.0"
        baseline = given.runs / "own" / "baseline" / f"seed-{seed}" / "last.safetensors"
        settings.append(f"jpeg.init_from={baseline}")
    elif STARTS[start]:
        settings.append(f"jpeg.init_from={given.sensitivities / STARTS[start]}")
    experiment = load_experiment(
        RECIPES / f"{given.model}.toml",
        given.runs / start,
        variants=[variant],
        settings=settings,
        jpeg_at=at,
    )
    train(experiment, variant, seed, progress=True)


def collect(runs: Path) -> dict[str, object]:
    """What the runs that have ended say."""
    top1: Found = {}
    starts: dict[str, object] = {}
    setting: dict[str, object] = {}
    for row in ROWS:
        for file in sorted((runs / row).glob("seed-*/last.safetensors")):
            facts = load_facts(file)
            recipe = facts["recipe"]
            if facts["result"].get("epoch") != recipe["train"]["epochs"]:
                continue
            top1.setdefault(row, {})[str(facts["seed"])] = facts["result"]["top1"]
            starts.setdefault(row, facts.get("start"))
            setting = {
                "network": recipe["model"]["name"],
                "epochs": recipe["train"]["epochs"],
                "test images": facts["result"]["images"],
            }
    return {"setting": setting, "top1": top1, "starts": starts}


def table(found: Found) -> list[str]:
    """A line for each row: mean ± standard deviation, and the paired difference to the baseline."""
    lines = [
        "| variant | seeds | top-1 % | gain, same seeds | 95 % interval |",
        "|---|---|---|---|---|",
    ]
    for row, by_seed in found.items():
        values = [100 * value for value in by_seed.values()]
        pairs = [s for s in by_seed if s in found.get("own/baseline", {})]
        gains = [100 * (by_seed[s] - found["own/baseline"][s]) for s in pairs]
        is_baseline = row == "own/baseline"
        gain = "" if is_baseline or not gains else spread(gains, "+")
        sure = "" if is_baseline or len(gains) < 2 else interval(gains)
        lines.append(f"| {ROWS[row]} | {len(values)} | {spread(values)} | {gain} | {sure} |")
    return lines


def spread(values: list[float], sign: str = "") -> str:
    """Mean ± standard deviation.

    >>> spread([1.0, 2.0], "+")
    '+1.5 ± 0.7'
    """
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):{sign}.1f}{deviation}"


def interval(differences: list[float]) -> str:
    """Student's 95 % interval of the mean; bold where it excludes 0.

    >>> interval([1.0, 2.0, 3.0])
    '-0.5 to +4.5'
    """
    half = t.ppf(0.975, len(differences) - 1) * stdev(differences) / len(differences) ** 0.5
    low, high = mean(differences) - half, mean(differences) + half
    words = f"{low:+.1f} to {high:+.1f}"
    return f"**{words}**" if low > 0 or high < 0 else words


def write(out: Path, runs: Path) -> Found:
    body = {"environment": dict(environment()), **collect(runs)}
    write_atomically(out, (json.dumps(body, indent=1) + "\n").encode())
    return body["top1"]  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sensitivities", type=Path)
    parser.add_argument("--model", choices=("resnet20", "vgg8"), default="resnet20")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=0, help="default: the recipe's")
    given = parser.parse_args()
    rows = given.rows.split(",")
    for row in rows:
        if row not in ROWS:
            parser.error(f"--rows must be of {', '.join(ROWS)}; got {row!r}")
    if not given.collect:
        if given.data is None or given.sensitivities is None:
            parser.error("training needs --data and --sensitivities")
        for seed in given.seeds.split(","):
            for row in rows:
                train_row(given, row, int(seed))
                write(given.out, given.runs)
    print("\n".join(table(write(given.out, given.runs))))


if __name__ == "__main__":
    main()
