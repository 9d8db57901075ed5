"""Every exhibit shows the numbers of the query that it prints, says what is seen, and can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import declared
from analysis.figures.inside import masks, rounds, signatures
from analysis.figures.outcomes import (
    accuracies,
    classes,
    communication,
    curves,
)
from analysis.figures.searching import pareto, search
from analysis.look.page import Cell, Exhibit, Table
from analysis.look.style import SMALL
from analysis.read.results import Results, open_results
from analysis.verdicts import verdict_tables
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes import sensitivity as fake_sensitivity
from tests.fakes.recipe import query
from tests.fakes.whole import whole_sweep as fake_whole

DECLARED = [
    {"kind": "differences", "to": "safe"},
    {"kind": "groups", "to": "fedavg"},
    {"kind": "masks"},
    {"kind": "traffic", "reference": "fedavg"},
    {"kind": "convergence"},
]
FOLDERS: dict[str, Callable[[Path], Path]] = {
    "whole": fake_whole,
    "full": lambda folder: fake_sensitivity.write(folder, fake_sensitivity.full()),
    "recipe": lambda folder: fake_safe.safe_recipe(folder, DECLARED).folder,
    "one seed": lambda folder: fake_safe.safe_recipe(folder, DECLARED, seeds=[1000]).folder,
    "unfinished": lambda folder: fake_whole(folder, stop=6),
    "run": fake_results.fake_run,
    "safe run": fake_safe.safe_run,
}
OF_SWEEPS: list[Callable[[Results], Any]] = [
    accuracies.exhibit_methods,
    accuracies.table_of_methods,
    communication.exhibit_heterogeneity,
    curves.exhibit_curves,
    classes.exhibit_partition,
    communication.exhibit_communication,
    classes.exhibit_groups,
    rounds.exhibit_ratios,
    rounds.exhibit_divergence,
    signatures.exhibit,
    signatures.table,
    search.exhibit_optimism,
    search.exhibit_tuning,
    search.exhibit_search,
    pareto.exhibit,
    pareto.table,
    pareto.table_race,
    search.table_trials,
    lambda results: [
        part for answer in declared.answers(results) for part in declared.parts_of(results, answer)
    ],
]
OF_RUNS: list[Callable[[Results], Any]] = [
    curves.exhibits_clients,
    curves.exhibit_run_curve,
    curves.exhibit_losses,
    classes.exhibit_balance,
    rounds.exhibit_ratios,
    rounds.exhibit_divergence,
    masks.exhibits_masks,
    signatures.exhibit,
    signatures.table,
    classes.exhibit_partition,
    classes.exhibit_classes,
    classes.table_domains,
]


def parts_of(results: Results) -> Iterator[Exhibit | Table]:
    """All parts that the figures of a folder make."""
    for make in OF_RUNS if results.kind == "run" else OF_SWEEPS:
        made = make(results)
        yield from made if isinstance(made, list) else [made] if made else []


def numbers_in(value: Any) -> Iterator[float]:
    """All finite numbers inside rows, lists and objects."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        yield float(value)


@pytest.fixture(scope="module", params=list(FOLDERS))
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A judged folder."""
    made = FOLDERS[request.param](tmp_path_factory.mktemp("drawn"))
    results = open_results(made)
    verdict_tables(results)
    return results


def test_the_printed_query_gives_the_numbers_that_are_drawn(
    judged: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in parts_of(judged):
        if not part.source:
            assert isinstance(part, Exhibit) and part.missing
            continue
        found = {round(number, 9) for number in numbers_in(query(part.source, judged.folder, monkeypatch))}
        table = part.numbers if isinstance(part, Exhibit) else None
        shown = {round(number, 9) for number in numbers_in(table.rows)} if table else set()
        known = len(shown & found)
        # of the cost, ratios are made of logarithms; CR and its correlation come from two queries
        assert known >= 0.5 * len(shown) if part.key in ("ratios",) else shown <= found, part.key


def test_every_drawing_says_what_is_seen_and_no_letter_is_small(judged: Results) -> None:
    for part in parts_of(judged):
        for panel in part.panels if isinstance(part, Exhibit) else ():
            assert len(panel.alt) > len(panel.title) + 5, panel.key
            texts = [
                t for axes in panel.figure.axes for t in (*axes.texts, axes.xaxis.label, axes.yaxis.label)
            ]
            texts += [
                label
                for axes in panel.figure.axes
                for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
            ]
            small = [
                text.get_text() for text in texts if text.get_text() and text.get_fontsize() < SMALL - 0.01
            ]
            assert not small, (panel.key, small)


def test_no_table_shows_a_bare_number_as_if_it_were_certain(judged: Results) -> None:
    for part in parts_of(judged):
        if isinstance(part, Table):
            texts = [c.text if isinstance(c, Cell) else str(c) for row in part.rows for c in row]
            assert not any("\u00b1 0.0" in text or "None" in text or "nan" in text for text in texts), (
                part.key
            )


def test_what_diverged_is_named_and_counted(whole: Results) -> None:
    table, exhibit = accuracies.table_of_methods(whole), accuracies.exhibit_methods(whole)
    assert table and exhibit.numbers
    tuned = next(row for row in table.rows if row[1].text == "fedrsclip (tuned)")
    assert tuned[2].text.endswith("(4 of 5 seeds)")
    trials = search.table_trials(whole)
    assert trials
    states = {row[3]: row[4].text for row in trials.rows if row[2] == "contrast"}
    assert states["method.lam=0.5"] == "diverges (3 of 3 seeds)" and states["anchor"] == "complete"
    found = search.exhibit_search(whole)
    labels = [text.get_text() for text in found.panels[-1].figure.legends[0].get_texts()]
    assert "diverges or failed" in labels


def test_floors_stand_in_every_accuracy_figure(whole: Results) -> None:
    for exhibit in (
        accuracies.exhibit_methods(whole),
        communication.exhibit_heterogeneity(whole),
        curves.exhibit_curves(whole),
        communication.exhibit_communication(whole),
        search.exhibit_optimism(whole),
    ):
        assert exhibit
        for panel in exhibit.panels:
            texts = [text.get_text() for legend in panel.figure.legends for text in legend.get_texts()]
            assert {"most frequent class", "zero-shot"} <= set(texts), panel.key
    labels = [row[1].text for row in accuracies.table_of_methods(whole).rows]  # type: ignore[union-attr]
    assert labels.count("most frequent class") == labels.count("zero-shot") == 2


def test_a_configuration_that_diverges_on_every_seed_keeps_its_row(tmp_path: Path) -> None:
    results = open_results(fake_whole(tmp_path, lost={("confirm", "fedavg (untuned)"): 5}))
    verdict_tables(results)
    exhibit, table = accuracies.exhibit_methods(results), accuracies.table_of_methods(results)
    assert "fedavg (untuned) diverges" in exhibit.says and table
    assert "diverges" in [text.get_text() for text in exhibit.panels[0].figure.axes[0].texts]
    row = next(row for row in table.rows if row[1].text == "fedavg (untuned)")
    assert row[2].text == "diverges (0 of 5 seeds)" and row[7].text.endswith("diverges")
