"""`raysim compare`: verdicts on paper, arguments as people type them, and what must be said beside the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from analysis.compare import VERBS, WORDS, Comparison, Mistake, compare
from analysis.compare.sides import MEASURED
from analysis.figures.outcomes import methods
from analysis.look import style
from analysis.stats import intervals as stats
from raysim.cli.main import main
from raysim.simulation.rounds import Simulation
from tests.experiments import small
from tests.fakes import results as fake_results

OURS, THEIRS = (0.80, 0.82, 0.84), (0.770, 0.785, 0.803)
# differences 0.030, 0.035, 0.037: mean 0.034, deviation 0.0036056; t quantile 0.95 with 2 degrees of freedom
# 2.919986
HALF = 2.919986 * 0.0036056 / 3**0.5


def run(
    folder: Path,
    seed: int,
    value: float,
    *,
    test: float | None = None,
    status: str = "done",
    commit: str = "aaa",
    clients: tuple[int, ...] = (0, 0, 1),
    torch: str = "2.15",
    scenario_label: str = "dirichlet alpha=0.1",
    **settings: Any,
) -> Path:
    """A run's folder; all its accuracies are `value`."""
    experiment = {
        "seed": seed,
        "rounds": 10,
        "task": {"dataset": "scenes", "shots": None},
        "training": {"lr": 0.05},
        "scenario": {"name": "dirichlet", "alpha": 0.1},
        "method": {"name": "m"},
        "resources": {"workers": seed + 1},
    }
    for path, changed in settings.items():
        block, _, key = path.partition("__")
        experiment |= {block: {**experiment[block], key: changed}} if key else {block: changed}  # type: ignore[dict-item]
    result = {
        **dict.fromkeys(MEASURED, value),
        "bytes_up": 300,
        "bytes_down": 100,
        "flops": 1e6 * experiment["rounds"],
    }  # type: ignore[operator]
    meta = {
        "id": "x",
        "kind": "run",
        "status": status,
        "label": experiment["method"]["name"],
        "scenario_label": scenario_label,  # type: ignore[index]
        "experiment": experiment,
        "commit": commit,
        "versions": {"torch": torch},
        "result": result if status == "done" else None,
        "test": None if test is None else dict.fromkeys(MEASURED, test),
    }
    fake_results.write(
        folder / "partition.parquet", [{"client": c, "image": i} for i, c in enumerate(clients)]
    )
    (folder / "run.json").write_text(json.dumps(meta))
    return folder


def runs(folder: Path, values: Sequence[float], first: int = 0, **more: Any) -> str:
    """A folder of runs of one configuration."""
    for seed, value in enumerate(values, first):
        run(folder / f"seed{seed}", seed, value, **more)
    return str(folder)


def trial(
    kind: str, label: str, scenario: str, seeds: Sequence[int], values: Sequence[float], **more: Any
) -> dict[str, Any]:
    """A complete row of the trials table."""
    experiment = {
        "seed": seeds[0],
        "rounds": 10,
        "scenario": {"name": scenario},
        "method": {"name": label.split()[0]},
    }
    opened = {f"test_{name}": [v - 0.1 for v in values] if kind == "confirm" else None for name in MEASURED}
    return {
        "trial": 0,
        "number": 0,
        "study": f"{more.get('space', 's')} | {scenario}",
        "method": "m",
        "kind": kind,
        "label": label,
        "scenario": scenario,
        "state": "COMPLETE",
        "seeds": list(seeds),
        "runs": [f"{kind}{label}{scenario}{s}" for s in seeds],
        **{name: list(values) for name in MEASURED},
        **opened,
        "bytes_up": 10,
        "bytes_down": 10,
        "flops": 2.0,
        "experiment": json.dumps(experiment),
        **{k: v for k, v in more.items() if k != "space"},
    }


def sweep(folder: Path, rows: Sequence[dict[str, Any]], status: str = "done") -> str:
    """A sweep's folder that holds these trials."""
    types = {name: pa.list_(pa.float64()) for name in rows[0] if name.startswith("test_")}
    for number, row in enumerate(rows):
        schema = pa.schema([(name, types.get(name) or pa.array([value]).type) for name, value in row.items()])
        fake_results.write(
            folder / "tables" / "trials" / f"{number}.parquet", [{**row, "trial": number}], schema
        )
    (folder / "run.json").write_text(
        json.dumps({"id": "y", "kind": "sweep", "status": status, "commit": "aaa"})
    )
    return str(folder)


def study(folder: Path) -> str:
    """A study: contrasts and a rival on selection seeds, chosen configurations on fresh ones."""
    return sweep(
        folder,
        [
            trial("contrast", "anchor", "even", (0, 1, 2), OURS),
            trial("rival", "promptfl", "even", (0, 1, 2), THEIRS),
            trial("search", "tpe 0", "even", (0, 1, 2), (0.9, 0.9, 0.9)),
            trial("confirm", "m (tuned)", "even", (1000, 1001, 1002), OURS),
            trial("confirm", "m (untuned)", "even", (1000, 1001), (0.5, 0.6)),
            trial("confirm", "promptfl (untuned)", "even", (1000, 1001, 1002), (0.801, 0.819, 0.8405)),
            trial("confirm", "m (tuned)", "skewed", (1000, 1001, 1002), THEIRS),
            trial("confirm", "promptfl (untuned)", "skewed", (1000, 1001, 1002), OURS),
            trial("confirm", "local (untuned)", "even", (1000, 1001, 1002), (0.1, 0.2, 0.3), state="FAIL"),
        ],
    )


# --- verdicts
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.01, "level"),
        (-0.0101, 0.005, "undecided"),
        (-0.005, 0.0101, "undecided"),
        (0.0, 0.01, "level"),
        (0.0001, 0.009, "helps"),
        (-0.009, -0.0001, "hurts"),
        (0.0, 0.0, "undecided"),
        (-0.03, 0.03, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_level_is_shown_to_matter_by_less_than_a_point(
    low: float | None, high: float | None, verdict: str
) -> None:
    interval = stats.Interval(0.0 if low is None or high is None else (low + high) / 2, low, high, 3)
    assert interval.verdict == verdict and interval.excludes_zero == (verdict in ("helps", "hurts"))


def test_a_level_interval_is_shown_but_excludes_nothing() -> None:
    level = stats.Interval(0.0, -0.002, 0.002, 3, 1.0)
    m = stats.multiplicity(
        [level, stats.Interval(0.02, 0.01, 0.03, 3, 0.01), stats.Interval(0.5, None, None, 1)]
    )
    assert (m.shown, m.decided, m.firm) == (2, 1, 1)


def test_every_verdict_has_a_look_and_a_word() -> None:
    known = set(get_args(stats.Verdict))
    for look in (style.VERDICT_COLOUR, style.VERDICT_MARK, style.VERDICT_MARKER):
        assert set(look) == known and len(set(look.values())) == len(known)
    assert set(methods.VERBS) == known and set(VERBS) == set(WORDS) == known | {"unpaired"}


# --- runs
# --------------------------------------------------------------------------------------------------------------------------


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


def test_no_shared_seed_is_no_verdict(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS), runs(tmp_path / "b", THEIRS, first=5)
    found = compare(a, b)
    assert found.sentence == (
        f"{a} cannot be paired with {b}: no seed is shared (A: 0 to 2; B: 5 to 7), and an unpaired "
        "difference gets no verdict."
    )
    (pair,) = found.json()["pairs"]
    assert (pair["n"], pair["mean"], pair["verdict"]) == (0, None, "unpaired") and pair["a"] == pytest.approx(
        0.82
    )
    assert next(found.tables())[2][0][-1] == "not paired"


def test_test_is_compared_only_where_both_opened_it(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS, test=0.6), runs(tmp_path / "b", THEIRS, test=0.5)
    assert compare(a, b).split == "test" and compare(a, b).json()["pairs"][0]["mean"] == pytest.approx(0.1)
    run(tmp_path / "b" / "seed1", 1, THEIRS[1])
    found = compare(a, b)
    assert found.split == "validation" and found.json()["pairs"][0]["mean"] == pytest.approx(0.034)
    assert "the test split was opened for 3 seeds of A and 2 of B: compared on validation" in found.warnings


def test_what_weakens_the_pairing_is_said(tmp_path: Path) -> None:
    a = runs(tmp_path / "a", OURS)
    moved = compare(
        a, runs(tmp_path / "b", THEIRS, scenario__alpha=10.0, clients=(0, 1, 1), commit="bbb", torch="2.16")
    ).warnings
    assert (
        moved[0].startswith("A and B differ in scenario.alpha: clients hold other images")
        and "only nominal" in moved[0]
    )
    assert moved[1:] == ["different commits: A aaa, B bbb", "different versions: torch 2.15 in A, 2.16 in B"]
    silent = compare(a, runs(tmp_path / "c", THEIRS, clients=(0, 1, 1))).warnings
    assert (
        len(silent) == 1
        and silent[0].startswith("the partitions on disk differ")
        and "only nominal" in silent[0]
    )
    assert (
        compare(a, runs(tmp_path / "d", THEIRS, scenario__alpha=10.0)).warnings == []
    )  # the files say: the same images
    assert "only nominal" in compare(a, runs(tmp_path / "e", THEIRS, task__dataset="ucmerced")).warnings[0]


def test_unfinished_runs_are_left_out_and_named(tmp_path: Path) -> None:
    a, b = runs(tmp_path / "a", OURS), runs(tmp_path / "b", THEIRS)
    run(tmp_path / "b" / "seed3", 3, 0.1, status="interrupted")
    found = compare(a, b)
    assert found.json()["pairs"][0]["n"] == 3
    assert found.warnings == [f"{b}: 1 of 4 runs unfinished, left out: seed3 (interrupted)"]
    with pytest.raises(Mistake, match=r"B = .*seed3: no run is finished yet: seed3 \(interrupted\)"):
        compare(a, str(tmp_path / "b" / "seed3"))


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    a = runs(tmp_path / "a", OURS)
    mixed = runs(tmp_path / "b", THEIRS)
    run(tmp_path / "b" / "seed2", 2, 0.5, training__lr=0.1)
    with pytest.raises(
        Mistake, match=r"^B = .*differ in more than the seed: training.lr \(0.05 in seed0, 0.1 in seed2\)"
    ):
        compare(a, mixed)
    run(tmp_path / "b" / "seed2", 1, 0.5)
    with pytest.raises(Mistake, match=r"^A = .*two runs have seed 1: seed1 and seed2"):
        compare(mixed, a)


# --- sweeps
# ------------------------------------------------------------------------------------------------------------------------


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


def test_a_label_of_several_kinds_means_the_one_that_can_be_paired(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    found = compare(
        f"{folder}:anchor", f"{folder}:promptfl"
    )  # selection seeds: the rival, not the confirmed configuration
    assert found.split == "validation" and found.pairs[0].second.label == "promptfl"
    assert found.sentence == "anchor is ahead of promptfl by 3.4 points (2.8 to 4.0, 3 paired seeds)."


def test_a_folder_of_runs_against_an_entry(tmp_path: Path) -> None:
    folder = study(tmp_path / "s")
    found = compare(
        runs(tmp_path / "a", OURS, first=1000, test=0.9, scenario_label="even"), f"{folder}:promptfl"
    )
    assert (
        [p.title for p in found.pairs] == ["even"]
        and found.split == "test"
        and found.json()["pairs"][0]["n"] == 3
    )
    assert "only in B: promptfl (untuned) under skewed" in found.warnings
    with pytest.raises(
        Mistake, match=r"have nothing in common: A has dirichlet alpha=0.1, B has even; skewed"
    ):
        compare(runs(tmp_path / "b", OURS, first=1000), f"{folder}:promptfl")


def test_two_whole_sweeps(tmp_path: Path) -> None:
    a, b = study(tmp_path / "a"), tmp_path / "b"
    rows = [
        trial("confirm", "m (tuned)", "even", (1000, 1001, 1002), THEIRS),
        trial("confirm", "x (tuned)", "even", (1000,), (0.5,)),
        trial("confirm", "promptfl (untuned)", "even", (1000, 1001, 1002), (0.801, 0.819, 0.8405)),
    ]
    found = compare(a, sweep(b, rows, status="running"))
    assert (
        found.sentence
        == f"Over 2 pairs of equal configuration and scenario, {a} against {b}: ahead in 1, undecided in 1."
    )
    assert [p.title for p in found.pairs] == ["m (tuned), even", "promptfl (untuned), even"]
    assert f"{b}: this sweep is running; only what is on disk is compared" in found.warnings
    assert (
        "only in A: m (tuned) under skewed; m (untuned) under even; promptfl (untuned) under skewed"
        in found.warnings
    )
    assert "only in B: x (tuned) under even" in found.warnings


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


# --- the command
# -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("nope", "runs", "A = {}/nope: there is no folder"),
        ("run", "study", "A = {0}/run: there is no folder {0}/run; did you mean {0}/runs?"),
        (
            "runs",
            "study",
            "B = {0}/study: a sweep of several configurations against one; name one of them: '{0}/study:m "
            "(tuned)'",
        ),
        ("runs", "study:promptf", "no finished entry 'promptf'; did you mean 'promptfl (untuned)'? It has"),
        ("runs", "study:local", "no finished entry 'local'"),
        ("runs:m", "study", "A = {}/runs:m: only a sweep has entries to pick; leave out ':m'"),
        (
            "runs",
            "open",
            "no configuration of this sweep is confirmed on fresh seeds yet: name an entry, such as "
            "{0}/open:anchor",
        ),
        ("runs", "twins:anchor", "'anchor' is not one entry: s | even and t | even"),
        ("study", "other", "have nothing in common: A has m (tuned), even; "),
        ("runs", "runs/", "A and B are the same"),
        ("runs", ".", "B = {0}/.: holds sweeps; name one of"),
        ("runs", "empty", "holds no run.json"),
    ],
)
def test_mistakes_name_the_argument(
    a: str, b: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs(tmp_path / "runs", OURS)
    study(tmp_path / "study")
    sweep(tmp_path / "open", [trial("contrast", "anchor", "even", (0, 1), (0.5, 0.6))])
    sweep(
        tmp_path / "twins",
        [trial("contrast", "anchor", "even", (0,), (0.5,), space=space, runs=[space]) for space in "st"],
    )
    sweep(tmp_path / "other", [trial("confirm", f"{name} (tuned)", "odd", (0,), (0.5,)) for name in "xy"])
    (tmp_path / "empty").mkdir()
    assert main(["compare", f"{tmp_path}/{a}", f"{tmp_path}/{b}"]) == 2
    said = capsys.readouterr().err
    assert message.format(tmp_path) in said and "Traceback" not in said


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
