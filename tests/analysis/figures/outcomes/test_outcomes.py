"""What was reached: floors, clients that were not measured, single clients and classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.figures.estimates import accuracy_text, clients_said
from analysis.figures.exhibits import evenly_spaced
from analysis.figures.outcomes import classes, communication, curves
from analysis.figures.outcomes.classes import exhibit_classes, table_domains
from analysis.figures.outcomes.communication import joined
from analysis.pages import run_page
from analysis.read.results import Results, open_results
from analysis.verdicts import verdict_tables
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import Recipe, Row, at, marks, query, with_numbers
from tests.fakes.safe import CLIENTS, IMAGES, ROUNDS
from tests.fakes.tables import client_rows, write

RUN = "0123456789ab"


def accuracy(label: str, mean: float | None, **more: object) -> Row:
    """A row of estimates."""
    about = {"scenario": "A", "label": label, "kind": "confirm", "mean": mean, "low": None, "high": None}
    return {**about, "seeds": 3, "seeds_planned": 3, "lost": 0, **more}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (accuracy("m", 0.616, low=0.609, high=0.622), "61.6 [60.9, 62.2]"),
        (accuracy("m", 0.616, seeds=1, seeds_planned=1), "61.6 (one seed)"),
        (accuracy("most frequent class", 0.05, kind="floor"), "5.0"),
        (
            accuracy("m", 0.616, low=0.6, high=0.63, seeds=4, seeds_planned=5, lost=1),
            "61.6 [60.0, 63.0] (4 of 5 seeds)",
        ),
        (accuracy("m", None, seeds=0, lost=3), "diverges (0 of 3 seeds)"),
        (accuracy("m", float("nan"), seeds=0, lost=3), "diverges (0 of 3 seeds)"),
        (None, ""),
    ],
)
def test_an_accuracy_is_never_printed_as_if_it_were_certain(row: Row | None, text: str) -> None:
    assert accuracy_text(row) == text


def test_clients_that_were_not_measured_are_counted() -> None:
    row = accuracy("m", 0.5, clients_measured=4.0, clients_evaluated=6.0)
    assert "4 of 6 clients measured under A" in clients_said([row])
    assert clients_said([{**row, "clients_measured": 6.0}]) == ""


def test_a_run_below_the_trivial_rule_says_so(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=4)
    for part in (folder / "tables" / "rounds").glob("*.parquet"):
        (row,) = pq.read_table(part).to_pylist()
        counts = {"clients_measured": 4, "clients_evaluated": 6}
        write(part, [{**row, "acc_majority_own": 0.9, "acc_zeroshot_own": 0.4, **counts}])
    results = open_results(folder)
    verdict_tables(results)
    said = run_page.sentence(results)
    assert "It is below most frequent class (90.0%)." in said and "zero-shot 40.0%" in said
    assert (
        "4 of 6 clients measured" in said
        and "4 of 6 clients measured" in curves.exhibits_clients(results)[0].caption
    )


def test_clients_that_only_trained_count_in_no_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_safe.safe_run(tmp_path)
    later = {
        "run": "0123456789ab",
        "round": ROUNDS,
        "split": "validation",
        "client": 99,
        "examples": 5,
        "d_cka": 0.5,
    }
    write(folder / "tables" / "clients" / "later.parquet", [later])
    for exhibit in curves.exhibits_clients(open_results(folder)):
        assert [r["client"] for r in query(exhibit.source, folder, monkeypatch)] == list(range(CLIENTS))


def test_clients_are_those_of_the_last_evaluation(tmp_path: Path) -> None:
    """The rows of all rounds may lie in one part, the first round first."""
    folder = fake_results.fake_run(tmp_path, rounds=2, clients=3, tables=("rounds",))
    rows = [row for last in (1, 2) for row in client_rows(RUN, last, 3, np.random.default_rng(last))]
    write(folder / "tables" / "clients" / "0.parquet", rows)
    found = open_results(folder).sql(curves.CLIENTS)
    assert [(row["client"], row["round"]) for row in found] == [(0, 2), (1, 2), (2, 2)]


def class_rows(*rows: tuple[int, str, str, float, float]) -> list[Row]:
    """Rows of the classes table: round, class, domain, correct and total."""
    common = {"run": "0123456789ab", "split": "validation", "label": 0, "domain": 0, "scope": "shared"}
    names = ("round", "class_name", "domain_name", "correct", "total")
    return [{**common, **dict(zip(names, row, strict=True))} for row in rows]


def test_accuracy_by_class_sums_domains_at_the_last_round(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2, tables=("rounds",))
    rows = class_rows((1, "river", "0", 0.0, 9.0), (2, "river", "0", 1.0, 2.0), (2, "river", "1", 2.0, 4.0))
    write(folder / "tables" / "classes" / "0.parquet", rows)
    exhibit = with_numbers(exhibit_classes(open_results(folder)))
    assert exhibit.numbers and exhibit.numbers.rows == [["river", 0.5, None]]


def test_a_class_at_zero_is_said_to_be_there(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2, tables=("rounds",))
    shared = class_rows((2, "forest", "0", 9.0, 10.0), (2, "river", "0", 3.0, 10.0))
    personal = class_rows((2, "forest", "0", 8.0, 10.0), (2, "river", "0", 0.0, 10.0))
    rows = [*shared, *({**row, "scope": "personal"} for row in personal)]
    write(folder / "tables" / "classes" / "0.parquet", rows)
    exhibit = exhibit_classes(open_results(folder))
    assert exhibit.says == "From forest 80.0% to river 0.0%."


def test_miou_by_domain_is_a_mean_over_classes(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2, tables=("rounds",))
    areas = [
        ("a", "urban", 1.0, 2.0),
        ("b", "urban", 30.0, 40.0),
        ("c", "urban", 0.0, 0.0),
        ("a", "rural", 1.0, 4.0),
    ]
    write(folder / "tables" / "classes" / "0.parquet", class_rows(*[(2, *area) for area in areas]))
    results = open_results(folder)
    assert [r[:2] for r in table_domains(results).rows] == [["urban", "73.8"], ["rural", "25.0"]]  # type: ignore[union-attr]
    segmented = Results(folder, {**results.meta, "metric": "mIoU"})
    table = table_domains(segmented)  # mean of 1/2 and 3/4
    assert table and [row[:2] for row in table.rows] == [["urban", "62.5"], ["rural", "25.0"]]


def test_what_is_sent_stands_beside_what_is_reached(tmp_path: Path) -> None:
    made = Recipe(tmp_path, {"even": {}}, [], ["fedrsclip", "fedavg, small CNN", "local"])
    made.trial("fedrsclip", "even", at(0.7), parameters=256)
    made.trial("fedavg, small CNN", "even", at(0.6), method="fedavg", parameters=100_000)
    made.trial("local", "even", at(0.65), method="local", parameters=0)
    results = made.open()
    verdict_tables(results)
    exhibit = communication.exhibit_communication(results)
    rows = {row["label"]: row for row in communication.table_communication(results)}
    sent = rows["fedrsclip"]
    assert (sent["up"], sent["each"], sent["parameters"]) == (1024, 2048, 256)
    assert rows["fedavg, small CNN"]["total"] == 2 * 16 * 100_000 * 4 and rows["local"]["each"] == 0
    assert [panel.title for panel in exhibit.panels] == ["Bytes", "Parameters"]
    assert [marks(exhibit.panels[0], colour) for colour in ("#0072B2", "#B87A00", "#009E73")] == [1, 1, 1]
    texts = [text.get_text() for text in exhibit.panels[1].figure.axes[0].texts]
    assert sorted(texts) == ["fedavg, small CNN", "fedrsclip", "local"]


def test_partition_on_paper() -> None:
    held = [(0, 0, 0, 1), (0, 1, 0, 1), (2, 1, 1, 2), (2, 1, 0, 1)]
    rows = [
        {"client": c, "label": label, "domain": d, "class": "ab"[label], "domain_name": "xy"[d], "images": n}
        for c, label, d, n in held
    ]
    counts, names, shown = classes.counts_of(rows, "label", "class")
    assert (counts.tolist(), names, shown) == ([[1, 1], [0, 3]], ["a", "b"], [0, 2])
    assert classes.counts_of(rows, "domain", "domain_name")[0].tolist() == [[2, 0], [1, 2]]
    assert classes.names_of(rows) == {}
    rows[0]["client_name"], rows[2]["client_name"] = (
        "Köln",
        "a name that is too long for the edge of a figure",
    )
    assert classes.names_of(rows[::2]) == {0: "Köln", 2: "a name that is too long…"}
    kept = evenly_spaced(500, classes.SHOWN_CLIENTS)
    assert (len(kept), kept[0], kept[-1]) == (classes.SHOWN_CLIENTS, 0, 499)
    assert evenly_spaced(3, 60) == [0, 1, 2] and evenly_spaced(0, 60) == []


def test_head_medium_and_tail_of_a_run(safe_run: Results) -> None:
    exhibit = with_numbers(classes.exhibit_balance(safe_run))
    rows, last = (
        safe_run.sql(classes.QUERY_OF_RUN),
        safe_run.sql("FROM rounds WHERE split = 'validation' ORDER BY round")[-1],
    )
    assert sorted(r["images"] for r in rows if r["images"] is not None) == sorted(IMAGES)
    tail = next(row for row in rows if row["name"] == "tail classes")
    assert (tail["shared"], tail["personal"]) == (last["acc_shared_tail"], last["acc_personal_tail"])
    left, right = (panel.figure.axes[0] for panel in exhibit.panels)
    assert left.get_xscale() == "log" and sorted(left.lines[0].get_xdata()) == sorted(IMAGES)
    values = [last[f"acc_personal_{group}"] for group in fake_safe.GROUPS]
    assert values in [list(line.get_ydata()) for line in right.lines]


def test_classes_of_pixels_have_an_overlap_and_are_counted_by_image(safe_run: Results) -> None:
    """The partition lists images; the figure must not call them pixels."""
    segmented = Results(safe_run.folder, {**safe_run.meta, "metric": "mIoU"})
    exhibit = with_numbers(classes.exhibit_balance(segmented))
    left, right = (panel.figure.axes[0] for panel in exhibit.panels)
    assert (left.get_ylabel(), right.get_ylabel()) == ("validation IoU, %", "validation mIoU, %")
    assert left.get_xlabel() == "training images of the class"
    assert exhibit.caption.endswith("An image counts for the class of most of its pixels.")


def test_a_method_chosen_among_different_numbers_of_trials_is_one_line_over_the_scenarios() -> None:
    labels = ["m (best of 22 trials)", "m (best of 21 trials)", "m (untuned)", "zero-shot"]
    rows = joined([accuracy(label, 0.5) | {"look": label} for label in labels])
    assert [row["label"] for row in rows] == ["m (best of its trials)"] * 2 + labels[2:]
    assert rows[0]["look"] == rows[1]["look"] == labels[0]
    assert joined(rows[2:]) == rows[2:]
