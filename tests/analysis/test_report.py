"""The report's files: whole pages from whole, partial and damaged folders, their queries, the Markdown, and the page of a running sweep."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import stdtrit

from analysis import write_report
from analysis.figures.choices import contrasts, winners
from analysis.look.page import Cell, Exhibit, Page, Table
from analysis.pages.run_page import run_page
from analysis.pages.sweep_page import sweep_page
from analysis.read import results as results_module
from analysis.read.results import open_results
from analysis.report import page_of, pages_of
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe

# --- pages
# -------------------------------------------------------------------------------------------------------------------------


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
    order = [
        "summary",
        "figures",
        "scenario-by-scenario",
        "tables",
        "what-was-run",
        "what-can-be-trusted",
        "how-to-reproduce-each-number",
    ]
    places = [page.index(f'<section id="{name}"') for name in order]
    assert places == sorted(places)
    figures = (
        "winners contrasts methods heterogeneity curves signatures partition communication optimism search"
    )
    for figure in figures.split():
        inside = page[page.index(f'<figure id="{figure}"') :].split("</figure>")[0]
        assert "<svg" in inside and "<figcaption>" in inside and 'class="missing"' not in inside
    assert not re.search(
        r"<script|<link|<iframe|@import|url\(\s*['\"]?(?!#)|(src|href)=\"(?!#|data:image/png|sensitivity\.html\")",
        page,
    )
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_figures_are_files_of_text_and_vectors(sweep: Path) -> None:
    files = sorted((sweep / "report" / "figures").glob("*.svg"))
    drawn = [
        panel.key
        for part in sweep_page(open_results(sweep)).parts()
        if isinstance(part, Exhibit)
        for panel in part.panels
    ]
    beside = [
        panel.key
        for page in pages_of(open_results(sweep))
        for part in page.parts()
        if isinstance(part, Exhibit)
        for panel in part.panels
    ]
    assert {file.stem for file in files} == set(beside) >= set(drawn) and len(drawn) == len(set(drawn)) >= 20
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
    for said in (
        "alike across clients",
        "scenes-clip, a small CLIP",
        "had a search behind it",
        "by chance alone",
        "saw validation only",
    ):
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
        (): {"four", "distribution", "curve", "losses", "partition", "classes"},
        ("rounds",): {"four", "distribution", "classes"},
    }.get(tables, set())
    said = {(): "has not been evaluated yet", ("rounds",): "6 of 6 rounds are finished"}.get(
        tables, "reaches 73.0% validation accuracy"
    )
    assert said in text_of(folder)


def test_damaged_parts_are_left_out_and_named(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=10, status="interrupted", rounds=4)
    (folder / "tables" / "trials" / "00005.parquet").write_bytes(b"PAR1 cut off")
    (folder / "tables" / "trials" / ".00099.parquet").write_bytes(b"being written")
    write_report(folder)
    text = text_of(folder)
    assert (
        "9 of 93 planned trials" in text
        and "cannot be read: tables/trials/00005.parquet" in text
        and "--resume" in text
    )


def test_a_table_that_is_made_one_part_while_it_is_read_is_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_results.fake_run(tmp_path, status="running", tables=("rounds",), rounds=6)
    parts = sorted((folder / "tables" / "rounds").glob("*.parquet"))
    read, results = results_module.Results._part, open_results(folder)

    def compacting(self: Any, path: Path, *rest: Any) -> Any:
        if path == parts[0] and path.exists():  # it was listed, and is gone before it is read
            fake_results.write(parts[-1], [row for part in parts for row in pq.read_table(part).to_pylist()])
            for part in parts[:-1]:
                part.unlink()
        return read(self, path, *rest)

    monkeypatch.setattr(results_module.Results, "_part", compacting)
    assert [row["round"] for row in results.rounds()] == list(range(7)) and results.unreadable == []
    (folder / "tables" / "rounds" / "gone.parquet").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(results_module, "LISTINGS", 2)
    with pytest.raises(FileNotFoundError):
        results.rounds()


def test_rows_that_a_resume_wrote_twice_count_once(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=4, rounds=2)
    (folder / "tables" / "trials" / "00009.parquet").write_bytes(
        (folder / "tables" / "trials" / "00002.parquet").read_bytes()
    )
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
    with pytest.raises(ValueError, match="'cake', should be 'run', 'sweep' or 'stress'"):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_recipe_compares_its_first_with_the_others_and_speaks_of_no_search(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, recipe=True, rounds=2)
    write_report(folder)
    text = " ".join(text_of(folder).split())
    assert (
        "On fresh seeds and the test split, on the clients' own distributions, fedrsclip beats "
        "promptfl_ft under "
        in text
        and "strongest of 4 rivals" in text
    )
    for word in (
        "contrast is finished",
        "Optimism gap",
        "The search ",
        "(untuned)",
        "had a search behind it",
    ):
        assert word not in text


# --- the command and the query of each number
# --------------------------------------------------------------------------------------

FIGURES = [{"kind": "differences", "to": "fedrsclip"}, {"kind": "domains"}]
OF_SAFE = [
    {"kind": "groups", "to": "fedavg"},
    {"kind": "masks"},
    {"kind": "traffic"},
    {
        "kind": "differences",
        "to": "safe",
        "metrics": ["acc_shared_global", "acc_shared_class_mean", "acc_shared_tail"],
    },
]
DERIVED = {
    "low",
    "high",
    "least",
    "most",
}  # ends of intervals are worked out from mean, deviation and count; the rest is not asked for
SIGNED = r"([+\u2212]?\d+\.\d)"
# `71.3 ± 1.2 ahead` or `71.3 [70.1, 72.5]`
SHOWN = re.compile(
    rf"{SIGNED}(?: \u00b1 (\d+\.\d)| \[{SIGNED}, {SIGNED}\])(?: [\w ]+?)?(?: \*)?$"
)  # `71.3 ± 1.2 ahead` or `71.3 [70.1, 72.5]`


def made(kind: str, folder: Path) -> tuple[Path, Page]:
    """A result folder of this kind with its page."""
    if kind == "run":
        return folder, run_page(open_results(fake_results.fake_run(folder, rounds=6)))
    if kind in ("safe run", "segmentation run"):
        options = {"known": False, "metric": "mIoU"} if kind == "segmentation run" else {}
        return folder, page_of(open_results(fake_safe.safe_run(folder, **options)))
    if kind in ("safe recipe", "safe recipe, nothing declared"):
        declared = OF_SAFE if kind == "safe recipe" else []
        return folder, sweep_page(
            fake_safe.safe_recipe(folder, declared, setup_in_trials=bool(declared)).open()
        )
    recipe = {"recipe": True, "figures": FIGURES} if kind == "recipe" else {}
    return folder, sweep_page(open_results(fake_results.fake_sweep(folder, rounds=4, search=6, **recipe)))


KINDS = [
    "sweep",
    "recipe",
    "run",
    "safe run",
    "segmentation run",
    "safe recipe",
    "safe recipe, nothing declared",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_query_runs_and_gives_the_numbers_shown(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, page = made(kind, tmp_path)
    monkeypatch.chdir(folder)
    checked = 0
    for part in page.parts():
        if not isinstance(part, Exhibit | Table):
            continue
        assert part.source, f"{part.title or part.caption}: has no query"
        found = duckdb.sql(part.source)
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        assert rows, part.title
        table = part.numbers if isinstance(part, Exhibit) else part
        for row in table.rows if table else []:
            checked += _check(part.title, dict(zip(table.columns, row, strict=True)), rows)  # type: ignore[union-attr]
    assert checked > 100


def _check(title: str, row: dict[str, Any], rows: list[dict[str, Any]]) -> int:
    """That some row of the query has this row's names and numbers, and gives its interval again; returns how many were looked for."""
    row = {name: getattr(value, "text", value) for name, value in row.items()}
    known = {v for found in rows for v in found.values() if isinstance(v, str)}
    names = {v for name, v in row.items() if isinstance(v, str) and v and name != "set"} & known
    there = [found for found in rows if names <= {v for v in found.values() if isinstance(v, str)}]
    floats = {name: v for name, v in row.items() if isinstance(v, float) and name not in DERIVED}
    floats = {"mean": floats["mean"]} if "mean" in floats else floats
    for name, value in floats.items():
        assert any(_holds(found, value) for found in there), f"{title}: {name}, {row}"
    if row.get("low") is not None:
        centre = row.get("mean", row.get("accuracy"))
        assert any(_gives(found, (centre, row["low"], row["high"])) for found in there), (
            f"{title}: the interval of {row}"
        )
    said = [
        (name, *SHOWN.match(v).groups()) for name, v in row.items() if isinstance(v, str) and SHOWN.match(v)
    ]  # type: ignore[union-attr]
    for name, mean, half, low, high in said:
        ends = (
            (_number(mean) - _number(half), _number(mean) + _number(half))
            if half
            else (_number(low), _number(high))
        )
        assert any(_gives(found, (_number(mean), *ends), 100, 0.101) for found in there), (
            f"{title}: {name}, {row}"
        )
    return len(floats) + len(said)


def _holds(row: dict[str, Any], value: float) -> bool:
    known = [v for v in row.values() if isinstance(v, float | int)]
    return any(np.isclose(v, value, rtol=1e-9, atol=1e-12) or round(v, 1) == value for v in known)


def _gives(row: dict[str, Any], wanted: tuple[float, ...], scale: float = 1.0, near: float = 1e-9) -> bool:
    """Whether a mean, a standard deviation and a count of the query's row make this interval by Student's t."""
    means, sds, counts = [], [0.0], []
    for name, value in row.items():
        if isinstance(value, float | int):
            kind = (
                sds
                if name.startswith("sd")
                else counts
                if name in ("seeds", "pairs", "search_seeds")
                else means
            )
            kind.append(value)
    for mean, sd, n in itertools.product(means, sds, counts):
        half = stdtrit(n - 1, 0.95) * sd / n**0.5 if n > 1 else 0.0
        if np.allclose(scale * np.array([mean, mean - half, mean + half]), wanted, rtol=0, atol=near):
            return True
    return False


def _number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def test_each_figure_and_table_has_the_command_and_its_query_folded_under_it(sweep: Path) -> None:
    page, made = (
        (sweep / "report" / "index.html").read_text(encoding="utf-8"),
        sweep_page(open_results(sweep)),
    )
    folds = re.findall(
        r'<details class="source"><summary>Command and '
        r"query</summary>\s*<pre[^>]*><code>(.*?)</code></pre>.*?"
        r"<code>(.*?)</code></pre>\s*</details>",
        page,
        re.S,
    )
    assert [unescape(query) for _, query in folds] == [
        p.source for p in made.parts() if isinstance(p, Exhibit | Table)
    ]
    assert {unescape(command) for command, _ in folds} == {f"raysim sweep fedrsclip\nraysim report {sweep}"}
    names = re.findall(r'<span class="count">(\w+ \d+)</span>', page)
    assert names == list(made.names().values()) and names[0] == "Figure 1" and "Table 1" in names


def test_long_anchors_stand_inside_the_figure_and_in_full_in_the_table(tmp_path: Path) -> None:
    long = "a photograph that a satellite took of some place on earth"
    results = open_results(fake_results.fake_sweep(tmp_path, rounds=2, search=0))
    results.meta["factors"][0]["anchor"] = long
    results.meta["factors"][7]["symbol"] = "a_rather_long_symbol"
    rows = contrasts.table_contrasts(results)
    figures = [
        contrasts.draw_contrasts(rows[:19], 5, 3.2),
        winners.draw_winners(winners.table_winners(results)),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        texts = [
            t
            for axes in figure.axes
            for t in [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
            if t.get_text()
        ]
        assert len(texts) > 30
        for text in texts:
            box = text.get_window_extent()
            assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text.get_text()
    assert any("\u2026" in t.get_text() for t in figures[0].axes[0].texts)
    table = contrasts.table_differences(results, rows)
    assert table is not None and table.rows[0][3] == long


# --- Markdown
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_markdown_says_what_the_page_says(kind: str, tmp_path: Path) -> None:
    folder, page = made(kind, tmp_path)
    html = write_report(folder).read_text(encoding="utf-8")
    text = (folder / "report" / "index.md").read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^\n]*\]\((figures/[\w.-]+)\)", text)
    both = "".join(file.read_text(encoding="utf-8") for file in (folder / "report").glob("*.md"))
    assert len(linked) > 3 and set(re.findall(r"!\[[^\n]*\]\((figures/[\w.-]+)\)", both)) == {
        f"figures/{f.name}" for f in (folder / "report" / "figures").glob("*.svg")
    }
    heads = [
        [unescape(h) for h in re.findall(r"<th[^>]*>(.*?)</th>", table, re.S)]
        for table in re.findall(r"<thead>(.*?)</thead>", html)
    ]
    lines = text.split("\n")
    tables = [
        cells(before) for before, line in itertools.pairwise(lines) if re.fullmatch(r"\|( --- \|)+", line)
    ]
    assert tables == heads and len(heads) >= 5
    plain = re.sub(r"\\(.)", r"\1", unescape(text))
    assert (
        f"# {page.title}" in plain
        and all(sentence in plain for sentence in page.lead)
        and f"**{page.lead[0]}**" in plain
    )
    assert not re.search(r"<(?!/?(details|summary)>)|class=", re.sub(r"```.*?```", "", text, flags=re.S))
    assert text.count("<details>") == text.count("</details>") and text.count("```sql") == html.count(
        '<details class="source">'
    )


def cells(line: str) -> list[str]:
    """The cells of a table's row in Markdown."""
    return [unescape(re.sub(r"\\(.)", r"\1", cell.strip())) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_takes_no_cell_for_markup() -> None:
    from analysis.pages import markdown

    evil = "a|b <b>*c*</b> `d` $e$ [f](g) \\| h_i\nj"
    (head, rule, row) = markdown.grid(Table(["x|y", "z"], [[evil, Cell(evil, "again")]]))
    assert (
        cells(head) == ["x|y", "z"] and rule == "| --- | --- |" and cells(row) == [" ".join(evil.split()), ""]
    )
    assert not re.search(r"(?<!\\)[*`$\[\]_]|<", row)
    assert markdown.code("a ``` b", "sh") == ["````sh", "a ``` b", "````"]


# --- a page that is written again while its sweep runs
# -----------------------------------------------------------------------------


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
