"""The sensitivity page: links, queries, half-finished sweeps, and several spaces."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest

from analysis import report, write_report
from analysis.figures.choices import (
    importances,
    interactions,
)
from analysis.figures.outcomes import transfer
from analysis.figures.searching import racing
from analysis.look.page import Text
from analysis.read import queries
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake
from tests.fakes.pages import page_text

EVEN, SKEWED = fake.SCENARIOS


def test_pages_link_each_other_and_all_sections_are_there_pictures_first(full_sweep: Path) -> None:
    first, second = (
        (full_sweep / "report" / f"{name}.html").read_text(encoding="utf-8")
        for name in ("index", "sensitivity")
    )
    assert 'href="sensitivity.html"' in first and 'href="index.html"' in second
    assert "](sensitivity.md)" in (full_sweep / "report" / "index.md").read_text(encoding="utf-8")
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
        re.findall(
            r"\(figures/([^)]+)\)", (full_sweep / "report" / "sensitivity.md").read_text(encoding="utf-8")
        )
    )
    assert shown and all((full_sweep / "report" / "figures" / name).is_file() for name in shown)


def test_every_query_of_both_pages_runs_in_the_folder(
    full_sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(full_sweep)
    sources = {
        p.source
        for page in report.pages_of(open_results(full_sweep))
        for p in page.parts()
        if not isinstance(p, Text) and p.source
    }
    own = {interactions.QUERY, transfer.QUERY, racing.QUERY, importances.QUERY, queries.OPTIMISM}
    assert own <= sources
    for source in own | {s for s in sources if "acc_personal_own) AS acc_personal_own, bytes_up" in s}:
        assert duckdb.sql(source).fetchall()
    regrets = duckdb.sql(f"SELECT tuned_on, used_on, regret FROM ({transfer.QUERY})").fetchall()
    assert sorted(r[2] for r in regrets) == pytest.approx(
        sorted(r["mean"] for r in transfer.table_transfer(open_results(full_sweep)))
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
    said = page_text(made)
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
    assert "Pareto" not in page_text(made, "index") and "race" not in page_text(made, "index")
    assert "Tuned here" not in page_text(made) and "Two choices together" not in page_text(made)
    plain = fake.write(
        tmp_path / "recipe",
        fake.full(kinds=["confirm"], scenarios=[EVEN]),
        factors=[],
        planned={"contrast": 0, "confirm": 2},
    )
    assert "sensitivity" not in write_report(plain).read_text(encoding="utf-8")
    assert not (plain / "report" / "sensitivity.html").exists()


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
    said, page = page_text(made), (made / "report" / "sensitivity.html").read_text(encoding="utf-8")
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
