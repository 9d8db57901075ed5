"""Convergence of the shared parameters: start, end and best round."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.declared import convergence
from analysis.stats.intervals import t_interval
from tests.fakes.recipe import NOISE, SEEDS, Recipe, Row, at, drawn, marks, query


def test_shared_parameters_start_end_and_best_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recipe(
        tmp_path, {"even": {}, "disjoint": {}}, [{"kind": "convergence"}], ["fedrsclip", "promptfl", "local"]
    )
    for scenario, end in (("even", 0.75), ("disjoint", 0.58)):
        for label, method in (
            ("fedrsclip (tuned)", "fedrsclip"),
            ("promptfl (tuned)", "promptfl"),
            ("local (tuned)", "local"),
        ):
            path = {0: 0.60, 2: 0.70, 4: end} if method != "promptfl" else {0: 0.60, 2: 0.65, 4: 0.64}

            def rounds(
                seed: int, path: dict[int, float] = path, nothing: bool = method == "local"
            ) -> list[Row]:
                return [
                    {
                        "round": n,
                        "acc_shared_global": None if nothing else v + n * NOISE[seed] / 4,
                        "acc_personal_own": v,
                        "bytes_up": 8,
                        "bytes_down": 8,
                        "flops": 1.0,
                        "seconds": 1.0,
                    }
                    for n, v in path.items()
                ]

            made.trial(
                label,
                scenario,
                at(0.7),
                method=method,
                parameters=0 if method == "local" else 256,
                rounds=rounds,
            )
    results = made.open()
    _, (exhibit, table), sentences = drawn(results)
    rows = {(r["scenario"], r["label"]): r for r in convergence.table_convergence(results, results.rounds())}
    assert len(rows) == 4  # local shares nothing
    ours = rows[("disjoint", "fedrsclip (tuned)")]
    assert (ours["best"], ours["start"], ours["end"]) == (2, pytest.approx(0.60), pytest.approx(0.58))
    assert ours["gain"].verdict == "hurts" and ours["lost"].mean == pytest.approx(0.12)
    gain = t_interval([0.15 + NOISE[s] for s in SEEDS])
    assert gain and gain.low and gain.high
    assert sentences[0].startswith(
        "On the global validation split, the shared part of fedrsclip (tuned) ends above its start under "
        "even "
        "(+15.0 points, 90% interval "
        f"+{100 * gain.low:.1f} to +{100 * gain.high:.1f}), below its start under disjoint (\u22122.0 "
        "points, "
    )
    assert "; 12.0 below round 2)" in sentences[0]
    assert sentences[1].startswith("Under even, the shared part ends above its start for promptfl (tuned) (")
    assert [marks(p, "#E69F00") for p in exhibit.panels] == [3, 3] and len(table.rows) == 4
    assert "End minus start: of 4 intervals of 90% shown, 4 exclude zero" in exhibit.caption
    assert (
        [line[4].text.endswith(" *") for line in table.rows]
        == [r["firm"] for r in rows.values()]
        == [True] * 4
    )
    hint = {**ours, "firm": False}
    assert convergence._ends([hint], "under", "scenario").startswith(
        "may end below its start under disjoint (\u22122.0 points, "
    )
    sql_rows = {
        (r["scenario"], r["label"], r["round"]): r["mean"]
        for r in query(exhibit.source, tmp_path, monkeypatch)
    }
    assert sql_rows[("disjoint", "fedrsclip (tuned)", 4)] == pytest.approx(0.58)
