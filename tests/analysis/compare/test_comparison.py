"""`raysim compare`: verdicts on paper, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from analysis.compare import Comparison, compare
from analysis.compare.comparison import VERDICT_VERBS, VERDICT_WORDS
from analysis.figures.outcomes import rivalry
from analysis.look import style
from analysis.stats import intervals as stats
from raysim.cli.main import main
from raysim.simulation.rounds import Simulation
from tests.experiments import small
from tests.fakes import results as fake_results
from tests.fakes.comparisons import HALF, OURS, THEIRS, runs, study


def test_every_verdict_has_a_look_and_a_word() -> None:
    known = set(get_args(stats.Verdict))
    for look in (style.VERDICT_COLOUR, style.VERDICT_MARK, style.VERDICT_MARKER):
        assert set(look) == known and len(set(look.values())) == len(known)
    assert set(rivalry.VERBS) == known and set(VERDICT_VERBS) == set(VERDICT_WORDS) == known | {"unpaired"}


def test_folders_of_runs_are_paired_by_seed_as_on_paper(tmp_path: Path) -> None:
    a = runs(tmp_path / "a", OURS)
    b = runs(tmp_path / "b", [*THEIRS, 0.1], method__name="n", method__lam=0.02, training__lr=0.1, rounds=20)
    found = compare(a, b)
    assert found.sentence == f"{a} is ahead of {b} by 3.4 points (2.8 to 4.0, 3 paired seeds)."
    (pair,) = found.json()["pairs"]
    assert pair["mean"] == pytest.approx(0.034) and pair["low"] == pytest.approx(0.034 - HALF, abs=1e-6)
    assert pair["high"] == pytest.approx(0.034 + HALF, abs=1e-6) and (pair["n"], pair["verdict"]) == (
        3,
        "helps",
    )
    assert pair["a"] == pytest.approx(0.82) and pair["b"] == pytest.approx(
        0.786
    )  # means over the paired seeds: not 0.1
    assert (pair["bytes_ratio"], pair["flops_ratio"]) == (1.0, 0.5)
    assert found.differing == [
        "rounds: 10 | 20",
        "training.lr: 0.05 | 0.1",
        "method.name: m | n",
        "only in B: method.lam=0.02",
    ]
    assert (
        any("different numbers of rounds" in w for w in found.warnings)
        and "seeds only in B: 3" in found.warnings
    )
    assert not any(
        "nominal" in w or "commits" in w for w in found.warnings
    )  # the same images, the same program
    assert compare(b, a).sentence == f"{b} is behind {a} by 3.4 points (2.8 to 4.0, 3 paired seeds)."


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (
            (0.5, 0.6, 0.7),
            (0.501, 0.599, 0.7005),
            "A is level with B (within 1 point): 0.0 points (\u22120.2 to +0.2, 3 paired seeds).",
        ),
        (
            (0.5, 0.6, 0.7),
            (0.52, 0.58, 0.7),
            "A is undecided against B: 0.0 points (\u22123.4 to +3.4, 3 paired seeds).",
        ),
        (
            (0.5, 0.6),
            (0.5, 0.6),
            "A is undecided against B: 0.0 points in each of 2 paired seeds, which measures no spread.",
        ),
        ((0.5,), (0.469,), "A is undecided against B: one seed gives no interval (+3.1 points, seed 0)."),
        (
            (0.5002, 0.60025, 0.7003),
            (0.5, 0.6, 0.7),
            "A is ahead of B by 0.03 points (0.02 to 0.03, 3 paired seeds).",
        ),
    ],
)
def test_verdicts_in_words(ours: Sequence[float], theirs: Sequence[float], said: str, tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", ours), runs(tmp_path / "b", theirs)
    assert compare(a, b).sentence.replace(a, "A").replace(b, "B") == said


def test_entries_of_a_sweep_are_compared_scenario_by_scenario(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    found = compare(
        f"{folder}:m", f"{folder}:promptfl"
    )  # the brackets may be left out; the tuned one is meant
    assert found.sentence == (
        "m (tuned) is behind promptfl (untuned) under skewed by 3.4 points (2.8 to 4.0, 3 paired seeds); "
        "it is level with promptfl "
        "(untuned) (within 1 point) under even: 0.0 points (\u22120.2 to +0.2, 3 paired seeds)."
    )
    assert found.split == "test" and [p["scenario"] for p in found.json()["pairs"]] == ["even", "skewed"]
    assert "A is tuned, B is untuned: the difference includes the tuning" in found.warnings
    untuned = compare(f"{folder}:m (untuned)", f"{folder}:promptfl")
    assert untuned.pairs[0].seeds("acc_personal_own") == [1000, 1001]
    assert (
        "only in B: promptfl (untuned) under skewed" in untuned.warnings
        and "seeds only in B: 1002" in untuned.warnings
    )


def test_many_pairs_table_the_metric_alone_and_count_chance(tmp_path: Path) -> None:
    sides = [
        fake_results.fake_sweep(tmp_path / name, recipe=True, rounds=2, seed=seed)
        for name, seed in (("a", 0), ("b", 1))
    ]
    found = compare(str(sides[0]), str(sides[1]), "worst_client_accuracy")
    tables = list(found.tables())
    assert [title for title, _, _ in tables] == ["worst_client_accuracy", "cost of a run, mean over seeds"]
    many = len(found.pairs)
    assert len(tables[0][2]) == len(tables[1][2]) == many > 4
    assert (
        f"of {many} intervals of 90%, about {many / 10:.1f} would exclude zero by chance alone"
        in found.warnings
    )
    first = found.pairs[0]
    column = [
        np.array(list(entry.values["test_worst_client_accuracy"].values()))
        for entry in (first.first, first.second)
    ]
    assert found.json()["pairs"][0]["mean"] == pytest.approx(float((column[0] - column[1]).mean()))


def test_the_command_says_the_verdict_first_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (
        runs(tmp_path / name, values, training__lr=lr, scenario_label="own [of one]")
        for name, values, lr in (("a", OURS, 0.05), ("b", THEIRS, 0.1))
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(["compare", a, b, "--metric", "worst_client_accuracy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == f"{a} is ahead of {b} by 3.4 points (2.8 to 4.0, 3 paired seeds)."
        and "worst_client_accuracy" in lines[1]
    )
    text = "\n".join(lines)
    assert (
        "own [of one]" in lines
        and "  training.lr: 0.05 | 0.1" in lines
        and "82.0  78.6" in text
        and "400 B" in text
    )
    rows = [line.split()[0] for line in lines if line.endswith("ahead")]
    assert rows == [
        "worst_client_accuracy",
        "acc_personal_own",
        "acc_personal_global",
        "acc_shared_own",
        "acc_shared_global",
    ]
    assert main(["compare", a, b, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"metric", "split", "pairs", "differs"} <= set(found) and found["differs"][0][
        "path"
    ] == "training.lr"
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_real_runs(tmp_path: Path, simulate: Callable[..., Simulation]) -> None:
    done: dict[str, list[Simulation]] = {"m": [], "n": []}
    for name, method in (("m", "fedrsclip"), ("n", "promptfl")):
        for seed in (3, 4):
            done[name].append(
                simulate(small(method=method, seed=seed, rounds=2), folder=tmp_path / name / f"run{seed}")
            )
    found: Comparison = compare(str(tmp_path / "m"), str(tmp_path / "n"))
    values = [[simulation.result()["acc_personal_own"] for simulation in own] for own in done.values()]
    (pair,) = found.json()["pairs"]
    assert (
        pair["mean"] == pytest.approx(sum(a - b for a, b in zip(*values, strict=True)) / 2) and pair["n"] == 2
    )
    assert {
        "path": "method.name",
        "a": "fedrsclip",
        "b": "promptfl",
        "only": "",
        "where": [],
    } in found.differs
    assert not any("nominal" in warning for warning in found.warnings)
    assert pair["bytes_ratio"] == 1.0 and pair["flops_ratio"] > 1.0
    simulate(small(method="promptfl", seed=3, rounds=2, scenario__alpha=100.0), folder=tmp_path / "other")
    assert any(
        "scenario.alpha" in w and "only nominal" in w
        for w in compare(str(tmp_path / "m"), str(tmp_path / "other")).warnings
    )
