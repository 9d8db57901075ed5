"""The report's files: whole pages from whole, partial and damaged folders, their queries, the Markdown, and the page of a running sweep."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import fake_results
import numpy as np
import pytest

from analysis import write_report
from analysis.figures import contrasts, winners
from analysis.page import Cell, Exhibit, Page, Table
from analysis.pages.run_page import run_page
from analysis.pages.sweep_page import sweep_page
from analysis.results import open_results
from raysim.reports import Refresher

# --- pages -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished synthetic sweep with its report."""
    folder = fake_results.fake_sweep(tmp_path_factory.mktemp("sweep"), search=6)
    write_report(folder)
    return folder


def text_of(folder: Path) -> str:
    """The page without its tags."""
    return unescape(re.sub(r"<[^>]+>", " ", (folder / "report" / "index.html").read_text(encoding="utf-8")))


def test_sweep_page_is_complete_and_self_contained(sweep: Path) -> None:
    page = (sweep / "report" / "index.html").read_text(encoding="utf-8")
    order = ["summary", "figures", "scenario-by-scenario", "tables", "what-was-run", "what-can-be-trusted", "how-to-reproduce-each-number"]
    places = [page.index(f'<section id="{name}"') for name in order]
    assert places == sorted(places)
    figures = "winners contrasts methods heterogeneity curves signatures partition communication optimism search"
    for figure in figures.split():
        inside = page[page.index(f'<figure id="{figure}"') :].split("</figure>")[0]
        assert "<svg" in inside and "<figcaption>" in inside and 'class="missing"' not in inside
    assert not re.search(r"<script|<link|<iframe|@import|url\(\s*['\"]?(?!#)|(src|href)=\"(?!#|data:image/png)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_figures_are_files_of_text_and_vectors(sweep: Path) -> None:
    files = sorted((sweep / "report" / "figures").glob("*.svg"))
    drawn = [panel.key for part in sweep_page(open_results(sweep)).parts() if isinstance(part, Exhibit) for panel in part.panels]
    assert sorted(file.stem for file in files) == sorted(drawn) and len(drawn) == len(set(drawn)) >= 20
    for file in files:
        root = ET.parse(file).getroot()
        assert root.tag.endswith("svg") and any(e.tag.endswith("text") for e in root.iter())
    assert "fedrsclip (tuned)" in (sweep / "report" / "figures" / "methods-acc-personal-own.svg").read_text()


def test_report_is_the_same_each_time(sweep: Path) -> None:
    import matplotlib

    first, settings = (sweep / "report" / "index.html").read_bytes(), dict(matplotlib.rcParams)
    (sweep / "report" / "figures" / "stale.svg").write_text("left by an earlier report")
    assert write_report(sweep).read_bytes() == first
    assert not (sweep / "report" / "figures" / "stale.svg").exists()
    assert dict(matplotlib.rcParams) == settings


def test_sweep_page_says_what_cannot_be_trusted(sweep: Path) -> None:
    text = text_of(sweep)
    for said in ("alike across clients", "scenes-clip, a small CLIP", "had a search behind it", "by chance alone", "saw validation only"):
        assert said in text
    assert "still running" not in text


@pytest.mark.parametrize("stop", [0, 1, 2, 21, 72, 76])
def test_unfinished_sweep(tmp_path: Path, stop: int) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=stop, status="running", rounds=4)
    write_report(folder)
    text = text_of(folder)
    assert f"still running: {stop} of 93 planned trials are finished" in text
    assert ("the test split is still closed" in text) == (stop < 73)
    assert ("No contrast is finished yet" in text) == (stop < 16)


@pytest.mark.parametrize("tables", [(), ("rounds",), ("rounds", "clients", "classes", "signatures")])
def test_run_page(tmp_path: Path, tables: tuple[str, ...]) -> None:
    status = "done" if len(tables) == 4 else "running"
    folder = fake_results.fake_run(tmp_path, status=status, tables=tables, rounds=6)
    page = write_report(folder).read_text(encoding="utf-8")
    missing = set(re.findall(r'<figure id="(\w+)"[^>]*>\s*<h3>[^<]*</h3>\s*<p class="missing">', page))
    assert missing == {
        (): {"four", "distribution", "curve", "losses", "partition", "classes"}, ("rounds",): {"four", "distribution", "classes"},
    }.get(tables, set())  # fmt: skip
    said = {(): "has not been evaluated yet", ("rounds",): "6 of 6 rounds are finished"}.get(tables, "reaches 73.0% validation accuracy")
    assert said in text_of(folder)


def test_damaged_parts_are_left_out_and_named(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=10, status="interrupted", rounds=4)
    (folder / "tables" / "trials" / "00005.parquet").write_bytes(b"PAR1 cut off")
    (folder / "tables" / "trials" / ".00099.parquet").write_bytes(b"being written")
    write_report(folder)
    text = text_of(folder)
    assert "9 of 93 planned trials" in text and "cannot be read: tables/trials/00005.parquet" in text and "--resume" in text


def test_rows_that_a_resume_wrote_twice_count_once(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=4, rounds=2)
    (folder / "tables" / "trials" / "00009.parquet").write_bytes((folder / "tables" / "trials" / "00002.parquet").read_bytes())
    assert [t["trial"] for t in open_results(folder).trials] == [0, 1, 2, 3]


def test_names_are_escaped_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "<script>alert(1)</script> & $x_1$ %"
    monkeypatch.setattr(fake_results, "CLASSES", (evil, *fake_results.CLASSES[1:]))
    folder = fake_results.fake_run(tmp_path, rounds=2)
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "label": evil, "command": evil}))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "<script" not in page and page.count("&lt;script&gt;") >= 5
    root = ET.parse(folder / "report" / "figures" / "classes.svg").getroot()
    drawn = ["".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("text")]
    assert evil in drawn  # and no mathematics made of it


def test_what_is_no_result_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        write_report(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"no run\.json"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match="not a JSON object"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text('{"kind": "cake"}')
    with pytest.raises(ValueError, match="'cake', should be 'run' or 'sweep'"):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_recipe_compares_its_first_with_the_others_and_speaks_of_no_search(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, recipe=True, rounds=2)
    write_report(folder)
    text = " ".join(text_of(folder).split())
    assert "On fresh seeds and the test split, fedrsclip beats promptfl_ft under " in text and "strongest of 4 rivals" in text
    for word in ("contrast is finished", "Optimism gap", "The search ", "(untuned)", "had a search behind it"):
        assert word not in text


# --- the command and the query of each number --------------------------------------------------------------------------------------

FIGURES = [{"kind": "differences", "to": "fedrsclip"}, {"kind": "domains"}]
DERIVED = {"low", "high", "least", "most"}  # ends of intervals and ranges: the query gives means


def made(kind: str, folder: Path) -> tuple[Path, Page]:
    """A result folder of this kind with its page."""
    if kind == "run":
        return folder, run_page(open_results(fake_results.fake_run(folder, rounds=6)))
    recipe = {"recipe": True, "figures": FIGURES} if kind == "recipe" else {}
    return folder, sweep_page(open_results(fake_results.fake_sweep(folder, rounds=4, search=6, **recipe)))


@pytest.mark.parametrize("kind", ["sweep", "recipe", "run"])
def test_every_query_runs_and_gives_the_numbers_shown(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, page = made(kind, tmp_path)
    monkeypatch.chdir(folder)
    checked = 0
    for part in page.parts():
        if not isinstance(part, Exhibit | Table):
            continue
        assert part.source, f"{part.title or part.caption}: has no query"
        rows = duckdb.sql(part.source).fetchall()
        assert rows, part.title
        known = {v for row in rows for v in row if isinstance(v, str)}
        table = part.numbers if isinstance(part, Exhibit) else None
        for row in table.rows if table else []:
            names = {v for v in row if isinstance(v, str)} & known
            floats = {name: v for name, v in zip(table.columns, row, strict=True) if isinstance(v, float) and name not in DERIVED}  # type: ignore[union-attr]
            for name, value in floats.items() if "mean" not in floats else [("mean", floats["mean"])]:
                there = [found for found in rows if names <= {v for v in found if isinstance(v, str)}]
                assert any(_holds(found, value) for found in there), f"{part.title}: {name}, {row}"
                checked += 1
    assert checked > 100


def _holds(row: tuple[Any, ...], value: float) -> bool:
    return any(isinstance(v, float | int) and np.isclose(v, value, rtol=1e-9, atol=1e-12) for v in row)


def test_each_figure_and_table_has_the_command_and_its_query_folded_under_it(sweep: Path) -> None:
    page, made = (sweep / "report" / "index.html").read_text(encoding="utf-8"), sweep_page(open_results(sweep))
    folds = re.findall(r'<details class="source"><summary>Command and query</summary>\s*<pre[^>]*><code>(.*?)</code></pre>.*?'
                       r"<code>(.*?)</code></pre>\s*</details>", page, re.S)  # fmt: skip
    assert [unescape(query) for _, query in folds] == [p.source for p in made.parts() if isinstance(p, Exhibit | Table)]
    assert {unescape(command) for command, _ in folds} == {f"raysim sweep fedrsclip\nraysim report {sweep}"}
    names = re.findall(r'<span class="count">(\w+ \d+)</span>', page)
    assert names == list(made.names().values()) and names[0] == "Figure 1" and "Table 1" in names


def test_long_anchors_stand_inside_the_figure_and_in_full_in_the_table(tmp_path: Path) -> None:
    long = "a photograph that a satellite took of some place on earth"
    results = open_results(fake_results.fake_sweep(tmp_path, rounds=2, search=0))
    results.meta["factors"][0]["anchor"] = long
    results.meta["factors"][7]["symbol"] = "a_rather_long_symbol"
    rows = contrasts.table_contrasts(results)
    figures = [contrasts.draw_contrasts(rows[:19], 5, 3.2), winners.draw_winners(winners.table_winners(results))]
    for figure in figures:
        figure.draw_without_rendering()
        texts = [t for axes in figure.axes for t in [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()] if t.get_text()]
        assert len(texts) > 30
        for text in texts:
            box = text.get_window_extent()
            assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text.get_text()
    assert any("\u2026" in t.get_text() for t in figures[0].axes[0].texts)
    table = contrasts.table_differences(results, rows)
    assert table is not None and table.rows[0][3] == long


# --- Markdown ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sweep", "recipe", "run"])
def test_markdown_says_what_the_page_says(kind: str, tmp_path: Path) -> None:
    folder, page = made(kind, tmp_path)
    html = write_report(folder).read_text(encoding="utf-8")
    text = (folder / "report" / "index.md").read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^\n]*\]\((figures/[\w.-]+)\)", text)
    assert sorted(linked) == sorted(f"figures/{f.name}" for f in (folder / "report" / "figures").glob("*.svg")) and len(linked) > 3
    heads = [[unescape(h) for h in re.findall(r"<th[^>]*>(.*?)</th>", table, re.S)] for table in re.findall(r"<thead>(.*?)</thead>", html)]
    lines = text.split("\n")
    tables = [cells(before) for before, line in itertools.pairwise(lines) if re.fullmatch(r"\|( --- \|)+", line)]
    assert tables == heads and len(heads) >= 5
    plain = re.sub(r"\\(.)", r"\1", unescape(text))
    assert f"# {page.title}" in plain and all(sentence in plain for sentence in page.lead) and f"**{page.lead[0]}**" in plain
    assert not re.search(r"<(?!/?(details|summary)>)|class=", re.sub(r"```.*?```", "", text, flags=re.S))
    assert text.count("<details>") == text.count("</details>") and text.count("```sql") == html.count('<details class="source">')


def cells(line: str) -> list[str]:
    """The cells of a table's row in Markdown."""
    return [unescape(re.sub(r"\\(.)", r"\1", cell.strip())) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_takes_no_cell_for_markup() -> None:
    from analysis.pages import markdown

    evil = "a|b <b>*c*</b> `d` $e$ [f](g) \\| h_i\nj"
    (head, rule, row) = markdown.grid(Table(["x|y", "z"], [[evil, Cell(evil, "again")]]))
    assert cells(head) == ["x|y", "z"] and rule == "| --- | --- |" and cells(row) == [" ".join(evil.split()), ""]
    assert not re.search(r"(?<!\\)[*`$\[\]_]|<", row)
    assert markdown.code("a ``` b", "sh") == ["````sh", "a ``` b", "````"]


# --- a page that is written again while its sweep runs -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["running", "interrupted", "failed", "done"])
def test_only_a_running_page_reloads_itself_and_says_when_it_was_written(status: str, tmp_path: Path) -> None:
    page = write_report(fake_results.fake_run(tmp_path, status=status, rounds=2)).read_text(encoding="utf-8")
    running = status == "running"
    assert ('<meta http-equiv="refresh" content="60">' in page) == running
    assert bool(re.search(r"Written 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", page)) == running


def test_files_appear_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2)
    first = write_report(folder).read_bytes()

    def full(*args: Any, **options: Any) -> int:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            write_report(folder)
    assert (folder / "report" / "index.html").read_bytes() == first
    assert not [p for p in (folder / "report").rglob(".*")]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Stands in for Python: a shell script that notes each start with its nice value and arguments, then does what it is told."""
    log = tmp_path / "starts"

    def replace(then: str) -> Path:
        script = tmp_path / "python"
        script.write_text(f'#!/bin/sh\nsleep 0.2\necho "$$ $(nice) $*" >> {log}\n{then}\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        return log

    yield replace


def starts(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_refresher_starts_one_child_of_low_priority_at_a_time(command: Callable[[str], Path], tmp_path: Path) -> None:
    log = command("sleep 0.3")
    refresher = Refresher(tmp_path, every=0.0)
    begun = time.monotonic()
    for _ in range(50):
        refresher.touch()
    assert time.monotonic() - begun < 0.15  # it waits for nothing
    refresher.close()
    (line,) = starts(log)
    assert line.split()[1:] == ["19", "-m", "raysim", "report", str(tmp_path)]
    refresher.touch()
    time.sleep(0.3)
    assert len(starts(log)) == 1  # nothing is started after the end


def test_a_refresher_keeps_its_distance(command: Callable[[str], Path], tmp_path: Path) -> None:
    log = command("exit 1")  # a page that could not be written is tried again next time
    refresher = Refresher(tmp_path, every=1.0)
    refresher.touch()
    wait_for(lambda: len(starts(log)) == 1)
    refresher.touch()
    time.sleep(0.4)
    assert len(starts(log)) == 1
    wait_for(lambda: refresher.touch() or len(starts(log)) == 2)  # type: ignore[func-returns-value]
    refresher.close()


def test_a_refresher_leaves_no_child_behind_and_never_raises(command: Callable[[str], Path], tmp_path: Path) -> None:
    log = command("exec sleep 60")
    refresher = Refresher(tmp_path, every=0.0)
    refresher.touch()
    wait_for(lambda: len(starts(log)) == 1)
    refresher.close(patience=0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(int(starts(log)[0].split()[0]), 0)
    (tmp_path / "python").unlink()
    other = Refresher(tmp_path, every=0.0)
    other.touch()
    other.close()


def test_a_refresher_writes_the_page_of_a_running_sweep(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path / "sweep", search=0, stop=3, status="running", rounds=2)
    refresher = Refresher(folder)
    refresher.touch()
    refresher.close(patience=120)
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "3 of" in page and 'http-equiv="refresh"' in page
