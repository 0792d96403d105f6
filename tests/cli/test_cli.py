"""Every command's options, and what holds where they are left out."""

import importlib
import os

from helpers.calls import defaults
from softjpeg.cli.app import app, commands

DEFAULTS = {
    "competitors.Rivals": "curves=<factory>, failures=<factory>",
    "demo_photos.Photo": "label=None",
    "demo_steps.run": "seed=0",
    "load.load_inputs": (
        "images=None, labels=None, size=None, resize=None, limit=None, seed=0"
        ", follow_links=False, trained=None"
    ),
    "load.network_on_device": "trained=None",
    "load.images_for": "limit=None, seed=0, follow_links=False",
    "outputs.check_outputs": "inputs=()",
    "presets.load_tables": "max_bytes=None",
    "presets.stored_as": "short_side=None, center=None",
    "presets.stored_side": "automatic=False",
    "presets.stored_center": "automatic=False",
}


COMMANDS = {
    "demo": "[--out softjpeg-demo] [--seed 0]",
    "inspect": "FILE [--export] [--out] [--images] [--limit 256] [--seed 0]",
    "learn": "NETWORK IMAGES --out [--target-bpp] [--target-bytes] [--max-drop] [--rate-weight] "
    "[--ladder] [--qualities] [--also ...] [--worst-case] [--loss kl] [--subsampling 4:2:0] "
    "[--short-side keep] [--center none] [--mode hard] [--method measured] [--labels] "
    "[--size] [--resize] [--crops] [--follow-links] [--limit] [--rounds 1] [--batch-size 32] "
    "[--seed 0] [--checkpoint] [--page]",
    "adapt": "NETWORK IMAGES --out [--preset] [--quality] [--mode hard] [--train norm] "
    "[--learn-tables] [--loss kl] [--labels] [--feature-weight 3.0] [--size] [--resize] "
    "[--crops] [--follow-links] [--limit] [--epochs] [--learning-rate 0.001] "
    "[--clean-weight 0.1] [--max-clean-drop 1.0] [--batch-size 32] [--seed 0] [--checkpoint] "
    "[--page]",
    "encode": "IMAGES --out [--preset ...] [--quality] [--subsampling] [--max-bytes] "
    "[--short-side] [--center] [--mode hard] [--header jfif] [--progressive] "
    "[--metadata/--no-metadata True] [--network ...] [--keep top1] [--average] "
    "[--effort all] [--reader ...] [--manifest] [--name-collision error] "
    "[--background 255,255,255] [--truncated refuse] [--follow-links] "
    "[--batch-size 32] [--jobs CORES] [--seed 0] [--max-pixels] [--max-source-bytes] "
    "[--max-frames] [--seconds] [--retry ] [--verify] "
    "[--max-failures] [--keep-smaller] [--requantize] [--dry-run] [--json] [--metrics] "
    "[--engine local]",
    "manifest": "FOLDER --out",
    "evaluate": "NETWORK [IMAGES] [--preset ...] [--quality] [--subsampling 4:2:0,4:4:4] "
    "[--mode hard] [--reader ...] [--against] [--learn-from] [--center] [--recode] [--ssim] "
    "[--labels] [--size] [--resize] [--crops] [--follow-links] [--limit] [--batch-size 32] "
    "[--seed 0] [--json] [--csv] [--plot]",
    "plot": "POINTS --out",
    "attack": "RUN... [--baseline ...] [--eps 1,2,3,4] [--attacks fgsm,pgd,bpda] [--steps 20] "
    "[--restarts 1] [--checks] [--limit] [--batch-size 64] [--seed 0] [--json] [--plot]",
    "qualities": "NETWORK --out [IMAGES] [--labels] [--quality] [--subsampling 4:2:0] [--size] "
    "[--resize] [--follow-links] [--limit] [--batch-size 32] [--seed 0] [--json]",
    "export": "RUN --out",
    "train": "RECIPE --out [--variant jpeg-dl] [--seeds 0] [--jpeg-at] [--set ...] [--skip-bad]",
    "serve": "[--preset ...] [--host 127.0.0.1] [--port 8000] [--token-file] [--workers CORES] "
    "[--queue-mib 64] [--max-mib 64] [--max-pixels 89478485] [--max-frames 1000] [--seconds 60.0]",
    "app": "[--network ...] [--preset ...] [--port 8001]",
}


def usage(option):
    """A command's argument or option, in brackets where it may be left out."""
    if option.param_type_name == "argument":
        words = option.name.upper() + "..." * (option.nargs == -1)
    else:
        default = getattr(option.default, "value", option.default)
        words = "/".join([*option.opts, *option.secondary_opts])
        if option.multiple:
            words += " ..."
        elif option.opts in (["--jobs"], ["--workers"]):
            assert default == os.cpu_count()
            words += " CORES"
        elif default is not None and default is not False:
            words += f" {default}"
    return words if option.required else f"[{words}]"


def test_commands_and_options():
    names = [info.callback.__name__ for info in commands.registered_commands]
    built = importlib.import_module("typer.main").get_command(app).commands
    usages = {name: " ".join(usage(option) for option in built[name].params) for name in names}
    assert usages == COMMANDS
    # --help shows them in this order.
    assert names == [*COMMANDS]


def test_defaults():
    assert defaults("cli") == DEFAULTS
