"""The command and the query of each number: every query gives the numbers that are shown."""

from __future__ import annotations

import itertools
import re
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy.special import stdtrit

from analysis.look.page import Exhibit, Table
from analysis.pages.sweep_page import sweep_page
from analysis.read.results import open_results
from tests.fakes.pages import PAGE_KINDS, page_of_kind

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


@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_every_query_runs_and_gives_the_numbers_shown(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, page = page_of_kind(kind, tmp_path)
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
    """Check that a row of the query has the names and numbers of a shown row; return how many."""
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
    """Whether mean, standard deviation and count of the query's row give this interval by Student's t."""
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


def test_each_figure_and_table_has_the_command_and_its_query_folded_under_it(reported_sweep: Path) -> None:
    page, made = (
        (reported_sweep / "report" / "index.html").read_text(encoding="utf-8"),
        sweep_page(open_results(reported_sweep)),
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
    assert {unescape(command) for command, _ in folds} == {
        f"raysim sweep fedrsclip\nraysim report {reported_sweep}"
    }
    names = re.findall(r'<span class="count">(\w+ \d+)</span>', page)
    assert names == list(made.names().values()) and names[0] == "Figure 1" and "Table 1" in names
