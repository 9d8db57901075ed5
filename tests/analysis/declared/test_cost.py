"""Costs of configurations: ratios paired by seed, to the digit, and the sentences on them."""

from __future__ import annotations

from math import log, prod
from pathlib import Path

import pytest

from analysis.declared import cost
from tests.fakes.recipe import NOISE, SEEDS, Recipe, Row, at, drawn, marks

X = ["method.lam", "training.batch"]


def cost_recipe(folder: Path) -> Recipe:
    """`plain` takes 0.1 s and 1 GFLOP; OT takes more the smaller lambda and the larger the batch are."""
    places = {
        f"even, batches of {b}": {"scenario": {"name": "even"}, "training": {"batch": b}} for b in (32, 8)
    }
    grid = ["plain", "batch, lambda 0.01", "batch, lambda 0.02", "batch, lambda 0.1"]
    made = Recipe(folder, places, [{"kind": "cost", "reference": "plain", "x": X}], grid, SEEDS[:3])
    for scenario, settings in places.items():
        for label in grid:
            lam = None if label == "plain" else float(label.split()[-1])
            extra = (
                0.0
                if lam is None
                else {0.01: 0.5, 0.02: 0.25, 0.1: 0.0}[lam] * settings["training"]["batch"] / 32
            )

            def rounds(seed: int, lam: float | None = lam, extra: float = extra) -> list[Row]:
                slow = 1 + extra * (1 + 10 * NOISE[seed])
                solved = (1 / lam, lam / 1000, 0.125 if lam == 0.01 else 0.0) if lam else (None, None, None)
                seen = dict(zip(cost.OT_COLUMNS, solved, strict=True))
                shown = {0: 0.5, 4: 0.7}  # rounds with an evaluation: they do not count
                seconds = [9.0, 0.1 * slow, 0.3 * slow, 0.1 * slow, 9.0]
                return [
                    {
                        "round": n,
                        "acc_personal_own": shown.get(n),
                        "flops": 9e9 if n in shown else 1e9 * (1 + extra / 10),
                        "seconds": seconds[n],
                        "bytes_up": 0,
                        "bytes_down": 0,
                        **seen,
                    }
                    for n in range(5)
                ]

            made.trial(
                label,
                scenario,
                at(0.7),
                settings={"lam": lam or 0.02, "w_ot": float(lam is not None)},
                rounds=rounds,
            )
    return made


def test_cost_is_a_ratio_paired_by_seed(tmp_path: Path) -> None:
    results = cost_recipe(tmp_path).open()
    (exhibit, table), sentences = drawn(results)
    figure = {"reference": "plain", "x": X}
    rows = {(r["scenario"], r["label"]): r for r in cost.table_cost(results, figure)}
    row = rows["even, batches of 32", "batch, lambda 0.02"]
    slow = 0.125 + 0.25 * sum(NOISE[s] for s in SEEDS[:3]) / 3  # the median round, not the slow one
    assert row["seconds"] == pytest.approx(slow) and row["flops"] == pytest.approx(1.025e9)
    assert row["log_time"] == pytest.approx([log(1.25 + 2.5 * NOISE[s]) for s in SEEDS[:3]])
    assert (row["line"], row["x"]) == ("batch", {"method.lam": 0.02, "training.batch": 32.0})
    geometric = prod(1.125 + 1.25 * NOISE[s] for s in SEEDS[:3]) ** (1 / 3)
    assert rows["even, batches of 8", "batch, lambda 0.01"]["time"].mean == pytest.approx(geometric)
    assert (row["ot_iterations"], row["ot_unconverged"]) == (50, 0)
    assert rows["even, batches of 8", "plain"]["ot_iterations"] is None
    usual = cost.typical(results, list(rows.values()), X)
    # a tie everywhere: the base has lambda 0.02 and says nothing of the batch
    assert usual == {"method.lam": 0.02, "training.batch": 32.0}
    assert [r["label"] for r in cost.against(list(rows.values()), "training.batch", usual)] == [
        "batch, lambda 0.02"
    ] * 2
    assert [marks(p, "#0072B2") for p in exhibit.panels] == [3, 2]  # filled: time; FLOPs are hollow
    assert sentences[0].startswith(
        "Compared with plain (even, batches of 32), \u201cbatch, lambda 0.02\u201d takes 1.02 times the "
        "FLOPs and 1.25 ["
    )
    assert sentences[1].startswith(
        "Time against lam, as a multiple of that of plain: batch 1.5 at 0.01, 1 at 0.1 (\u00d7 0.666 [0.6"
    )
    assert sentences[2].startswith(
        "Time against batch, as a multiple of that of plain: batch 1.06 at 8, 1.25 at 32 (\u00d7 1.18 [1.1"
    )
    assert "noise" not in table.caption and "patches" not in exhibit.caption
    assert sentences[3] == (
        "Up to 12.5% of the optimal-transport problems stop over their tolerance (batch, lambda 0.01, even, "
        "batches of 32)."
    )


def test_cost_says_what_its_times_hold(tmp_path: Path) -> None:
    made = cost_recipe(tmp_path)
    settings = {"lam": 0.5, "w_ot": 1.0}
    made.trial("batch, lambda 0.5", "even, batches of 8", at(0.7), settings=settings, patches=4)
    results = made.open()
    results.meta |= {"slots": 2, "hardware": {"cores": 4}}
    for part in cost.show_cost(results, {"reference": "plain", "x": X}, "cost").parts:
        assert part.caption.endswith(
            " With this backbone, batch, lambda 0.5 works on M = 4 patches. 2 trials ran at once on 4 "
            "cores: times hold that noise; --workers 1 times one trial alone."
        )
    level = cost.ratio([NOISE[s] for s in SEEDS], 0.9)
    assert level and cost._doubt(level) == ", which is undecided"
