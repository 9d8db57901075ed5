"""The first sentences of a sweep: what decides, what is below a floor, what did not run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis.figures.choices.matrix import matrix
from analysis.figures.choices.verdicts import rows_of
from analysis.pages import headline
from analysis.pages.evidence import tally
from analysis.pages.sweep_page import sweep_page
from analysis.read.results import open_results
from analysis.verdicts import verdict_tables
from tests.fakes import answers as fake
from tests.fakes.recipe import Recipe
from tests.fakes.sensitivity import Sheet, write
from tests.fakes.trials import sweep_of
from tests.fakes.whole import whole_sweep


def first(tmp_path: Path, rows: list[fake.Row], **meta: object) -> str:
    """The first sentence of the page of a sweep with these verdicts."""
    return sweep_page(open_results(fake.write(tmp_path, rows, fake.estimates(), **meta))).lead[0]


def test_the_choice_that_decides_is_named_with_its_size_and_its_data(tmp_path: Path) -> None:
    rows = [
        fake.verdict(word="behind", estimate=-0.152, subject="training.lr", level="0.2"),
        fake.verdict(word="ahead", estimate=0.03),
        fake.verdict(word="level", subject="method.h", level="16"),
        fake.verdict(subject="method.s", level="5.0"),
    ]
    assert first(tmp_path, rows) == (
        "The choice lr decides most: 0.2 instead of 0.05 costs 15.2 points [14.2, 16.2] of validation "
        "accuracy under even; "
        "lam matters too; h does not (within 1 point); 1 of 4 choices is undecided."
    )


def test_what_diverges_comes_before_every_size(tmp_path: Path) -> None:
    rows = [
        fake.verdict(word="ahead", estimate=0.3),
        fake.verdict(word="diverges", subject="method.s", level="100.0"),
    ]
    assert first(tmp_path, rows).startswith(
        "The choice s decides most: 100.0 instead of 30.0 diverged on 3 of 3 seeds under even"
    )


def test_an_anchor_that_diverges_is_named_and_no_level_is_blamed(tmp_path: Path) -> None:
    lost = {"reason": "the other side diverged on 2 of 3 seeds", "diverged_a": 0, "diverged_b": 2}
    rows = [fake.verdict(word="diverges", level=level, **lost) for level in ("0.1", "0.2")]
    rows += [
        fake.verdict(
            word="ahead", estimate=0.03, subject="method.h", level="16", scenario="domain per client"
        )
    ]
    said = first(tmp_path / "a", rows)
    assert said.startswith("The choice h decides most: 16 instead of 4 gains 3.0 points")
    assert said.endswith("the anchor diverges under even, so nothing is decided there.")
    results = open_results(fake.write(tmp_path / "b", rows, fake.estimates()))
    table = matrix(results, rows_of(results, "choice"))
    assert table is not None
    cells = [cell.text for line in table.rows for cell in line[1:]]
    assert "\u2715 anchor diverges" in cells and not [text for text in cells if "diverges at" in text]


def test_search_trials_that_did_not_run_are_said_with_the_command(tmp_path: Path) -> None:
    left = {"counts": {"search": {"planned": 76, "finished": 72}}, "command": "raysim sweep m --minutes 9"}
    said = first(tmp_path, [fake.verdict(word="ahead", estimate=0.03)], left_out=left)
    assert said.startswith(
        "All 1 comparison and 72 of 76 search trials ran (`raysim sweep m --minutes 9` runs"
    )


def test_where_only_some_scenarios_are_confirmed_each_number_says_its_split(tmp_path: Path) -> None:
    folder = whole_sweep(tmp_path / "w", lost={}, stop=47)
    results = open_results(folder)
    verdict_tables(results)
    table = headline.best_table(results)
    assert table is not None and table.columns[2] == "test or validation accuracy (own distribution)"
    assert [row[2].text.rpartition(" ")[2] for row in table.rows] == ["(test)", "(validation)"]
    assert "Under even: The best by validation among the configurations confirmed" in table.caption
    assert "Under dirichlet alpha=0.1: Not confirmed on fresh seeds" in table.caption


def test_what_did_not_run_and_the_command_for_it_stand_in_the_first_sentence(tmp_path: Path) -> None:
    rows = [
        fake.verdict(word="ahead", estimate=0.03),
        fake.verdict("rival", "missing"),
        fake.verdict("pair", "missing"),
    ]
    said = first(tmp_path / "some", rows)
    assert said.startswith(
        f"Only 1 of 3 comparisons ran (`raysim sweep m --out {tmp_path}/some --resume` runs the rest)"
    )
    assert ": the choice lam decides most" in said
    said = first(tmp_path / "none", [fake.verdict(word="missing"), fake.verdict(word="missing", level="9")])
    assert said.startswith("None of 2 comparisons ran (`raysim sweep") and said.endswith(
        "nothing is decided about any choice."
    )
    said = first(tmp_path / "asked", rows, left_out=None)  # --no-contrasts
    assert said.startswith("Only 1 of 3 comparisons ran (the rest was not asked for): ")
    said = first(tmp_path / "running", rows, status="running")
    assert said.startswith("So far 1 of 3 comparisons ran: ") and "--resume" not in said


def test_where_nothing_is_decided_the_page_says_what_would_decide(tmp_path: Path) -> None:
    rows = [fake.verdict(estimate=0.01), fake.verdict(estimate=0.005, level="9", seeds_needed=30)]
    assert first(tmp_path / "near", rows) == (
        "No choice is shown to matter in any of 2 comparisons with the anchor; nearest is lam = 0.1 under "
        "even (+1.0 points [\u22123.0, +5.0]), which about 9 seeds would decide."
    )
    rows = [fake.verdict(estimate=0.001, seeds_needed=900)]
    assert first(tmp_path / "far", rows).endswith("no number of seeds up to 40 would probably change that.")


@pytest.mark.parametrize("rest", ["missing", "undecided", "level"])
def test_a_finished_page_never_says_yet(rest: str, tmp_path: Path) -> None:
    page = sweep_page(open_results(fake.write(tmp_path, fake.choices({}, rest))))
    said = [*page.lead, page.alert, page.notice, *(getattr(p, "missing", "") for p in page.parts())]
    assert not [text for text in said if " yet" in text]


def test_a_method_below_a_floor_is_said_to_be_so_and_one_above_is_not(tmp_path: Path) -> None:
    results = open_results(fake.write(tmp_path, fake.every_kind(), fake.estimates()))
    assert sweep_page(results).alert == (
        "Below the trivial rule (each client's most frequent class): m (best of 4 trials), by 22.0 points "
        "under "
        "dirichlet alpha=0.1 and 10.0 points under domain per client."
    )
    above = [row for row in rows_of(results, "floor") if row["scenario"] == "even"]
    assert headline.floor_sentence(above) == ""


def test_the_strongest_rival_is_the_one_that_the_table_names(tmp_path: Path) -> None:
    results = open_results(fake.write(tmp_path, fake.every_kind()))
    said = headline.rival_headline(results, rows_of(results, "rival"))
    assert "is ahead of promptfl (untuned) under even (+5.0 points [+4.0, +6.0])" in said
    assert "is behind local (untuned) under dirichlet" in said


def test_rivals_are_said_by_scenario_and_a_rival_ahead_on_the_global_split_is_not_left_out(
    tmp_path: Path,
) -> None:
    about: dict[str, object] = {"a": "m (tuned)", "strongest": False}
    rows = [
        fake.verdict("rival", "ahead", 0.05, b=rival, scenario=scenario, **about)
        for rival in ("near", "far")
        for scenario in fake.SCENARIOS[: 1 if rival == "far" else None]
    ]
    on_global = [{**row, "verdict": "behind" if row["b"] == "near" else "ahead"} for row in rows]
    results = open_results(fake.write(tmp_path, rows))
    assert headline.rival_headline(results, rows, on_global) == (
        "On fresh seeds and test accuracy (own distribution), m (tuned) is ahead of near under all 3 "
        "scenarios; and far under even. On the global split it is behind near under all 3 scenarios."
    )


def test_a_configuration_that_was_tuned_in_several_ways_is_said_so_in_plain_words() -> None:
    tunings = ("best of 29 trials", "tuned", "best of 30 trials")
    rows = [
        fake.verdict("rival", "ahead", 0.05, a=f"m ({how})", b="n", scenario=scenario, strongest=False)
        for how, scenario in zip(tunings, fake.SCENARIOS, strict=True)
    ]
    said = headline.rival_headline(sweep_of([]), rows)
    subject = "m (best of 29 to 30 trials in 2 and tuned in 1 of 3 scenarios)"
    assert said == (
        f"On fresh seeds and test accuracy (own distribution), {subject} is ahead of n under all 3 scenarios."
    )
    same = headline.rival_headline(sweep_of([]), [{**row, "a": "m (tuned)"} for row in rows])
    assert "m (tuned) is ahead" in same


def test_the_best_configuration_has_its_interval_its_floors_and_its_command(tmp_path: Path) -> None:
    accuracies = fake.estimates()
    accuracies[4]["mean"] = 0.5  # on the test split, where the other one is better: validation chooses
    table = headline.best_table(open_results(fake.write(tmp_path, fake.every_kind(), accuracies)))
    assert table is not None and [row[0] for row in table.rows] == list(fake.SCENARIOS)
    assert table.columns[2] == "test accuracy (own distribution)"
    _, name, value, basis, floors, _ = table.rows[0]
    assert name.text == "m (best of 4 trials)" and value.text == "50.0 [76.1, 80.1] %"
    assert basis == "over seeds and images, 3 seeds" and "zero-shot 61.6 [59.6, 63.6]" in floors.text
    command = table.rows[1][-1].code
    assert command.startswith("for seed in 0 1 2 3; do raysim run m ") and "seed=$seed" in command


def test_accuracies_say_who_was_measured_and_never_that_nothing_varies(tmp_path: Path) -> None:
    row = fake.accuracy(
        0.7, clients_measured=4.0, clients_evaluated=6.0, lost=1, seeds=[0, 1, 2, 3], seeds_planned=5
    )
    alone = fake.accuracy(
        0.6, scenario=fake.SCENARIOS[1], trial=2, **dict.fromkeys(("low", "high", "low_both", "high_both"))
    )
    rows = [row | {"split": "validation"}, alone | {"split": "validation"}]
    table = headline.best_table(open_results(fake.write(tmp_path, [], rows)))
    assert table is not None
    assert table.rows[0][3] == "over seeds and images, 4 of 5 seeds, 4 of 6 clients measured"
    assert table.rows[1][2].text == "60.0 %" and table.rows[1][3].startswith("no interval")


def test_the_best_configuration_has_not_lost_the_seeds_that_are_hard(tmp_path: Path) -> None:
    """Over all seeds, a lost one as 0: 0.9 on three of four is less than 0.7 on all."""
    made = Recipe(tmp_path, {"even": {}}, [], ["steady", "sometimes", "once"])
    for label, lost, value in (("steady", 0, 0.7), ("sometimes", 1, 0.9), ("once", 3, 0.99)):
        hard = made.seeds[:lost]
        made.trial(label, "even", lambda seed, v=value, h=hard: math.nan if seed in h else v + seed * 1e-5)  # type: ignore[misc]
    results = made.open()
    verdict_tables(results)
    table = headline.best_table(results)
    assert table is not None and "steady" in str(table.rows[0][1])


def test_a_lost_seed_is_said_where_its_size_stands(tmp_path: Path) -> None:
    ends = {"adjusted_low": -0.30, "adjusted_high": -0.26}
    lost = {"worst_case": -0.28, "diverged_a": 1, "seeds": [0, 1], **ends}
    rows = [fake.verdict(word="behind", estimate=-0.05, level="0.5", **lost)]
    assert (
        "costs 28.0 points [26.0, 30.0] of validation accuracy under even (diverged on 1 of 3 seeds; "
        "a lost seed counts as 0)"
    ) in first(tmp_path, rows)
    results = open_results(tmp_path)
    found = matrix(results, rows_of(results, "choice"))
    assert found is not None and "\u221228.0 at 0.5 (1 of 3 seeds lost)" in found.rows[0][1].text


def test_what_did_not_run_is_not_called_undecided(tmp_path: Path) -> None:
    rows = [
        fake.verdict(word="ahead", estimate=0.03),
        fake.verdict(word="missing", subject="method.s", level="5.0"),
        fake.verdict(subject="method.h", level="16"),
    ]
    assert first(tmp_path, rows).endswith("1 of 3 choices is undecided; 1 of 3 choices did not run.")


def test_the_side_that_diverges_is_named() -> None:
    other = {"reason": "the other side diverged on 2 of 3 seeds", "diverged_a": 0, "diverged_b": 2}
    rows = [fake.verdict(word="diverges", level="0.5"), fake.verdict(word="diverges", level="0.1", **other)]
    rows = [{**row, "seeds": 3} for row in rows]
    assert tally(rows, "comparison", lambda row: row["level"]) == (
        "Of 2 comparisons: diverges in 0.5 under even (diverged on 3 of 3 seeds); "
        "the anchor diverges in 0.1 under even (anchor diverged on 2 of 3 seeds)."
    )


def test_one_seed_says_how_to_learn_more(tmp_path: Path) -> None:
    ends = dict.fromkeys(("low", "high", "low_both", "high_both", "adjusted_low", "adjusted_high"))
    rows = [fake.verdict(seeds=[0], seeds_planned=1, seeds_needed=None, **ends)]
    assert "because one seed shows no noise (with --seeds 3 there are intervals)" in first(tmp_path, rows)


def test_an_anchor_that_kept_one_seed_is_no_sweep_of_one_seed(tmp_path: Path) -> None:
    lost = {
        "reason": "the other side diverged on 2 of 3 seeds",
        "diverged_a": 0,
        "diverged_b": 2,
        "seeds": [0],
    }
    text = first(tmp_path, [fake.verdict(word="diverges", **lost)])
    assert "--seeds" not in text and "the anchor diverges under even, so nothing is decided there" in text


def test_a_method_that_never_meets_the_constraints_is_named(tmp_path: Path) -> None:
    sheet, limit = Sheet(), "bytes_up<=900"
    for scenario, allowed in (("even", True), ("odd", False)):
        sheet.add(scenario, "contrast", "anchor", 0.6, violated="" if allowed else limit)
        for label in ("x", "y"):
            sheet.add(scenario, "rival", label, 0.8, method="promptfl", params={"l": label}, violated=limit)
    results = open_results(write(tmp_path, sheet, search={"constraints": [limit]}))
    verdict_tables(results)
    table = headline.best_table(results)
    assert table is not None
    none = "no configuration of promptfl (2 tried) meets bytes_up<=900"
    assert f"It meets bytes_up<=900. Under even, {none}." in table.caption
    assert "The only configuration that was measured." in table.caption and table.rows[0][0] == "even"
    assert [table.rows[1][0], table.rows[1][1].text] == [
        "odd",
        "no configuration of m (1 tried) and promptfl (2 tried) meets bytes_up<=900",
    ]
