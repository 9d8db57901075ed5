"""The tables of verdicts and of estimates: every difference and accuracy once, lost seeds among them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.figures import estimates
from analysis.figures.choices.verdicts import rows_of
from analysis.pages.headline import rival_headline
from analysis.read.results import Results, Row, open_results
from analysis.verdicts import verdict_tables
from analysis.verdicts.differences import with_floor
from tests.fakes import results as fake_results
from tests.fakes import stress_results
from tests.fakes.recipe import Recipe
from tests.fakes.whole import FRESH, SCENARIOS, SELECTION, SPACE, whole_sweep

MEASURED = "acc_personal_own"


def judged(folder: Path) -> Results:
    results = open_results(folder)
    verdict_tables(results)
    return results


def only(results: Results, text: str, **values: object) -> Row:
    """The only row of a query."""
    (row,) = results.sql(text, **values)
    return row


VERDICT = """FROM verdicts WHERE kind = $kind AND a = $a AND b = $b AND scenario = $scenario
AND metric = 'acc_personal_own'"""


def test_a_level_that_diverges_is_said_and_not_dropped(whole: Results) -> None:
    row = only(whole, VERDICT, kind="choice", a="method.lam=0.5", b="anchor", scenario=SCENARIOS[0])
    assert (row["verdict"], row["diverged_a"], row["seeds"], row["estimate"]) == ("diverges", 3, [], None)
    assert row["reason"] == "diverged on 3 of 3 seeds"
    estimate = only(
        whole,
        "FROM estimates WHERE label = 'method.lam=0.5' AND scenario = 'even' AND metric = $m",
        m=MEASURED,
    )
    assert (estimate["lost"], estimate["mean"], estimate["seeds_planned"]) == (3, None, 3)


def test_a_rival_that_diverged_is_not_the_strongest_and_its_row_is_there(whole: Results) -> None:
    row = only(whole, VERDICT, kind="lead", a="anchor", b="fedavg", scenario=SCENARIOS[0])
    assert (row["verdict"], row["diverged_b"]) == ("diverges", 2)
    strongest = whole.sql("SELECT DISTINCT scenario, b FROM verdicts WHERE strongest ORDER BY ALL")
    # fedavg is ahead of promptfl, but it lost two of its three selection seeds
    assert [row["b"] for row in strongest] == ["promptfl (tuned)"] * len(SCENARIOS)


def test_without_divergence_the_strongest_rival_is_the_best_on_the_selection_seeds(tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, lost={}, search=0))
    strongest = results.sql("SELECT DISTINCT scenario, b FROM verdicts WHERE strongest ORDER BY ALL")
    assert [row["b"] for row in strongest] == ["fedavg (untuned)"] * len(SCENARIOS)


def _without(folder: Path, kind: str, label: str) -> Path:
    """The folder without the trials of a kind and label, as a sweep leaves it that had no time for them."""
    for part in (folder / "tables" / "trials").glob("*.parquet"):
        (row,) = pq.read_table(part).select(["kind", "label"]).to_pylist()
        if (row["kind"], row["label"]) == (kind, label):
            part.unlink()
    return folder


def test_a_rival_that_was_not_confirmed_stays_the_strongest_and_no_other_takes_its_place(
    tmp_path: Path,
) -> None:
    folder = _without(whole_sweep(tmp_path / "w", lost={}, search=0), "confirm", "fedavg (untuned)")
    results = judged(folder)
    rows = results.sql(
        "SELECT b, verdict, strongest FROM verdicts WHERE kind = 'rival' AND metric = $m", m=MEASURED
    )
    assert {(row["b"], row["verdict"]) for row in rows if row["strongest"]} == {("fedavg", "missing")}
    said = rival_headline(results, rows_of(results, "rival"))
    assert "strongest rival, " not in said and "fedavg, its strongest rival on validation under even" in said


def test_a_transfer_that_was_left_out_has_a_row(tmp_path: Path) -> None:
    label = f"fedrsclip from {SCENARIOS[1]} (tuned)"
    left = {"kind": "transfer", "study": f"{SPACE} | {SCENARIOS[0]}", "label": label, "stage": "transfer"}
    folder = whole_sweep(tmp_path / "w", left_out={"trials": [left]})
    results = judged(_without(folder, "transfer", label))
    row = only(results, VERDICT, kind="transfer", a="fedrsclip (tuned)", b=label, scenario=SCENARIOS[0])
    assert (row["verdict"], row["reason"], row["level"]) == ("missing", "no time was left", SCENARIOS[1])
    other = only(
        results, "FROM verdicts WHERE kind = 'transfer' AND metric = $m AND verdict <> 'missing'", m=MEASURED
    )
    assert other["scenario"] == SCENARIOS[1]


def test_the_view_of_both_directions_turns_the_reason_too(whole: Results) -> None:
    seen = {
        (row["a"], row["b"], row["scenario"], row["metric"], row["split"]): row["reason"]
        for row in whole.sql("FROM differences WHERE kind IN ('rival', 'choice', 'lead')")
    }
    turned = {(b, a, *rest): reason for (a, b, *rest), reason in seen.items()}
    lost = {key for key, reason in seen.items() if reason.startswith("diverged on")}
    both = {key for key in lost if "the other side" in seen[key]}
    assert lost > both and all(turned[key] == f"the other side {seen[key]}" for key in lost - both)
    for key in both:
        assert " and the other side ".join(reversed(seen[key].split(" and the other side "))) == turned[key]
    same = {key for key, reason in seen.items() if "diverged" not in reason and "never ran" not in reason}
    assert same and all(turned[key] == seen[key] for key in same)


def test_a_lost_seed_of_the_tuned_configuration_leaves_the_others(whole: Results) -> None:
    names = {"a": "fedrsclip (tuned)", "b": "fedrsclip (untuned)"}
    row = only(whole, VERDICT, kind="tuning", scenario=SCENARIOS[0], **names)
    assert (row["seeds"], row["seeds_planned"], row["diverged_a"]) == (FRESH[1:], 5, 1)
    assert row["worst_case"] < 0 < row["estimate"] and row["reason"].startswith("diverged on 1 of 5 seeds")
    sides = [only(whole, "SELECT seeds, test_acc_personal_own AS v FROM trials WHERE trial = $t", t=t)
             for t in (row["trial_a"], row["trial_b"])]  # fmt: skip
    by_seed = [dict(zip(side["seeds"], side["v"], strict=True)) for side in sides]
    assert row["estimate"] == pytest.approx(np.mean([by_seed[0][s] - by_seed[1][s] for s in FRESH[1:]]))


def test_the_interaction_is_both_changes_together_minus_each_alone(tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, lost={}))
    row = only(results, "FROM verdicts WHERE kind = 'pair' AND scenario = 'even'")
    labels = ["method.lam=0.5 & method.h=8", "anchor", "method.lam=0.5", "method.h=8"]
    text = "SELECT acc_personal_own AS v FROM trials WHERE label = $label AND scenario = 'even'"
    both, anchor, first, second = (np.array(only(results, text, label=label)["v"]) for label in labels)
    assert row["estimate"] == pytest.approx(np.mean(both + anchor - first - second))
    assert (row["a"], row["b"], row["seeds"]) == (labels[0], "both effects added", SELECTION)
    plain = only(results, VERDICT, kind="choice", a="method.h=8", b="anchor", scenario="even")
    assert row["se"] > 1.2 * plain["se"]  # four configurations are noisier than two


def test_a_row_is_ahead_or_behind_exactly_where_the_adjusted_interval_says_so(whole: Results) -> None:
    rows = [row for row in whole.sql("FROM verdicts") if row["adjusted_low"] is not None]
    assert len(rows) > 30 and {"ahead", "behind"} <= {row["verdict"] for row in rows}
    for row in rows:
        low, high = row["adjusted_low"], row["adjusted_high"]
        beyond = (low > 0 and high > 0.01) or (high < 0 and low < -0.01)
        assert beyond == (row["verdict"] in ("ahead", "behind")), row


def test_no_two_places_give_one_difference_two_verdicts(whole: Results) -> None:
    key = (
        """least(a, b) || ' | ' || greatest(a, b) || ' | ' || metric || ' | ' || split || ' | ' || scenario"""
    )
    rows = whole.sql(f"SELECT {key} AS key, count(*) AS n FROM verdicts GROUP BY ALL HAVING n > 1")
    assert rows == []
    kinds = {row["kind"] for row in whole.sql("SELECT DISTINCT kind FROM verdicts")}
    assert kinds == {"choice", "pair", "lead", "rival", "floor", "tuning", "transfer"}


def test_every_rule_without_training_has_rows_and_an_interval_over_images(whole: Results) -> None:
    rows = whole.sql("FROM estimates WHERE kind = 'floor' AND split = 'test'")
    assert {row["label"] for row in rows} == {"most frequent class", "zero-shot"}
    assert all(row["low_both"] < row["mean"] < row["high_both"] for row in rows)
    floors = whole.sql("SELECT DISTINCT b, metric FROM verdicts WHERE kind = 'floor' ORDER BY ALL")
    assert len(floors) == 4


def test_zero_shot_has_no_noise_over_seeds_where_clients_do_not_matter(tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, without=("images",)))
    text = "SELECT DISTINCT metric, no_noise, se IS NULL AS bare FROM estimates WHERE label = 'zero-shot'"
    found = {row["metric"]: (row["no_noise"], row["bare"]) for row in results.sql(text)}
    assert found == {MEASURED: (False, False), "acc_personal_global": (True, True)}
    rows = estimates.confirmed(results, ["acc_personal_global"])
    assert {estimates.accuracy_text(row) for row in rows if row["label"] == "zero-shot"} == {
        "52.8 (no noise over seeds)"
    }
    trained = results.sql("FROM estimates WHERE kind NOT IN ('floor', 'search', 'race') AND no_noise")
    assert trained == []


def test_means_have_the_counts_of_clients(whole: Results) -> None:
    text = "FROM estimates WHERE label = 'fedrsclip (tuned)' AND split = 'test' AND scenario = 'even'"
    row = only(whole, f"{text} AND metric = $m", m=MEASURED)
    assert (row["clients_measured"], row["clients_evaluated"], row["lost"]) == (11, 12, 1)


def test_what_never_ran_is_a_row_with_the_reason(tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, stop=9))
    rows = results.sql("FROM verdicts WHERE verdict = 'missing' AND kind = 'choice'")
    assert {(row["a"], row["reason"]) for row in rows} == {
        ("method.lam=0.5", "no time was left"),
        ("method.h=8", "no time was left"),
        ("method.lam=0.005", "no time was left"),
    }
    rivals = results.sql("SELECT DISTINCT a, b, verdict FROM verdicts WHERE kind = 'rival' ORDER BY ALL")
    assert [tuple(row.values()) for row in rivals] == [
        ("fedrsclip (tuned)", rival, "missing") for rival in ("fedavg", "local", "promptfl")
    ]


@pytest.mark.parametrize("stop", [1, 13, 45])
def test_a_sweep_that_was_killed_is_read(stop: int, tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, stop=stop))
    assert results.sql("FROM verdicts") and results.sql("FROM estimates")


def test_without_a_search_nothing_is_tuned(tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, search=0))
    assert results.sql("FROM verdicts WHERE kind IN ('tuning', 'transfer')") == []
    main = results.sql("SELECT DISTINCT a FROM verdicts WHERE kind = 'rival'")
    assert main == [{"a": "fedrsclip (untuned)"}]


def test_a_tuned_configuration_that_was_not_confirmed_is_a_missing_row(tmp_path: Path) -> None:
    trial = {"study": "fedrsclip | even", "kind": "confirm", "label": "fedrsclip (tuned)"}
    results = judged(whole_sweep(tmp_path, search=0, stop=24, left_out={"trials": [trial]}))
    rows = results.sql("SELECT a, b, verdict, reason FROM verdicts WHERE kind = 'tuning'")
    assert [tuple(row.values()) for row in rows] == [
        ("fedrsclip (tuned)", "fedrsclip (untuned)", "missing", "no time was left")
    ] * 2


def test_too_few_search_trials_are_not_called_tuned(tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, search=2))
    main = results.sql("SELECT DISTINCT a FROM verdicts WHERE kind IN ('rival', 'tuning')")
    assert main == [{"a": "fedrsclip (best of 2 trials)"}]


@pytest.mark.parametrize("without", [("images",), ("rounds", "images", "clients", "signatures")])
def test_missing_tables_leave_their_columns_empty(without: tuple[str, ...], tmp_path: Path) -> None:
    results = judged(whole_sweep(tmp_path, without=without))
    counted = only(results, "SELECT count(*) AS n, count(se_both) AS both, count(se) AS se FROM verdicts")
    assert counted["both"] == 0 and counted["se"] > 20


def test_seeds_and_images_are_wider_than_seeds_alone(whole: Results) -> None:
    rows = whole.sql("FROM verdicts WHERE se_both IS NOT NULL AND se IS NOT NULL")
    assert len(rows) > 20 and all(row["se_both"] >= row["se"] for row in rows)
    assert sum(row["se_both"] > row["se"] for row in rows) > len(rows) / 2


def test_two_spaces_have_rows_of_their_own(tmp_path: Path) -> None:
    from tests.fakes import sensitivity

    folder = sensitivity.write(tmp_path, sensitivity.full("m", "m"), sensitivity.full("other", "other"))
    results = judged(folder)
    for view in results.views():
        rows = view.sql("FROM verdicts")
        assert rows and {row["space"] for row in rows} == {view.space}
        assert all(row["a"].startswith(f"{view.space}: ") for row in rows)


def test_the_tables_are_made_again_only_when_trials_changed(tmp_path: Path) -> None:
    folder = whole_sweep(tmp_path, stop=12)
    file = folder / "tables" / "verdicts" / "verdicts.parquet"
    judged(folder)
    before = file.stat().st_mtime_ns
    judged(folder)
    assert file.stat().st_mtime_ns == before
    last = sorted((folder / "tables" / "trials").glob("*.parquet"))[-1]
    os.utime(last, ns=(1, 1))
    judged(folder)
    assert file.stat().st_mtime_ns > before
    whole = file.read_bytes()
    for place in (len(whole) // 3, len(whole) - 20):  # a flipped bit
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        judged(folder)
        assert file.read_bytes() == whole
    assert [f.name for f in file.parent.iterdir()] == ["verdicts.parquet"]


def test_each_level_of_a_stress_run_is_compared_with_its_mildest_and_its_references(tmp_path: Path) -> None:
    results = judged(stress_results.folder(tmp_path / "run"))
    rows = results.sql("SELECT a, b, verdict FROM verdicts WHERE subject = 'fedrsclip' ORDER BY number")
    assert {(row["a"], row["b"]) for row in rows} == {
        *((f"fedrsclip at {n} %", f"{b} at {n} %") for n in (10, 20, 40) for b in ("zeroshot", "local")),
        *((f"fedrsclip at {n} %", "fedrsclip at 10 %") for n in (20, 40)),
    }
    fell = {row["a"]: row["verdict"] for row in rows if row["b"] == "fedrsclip at 10 %"}
    assert set(fell.values()) == {"behind"}


def test_a_run_alone_has_its_accuracies(tmp_path: Path) -> None:
    results = judged(fake_results.fake_run(tmp_path))
    row = only(results, "FROM estimates WHERE metric = 'acc_personal_own'")
    assert (row["kind"], row["seeds"], row["low"]) == ("run", [7], None)
    assert row["mean"] == pytest.approx(results.meta["result"]["acc_personal_own"])
    unfinished = judged(fake_results.fake_run(tmp_path / "other", status="running"))
    assert unfinished.sql("FROM estimates") == []


def test_a_run_alone_is_compared_with_the_rules_without_training(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path)
    meta = json.loads((folder / "run.json").read_text())
    meta["result"] |= {"acc_majority_own": 0.4, "acc_zeroshot_own": 0.9}
    (folder / "run.json").write_text(json.dumps(meta))
    rows = judged(folder).sql("SELECT kind, b, estimate, verdict FROM verdicts ORDER BY number")
    assert [(row["kind"], row["b"], row["estimate"] > 0) for row in rows] == [
        ("floor", "most frequent class", True),
        ("floor", "zero-shot", False),
    ]
    assert {row["verdict"] for row in rows} == {"undecided"}


def test_equal_numbers_have_one_verdict(tmp_path: Path) -> None:
    """One model for all clients: its accuracy on the global split is one, called shared or personal."""
    figure = {"kind": "differences", "to": "m0", "metrics": ["acc_shared_global", "acc_shared_own"]}
    made = Recipe(tmp_path, {"even": {}}, [figure], [f"m{i}" for i in range(6)])
    rng = np.random.default_rng(0)
    for i in range(6):
        noise = dict(zip(made.seeds, rng.normal(0, 0.01, 4), strict=True))
        made.trial(f"m{i}", "even", lambda seed, i=i, n=noise: 0.7 - 0.006 * i + n[seed], shift=-0.04)  # type: ignore[misc]
    results = judged(made.folder)
    rows = results.sql("FROM verdicts WHERE metric LIKE '%global'")
    assert len(results.sql("SELECT DISTINCT family_size FROM verdicts")) == 2
    kept = ("family", "family_size", "adjusted_low", "adjusted_high", "verdict", "reason", "p")
    for i in range(1, 6):
        pair = [row for row in rows if {row["a"], row["b"]} == {"m0", f"m{i}"}]
        assert {row["metric"] for row in pair} == {"acc_personal_global", "acc_shared_global"}
        assert {row["kind"] for row in pair} == {"rival", "recipe"}
        assert len({tuple(row[name] for name in kept) for row in pair}) == 1


def test_a_floor_is_known_on_the_seed_that_diverged() -> None:
    """It needs the clients and their images only, and a rival has measured it on that seed."""
    own, everywhere = "test_acc_majority_own", "test_acc_majority_global"
    trial = {
        "seeds": [1, 2, 3],
        "runs": ["a1", "a2", "a3"],
        own: [0.4, None, 0.5],
        everywhere: [0.1, None, 0.2],
    }
    rival = {
        "seeds": [2, 3, 1],
        "runs": ["b2", "b3", "b1"],
        own: [0.45, 0.5, 0.4],
        everywhere: [0.3, 0.2, 0.1],
    }
    other = {**rival, own: [0.9, 0.9, 0.9]}
    found = with_floor(trial, "majority", "test", [other, trial, rival])
    assert found[own] == [0.4, 0.45, 0.5] and found[everywhere] == [0.1, 0.3, 0.2]
    assert found["runs"] == ["a1", "b2", "a3"] and trial[own] == [0.4, None, 0.5]
    assert with_floor(trial, "majority", "test", [other])[own] == [0.4, None, 0.5]
