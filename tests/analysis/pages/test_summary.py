"""The first sentences of a report: true of their data in every study."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import t

from analysis import write_report
from tests.fakes import results as fake_results
from tests.fakes import tables as fake_tables
from tests.fakes.studies import (
    BASE,
    FLIP,
    NOISE,
    OPEN,
    SAME,
    WIDE,
    around,
    first_sentence,
    recomputed,
    write_study,
)


def test_a_choice_that_flips_the_winner(tmp_path: Path) -> None:
    folder = write_study(tmp_path, FLIP)
    assert recomputed(folder) == {
        "A": {"lam": "changes", "h": "keeps", "w": "undecided"},
        "B": {"lam": "keeps", "h": "undecided", "w": "keeps"},
    }
    assert first_sentence(folder) == (
        "By validation accuracy on the clients' own distributions, lam changes the winner under A (m at "
        "the anchor, local at lam 3); "
        "h does not; 1 of 3 choices is undecided."
    )
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "Under B no choice is shown to change it (it is local)." in page
    drawn = (folder / "report" / "figures" / "winners.svg").read_text(encoding="utf-8")
    assert (
        drawn.count("stroke: #222222; stroke-width: 1.4") == 1
    )  # the one tile with another winner is framed


def test_choices_that_matter_without_changing_the_winner(tmp_path: Path) -> None:
    folder = write_study(tmp_path, SAME)
    assert {effect for effects in recomputed(folder).values() for effect in effects.values()} == {"keeps"}
    assert first_sentence(folder) == (
        "By validation accuracy on the clients' own distributions, no choice of the method changes the "
        "winner under A and B "
        "(at the anchor it is m under A, local under B)."
    )
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "lam, h and w (everywhere) change validation accuracy." in unescape(page)


def test_a_study_that_decides_nothing(tmp_path: Path) -> None:
    folder = write_study(tmp_path, OPEN)
    assert {effect for effects in recomputed(folder).values() for effect in effects.values()} == {"undecided"}
    assert first_sentence(folder) == (
        "By validation accuracy on the clients' own distributions, nothing is decided about the winner: "
        "under A and B m is neither shown "
        "to be ahead of its rival nor behind it."
    )
    text = unescape((folder / "report" / "index.html").read_text(encoding="utf-8"))
    assert (
        "No open choice is shown to change validation accuracy in any of 2 scenarios; 2 of 3 open choices "
        "are undecided" in text
    )


def test_a_recipe_says_what_its_intervals_say(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, recipe=True, rounds=2)
    rows = {
        (r["label"], r["scenario"]): np.array(r["test_acc_personal_own"])
        for part in (folder / "tables" / "trials").glob("*.parquet")
        for r in pq.read_table(part).to_pylist()
    }
    rivals = [label for label in fake_tables.GRID if label != "fedrsclip"]
    strongest = max(rivals, key=lambda label: np.mean([rows[label, s].mean() for s in fake_tables.SCENARIOS]))
    said = first_sentence(folder)
    assert (
        said.startswith("On fresh seeds and the test split, on the clients' own distributions, fedrsclip ")
        and f"{strongest} is the strongest of 4 rivals" in said
    )
    for scenario in fake_tables.SCENARIOS:
        gaps = rows["fedrsclip", scenario] - rows[strongest, scenario]
        half = t.ppf(0.95, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
        low, high = gaps.mean() - half, gaps.mean() + half
        level = "is level" if max(-low, high) <= 0.01 else "is undecided"
        verb = f"beats {strongest}" if low > 0 else f"loses to {strongest}" if high < 0 else level
        clause = next(part for part in said.split("; it ") if f"{scenario} (" in part)
        assert verb in clause and f"{100 * gaps.mean():+.1f}".replace("-", "\u2212") in clause


@pytest.mark.parametrize("left_out", ["h=3", "w=2"])
def test_a_level_that_was_not_tried_is_not_said_to_change_nothing(tmp_path: Path, left_out: str) -> None:
    study = {**SAME, "A": {name: values for name, values in SAME["A"].items() if name != left_out}}
    folder = write_study(tmp_path, study)
    assert "1 of 3 choices is undecided." in first_sentence(folder)
    near = around(BASE, 0, (0.002, -0.003, 0.0015))
    folder = write_study(tmp_path / "level", {"A": {"anchor": BASE, left_out: near}, "B": {}})
    page = unescape(write_report(folder).read_text(encoding="utf-8"))
    assert (
        "not matter" not in page.split("<figure")[0]
        and "undecided (1 of 2 levels without a finished trial)" in page
    )


def test_another_winner_on_the_global_split_is_said(tmp_path: Path) -> None:
    world = {s: {**trials, "rival:local": around(BASE, 0.2)} for s, trials in SAME.items()}
    text = unescape(write_report(write_study(tmp_path, SAME, world=world)).read_text(encoding="utf-8"))
    assert "On the global split the winner at the anchor is local under A." in text
    text = unescape(write_report(write_study(tmp_path, SAME, world=SAME)).read_text(encoding="utf-8"))
    assert "On the global split the winner" not in text


def test_without_contrasts_the_page_starts_with_the_test_split(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, rounds=2, search=2, contrasts=False)
    assert first_sentence(folder).startswith(
        "On fresh seeds and the test split, on the clients' own distributions, fedrsclip (tuned) "
    )
    assert "No contrast is finished yet" not in (folder / "report" / "index.html").read_text(encoding="utf-8")


def test_a_level_that_failed_is_not_said_to_change_nothing(tmp_path: Path) -> None:
    study = {**SAME, "A": {name: values for name, values in SAME["A"].items() if name != "h=3"}}
    said = first_sentence(write_study(tmp_path, study, failed=[("A", "h=3")]))
    assert said.endswith(
        "no choice of the method is shown to change the winner under A and B (at the anchor it is m under "
        "A, local under B); lam and w "
        "are shown not to; 1 of 3 choices is undecided."
    )


def test_one_point_either_way_is_level_and_no_winner(tmp_path: Path) -> None:
    study = {
        "A": {
            "anchor": BASE,
            "rival:local": around(BASE, 0.0, (0.002, -0.003, 0.0015)),
            "lam=3": around(BASE, 0.05, NOISE),
        }
    }
    assert first_sentence(write_study(tmp_path, study)).endswith(
        "there is no winner that a choice could change: under A m is level with local at the anchor "
        "(within 1 point)."
    )


def test_without_rivals_the_page_starts_with_accuracy(tmp_path: Path) -> None:
    study = {"A": {name: values for name, values in FLIP["A"].items() if not name.startswith("rival")}}
    folder = write_study(tmp_path, study, status="running")
    assert (
        first_sentence(folder)
        == "No rival is finished on the seeds of the contrasts yet, so no winner can be named."
    )
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "planned": {"contrast": 6}}))
    assert first_sentence(folder).startswith("lam ") and "change validation accuracy" in first_sentence(
        folder
    )


def test_what_does_not_matter_is_named_only_where_every_level_is_within_a_point(tmp_path: Path) -> None:
    level = (0.002, -0.003, 0.0015)
    study = {
        s: {
            "anchor": BASE,
            "lam=2": around(BASE, 0, level),
            "lam=3": around(BASE, 0.001, level),
            "h=2": around(BASE, 0, level),
            "h=3": around(BASE, 0, WIDE),
            "w=2": around(BASE, 0.0, level if s == "A" else WIDE),
            "w=3": around(BASE, 0, level),
        }
        for s in ("A", "B")
    }
    folder = write_study(tmp_path, study)
    text = unescape(write_report(folder).read_text(encoding="utf-8"))
    assert "lam does not matter anywhere (within 1 point); 2 of 3 open choices are undecided." in text
    assert "Under A, lam and w do not matter (within 1 point); 1 of 3 open choices is undecided." in text
    assert "lam does not matter anywhere" not in unescape(
        write_report(write_study(folder, study, [("A", "lam=9")])).read_text()
    )
