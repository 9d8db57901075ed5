"""The report: numbers on paper, and sentences that follow from intervals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analysis.figures.choices import contrasts
from analysis.figures.outcomes import clients, curves, methods
from analysis.figures.searching import search
from analysis.pages import commands, summary, sweep_page
from analysis.read.results import Results
from analysis.stats import intervals as stats
from tests.fakes import results as fake_results

ROOT = Path(__file__).parents[3]


def contrast(
    scenario: str, factor: str | None, level: str | None, values: list[float], **more: Any
) -> dict[str, Any]:
    """A complete contrast trial of method m."""
    return {
        "study": f"m | {scenario}",
        "method": "m",
        "scenario": scenario,
        "kind": "contrast",
        "state": "COMPLETE",
        "factor": factor,
        "level": level,
        "label": "anchor" if factor is None else f"{factor}={level}",
        "seeds": [1, 2, 3][: len(values)],
        "acc_personal_own": values,
        **more,
    }


def confirm(label: str, scenario: str, values: list[float], seeds: list[int]) -> dict[str, Any]:
    """A complete confirm trial."""
    return {
        "study": f"{label.split()[0]} | {scenario}",
        "method": label.split()[0],
        "scenario": scenario,
        "kind": "confirm",
        "state": "COMPLETE",
        "label": label,
        "seeds": seeds,
        "test_acc_personal_own": values,
        "test_acc_personal_global": values,
        "acc_personal_own": values,
        "params": "{}",
        "bytes_up": 10,
        "bytes_down": 10,
        "runs": [f"{label}{s}" for s in seeds],
    }


def sweep_of(trials: list[dict[str, Any]], **meta: Any) -> Results:
    """A sweep that holds these trials."""
    results = Results(Path("nowhere"), {"kind": "sweep", "confidence": 0.9, "space": "m", **meta})
    results.__dict__["trials"] = trials
    return results


# --- statistics
# --------------------------------------------------------------------------------------------------------------------


def test_t_interval_on_paper() -> None:
    interval = stats.t_interval([1.0, 2.0, 3.0], 0.9)
    assert interval is not None and interval.low is not None and interval.high is not None
    half = 2.919986 / 3**0.5  # t quantile 0.95 with 2 degrees of freedom; the standard deviation is 1
    assert interval.mean == pytest.approx(2) and interval.low == pytest.approx(2 - half, abs=1e-6)
    assert interval.high == pytest.approx(2 + half, abs=1e-6) and interval.n == 3
    # t = 2 sqrt(3) = 3.4641 with 2 degrees of freedom: p = 1 - t / sqrt(t^2 + 2)
    assert interval.p == pytest.approx(1 - 12**0.5 / 14**0.5)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.02, 0.03, 0.025], "helps"),
        ([-0.02, -0.03, -0.025], "hurts"),
        ([0.02, -0.01, 0.01], "undecided"),
        ([0.5], "undecided"),
        ([0.01, 0.01, 0.01], "undecided"),
        ([0.0, 0.0], "undecided"),
    ],
)
def test_verdict_follows_from_the_interval(values: list[float], verdict: str) -> None:
    interval = stats.t_interval(values)
    assert interval is not None and interval.verdict == verdict


def test_one_seed_has_no_interval_and_missing_values_do_not_count() -> None:
    assert stats.t_interval([0.5]) == stats.Interval(0.5, None, None, 1)
    assert stats.t_interval([0.5, float("nan"), None]) == stats.Interval(0.5, None, None, 1)  # type: ignore[list-item]
    assert stats.t_interval([float("nan")]) is None
    flat = stats.t_interval([0.5, 0.5])
    assert flat is not None and (flat.low, flat.high, flat.p) == (0.5, 0.5, None)


def test_pairs_are_made_by_seed() -> None:
    interval = stats.paired({1: 0.5, 2: 0.7, 9: 0.0}, {2: 0.6, 1: 0.3, 8: 1.0})
    assert interval is not None and interval.n == 2 and interval.mean == pytest.approx(0.15)
    assert stats.paired({1: 0.5}, {2: 0.5}) is None


def with_p(*values: float | None) -> list[stats.Interval]:
    return [stats.Interval(1.0, 0.5, 1.5, 3, p) for p in values]


def test_false_discovery_rate_on_paper() -> None:
    # thresholds 0.025, 0.05, 0.075, 0.1: the largest k with p(k) below its own is 2
    assert stats.firm(with_p(0.5, 0.01, 0.08, 0.04), 0.1) == [False, True, False, True]
    assert stats.firm(with_p(0.09, 0.095), 0.1) == [True, True]  # step up: the second carries the first
    assert stats.firm(with_p(None, 0.06), 0.1) == [
        False,
        False,
    ]  # an interval without spread is shown, so it counts
    assert stats.firm([], 0.1) == []


def test_multiplicity_counts() -> None:
    made = [stats.t_interval(v) for v in ([0.02, 0.03, 0.025], [0.02, -0.01, 0.01], [0.3])]
    m = stats.multiplicity([i for i in made if i], 0.9)
    assert (m.shown, m.decided) == (2, 1) and m.by_chance == pytest.approx(0.2)


# --- sentences
# ---------------------------------------------------------------------------------------------------------------------

FACTORS = [
    {"path": f"method.{s}", "symbol": s, "levels": [1, 2, 3], "anchor": 1, "basis": "guess", "doc": ""}
    for s in ("lam", "h", "w")
]
SCENARIOS = [{"label": "A"}, {"label": "B"}]


def decided_sweep() -> Results:
    return sweep_of(
        [
            contrast("A", None, None, [0.50, 0.60, 0.70]),
            contrast("A", "method.lam", "3", [0.47, 0.56, 0.68]),
            contrast("A", "method.lam", "2", [0.52, 0.6211, 0.7189]),
            contrast("A", "method.h", "2", [0.52, 0.59, 0.70]),
            contrast("B", None, None, [0.50, 0.60, 0.70]),
            contrast("B", "method.lam", "2", [0.52, 0.59, 0.70]),
            contrast("B", "method.h", "2", [0.9, 0.9, 0.9], state="PRUNED"),
        ],
        factors=FACTORS,
        scenarios=SCENARIOS,
    )


def test_contrasts_are_paired_differences_to_the_anchor() -> None:
    rows = contrasts.table_contrasts(decided_sweep())
    names = [" ".join((r["scenario"], r["symbol"], r["level"])) for r in rows]
    assert names == ["A lam 2", "A lam 3", "A h 2", "B lam 2"]
    assert [r["mean"] for r in rows] == pytest.approx([0.02, -0.03, 0.01 / 3, 0.01 / 3])
    assert [r["verdict"] for r in rows] == ["helps", "hurts", "undecided", "undecided"]
    assert [r["firm"] for r in rows] == [
        True,
        True,
        False,
        False,
    ]  # p 0.001 and 0.037 of 4: thresholds 0.025 and 0.05


def test_sentence_says_what_the_intervals_say() -> None:
    results = decided_sweep()
    rows, paths = contrasts.table_contrasts(results), [f["path"] for f in FACTORS]
    assert contrasts.sentence([r for r in rows if r["scenario"] == "A"], paths, 0.9) == (
        "Under A, lam changes validation accuracy (best 2: +2.0 points, 90% interval +1.8 to +2.2); 1 of 3 "
        "open choices is undecided; "
        "1 without a finished trial."
    )
    assert contrasts.sentence([r for r in rows if r["scenario"] == "B"], paths, 0.9) == (
        "Under B, none of 3 open choices is decided (2 without a finished trial): every 90% interval "
        "includes zero."
    )
    said = (
        "lam (under A) changes validation accuracy; 1 of 3 open choices is undecided; 1 without a "
        "finished trial."
    )
    assert summary.lead(results, [], rows, []) == [said, methods.NOT_YET]
    by_chance = sweep_page.trust(results, [], rows)[3]
    assert "of 4 intervals of 90% shown, 2 exclude zero" in by_chance and "all of them stand" in by_chance


def test_a_verdict_that_does_not_stand_is_only_a_hint() -> None:
    trials = [
        contrast("A", None, None, [0.5, 0.6, 0.7]),
        contrast("A", "method.lam", "2", [0.51, 0.6105, 0.7235]),
    ]
    trials += [contrast("A", "method.h", str(i), [0.5 + 0.01 * i, 0.6 - 0.01 * i, 0.7]) for i in range(1, 7)]
    rows = contrasts.table_contrasts(sweep_of(trials, factors=FACTORS, scenarios=SCENARIOS))
    assert rows[0]["verdict"] == "helps" and not rows[0]["firm"]
    assert contrasts.sentence(rows, [], 0.9).startswith(
        "Under A, lam may change validation accuracy (best 2: +1.5 points, "
    )
    lead = summary.headline(rows, [], 2)
    assert lead.startswith(
        "No open choice is shown to change validation accuracy under A; lam (under A) hints at it by an "
        "interval"
    )


def test_one_seed_decides_nothing() -> None:
    trials = [contrast("A", None, None, [0.5]), contrast("A", "method.lam", "2", [0.9])]
    rows = contrasts.table_contrasts(sweep_of(trials, factors=FACTORS[:1], scenarios=SCENARIOS))
    assert (
        contrasts.sentence(rows, [], 0.9)
        == "Under A, none of 1 open choices is decided: one seed gives no interval."
    )


def test_methods_are_compared_by_seed_and_named_untuned() -> None:
    results = sweep_of(
        [
            confirm("m (tuned)", "A", [0.80, 0.82, 0.84], [11, 12, 13]),
            confirm("promptfl (untuned)", "A", [0.803, 0.770, 0.785], [13, 11, 12]),  # seeds in another order
            confirm("local (untuned)", "A", [0.80, 0.83, 0.83], [11, 12, 13]),
        ],
        scenarios=SCENARIOS,
    )
    rows = methods.table_methods(results)
    pairs = methods.rivalry(results, rows)
    assert {p["label"]: p["interval"].verdict for p in pairs} == {
        "promptfl (untuned)": "helps",
        "local (untuned)": "undecided",
    }
    assert next(p["interval"].mean for p in pairs if p["label"] == "promptfl (untuned)") == pytest.approx(
        (0.03 + 0.035 + 0.037) / 3
    )
    said = methods.sentences(pairs, 0.9)
    assert said[0].startswith(
        "Under A, on the clients' own distributions, m (tuned) beats promptfl (untuned) (+3.4 points, 90% "
        "interval +2.8 to +4.0); it is undecided against local (untuned) ("
    )
    lead = methods.headline(pairs, 0.9)
    assert lead.startswith(
        "On fresh seeds and the test split, on the clients' own distributions, m (tuned) is undecided "
        "against local "
        "(untuned) under A (0.0 points, 90% "
    )
    assert lead.endswith(
        "local (untuned) is the strongest of 2 rivals by validation accuracy on these seeds."
    )
    table = methods.table_of_methods(results, rows)
    assert table is not None
    assert [line[7].text for line in table.rows] == [
        "0.0 \u00b1 1.7 undecided",
        "reference",
        "\u22123.4 \u00b1 0.6 behind",
    ]
    assert (
        methods.opposite(pairs[-1]["interval"]).verdict == "hurts"
        and pairs[-1]["label"] == "promptfl (untuned)"
    )
    trust = " ".join(sweep_page.trust(results, rows, []))
    assert "m (tuned) had a search behind it, local (untuned) and promptfl (untuned) did not" in trust


def test_the_strongest_rival_is_chosen_on_validation_not_on_test() -> None:
    trials = [
        confirm("m (tuned)", "A", [0.80, 0.82, 0.84], [1, 2, 3]),
        confirm("a (untuned)", "A", [0.79, 0.80, 0.84], [1, 2, 3]),
        {**confirm("b (untuned)", "A", [0.70, 0.71, 0.72], [1, 2, 3]), "acc_personal_own": [0.9, 0.9, 0.9]},
    ]
    results = sweep_of(trials, scenarios=SCENARIOS)
    lead = methods.headline(methods.rivalry(results, methods.table_methods(results)), 0.9)
    assert "beats b (untuned) under A (+11.0 points, " in lead and lead.endswith(
        "b (untuned) is the strongest of 2 rivals by validation accuracy on these seeds."
    )


def test_where_the_global_split_decides_otherwise_it_is_said() -> None:
    other = [0.90, 0.915, 0.94]
    trials = [
        confirm("m (tuned)", "A", [0.80, 0.82, 0.84], [1, 2, 3]),
        {**confirm("a (untuned)", "A", [0.77, 0.795, 0.81], [1, 2, 3]), "test_acc_personal_global": other},
        confirm("b (untuned)", "A", [0.71, 0.725, 0.74], [1, 2, 3]),
    ]
    results = sweep_of(trials, scenarios=SCENARIOS)
    pairs = methods.rivalry(results, methods.table_methods(results))
    assert methods.headline(pairs, 0.9).startswith(
        "On fresh seeds and the test split, on the clients' own distributions, m (tuned) beats a (untuned) "
        "under A (+2.8 points, 90% "
        "interval +2.3 to +3.3). On the global split it loses to a (untuned) under A "
        "(\u22129.8 points, \u221210.3 to \u22129.3)."
    )
    (said,) = methods.sentences(pairs, 0.9)
    assert "beats a (untuned) (" in said and " and b (untuned) (" in said
    assert said.endswith(
        ". On the global split it loses to a (untuned) (\u22129.8 points, \u221210.3 to \u22129.3)."
    )


def test_a_difference_that_does_not_stand_adjusted_is_said_with_may() -> None:
    base, wide = [0.80, 0.82, 0.84], [0.06, -0.07, 0.01]
    trials = [
        confirm("m (tuned)", "A", base, [1, 2, 3]),
        confirm("a (untuned)", "A", [0.79, 0.797, 0.83], [1, 2, 3]),
    ]
    alone = sweep_of(trials, scenarios=SCENARIOS)
    (pair,) = methods.rivalry(alone, methods.table_methods(alone))
    assert (
        pair["interval"].verdict == "helps"
        and pair["firm"]
        and "m (tuned) beats a" in methods.sentences([pair], 0.9)[0]
    )
    more = [
        confirm(f"{name} (untuned)", "A", [v + w for v, w in zip(base, wide, strict=True)], [1, 2, 3])
        for name in "bcd"
    ]
    results = sweep_of([*trials, *more], scenarios=SCENARIOS)
    rows = methods.table_methods(results)
    (said,) = methods.sentences(methods.rivalry(results, rows), 0.9)
    assert "m (tuned) may beat a (untuned) (" in said and "it is undecided against b (untuned) (" in said
    table, exhibit = methods.table_of_methods(results, rows), methods.exhibit_methods(results, rows)
    assert table is not None and any(line[7].text.endswith("may be behind") for line in table.rows)
    assert (
        "of 8 intervals of 90% shown, 2 exclude zero" in exhibit.caption
        and "none of them stands" in exhibit.caption
    )
    assert "of 8 intervals of 90% shown" in table.caption and "patches" not in exhibit.caption
    for row in rows[:2]:
        row["trial"]["patches"] = 4
    assert f"{rows[0]['label']} works on M = 4 patches." in methods.exhibit_methods(results, rows).caption


def test_two_studies_of_one_name_are_not_thrown_together() -> None:
    trials = [
        confirm("m (tuned)", "A", [0.8, 0.82], [1, 2]),
        {**confirm("m (tuned)", "A", [0.7, 0.7], [1, 2]), "study": "other | A"},
    ]
    with pytest.raises(
        ValueError, match=r"'m \(tuned\)' is confirmed under 'A' by two studies, 'm | A' and 'other | A'"
    ):
        methods.table_methods(sweep_of(trials))
    assert len(methods.table_methods(sweep_of([trials[0], trials[0]]))) == 2


def test_a_search_until_its_time_is_over_has_no_plan_to_count_against() -> None:
    results = sweep_of([], planned={"contrast": 3, "search": None, "confirm": 2}, dropped_contrasts=2)
    assert sweep_page.progress(results) == "0 trials finished"
    results.trials.append(contrast("A", None, None, [0.5]))
    table = sweep_page.trial_counts(results)
    assert table.caption == "2 contrasts were left out because the time limit was near."  # type: ignore[union-attr]


# --- tables
# ------------------------------------------------------------------------------------------------------------------------


def test_optimism_gap_uses_the_configuration_that_was_confirmed() -> None:
    base = {"method": "m", "scenario": "A", "study": "m | A", "state": "COMPLETE", "seeds": [1, 2]}
    trials = [
        {
            **base,
            "kind": "search",
            "label": "a",
            "params": '{"x": 1}',
            "objective": 0.9,
            "acc_personal_own": [0.9, 0.9],
        },
        {
            **base,
            "kind": "search",
            "label": "b",
            "params": '{"x": 2}',
            "objective": 0.8,
            "acc_personal_own": [0.7, 0.9],
        },
        {
            **confirm("m (tuned)", "A", [0.6, 0.7], [8, 9]),
            "params": '{"x": 2}',
            "acc_personal_own": [0.65, 0.75],
        },
    ]
    (row,) = search.table_optimism(sweep_of(trials))
    assert row["chosen"] == "b" and row["exact"]
    assert [row[k].mean for k in ("search", "validation", "test")] == pytest.approx([0.8, 0.7, 0.65])
    assert row["gap"].mean == pytest.approx(-0.05)


def test_best_so_far_counts_complete_trials_only() -> None:
    base = {"method": "m", "scenario": "A", "study": "m | A", "kind": "search", "label": "", "factor": None}
    states = [
        ("COMPLETE", 0.5),
        ("PRUNED", 0.9),
        ("FAIL", None),
        ("FAIL", float("nan")),
        ("COMPLETE", 0.4),
        ("COMPLETE", 0.6),
    ]
    rows = search.table_search(sweep_of([{**base, "state": s, "objective": v} for s, v in states]))
    assert [r["best"] for r in rows] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.6] and rows[3]["objective"] is None


def test_bytes_per_client_and_round() -> None:
    rows = methods.table_methods(sweep_of([confirm("m (tuned)", "A", [0.5, 0.6], [1, 2])]))
    rounds = [
        {"run": "m (tuned)1", "round": r, "clients": 4, "bytes_up": 40 * (r > 0), "bytes_down": 80 * (r > 0)}
        for r in range(3)
    ]
    (row,) = curves.table_communication(rows, rounds)
    assert row["each"] == 30 and row["total"] == 20


def test_partition_table_on_paper() -> None:
    made = pa.table({"client": [0, 0, 2, 2, 2], "label": [0, 1, 1, 1, 1], "domain": [0, 0, 1, 1, 0]})
    table = clients.table_partition(made, 3, 2)
    assert table["clients"].tolist() == [0, 2] and table["counts"].tolist() == [[1, 1, 0], [0, 3, 0]]
    assert table["domains"].tolist() == [[2, 0], [1, 2]]
    many = clients.table_partition(pa.table({"client": list(range(500)), "label": [0] * 500}), 1, 1)
    assert (
        len(many["clients"]) == clients.SHOWN_CLIENTS and many["total"] == 500 and many["clients"][-1] == 499
    )


def test_accuracy_by_class_sums_domains(tmp_path: Path) -> None:
    rows = [
        {
            "run": "r",
            "round": n,
            "split": "validation",
            "label": 0,
            "class_name": "river",
            "domain": d,
            "domain_name": str(d),
            "scope": "shared",
            "correct": c,
            "total": t,
        }
        for n, d, c, t in ((1, 0, 0.0, 9.0), (2, 0, 1.0, 2.0), (2, 1, 2.0, 4.0))
    ]
    fake_results.write(tmp_path / "tables" / "classes" / "0.parquet", rows)
    assert clients.table_classes(Results(tmp_path, {"kind": "run"})) == [
        {"name": "river", "round": 2, "shared": 0.5}
    ]


# --- commands
# ----------------------------------------------------------------------------------------------------------------------


def test_commands_repeat_each_trial_exactly() -> None:
    def experiment(name: str, lam: float) -> str:
        return json.dumps(
            {
                "seed": 1,
                "rounds": 9,
                "task": {"dataset": "it's; $(touch x)", "shots": None},
                "scenario": {"name": "even"},
                "method": {"name": name, "lam": lam, "sizes": [1, 2]},
                "resources": {"workers": 4},
            }
        )

    trials = [
        {
            "trial": 0,
            "kind": "search",
            "label": "a\nb",
            "scenario": "A",
            "rounds": 5,
            "seeds": [3, 4],
            "experiment": experiment("m", 0.5),
        },
        {
            "trial": 1,
            "kind": "confirm",
            "label": "c",
            "scenario": "A",
            "rounds": 5,
            "seeds": [7],
            "experiment": experiment("n", 0.1),
        },
    ]
    results = sweep_of(trials, command="raysim sweep ../spaces/m.py --out x")
    script = 'raysim() { printf "%s\\0" "$@"; printf "\\n\\0"; }\n' + commands.commands(results).code
    ran = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, check=True).stdout
    calls = [call.strip("\0").split("\0") for call in ran.split("\n\0") if call]
    common = {
        "rounds=9",
        "task.dataset=it's; $(touch x)",
        "task.shots=null",
        "method.sizes=[1, 2]",
        "scenario=even",
    }
    assert [set(c) for c in calls] == [
        {"run", "../spaces/m.py", "method=m", "method.lam=0.5", "seed=3", *common},
        {"run", "../spaces/m.py", "method=m", "method.lam=0.5", "seed=4", *common},
        {"run", "../spaces/m.py", "--open-test", "method=n", "method.lam=0.1", "seed=7", *common},
    ]


def test_command_of_a_run_keeps_its_space(tmp_path: Path) -> None:
    meta = {
        "kind": "run",
        "command": "raysim run my_space.py scenario=even",
        "experiment": {"seed": 3, "method": {"name": "m", "h": 4}, "resources": {"workers": 2}},
        "test": {"acc_personal_own": 0.5},
    }
    assert (
        commands.run_command(Results(tmp_path, meta))
        == "raysim run my_space.py --open-test method=m seed=3 method.h=4"
    )


# --- architecture
# ------------------------------------------------------------------------------------------------------------------


def test_import_is_light() -> None:
    code = (
        "import sys, analysis; print([m for m in ('matplotlib', 'scipy', 'jinja2', 'torch') if m in "
        "sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
