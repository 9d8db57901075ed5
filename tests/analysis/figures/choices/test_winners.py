"""Winners: the method against its rivals in any study, with expected values computed again from the files."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from analysis import write_report
from analysis.figures.choices import winners
from analysis.pages import winner_sentences
from analysis.read.metric import Metric
from analysis.read.results import open_results
from analysis.stats import intervals as stats
from tests.fakes import results as fake_results
from tests.fakes.studies import (
    BASE,
    NOISE,
    SAME,
    SYMBOLS,
    WIDE,
    around,
    first_sentence,
    random_study,
    recomputed,
    write_study,
)


@pytest.mark.parametrize("seed", range(40))
def test_the_sentence_is_true_of_any_study(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    study = random_study(rng)
    failed = [("A", "h=9")] if seed % 4 == 0 else []
    results = open_results(write_study(tmp_path, study, failed))
    expected, rows = recomputed(tmp_path), winners.table_winners(results)
    found = winners.cases(rows)
    symbols = {f"method.{s}": s for s in SYMBOLS}
    assert {c.place: {symbols[p]: e for p, e in c.effects.items()} for c in found} == expected
    said = winner_sentences.winner_sentence(found, symbols, Metric())
    changing = {s: [c for c, e in effects.items() if e == "changes"] for s, effects in expected.items()}
    changing = {s: names for s, names in changing.items() if names}
    for scenario in "ABC":
        told = re.sub("^.*distributions, (no choice .*)?", "", said)
        clause = re.search(rf"([\w, ]+?) changes? (?:the winner|it) under {scenario} ", told)
        assert (set(re.split(", | and ", clause[1].strip())) if clause else set()) == set(
            changing.get(scenario, [])
        ), said
    decided = {c.place for c in found if c.anchor["winner"] not in winners.OPEN}
    scope = set(changing) or decided
    kept = {s for s in SYMBOLS if scope and all(expected[place][s] == "keeps" for place in scope)}
    clauses = [c for c in said.rstrip(".").split("; ") if not c.endswith(winner_sentences.HINT)]
    denied = next(
        (
            m
            for c in clauses
            if (m := re.fullmatch(r"([\w, ]+) (?:do not|does not|are shown not|is shown not)( .*)?", c))
        ),
        None,
    )
    if "no choice of the method changes" in said:
        assert kept == set(SYMBOLS) and not changing
    else:
        assert (set(re.split(", | and ", denied[1])) if denied else set()) == kept, said
        hints = {c for place in scope for c, e in expected[place].items() if e == "may change"} - {
            c for v in changing.values() for c in v
        }
        hints |= {
            c
            for c in SYMBOLS
            if scope and {expected[place][c] for place in scope} in ({"may keep"}, {"keeps", "may keep"})
        }
        left = len(set(SYMBOLS) - kept - hints - {c for names in changing.values() for c in names})
        assert not scope or (f"{left} of 3 choices" in said) == bool(left), said
    assert ("nothing is decided" in said or "there is no winner" in said) == (not decided), said


def test_the_method_wins_only_over_every_rival_and_a_rival_only_adjusted_for_their_number(
    tmp_path: Path,
) -> None:
    rivals = {"rival:near": around(BASE, -0.02), "rival:noisy": around(BASE, -0.03, WIDE)}
    (row,) = winners.table_winners(
        open_results(write_study(tmp_path / "a", {"A": {"anchor": BASE, **rivals}}))
    )
    assert (row["rival"], row["interval"].verdict, row["winner"]) == ("near", "helps", "undecided")
    lead = (0.012, -0.004, 0.002)  # p is 0.06: enough against one rival, not against three
    alone, others = (
        {"rival:best": around(BASE, 0.0145, lead)},
        {f"rival:{i}": around(BASE, -0.001, WIDE) for i in "ab"},
    )
    for number, (rivals, winner) in enumerate([(alone, "best"), ({**alone, **others}, "undecided")]):
        (row,) = winners.table_winners(
            open_results(write_study(tmp_path / f"b{number}", {"A": {"anchor": BASE, **rivals}}))
        )
        assert (row["rival"], row["interval"].verdict, row["winner"]) == ("best", "hurts", winner)
    page = unescape(write_report(tmp_path / "b1").read_text(encoding="utf-8"))
    assert (
        "it does not stand when adjusted for 3 rivals" in page
        and "nothing is decided about the winner" in page
    )


def test_holm_on_paper() -> None:
    assert winners.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


def test_what_does_not_stand_adjusted_is_only_said_to_be_possible(tmp_path: Path) -> None:
    weak = around(BASE, -0.018, (0.012, -0.004, 0.002))  # p is 0.09
    levels = {f"{s}={level}": around(BASE, -0.0145, WIDE) for s in ("h", "w") for level in (2, 3)}
    study = {
        "A": {
            "anchor": BASE,
            "rival:local": weak,
            "lam=2": around(BASE, 0.0, NOISE),
            "lam=3": around(BASE, 0.0, NOISE),
            **levels,
        }
    }
    (case,) = winners.cases(winners.table_winners(open_results(write_study(tmp_path, study))))
    assert (
        case.anchor["winner"] == "m" and not case.anchor["firm"] and case.effects["method.lam"] == "may keep"
    )
    said = first_sentence(tmp_path)
    assert (
        "(at the anchor it may be m)" in said
        and "lam may leave it as it is; 2 of 3 choices are undecided" in said
    )
    assert "Under A, m may lead local at the anchor" in unescape(
        (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    )


def test_training_settings_change_the_rivals_too_and_are_left_out(tmp_path: Path) -> None:
    study = {
        s: {**trials, "training.lr=0.2": around(BASE, 0.09 if s == "B" else -0.2, NOISE)}
        for s, trials in SAME.items()
    }
    folder = write_study(tmp_path, study)
    assert first_sentence(folder).endswith("(at the anchor it is m under A, local under B).")
    assert {r["path"] for r in winners.table_winners(open_results(folder))} == {
        None,
        "method.lam",
        "method.h",
        "method.w",
    }
    page = unescape((folder / "report" / "index.html").read_text(encoding="utf-8"))
    assert "Training settings are left out: they change the rivals too" in page


def test_one_seed_names_no_winner(tmp_path: Path) -> None:
    """Rivals ahead and behind on a single seed: no interval, no p, no verdict, and a page."""
    results = open_results(fake_results.fake_sweep(tmp_path / "one", seeds=1))
    rows = winners.table_winners(results)
    assert rows and {r["winner"] for r in rows} == {"undecided"} and not any(r["firm"] for r in rows)
    gap = stats.Interval(-0.02, None, None, 1)
    assert winners.outcome({"a": gap}, "a", 0.9) == ("undecided", None)
    assert write_report(tmp_path / "one").is_file()
