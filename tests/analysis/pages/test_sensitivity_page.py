"""The sensitivity page, and what a sweep's page says of fronts and transfer: against the files, whole and half-finished."""

from __future__ import annotations

import itertools
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy.stats import kendalltau, ttest_1samp, ttest_rel

from analysis import report, write_report
from analysis import stats as sensitivity
from analysis.figures.choices import (
    contrasts,
    gaps,
    importances,
    indices,
    interactions,
    ranks,
    responses,
    rivals,
)
from analysis.figures.outcomes import transfer
from analysis.figures.searching import pareto, racing, search
from analysis.look.page import Text
from analysis.read import queries
from analysis.read.results import open_results
from analysis.stats import Index, Morris, Sobol
from tests.fakes import sensitivity as fake

EVEN, SKEWED = fake.SCENARIOS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep with every kind of trial but designs, and its report."""
    made = fake.write(tmp_path_factory.mktemp("full"), fake.full())
    write_report(made)
    return made


def text_of(folder: Path, name: str = "sensitivity") -> str:
    """A page without its tags."""
    page = (folder / "report" / f"{name}.html").read_text(encoding="utf-8")
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.split("<body>")[1])).split())


def values(folder: Path, **wanted: Any) -> list[float]:
    """The accuracies of the last trial with these columns, from the Parquet parts alone."""
    where = " AND ".join(f"{k} IS NULL" if v is None else f"{k} = '{v}'" for k, v in wanted.items())
    query = f"SELECT acc_personal_own FROM '{folder}/tables/trials/*.parquet' WHERE {where} ORDER BY trial"
    return list(duckdb.sql(query).fetchall()[-1][0])


# --- pages
# -------------------------------------------------------------------------------------------------------------------------


def test_pages_link_each_other_and_all_sections_are_there_pictures_first(folder: Path) -> None:
    first, second = (
        (folder / "report" / f"{name}.html").read_text(encoding="utf-8") for name in ("index", "sensitivity")
    )
    assert 'href="sensitivity.html"' in first and 'href="index.html"' in second
    assert "](sensitivity.md)" in (folder / "report" / "index.md").read_text(encoding="utf-8")
    sections = re.findall(r'<section id="([^"]+)"', second)
    assert sections == [
        "summary",
        "specification-gaps",
        "one-choice-at-a-time",
        "two-choices-together",
        "response-curves",
        "agreement-of-the-scenarios",
        "tuned-here-used-there",
        "search-diagnostics",
        "what-can-be-trusted",
        "how-to-reproduce-each-number",
    ]
    for name in sections[1:-3]:
        inside = second.split(f'<section id="{name}"')[1].split("</section>")[0]
        assert "<figure" in inside and 'class="missing"' not in inside
        assert "<table" not in inside or inside.index("<svg") < inside.index("<table")
    assert {"pareto", "transfer"} <= set(re.findall(r'<figure id="([^"]+)"', first))
    for page in (first, second):
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids)) and not re.search(
            r"\\mathdefault|None|nan", re.sub(r"<style>.*?</style>", "", page, flags=re.S)
        )
    shown = set(
        re.findall(r"\(figures/([^)]+)\)", (folder / "report" / "sensitivity.md").read_text(encoding="utf-8"))
    )
    assert shown and all((folder / "report" / "figures" / name).is_file() for name in shown)


def test_every_query_of_both_pages_runs_in_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    sources = {
        p.source
        for page in report.pages_of(open_results(folder))
        for p in page.parts()
        if not isinstance(p, Text) and p.source
    }
    own = {interactions.QUERY, transfer.QUERY, racing.QUERY, importances.QUERY, queries.OPTIMISM}
    assert own <= sources
    for source in own | {s for s in sources if "acc_personal_own) AS acc_personal_own, bytes_up" in s}:
        assert duckdb.sql(source).fetchall()
    regrets = duckdb.sql(f"SELECT tuned_on, used_on, regret FROM ({transfer.QUERY})").fetchall()
    assert sorted(r[2] for r in regrets) == pytest.approx(
        sorted(r["mean"] for r in transfer.table_transfer(open_results(folder)))
    )
    entries = {
        row[1]: row[2]
        for row in duckdb.sql(f"SELECT scenario, entry, chosen FROM ({queries.OPTIMISM})").fetchall()
    }
    assert entries == {"m": "tpe 4", "near": "tpe 1"}


@pytest.mark.parametrize(
    "kinds",
    [(), *((kind,) for kind in fake.KINDS), ("contrast", "interaction"), ("contrast", "search", "transfer")],
)
def test_half_finished_sweeps_have_both_pages(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    made = fake.write(tmp_path, fake.full(kinds=kinds, scenarios=[EVEN]), status="running")
    write_report(made)
    said = text_of(made)
    assert "still running" in said and "lam" in said
    if "contrast" not in kinds:
        assert "No open choice is contrasted with the anchor yet" in said and "not tried yet" in said
    if "interaction" in kinds or not kinds:
        assert ("pairs of changed choices" in said) == ("contrast" in kinds)


def test_a_folder_without_any_new_row_or_word_keeps_its_page(tmp_path: Path) -> None:
    sheet = fake.full(kinds=["contrast", "rival", "search"], scenarios=[EVEN])
    made = fake.write(tmp_path / "old", sheet)
    meta = json.loads((made / "run.json").read_text())
    new = ("search", "race", "design", "interactions", "spaces_declared")
    (made / "run.json").write_text(
        json.dumps({k: v for k, v in meta.items() if k not in new} | {"planned": {"contrast": 9}})
    )
    write_report(made)
    assert "Pareto" not in text_of(made, "index") and "race" not in text_of(made, "index")
    assert "Tuned here" not in text_of(made) and "Two choices together" not in text_of(made)
    plain = fake.write(
        tmp_path / "recipe",
        fake.full(kinds=["confirm"], scenarios=[EVEN]),
        factors=[],
        planned={"contrast": 0, "confirm": 2},
    )
    assert "sensitivity" not in write_report(plain).read_text(encoding="utf-8")
    assert not (plain / "report" / "sensitivity.html").exists()


# --- specification gaps
# ------------------------------------------------------------------------------------------------------------


def test_the_largest_change_has_an_interval_for_all_levels_of_its_choice(folder: Path) -> None:
    rows = gaps.table_gaps(open_results(folder))
    row = next(r for r in rows if r["symbol"] == "lam" and r["scenario"] == EVEN)
    level, anchor = (
        values(folder, scenario=EVEN, kind="contrast", label=name) for name in ("method.lam=0.5", "anchor")
    )
    low, high = ttest_rel(level, anchor).confidence_interval(1 - 0.1 / 3)
    assert row["level"] == "0.5" and (row["interval"].low, row["interval"].high) == pytest.approx((low, high))
    assert row["verdict"] == "hurts" and row["firm"] and row["best"] in ("anchor", "0.005")
    assert (row["tried"], row["searched"]) == ("0.005, 0.1, 0.5", "log-U [0.005, 0.5]")
    h = next(r for r in rows if r["symbol"] == "h" and r["scenario"] == EVEN)
    assert (h["level"], h["verdict"], h["best"]) == ("16", "helps", "16")
    fusion = next(r for r in rows if r["symbol"] == "fusion" and r["scenario"] == EVEN)
    assert fusion["verdict"] == "level"
    said = gaps.sentences(rows, 0.9)[0]
    assert "lam and h are shown to change" in said and "fusion is shown not to matter" in said


def test_the_lead_is_measured_against_the_tuned_rival_over_the_whole_range(folder: Path) -> None:
    results = open_results(folder)
    rival = rivals.strongest(results, f"m | {EVEN}", EVEN, "acc_personal_own")
    tuned = values(folder, study=f"m near | {EVEN}", label="tpe 1")
    assert rival is not None and rival.label == "near (tuned)" and list(rival.values.values()) == tuned
    rows = {(r["symbol"], r["scenario"]): r for r in gaps.table_gaps(results)}
    lam = rows["lam", EVEN]  # 0.5 costs 6 points, the tuned rival is 2 points ahead of the anchor
    low, high = ttest_rel(values(folder, scenario=EVEN, label="method.lam=0.5"), tuned).confidence_interval(
        1 - 0.1 / 4
    )
    assert (
        lam["least"] == "0.5"
        and (lam["lead"].low, lam["lead"].high) == pytest.approx((low, high))
        and lam["lasts"] == "behind"
    )
    assert "near (tuned)" in text_of(folder) and "picked as the best of many" in text_of(folder)


@pytest.mark.parametrize(("rival", "lasts"), [(-0.04, "reverses"), (-0.2, "survives"), (0.05, "behind")])
def test_a_lead_survives_or_turns(tmp_path: Path, rival: float, lasts: str) -> None:
    sheet = fake.Sheet()
    sheet.contrasts(EVEN, 0.6)
    sheet.rows = [r for r in sheet.rows if r["kind"] != "rival"]
    sheet.add(EVEN, "rival", "one", 0.6 + rival, method="one")
    row = gaps.table_gaps(open_results(fake.write(tmp_path, sheet)))[0]
    assert (
        row["symbol"] == "lam"
        and row["lasts"] == lasts
        and row["lasts_firm"]
        and row["rival"].label == "one (untuned)"
    )


def test_no_lead_turns_where_none_was_shown(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.0)
    sheet.contrasts(EVEN, 0.6)
    sheet.rows = [r for r in sheet.rows if r["kind"] != "rival"]
    sheet.add(EVEN, "rival", "one", 0.6, method="one")
    wide = [
        v + e for v, e in zip(sheet.rows[-1]["acc_personal_own"], (0.015, -0.01, 0.005, -0.015), strict=True)
    ]
    sheet.rows[-1]["acc_personal_own"] = wide
    rows = gaps.table_gaps(open_results(fake.write(tmp_path, sheet)))
    assert {r["symbol"]: r["lasts"] for r in rows} == {
        "lam": "deficit",
        "h": "undecided",
        "fusion": "undecided",
    }
    assert "a deficit at some level of lam (open at the anchor)" in gaps.sentences(rows, 0.9)[1]


def test_a_level_that_failed_leaves_choice_and_lead_undecided(tmp_path: Path) -> None:
    sheet = fake.Sheet()
    sheet.contrasts(EVEN, 0.6)
    sheet.rows = [r for r in sheet.rows if r["factor"] != "method.fusion"]
    sheet.add(EVEN, "contrast", "method.fusion=mix", None, factor="method.fusion", level="mix")
    sheet.rows = [r for r in sheet.rows if r["label"] != "method.h=16"]
    rows = {r["symbol"]: r for r in gaps.table_gaps(open_results(fake.write(tmp_path, sheet)))}
    assert (rows["h"]["verdict"], rows["h"]["lasts"]) == ("undecided", "undecided") and "1 of 2" in rows["h"][
        "lacking"
    ]
    assert (
        rows["fusion"]["interval"] is None
        and "1 of 1 level without a finished trial" in rows["fusion"]["lacking"]
    )


def test_training_settings_are_not_asked_for_the_lead(tmp_path: Path) -> None:
    sheet = fake.Sheet()
    sheet.contrasts(EVEN, 0.6)
    sheet.add(
        EVEN,
        "contrast",
        "training.lr=0.2",
        0.7,
        factor="training.lr",
        level="0.2",
        params={"training.lr": 0.2},
    )
    row = next(
        r for r in gaps.table_gaps(open_results(fake.write(tmp_path, sheet))) if r["path"] == "training.lr"
    )
    assert row["verdict"] == "helps" and row["lead"] is None and row["lasts"] == ""


# --- pairs, ranks, transfer
# --------------------------------------------------------------------------------------------------------


def test_interactions_are_what_is_left_after_both_alone(folder: Path) -> None:
    rows = {(r["name"], r["scenario"]): r for r in interactions.table_interactions(open_results(folder))}
    both, a, b, zero = (
        np.array(values(folder, scenario=EVEN, label=name, kind=kind))
        for name, kind in (
            ("lam=0.5, h=16", "interaction"),
            ("method.lam=0.5", "contrast"),
            ("method.h=16", "contrast"),
            ("anchor", "contrast"),
        )
    )
    low, high = ttest_1samp(both - a - b + zero, 0).confidence_interval(0.9)
    row = rows["lam=0.5, h=16", EVEN]
    assert (row["low"], row["high"], row["verdict"]) == (pytest.approx(low), pytest.approx(high), "helps")
    assert rows["h=16, fusion=mix", EVEN]["verdict"] in ("level", "undecided")
    query = duckdb.sql(interactions.QUERY.replace("tables/", f"{folder}/tables/")).df()
    assert sorted(query["mean"]) == pytest.approx(sorted(r["mean"] for r in rows.values()))


def test_ranks_agree_with_scipy_and_carry_an_interval(folder: Path) -> None:
    rows, pairs = ranks.table_ranks(open_results(folder))
    size = {(r["scenario"], r["symbol"]): r["size"] for r in rows}
    assert [r["symbol"] for r in rows if r["scenario"] == EVEN] == ["lam", "h", "fusion"]
    symbols = ("lam", "h", "fusion")
    (pair,) = pairs
    assert pair["tau"] == pytest.approx(
        kendalltau(*([size[s, n] for n in symbols] for s in (EVEN, SKEWED))).statistic
    )
    assert pair["low"] is not None and pair["low"] <= pair["tau"] <= pair["high"] <= 1
    chance = np.random.default_rng(0)
    for a, b in itertools.pairwise(chance.integers(0, 4, size=(20, 6)).astype(float)):
        assert ranks.kendall(a, b) == pytest.approx(np.nan_to_num(kendalltau(a, b).statistic))


def test_rankings_of_noise_are_undecided(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.03)
    for scenario in fake.SCENARIOS:
        sheet.contrasts(scenario, 0.6, 0.0)
    _, (pair,) = ranks.table_ranks(open_results(fake.write(tmp_path, sheet)))
    assert ranks.word(pair) == "undecided" and "1 is undecided" in ranks.sentences([pair])[0]


def test_regret_is_paired_with_the_latest_own_tuning(folder: Path) -> None:
    rows = {(r["tuned_on"], r["used_on"]): r for r in transfer.table_transfer(open_results(folder))}
    own, moved = (
        values(folder, study=f"m | {EVEN}", label="m (tuned)"),
        values(folder, scenario=EVEN, kind="transfer"),
    )
    low, high = ttest_rel(own, moved).confidence_interval(0.9)
    row = rows[SKEWED, EVEN]
    assert (row["low"], row["high"], row["seeds"], row["verdict"]) == (
        pytest.approx(low),
        pytest.approx(high),
        4,
        "helps",
    )
    assert rows[EVEN, SKEWED]["verdict"] != "helps"
    said = transfer.sentences(list(rows.values()))[0]
    assert f"costs accuracy in 1 ({SKEWED} to {EVEN} (" in said and "of 2 pairs" in said


# --- search: front, optimism
# -------------------------------------------------------------------------------------------------------


def test_no_trial_of_the_front_is_beaten_and_confirmed_ones_are_marked(folder: Path) -> None:
    rows = [r for r in pareto.table_pareto(open_results(folder)) if r["study"] == f"m | {EVEN}"]
    points = {id(r): (r["values"]["acc_personal_own"], -r["values"]["bytes_up"]) for r in rows}
    for row in rows:
        mine = points[id(row)]
        beaten = any(
            all(o >= m for o, m in zip(other, mine, strict=True)) and other != mine
            for other in points.values()
        )
        assert row["front"] == (not beaten)
    front = {r["label"] for r in rows if r["front"]}
    assert "tpe 4" in front and "tpe 5" not in front
    assert [r["label"] for r in rows if r["confirmed"] and r["front"]] == ["tpe 4"]
    said = text_of(folder, "index")
    assert "bytes sent up (least)" in said and "test: accuracy (personal, own distribution), %" in said


def test_the_promise_of_a_tuned_rival_is_that_of_its_own_search(folder: Path) -> None:
    rows = {(r["entry"], r["scenario"]): r for r in search.table_optimism(open_results(folder))}
    assert rows["near", EVEN]["chosen"] == "tpe 1" and rows["near", EVEN]["study"] == f"m near | {EVEN}"
    assert rows["m", EVEN]["chosen"] == "tpe 4" and rows["m", EVEN]["test"].n == 4
    assert len(rows) == 4


# --- designs
# -----------------------------------------------------------------------------------------------------------------------


def saltelli(blocks: int, k: int) -> np.ndarray:
    """Rows A, AB_1 .. AB_k, B of each block."""
    a, b = np.random.default_rng(0).random((2, blocks, k))
    return np.array(
        [
            row
            for x, y in zip(a, b, strict=True)
            for row in (x, *(np.where(np.arange(k) == i, y, x) for i in range(k)), y)
        ]
    )


def of_design(kind: str, n: int) -> dict[str, Any]:
    """What run.json says of a design over three parameters."""
    ranges = {"lam": (0.005, 0.5, True), "h": (1, 16, False), "theta": (0.0, 1.0, False)}
    names = [
        {
            "path": f"method.{name}",
            "kind": "int" if name == "h" else "float",
            "low": low,
            "high": high,
            "log": log,
            "choices": None,
        }
        for name, (low, high, log) in ranges.items()
    ]
    return {
        "kind": kind,
        "budget": 1000,
        "seed": 0,
        "N": {f"m | {s}": n for s in fake.SCENARIOS},
        "levels": 4,
        "second_order": False,
        "factors": {f"m | {s}": names for s in fake.SCENARIOS},
    }


@pytest.fixture
def estimators(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Estimators that remember what they were given and answer with fixed intervals."""
    seen: dict[str, Any] = {"reason": ""}

    def answer(names: list[str], values: list[tuple[float, float | None, float | None]]) -> list[Index]:
        return (
            [Index(name, *ends) for name, ends in zip(names, values, strict=True)]
            if not seen["reason"]
            else []
        )

    def sobol(y: np.ndarray, names: list[str], second: bool, confidence: float) -> Sobol:
        seen["y"] = y
        total = tuple(answer(names, [(0.7, 0.6, 0.8), (0.02, 0.0, 0.03), (0.1, 0.01, 0.2)]))
        return Sobol(total, total, (), len(y) // 5, int(np.isnan(y).sum()), seen["reason"])

    def morris(u: np.ndarray, y: np.ndarray, names: list[str], levels: int, confidence: float) -> Morris:
        seen["u"], seen["y"] = u, y
        star = tuple(answer(names, [(0.05, 0.03, 0.07), (0.005, 0.002, 0.008), (0.02, None, None)]))
        return Morris(star, star, star, len(y) // 4, 0, seen["reason"])

    monkeypatch.setattr(sensitivity, "sobol_indices", sobol)
    monkeypatch.setattr(sensitivity, "morris_effects", morris)
    return seen


def test_a_sobol_design_uses_whole_blocks_and_says_what_was_lost(
    tmp_path: Path, estimators: dict[str, Any]
) -> None:
    unit, sheet = saltelli(8, 3), fake.Sheet()
    sheet.design(
        EVEN, unit[:32], lambda u: 0.5 + 0.2 * u[0], failed=[7]
    )  # six blocks of five, and two points of the seventh
    made = fake.write(tmp_path, sheet, design=of_design("sobol", 8))
    write_report(made)
    said = text_of(made)
    assert len(estimators["y"]) == 30 and np.flatnonzero(np.isnan(estimators["y"])).tolist() == [7]
    assert estimators["y"][0] == pytest.approx(0.5 + 0.2 * unit[0, 0] + fake.OFFSETS[0], abs=0.01)
    assert (
        "lam matters; h does not; 1 parameter is undecided" in said
        and "6 of 8 Saltelli blocks, 1 dropped" in said
    )
    assert (
        "withheld: 0 Saltelli blocks of 8 finished; it takes two" in said
    )  # the other scenario has none yet
    assert f"{(unit[:30, 1] > 0.5).mean():.0%}" in said


def test_real_estimators_find_what_the_design_was_made_of(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.0)
    sheet.design(EVEN, saltelli(64, 3), lambda u: 0.4 + 0.3 * u[0] + 0.01 * u[2])
    made = fake.write(tmp_path, sheet, design=of_design("sobol", 64), scenarios=[{"label": EVEN}])
    results = open_results(made)
    found = indices.estimate(results, indices.points_of(results)[0])
    assert [(r["symbol"], r["verdict"]) for r in found.rows if r["symbol"] != "theta"] == [
        ("lam", "matters"),
        ("h", "does not matter"),
    ]
    assert found.rows[0]["value"] == pytest.approx(1.0, abs=0.05) and not found.reason


@pytest.mark.parametrize(("kind", "size"), [("sobol", 5), ("morris", 4)])
def test_what_a_switch_seldom_reaches_is_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: int
) -> None:
    """With 16 groups theta is met in 2 on average: its interval is too short to be judged by."""
    far = (
        Index("method.lam", 0.7, 0.6, 0.8),
        Index("method.h", 0.001, 0.0, 0.002),
        Index("method.theta", 0.5, 0.4, 0.6),
    )
    monkeypatch.setattr(
        sensitivity, "sobol_indices", lambda y, *_, **__: Sobol(far, far, (), len(y) // size, 0, "")
    )
    monkeypatch.setattr(
        sensitivity, "morris_effects", lambda u, y, *_, **__: Morris(far, far, far, len(y) // size, 0, "")
    )
    unit, verdicts = np.full((16 * size, 3), 0.2), {}
    for met in (2, 3):
        unit[: met * size, 1] = 0.8
        sheet = fake.Sheet()
        sheet.design(EVEN, unit, lambda u: 0.5)
        made = fake.write(tmp_path / str(met), sheet, design=of_design(kind, 16), scenarios=[{"label": EVEN}])
        write_report(made)
        results = open_results(made)
        (found,) = [indices.estimate(results, p) for p in indices.points_of(results) if p.scenario == EVEN]
        verdicts[met] = {r["symbol"]: r["verdict"] for r in found.rows}
        assert [r["symbol"] for r in found.rows if r["seldom"]] == ["theta"] * (met == 2)
        assert ("too seldom for a verdict" in text_of(made)) == (met == 2)
    assert verdicts[2] == verdicts[3] | {"theta": "undecided"} and verdicts[3]["theta"] == "matters"


def test_a_morris_design_and_one_that_is_withheld(tmp_path: Path, estimators: dict[str, Any]) -> None:
    unit, sheet = np.random.default_rng(1).integers(0, 4, size=(12, 3)) / 3, fake.Sheet()
    sheet.design(EVEN, unit, lambda u: 0.5 + 0.2 * u[0])
    made = fake.write(tmp_path, sheet, design=of_design("morris", 3), scenarios=[{"label": EVEN}])
    results = open_results(made)
    (found,) = [indices.estimate(results, p) for p in indices.points_of(results) if p.scenario == EVEN]
    assert [r["verdict"] for r in found.rows] == ["matters", "undecided", "does not matter"]
    assert estimators["u"] == pytest.approx(unit)
    estimators["reason"] = "11 % of the trajectories are lost"
    write_report(made)
    assert (
        "withheld: 11 % of the trajectories are lost" in text_of(made)
        and "mu*" not in text_of(made).split("What can be trusted")[0]
    )


def test_binned_responses_have_intervals_over_blocks(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.0)
    sheet.design(EVEN, saltelli(16, 3), lambda u: 0.4 + 0.3 * u[0])
    rows = responses.table_binned(
        results := open_results(fake.write(tmp_path, sheet, design=of_design("sobol", 16))),
        indices.points_of(results),
    )
    lam = [r for r in rows if r["symbol"] == "lam"]
    assert (
        len(lam) == responses.BINS
        and all(r["blocks"] <= 16 for r in rows)
        and sum(r["points"] for r in lam) == 80
    )
    assert [r["mean"] for r in lam] == sorted(r["mean"] for r in lam)
    asked = next(r for r in rows if r["symbol"] == "theta")
    assert sum(r["points"] for r in rows if r["symbol"] == "theta") < 80 and asked["low"] is not None


def test_curves_need_three_values_and_plain_numbers(folder: Path) -> None:
    results = open_results(folder)
    rows = responses.table_responses(results, contrasts.table_contrasts(results))
    lam = [r for r in rows if r["symbol"] == "lam" and r["scenario"] == EVEN]
    assert [r["x"] for r in lam] == [0.005, 0.02, 0.1, 0.5] and [r["anchor"] for r in lam] == [
        False,
        True,
        False,
        False,
    ]
    assert {r["symbol"] for r in rows} == {"lam", "h"}
    assert (
        responses.number("5.0, s=1.0") is None
        and responses.number(True) is None
        and responses.number("1e-3") == 0.001
    )


# --- diagnostics of the search
# -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("r2", "reason"), [(0.9, ""), (0.5, "the surrogate's held-out R2 is 0.50, under 0.8")]
)
def test_importances_are_labelled_diagnostics_or_withheld(
    folder: Path, monkeypatch: pytest.MonkeyPatch, r2: float, reason: str
) -> None:
    columns = (
        {"fANOVA": (Index("method.lam", 0.9),), "permutation": (Index("method.lam", 0.7, 0.6, 0.8),)}
        if not reason
        else {}
    )
    made = sensitivity.Importances(columns, r2, 30, {}, {"method.lam": 1.0}, reason)
    monkeypatch.setattr(sensitivity, "importances", lambda *_, **__: made)
    results = open_results(folder)
    found = importances.diagnoses(results)
    shown = importances.exhibit(results, found)
    assert shown is not None and "no verdict" in shown.title
    if reason:
        assert f"withheld, {reason}" in shown.missing and importances.table(results, found) is None
    else:
        assert (
            "diagnostics of an adaptive search" in shown.caption
            and "held-out R2 0.90" in shown.caption
            and shown.panels
        )
    results.meta["status"] = "running"
    assert importances.diagnoses(results) is None


# --- several spaces
# ----------------------------------------------------------------------------------------------------------------


def test_spaces_of_one_sweep_are_told_apart(tmp_path: Path) -> None:
    first, second = (
        fake.full("m", "m", ["contrast", "rival"], [EVEN]),
        fake.full("n", "n", ["contrast", "rival", "confirm"]),
    )
    second.rows = [r for r in second.rows if r["factor"] in (None, "method.h")]
    for row in second.rows:
        row["factor"] = row["factor"] and "method.tau"
        row["label"] = row["label"].replace("method.h", "method.tau")
    tau = [
        {
            "path": "method.tau",
            "symbol": "tau",
            "levels": ["1", "16"],
            "anchor": 4,
            "basis": "paper",
            "doc": "",
        }
    ]
    declared = {
        "m": {"factors": fake.factors(), "rivals": {}, "method": "m"},
        "n": {"factors": tau, "rivals": {}, "method": "n"},
    }
    made = fake.write(tmp_path, first, second, spaces_declared=declared)
    write_report(made)
    assert [(v.space, {f["symbol"] for f in v.meta["factors"]}) for v in open_results(made).views()] == [
        ("m", {"lam", "h", "fusion"}),
        ("n", {"tau"}),
    ]
    said, page = text_of(made), (made / "report" / "sensitivity.html").read_text(encoding="utf-8")
    assert "m: Of 3 open choices" in said and "n: Of 1 open choice, tau is shown" in said
    inside = page.split('<section id="n-specification-gaps"')[1].split("</section>")[0]
    assert ">tau<" in inside and ">lam<" not in inside
    index = (made / "report" / "index.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', index)
    assert len(ids) == len(set(ids)) and {"m-figures", "n-figures", "n-tables"} <= set(ids)
    tables = index.split('<section id="n-tables"')[1].split("</section>")[0]
    assert (
        "near (tuned)" in tables
        and ">lam<" not in tables
        and json.loads((made / "run.json").read_text())["space"] == "m"
    )
