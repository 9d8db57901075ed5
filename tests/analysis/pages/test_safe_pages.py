"""Pages of SAFE: repeatable, half finished, and with one seed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis import write_report
from analysis.look.page import Exhibit
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import SEEDS, drawn


def test_the_page_is_the_same_each_time_and_holds_its_pictures(tmp_path: Path) -> None:
    folder = fake_safe.safe_run(tmp_path)
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    page = first.decode()
    assert not re.search(r"<script [^>]|<link|<iframe|src=\"(?!data:image/png)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) and page.count("data:image/png;base64,") >= 40
    for word in (
        "of that weights, up",
        "Head, medium and tail classes",
        "D_CKA over rounds",
        "The gate over rounds",
    ):
        assert word in page


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_a_half_finished_recipe_of_safe(tmp_path: Path, stop: int) -> None:
    figures = [
        {"kind": "groups", "to": "fedavg"},
        {"kind": "masks"},
        {"kind": "traffic"},
        {"kind": "differences", "to": "fedavg", "metrics": ["acc_shared_tail"]},
    ]
    made = fake_safe.safe_recipe(tmp_path, figures)
    for path in sorted((tmp_path / "tables" / "trials").glob("*.parquet"))[stop:]:
        path.unlink()
    parts, said = drawn(made.open())
    assert all(
        part.missing or part.panels for part in parts if isinstance(part, Exhibit)
    ) and "None" not in " ".join(said)
    write_report(tmp_path)


def test_one_seed_gives_no_interval_anywhere(tmp_path: Path) -> None:
    figures = [{"kind": "groups", "to": "fedavg"}, {"kind": "masks"}, {"kind": "traffic"}]
    made = fake_safe.safe_recipe(tmp_path, figures, seeds=SEEDS[:1])
    parts, said = drawn(made.open())
    assert "None" not in " ".join(said) and "nan" not in " ".join(said)
    table = next(part for part in parts if part.key == "table-groups")
    assert all("(one seed)" in row[2].text for row in table.rows)
    assert "[" not in " ".join(cell.text for row in table.rows for cell in row[2:])
    write_report(tmp_path)
    assert len(parts) >= 5
