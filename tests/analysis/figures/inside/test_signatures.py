"""Failure signatures in the report: by hand what fired where, in words, in a table and in a small figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from analysis import write_report
from analysis.figures.inside import signatures
from analysis.look.page import Exhibit
from analysis.look.style import svg
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes import tables as fake_tables
from tests.fakes.signatures import DRIFT, WATCHED, signature_row, signature_sweep

FIRED = [
    *(
        signature_row(
            f"confirm-fedrsclip (tuned)-skewed-{seed}",
            value=0.02 * seed,
            detail=f"drifted by {2 * seed} points",
        )
        for seed in (1, 3, 4)
    ),
    signature_row("confirm-fedrsclip (tuned)-skewed-0", "ot_not_converged", 0.2, 0.05, "20 % were off"),
    signature_row("contrast-method.lam=0.005-even-0", "ot_not_converged", 0.3, 0.05, "30 % were off"),
    signature_row("contrast-method.lam=0.005-even-1", "ot_not_converged", 0.9, 0.05, "90 % were off"),
    signature_row("search-tpe 1-even-0", "new_kind_of_failure", 1.0, 0.5, "something else"),
    signature_row("of-a-trial-that-is-not-finished", detail="nobody asks"),
]


def ran(results: Any, source: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the SQL gives in the result folder."""
    monkeypatch.chdir(results.folder)
    return duckdb.connect().execute(source).fetchall()


def test_shares_by_hand_and_by_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = signature_sweep(tmp_path, FIRED)
    found = signatures.exhibit(results)
    assert found is not None and found.numbers is not None
    by_hand = {
        ("fedrsclip (tuned)", "skewed", "semantic_drift", 3, 5),
        ("fedrsclip (tuned)", "skewed", "ot_not_converged", 1, 5),
        ("fedrsclip (tuned)", "even", None, 0, 5),
        ("fedrsclip method.lam=0.005", "even", "ot_not_converged", 2, 2),
        ("fedrsclip, search", "even", "new_kind_of_failure", 1, 4),
    }
    assert {
        tuple(row[:5]) for row in found.numbers.rows
    } == by_hand  # the anchor, the rival and zero-shot are quiet or not watched
    assert all(row[5] == pytest.approx(row[3] / row[4]) for row in found.numbers.rows)
    assert {row[1:] for row in ran(results, found.source, monkeypatch)} == {
        tuple(row) for row in found.numbers.rows
    }
    assert (
        "semantic drift: private prompts leave the shared one; OT did not converge: Sinkhorn stops early."
        in found.caption
    )


def test_sentences_say_what_fired_where_with_a_measurement(tmp_path: Path) -> None:
    assert signatures.sentences(signature_sweep(tmp_path, FIRED)) == [
        "Semantic drift in 3 of 5 runs of fedrsclip (tuned) under skewed: drifted by 8 points (seed 4).",
        "OT did not converge in 1 of 5 runs of fedrsclip (tuned) under skewed: 20 % were off (seed 0).",
        "OT did not converge in 2 of 2 runs of fedrsclip method.lam=0.005 under even: 90 % were off "
        "(seed 1).",
        "New kind of failure in 1 of 4 runs of fedrsclip, search under even: something else (seed 0).",
    ]


def test_scenarios_share_a_sentence_and_the_rest_is_counted(tmp_path: Path) -> None:
    runs = ("even-0", "skewed-1", "skewed-2")
    many = [
        signature_row(f"confirm-fedrsclip (tuned)-{run}", f"failure_{i}", 0.1 * i, 0.25)
        for run in runs
        for i in range(6)
    ]
    many[9] |= {"value": 0.9, "detail": "the worst"}
    said = signatures.sentences(signature_sweep(tmp_path, many))
    assert len(said) == 5 and said[-1] == "And 2 more: see the table of failure signatures."
    assert (
        said[3]
        == "Failure 3 in 2 of 5 runs of fedrsclip (tuned) under skewed and 1 of 5 under even: the worst "
        "(seed 1, skewed)."
    )


def test_the_table_holds_every_fired_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = signature_sweep(tmp_path, FIRED)
    table = signatures.table(results)
    assert table is not None and len(table.rows) == 7 and not table.folded
    assert table.columns[:5] == ["scenario", "configuration", "seed", "signature", "round"]
    plain = [[getattr(cell, "text", cell) for cell in row] for row in table.rows]
    assert [
        "skewed",
        "fedrsclip (tuned)",
        3,
        "semantic drift",
        30,
        0.06,
        0.01,
        "drifted by 6 points",
    ] in plain
    rows = ran(results, table.source, monkeypatch)
    assert sorted((s, c, seed, signatures.words(n), *rest) for s, c, seed, n, *rest in rows) == sorted(
        map(tuple, plain)
    )


def test_a_run_of_two_configurations_counts_under_both_and_a_repeated_row_once(tmp_path: Path) -> None:
    twin = "confirm-fedrsclip (tuned)-skewed-1"
    results = signature_sweep(
        tmp_path, [signature_row(twin) | {"round": 10}, signature_row(twin, detail="the later one counts")]
    )
    part = results.folder / "tables" / "trials" / "1.parquet"
    (row,) = pq.read_table(part).to_pylist()
    fake_tables.write(part, [{**row, "runs": [twin, row["runs"][1]]}])
    assert [(r["configuration"], r["detail"]) for r in results.sql(signatures.FIRED)] == [
        ("fedrsclip (tuned)", "the later one counts"),
        ("fedrsclip method.lam=0.005", "the later one counts"),
    ]


def test_nothing_fired_is_said_and_nothing_watched_is_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = signature_sweep(tmp_path / "quiet", [])
    found = signatures.exhibit(quiet)
    assert (
        found is not None
        and not found.panels
        and signatures.sentences(quiet) == []
        and signatures.table(quiet) is None
    )
    assert found.missing == (
        "None of the 2 signatures watched for (semantic drift, OT did not converge) fired in any of 20 "
        "finished runs."
    )  # of 25: zero-shot's five watch for nothing
    assert [row[2] for row in ran(quiet, found.source, monkeypatch)] == [20]
    old = signature_sweep(tmp_path / "old", [], watched=None)
    assert (
        signatures.exhibit(old) is None and signatures.sentences(old) == [] and signatures.table(old) is None
    )


def test_a_single_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str, rows: list[dict[str, Any]], **meta: Any) -> Any:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"kind": "run", "status": "done", **meta}))
        if rows:
            fake_tables.write(tmp_path / name / "tables" / "signatures" / "0.parquet", rows)
        return open_results(tmp_path / name)

    bad = run("bad", [signature_row("x")], signatures=["semantic_drift"], signatures_watched=WATCHED)
    assert signatures.sentences(bad) == [f"Semantic drift: {DRIFT}."] and signatures.exhibit(bad) is None
    table = signatures.table(bad)
    assert table is not None and table.columns[0] == "signature" and table.rows[0][0].text == "semantic drift"
    assert ran(bad, table.source, monkeypatch) == [("semantic_drift", 30, 0.08, 0.01, DRIFT)]
    good = run("good", [], signatures=[], signatures_watched=WATCHED)
    found = signatures.exhibit(good)
    assert (
        isinstance(found, Exhibit)
        and found.missing.endswith("fired in this run.")
        and signatures.table(good) is None
    )
    assert [row[1] for row in ran(good, found.source, monkeypatch)] == [1]
    assert signatures.exhibit(run("running", [], signatures_watched=WATCHED, status="running")) is None


def test_the_figure_is_readable_without_colour(tmp_path: Path) -> None:
    found = signatures.exhibit(signature_sweep(tmp_path, FIRED))
    assert found is not None
    text = svg(found.panels[0].figure, "x")
    for words in (
        "3 of 5",
        "1 of 5",
        "0 of 5",
        "semantic drift",
        "new kind of failure",
        "fedrsclip (tuned)",
        "skewed",
    ):
        assert f">{words}</text>" in text
    axes = found.panels[0].figure.axes[0]
    marks = {
        line.get_label(): line.get_marker() for line in axes.lines if not line.get_label().startswith("_")
    }
    assert len(set(marks.values())) == len(marks) == 3


def test_the_page_of_a_sweep_with_signatures(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=2, rounds=4)
    results = open_results(folder)
    runs = [run for t in results.trials if t["label"] == "fedrsclip (tuned)" for run in t["runs"]]
    fake_tables.write(folder / "tables" / "signatures" / "0.parquet", [signature_row(run) for run in runs])
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Semantic drift in 5 of 5 runs of fedrsclip (tuned) under" in page and "Failure signatures" in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cr_inverse", "CR favours frequent classes"),
        ("cr_erratic", "CR erratic"),
        ("d_cka_zero", "D_CKA stuck at 0"),
        ("d_cka_one", "D_CKA stuck at 1"),
        ("mask_empty", "Masks all zero"),
        ("mask_full", "Masks all one"),
    ],
)
def test_signatures_of_safe_have_words(tmp_path: Path, name: str, words: str) -> None:
    results = signature_sweep(
        tmp_path,
        [signature_row("confirm-fedrsclip (tuned)-skewed-1", name, 0.9, 0.5, "so it is")],
        {name: "meaning"},
    )
    assert signatures.sentences(results) == [
        f"{words} in 1 of 5 runs of fedrsclip (tuned) under skewed: so it is (seed 1)."
    ]
    found = signatures.exhibit(results)
    assert found is not None and f">{signatures.words(name)}</text>" in svg(found.panels[0].figure, "x")
