"""The report's first sentence and its races: true of their data in every study. Expected values are computed here again, from the files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import false_discovery_control, t, ttest_rel

from analysis import write_report
from analysis.figures.choices import winners
from analysis.figures.searching import pareto, racing
from analysis.pages import summary
from analysis.read.results import open_results
from analysis.stats import intervals as stats
from tests.fakes import results as fake_results
from tests.fakes import sensitivity as fake

EVEN = fake.SCENARIOS[0]
SEEDS = [3, 1, 2]
Values = Sequence[float]
Study = Mapping[
    str, Mapping[str, Values]
]  # scenario -> "anchor", "lam=2" or "rival:local" -> accuracy by seed
SYMBOLS = ("lam", "h", "w")


def write_study(
    folder: Path,
    study: Study,
    failed: Sequence[tuple[str, str]] = (),
    status: str = "done",
    world: Study | None = None,
) -> Path:
    """A sweep's folder with these contrast and rival trials; `failed` adds levels that diverged; `world`: on the global split."""
    rows: list[dict[str, Any]] = []
    for scenario, trials in study.items():
        for name, values in [*trials.items(), *((name, None) for place, name in failed if place == scenario)]:
            rival, factor = name.removeprefix("rival:"), name.partition("=")
            kind = "rival" if rival != name else "contrast"
            path = (factor[0] if "." in factor[0] else f"method.{factor[0]}") if factor[1] else None
            rows.append(
                {
                    "trial": len(rows),
                    "number": len(rows),
                    "study": f"m | {scenario}",
                    "method": rival if kind == "rival" else "m",
                    "scenario": scenario,
                    "kind": kind,
                    "label": rival if kind == "rival" else f"{path}={factor[2]}" if path else name,
                    "factor": path,
                    "level": factor[2] if path else None,
                    "state": "COMPLETE" if values else "FAIL",
                    "reason": "",
                    "params": "{}",
                    "experiment": "{}",
                    "runs": [f"{len(rows)}s{seed}" for seed in SEEDS],
                    "seeds": SEEDS,
                    "rounds": 4,
                    "objective": float(np.mean(values)) if values else None,
                    "acc_personal_own": list(values) if values else None,
                    "acc_personal_global": list(world[scenario][name]) if world else None,
                    "test_acc_personal_own": None,
                    "seconds": 1.0,
                }
            )
    for number, row in enumerate(rows):
        schema = pa.schema([pa.field(key, fake_results.trial_type(key)) for key in row])
        fake_results.write(folder / "tables" / "trials" / f"{number}.parquet", [row], schema)
    factors = [
        {"path": f"method.{s}", "symbol": s, "levels": [1, 2, 3], "anchor": 1, "basis": "guess", "doc": ""}
        for s in SYMBOLS
    ]
    meta = {
        "kind": "sweep",
        "status": status,
        "space": "m",
        "command": "raysim sweep m",
        "factors": factors,
        "confidence": 0.9,
        "scenarios": [{"label": s} for s in study],
        "planned": {"contrast": len(rows), "rival": 2},
    }
    (folder / "run.json").write_text(json.dumps(meta))
    return folder


def first_sentence(folder: Path) -> str:
    """What the page says first."""
    page = write_report(folder).read_text(encoding="utf-8")
    return unescape(re.search(r'<p class="first">(.*?)</p>', page)[1])  # type: ignore[index]


def around(values: Values, by: float, noise: Values = (0.001, -0.001, 0.0)) -> list[float]:
    """The same seeds, `by` better, with a little noise."""
    return [v + by + e for v, e in zip(values, noise, strict=True)]


BASE = [0.60, 0.50, 0.70]
NOISE = (0.0005, -0.001, 0.0008)
WIDE = (0.06, -0.07, 0.01)
FLIP: Study = {
    "A": {
        "anchor": BASE,
        "rival:local": around(BASE, -0.03),
        "rival:other": around(BASE, -0.10),
        "lam=2": around(BASE, 0.01, NOISE),
        "lam=3": around(BASE, -0.06, NOISE),
        "h=2": around(BASE, 0.02, NOISE),
        "h=3": around(BASE, -0.01, NOISE),
        "w=2": around(BASE, 0.0, WIDE),
        "w=3": around(BASE, 0.0, NOISE),
    },
    "B": {
        "anchor": BASE,
        "rival:local": around(BASE, 0.04),
        "rival:other": around(BASE, -0.02),
        "lam=2": around(BASE, 0.01, NOISE),
        "lam=3": around(BASE, -0.06, NOISE),
        "h=2": around(BASE, 0.01, NOISE),
        "h=3": around(BASE, 0.0, WIDE),
        "w=2": around(BASE, -0.02, NOISE),
        "w=3": around(BASE, -0.03, NOISE),
    },
}
SAME: Study = {
    scenario: {
        "anchor": BASE,
        "rival:local": around(BASE, rival),
        "lam=2": around(BASE, 0.05, NOISE),
        "lam=3": around(BASE, -0.06, NOISE),
        "h=2": around(BASE, 0.02, NOISE),
        "h=3": around(BASE, 0.04, NOISE),
        "w=2": around(BASE, -0.03, NOISE),
        "w=3": around(BASE, -0.02, NOISE),
    }
    for scenario, rival in (("A", -0.10), ("B", 0.10))
}
OPEN: Study = {
    scenario: {
        "anchor": BASE,
        "rival:local": around(BASE, 0.01, WIDE),
        "lam=3": around(BASE, -0.01, (0.04, -0.05, 0.02)),
        "h=2": around(BASE, 0.01, (-0.04, 0.05, -0.02)),
    }
    for scenario in ("A", "B")
}


def recomputed(folder: Path) -> dict[str, dict[str, str]]:
    """Scenario -> choice -> what it does to the winner, from the Parquet parts with scipy alone."""
    rows = [
        row
        for part in (folder / "tables" / "trials").glob("*.parquet")
        for row in pq.read_table(part).to_pylist()
    ]
    tests: dict[tuple[str, str], tuple[str, float]] = {}
    for row in (r for r in rows if r["kind"] == "contrast" and r["state"] == "COMPLETE"):
        rivals = {
            r["label"]: r["acc_personal_own"]
            for r in rows
            if r["kind"] == "rival" and r["scenario"] == row["scenario"]
        }
        tests[row["scenario"], row["label"]] = verdict_on(row["acc_personal_own"], rivals)
    firm = dict(zip(tests, false_discovery_control([p for _, p in tests.values()]) <= 0.1, strict=True))
    found: dict[str, dict[str, str]] = {}
    for scenario in {s for s, _ in tests}:
        here = {label: winner for (s, label), (winner, _) in tests.items() if s == scenario}
        for symbol in SYMBOLS:
            levels = {
                label: winner for label, winner in here.items() if label.startswith(f"method.{symbol}=")
            }
            failed = any(
                r["state"] == "FAIL" and r["scenario"] == scenario and r["factor"] == f"method.{symbol}"
                for r in rows
            )
            others = [
                label
                for label, winner in levels.items()
                if winner and here["anchor"] and winner != here["anchor"]
            ]
            sure = [label for label in others if firm[scenario, label] and firm[scenario, "anchor"]]
            keeps = (
                len(levels) == 2
                and not failed
                and bool(here["anchor"])
                and set(levels.values()) == {here["anchor"]}
            )
            kept = "keeps" if all(firm[scenario, label] for label in ("anchor", *levels)) else "may keep"
            effect = "changes" if sure else "may change" if others else kept if keeps else "undecided"
            if levels:
                found.setdefault(scenario, {})[symbol] = effect
    return found


def verdict_on(ours: Values, rivals: Mapping[str, Values]) -> tuple[str, float]:
    """The winner, if any, and its p: the method over every rival, or the strongest rival after Holm's adjustment."""
    best = max(rivals, key=lambda name: np.mean(rivals[name]))
    if np.mean(ours) > np.mean(rivals[best]):
        p = max(float(ttest_rel(ours, values).pvalue) for values in rivals.values())
        return ("m" if p < 0.1 else "", p)
    tails = {
        name: float(ttest_rel(ours, values, alternative="less").pvalue) for name, values in rivals.items()
    }
    ranked = sorted(tails, key=lambda name: tails[name])
    steps = [tails[name] * (len(ranked) - k) for k, name in enumerate(ranked)]
    p = min(1.0, 2 * max(steps[: ranked.index(best) + 1]))
    return (best if p < 0.1 else "", p)


# --- three studies and a recipe
# ----------------------------------------------------------------------------------------------------


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
    rivals = [label for label in fake_results.GRID if label != "fedrsclip"]
    strongest = max(
        rivals, key=lambda label: np.mean([rows[label, s].mean() for s in fake_results.SCENARIOS])
    )
    said = first_sentence(folder)
    assert (
        said.startswith("On fresh seeds and the test split, on the clients' own distributions, fedrsclip ")
        and f"{strongest} is the strongest of 4 rivals" in said
    )
    for scenario in fake_results.SCENARIOS:
        gaps = rows["fedrsclip", scenario] - rows[strongest, scenario]
        half = t.ppf(0.95, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
        low, high = gaps.mean() - half, gaps.mean() + half
        level = "is level" if max(-low, high) <= 0.01 else "is undecided"
        verb = f"beats {strongest}" if low > 0 else f"loses to {strongest}" if high < 0 else level
        clause = next(part for part in said.split("; it ") if f"{scenario} (" in part)
        assert verb in clause and f"{100 * gaps.mean():+.1f}".replace("-", "\u2212") in clause


# --- any study
# ---------------------------------------------------------------------------------------------------------------------


def random_study(rng: np.random.Generator) -> Study:
    """Effects and noise of any size."""
    study: dict[str, dict[str, list[float]]] = {}
    for scenario in ("A", "B", "C"):
        base = rng.uniform(0.5, 0.7, 3)
        noise = rng.choice([0.001, 0.004, 0.03])
        names = [
            "anchor",
            "rival:local",
            "rival:other",
            *(f"{s}={level}" for s in SYMBOLS for level in (2, 3)[: rng.integers(1, 3)]),
        ]
        effects = {n: 0.0 if n == "anchor" else rng.choice([-0.05, -0.02, 0.0, 0.02, 0.05]) for n in names}
        study[scenario] = {n: list(base + effect + rng.normal(0, noise, 3)) for n, effect in effects.items()}
    return study


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
    said = summary.winner(found, symbols)
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
    clauses = [c for c in said.rstrip(".").split("; ") if not c.endswith(summary.HINT)]
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


def test_one_seed_names_no_winner(tmp_path: Path) -> None:
    """Rivals ahead and behind on a single seed: no interval, no p, no verdict, and a page."""
    results = open_results(fake_results.fake_sweep(tmp_path / "one", seeds=1))
    rows = winners.table_winners(results)
    assert rows and {r["winner"] for r in rows} == {"undecided"} and not any(r["firm"] for r in rows)
    gap = stats.Interval(-0.02, None, None, 1)
    assert winners.outcome({"a": gap}, "a", 0.9) == ("undecided", None)
    assert write_report(tmp_path / "one").is_file()


# --- races
# -------------------------------------------------------------------------------------------------------------------------


def test_the_race_says_who_fell_out_when(tmp_path: Path) -> None:
    folder = fake.write(tmp_path, fake.full(kinds=["race", "confirm"], scenarios=[EVEN]))
    fate = {r["label"]: r["fate"] for r in racing.table_racing(open_results(folder)) if r["scenario"] == EVEN}
    assert fate == {
        "tpe 4": "taken",
        "tpe 3": "left at the end",
        "anchor": "out after 2 seeds",
        "tpe 2": "failed",
    }
    assert "Rule: The best 4 race." in write_report(folder).read_text(encoding="utf-8")
    rows = [r for r in racing.table_racing(open_results(folder)) if r["scenario"] == EVEN]
    assert rows[1]["gap"].n == 4 and rows[1]["verdict"] == "hurts" and rows[0]["gap"] is None


@pytest.mark.parametrize(
    ("name", "direction", "decided"),
    [
        ("worst_client_accuracy", "maximize", {"tpe 3": 0.5, "tpe 4": 0.4}),
        ("bytes_up", "minimize", {"tpe 3": 1000.0, "tpe 4": 2000.0}),
    ],
)
def test_a_race_is_decided_by_the_first_objective(
    tmp_path: Path, name: str, direction: str, decided: dict[str, float]
) -> None:
    """`tpe 4` has the higher mean accuracy, `tpe 3` is better where it counts."""
    sheet = fake.full(kinds=["race", "confirm"], scenarios=[EVEN])
    sheet.rows = [r for r in sheet.rows if r["kind"] != "race" or r["label"] in decided]
    for row in (r for r in sheet.rows if r["kind"] == "race"):
        aim = decided[row["label"]] * (1 + 0.001 * row["seeds"][0] * (row["label"] == "tpe 3"))
        row[name] = aim if name == "bytes_up" else [aim]
    both = [{"name": name, "direction": direction}, {"name": "acc_personal_own", "direction": "maximize"}]
    made = fake.write(tmp_path, sheet, search={"sampler": "tpe", "objectives": both})
    results = open_results(made)
    rows = racing.table_racing(results)
    assert [(r["label"], r["fate"], r["verdict"]) for r in rows] == [
        ("tpe 3", "taken", ""),
        ("tpe 4", "left at the end", "hurts"),
    ]
    theirs, ours = (
        [v for r in sheet.rows if r["kind"] == "race" and r["label"] == label for v in np.ravel(r[name])]
        for label in decided
    )
    assert rows[1]["gap"].mean == pytest.approx(np.mean(ours) - np.mean(theirs))
    shown = racing.table(results, rows)
    assert shown is not None and pareto.named(name).removesuffix(", %") in shown.caption
    again = {
        row[2]: row[3] for row in duckdb.sql(shown.source.replace("tables/", f"{made}/tables/")).fetchall()
    }
    assert again == pytest.approx({r["label"]: r["interval"].mean for r in rows})


def test_a_race_of_one_seed_takes_nobody(tmp_path: Path) -> None:
    sheet = fake.full(kinds=["race", "confirm"], scenarios=[EVEN])
    sheet.rows = [r for r in sheet.rows if r["kind"] != "race" or r["seeds"] == fake.RACE[:1]]
    results = open_results(fake.write(tmp_path, sheet))
    rows = racing.table_racing(results)
    assert {r["fate"] for r in rows} == {"not decided: 1 seed"} and len(rows) == 4
    shown = racing.table(results, rows)
    assert shown is not None and "the best of the search by validation was taken" in shown.caption


@pytest.mark.parametrize(("confirmed", "fate"), [("tuned", "taken"), ("untuned", "racing")])
def test_the_race_of_a_rival_ends_with_its_confirmation_beside_the_method(
    tmp_path: Path, confirmed: str, fate: str
) -> None:
    sheet = fake.Sheet()
    for seed in fake.RACE[:2]:
        sheet.add(EVEN, "race", "tpe 1", 0.6, [seed], rival="near")
    sheet.add(EVEN, "confirm", f"near ({confirmed})", 0.6, fake.FRESH, method="near")
    assert [r["fate"] for r in racing.table_racing(open_results(fake.write(tmp_path, sheet)))] == [fate]
