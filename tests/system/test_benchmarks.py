"""The speed suite: that its subjects run, and that its arithmetic and pages are right."""

import doctest
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks.speed import gpu, layer, page, peers, scaling, start_up, subject, timing  # noqa: E402
from benchmarks.speed.pure import pure  # noqa: E402
from benchmarks.speed.subject import MissingError, Options, gather, goal  # noqa: E402

QUICK = Options(quick=True, threads=1)


@pytest.fixture
def clock(monkeypatch):
    """A clock that steps turn by hand; CPU time runs half as fast."""
    now = SimpleNamespace(wall=0.0)
    fake = SimpleNamespace(perf_counter=lambda: now.wall, process_time=lambda: now.wall / 2)
    monkeypatch.setattr(timing, "time", fake)
    return now


def lasting(clock, seconds, calls, name):
    def step():
        calls.append(name)
        clock.wall += seconds

    return step


def test_functions_take_turns(clock):
    calls = []
    steps = {name: lasting(clock, 1.0, calls, name) for name in "abc"}
    times = timing.take_turns(steps, 4)
    assert "".join(calls) == "aabbcc" + 4 * "abc"
    assert times == {name: [(1.0, 0.5)] * 4 for name in "abc"}


def test_short_functions_are_called_more_often(clock):
    calls = []
    times = timing.take_turns({"a": lasting(clock, 2.0**-9, calls, "a")}, 3)
    assert len(calls) == 2 + 3 * 3
    assert times["a"] == [(2.0**-9, 2.0**-10)] * 3


def test_rounds_end_at_the_limit_but_not_before_the_third(clock):
    for seconds, expected in ((1.0, 6), (100.0, 3)):
        steps = {"a": lasting(clock, seconds, [], "a")}
        assert len(timing.take_turns(steps, 50, limit_s=5)["a"]) == expected


def test_ratios_are_those_of_rounds():
    # A slow third round meets both: the medians' ratio would be 1 / 2.
    times = {"a": [(1.0, 1), (2, 1), (30, 1)], "b": [(2.0, 2), (4, 2), (30, 2)]}
    assert timing.ratio(times, "b", "a") == [1.5, 2.0, 2.0]
    assert timing.ratio(times, "a", "b", "cpu") == [0.5] * 3
    first, second = timing.rows(times, "a")
    assert first["times_reference"] == [1.0] * 3
    assert (second["wall_ms"], second["cpu_ms"]) == ([3e3, 4e3, 17e3], 2e3)


def test_bytes_kept():
    x = torch.rand(10, 10, requires_grad=True)
    assert timing.bytes_kept(lambda: x * 2) == 0
    assert timing.bytes_kept(lambda: x.exp()) == 400
    # x itself once, though both factors are kept.
    assert timing.bytes_kept(lambda: x * x) == 400
    assert timing.bytes_kept(lambda: x.exp().exp()) == 800


def test_missing_peers_are_listed():
    def absent():
        import a_package_that_is_not_there  # noqa: F401

    def unnamed():
        raise MissingError("no checkout was named")

    found, missing = gather({"one": int, "two": absent, "three": unnamed})
    assert found == {"one": 0}
    assert missing == [
        {"name": "two", "missing": "not installed"},
        {"name": "three", "missing": "no checkout was named"},
    ]


def test_pure_switches_kernels_off_and_on_again(monkeypatch):
    from softjpeg.kernels.library import switched_off

    monkeypatch.delenv("SOFTJPEG_KERNELS", raising=False)
    assert pure(switched_off)()
    assert not switched_off()


def test_goals():
    assert goal(1, "x", ">=", 2, [1.0, 2.0, 3.0])["reached"]
    assert not goal(1, "x", "<=", 2, [1.0, 2.5, 3.0])["reached"]
    assert goal(1, "x", "<=", 2, None)["reached"] is None


def test_layer_and_its_peers():
    images = torch.rand(1, 3, 16, 16)
    result = layer.run(QUICK)
    rows = {row["name"]: row for row in result["tables"][0]["rows"]}
    assert set(rows) == {
        *(layer.OURS, layer.OURS_420, layer.PAPER, layer.PURE, layer.AUTHORS),
        *(layer.KORNIA, layer.DIFF_JPEG, layer.PRODUCTS, layer.COPY),
    }
    assert "--authors" in rows[layer.AUTHORS]["missing"]
    assert "--diff-jpeg" in rows[layer.DIFF_JPEG]["missing"]
    assert [g["reached"] is None for g in result["goals"]] == [True, False, True, False, False]
    for build in (peers.authors, peers.diff_jpeg):
        with pytest.raises(MissingError, match="the checkout has no"):
            build(images, ROOT)
    ours, kornia = layer.ours(images), peers.kornia(images)
    for peer in (ours, kornia):
        peer()
        assert all(leaf.grad is not None and leaf.grad.abs().sum() > 0 for leaf in peer.leaves)
    assert [tuple(leaf.shape) for leaf in ours.leaves[1:]] == [(1, 2, 8, 8)] * 2


def test_block_products_are_four():
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        peers.block_products(torch.rand(2, 3, 16, 8))()
    assert counter.get_total_flops() == 4 * 2 * (2 * 3 * 16 * 8) * 64


def test_a_point_of_scaling():
    found = scaling.measure(scaling.Point(batch=2, side=32, rounds=2, subsampling="4:2:0"), 3)
    assert found["wall_ms"][1] > 0
    assert found["ns_per_value"] == pytest.approx(1e6 * found["wall_ms"][1] / (2 * 3 * 32 * 32))
    assert scaling.measure(scaling.Point(batch=1, channels=4, side=16), 3)["kept_images"] > 0


def test_gpu_steps_run_anywhere():
    steps, kept = gpu.layer_steps(torch.rand(1, 3, 16, 16), "4:2:0")
    for step in steps.values():
        step()
    assert kept > 0
    if not torch.cuda.is_available():
        result = gpu.run(QUICK)
        assert [g["reached"] for g in result["goals"]] == [None] * 3
        assert "no CUDA" in page.subject_text({"subject": "gpu", **result})


def test_start_up(monkeypatch):
    monkeypatch.setattr(start_up, "LINES", ("import json", "import softjpeg"))
    monkeypatch.setattr(start_up, "PROGRAMS", {n: ["-c", "pass"] for n in start_up.PROGRAMS})
    result = start_up.run(QUICK)
    assert [len(table["rows"]) for table in result["tables"]] == [3, 2]
    assert result["goals"][0]["reached"] is True


# The command and the page


def test_files_from_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    words = ["files", "--quick", "--threads", "1", "--out", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    command.main()
    shown = capsys.readouterr().out
    kept = json.loads((tmp_path / "results" / "files.json").read_text())
    assert kept["command"] == "python -m benchmarks files --quick --threads 1"
    assert kept["threads"] == 1
    assert "torch" in kept["environment"]["versions"]
    assert [g["number"] for g in kept["goals"]] == [5] * 5
    for table in kept["tables"]:
        for row in table["rows"]:
            assert row["name"] in shown

    speed = tmp_path / "speed.md"
    speed.write_text(f"before\n{page.START}\nold\n{page.END}\nafter\n")
    page.write_page(speed, tmp_path / "results")
    text = speed.read_text()
    assert text.startswith(f"before\n{page.START}\n")
    assert text.endswith(f"{page.END}\nafter\n")
    assert "old" not in text
    assert "    python -m benchmarks files --quick" in text
    page.write_page(speed, tmp_path / "results")
    assert speed.read_text() == text


def test_wins_losses_and_what_was_not_measured_stand_side_by_side():
    goals = [
        goal(2, "slower", "<=", 1.03, [1.1, 1.2, 1.3]),
        goal(1, "faster", ">=", 4, [5.0, 6.0, 7.0]),
        goal(3, "on a GPU", ">=", 0.7, None),
    ]
    lines = page.goals_text([{"subject": "x", "goals": goals}]).splitlines()[2:]
    assert lines == [
        "| 1 | faster | ≥ 4 | 6.00 (5.00-7.00) | reached | [x](#x) |",
        "| 2 | slower | ≤ 1.03 | 1.20 (1.10-1.30) | **missed** | [x](#x) |",
        "| 3 | on a GPU | ≥ 0.7 |  | not measured | [x](#x) |",
    ]


def test_tables():
    rows = [
        {"name": "a", "cpu_ms": 1234.0, "GB_s": [1.0, 2.0, 3.0]},
        {"name": "b", "missing": "no"},
    ]
    assert page.table_text({"title": "t", "reference": "a", "rows": rows}).splitlines() == [
        "| t | CPU ms | GB/s |",
        "|---|---|---|",
        "| a | 1234 | 2.00 (1.00-3.00) |",
        "| b | no |  |",
    ]


def test_pages_need_results_and_markers(tmp_path):
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(ValueError, match="holds no results"):
        page.write_page(tmp_path / "page.md", tmp_path)
    (tmp_path / "step.json").write_text("{}")
    with pytest.raises(ValueError, match="must hold the lines"):
        page.write_page(tmp_path / "page.md", tmp_path)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["speed"], "got 'speed'"),
        (["page", "layer"], "got 'page'"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--authors", "nowhere"], "--authors nowhere"),
    ],
)
def test_bad_words_are_named(monkeypatch, capsys, words, complaint):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    with pytest.raises(SystemExit):
        command.main()
    assert complaint in capsys.readouterr().err


def test_paths_stay_out_of_results(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "layer", "--authors", str(tmp_path)])
    said = command.command("layer", command.parsed())
    assert said == "python -m benchmarks layer --authors CHECKOUT"


@pytest.mark.parametrize("module", [timing, page, subject])
def test_examples(module):
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def test_the_page_is_made_of_the_results(tmp_path):
    kept = command.PAGE.read_text()
    (tmp_path / "speed.md").write_text(kept)
    page.write_page(tmp_path / "speed.md", command.RESULTS)
    assert (tmp_path / "speed.md").read_text() == kept
