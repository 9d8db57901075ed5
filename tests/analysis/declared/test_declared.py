"""Declared figures: what may be declared, recipes that are half finished, and figures that a user adds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from analysis import declared as recipes
from analysis import write_report
from analysis.look.page import Exhibit, Table
from raysim.cli.main import main
from raysim.cli.new import write_new
from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.storage.report import figure_kinds
from tests.fakes.plugin import write_plugin
from tests.fakes.recipe import SEEDS, Recipe, at, drawn

pytestmark = pytest.mark.usefixtures("no_plugin_stays")

ALL = [
    {"kind": "against", "x": "scenario.clients"},
    {"kind": "differences", "to": "plain"},
    {"kind": "domains"},
    {"kind": "convergence"},
    {"kind": "cost", "reference": "plain", "x": ["method.lam", "training.batch"]},
]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (
            {"kind": "cake"},
            r"run\.json: figures\[0\]: the kind 'cake' is unknown; known kinds are against, convergence, "
            r"cost, diff.*, domains",
        ),
        ({"kind": "against"}, r"figures\[0\]: a figure of kind 'against' lacks x; it takes x, name, title"),
        (
            {"kind": "domains", "to": "a"},
            r"figures\[0\]: a figure of kind 'domains' has the unknown key to; it takes title",
        ),
        ("cost", r"figures\[0\] is 'cost'; it should be an object with a kind"),
        (
            {"kind": "differences", "to": "a", "metrics": "acc_shared_tail"},
            r"metrics = 'acc_shared_tail' should be a list of metrics",
        ),
        (
            {"kind": "differences", "to": "a", "metrics": ["acc_tail"]},
            r"metrics: acc_tail unknown; known metrics are acc_personal_own, ",
        ),
        ({"kind": "groups", "to": "b"}, r"to = 'b' is no entry of GRID; these are a"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_named(tmp_path: Path, figure: Any, said: str) -> None:
    results = Recipe(tmp_path, {"even": {}}, [figure], ["a"]).open()
    with pytest.raises(ValueError, match=said):
        recipes.parse(results.meta["figures"], results.meta["grid"], "run.json: figures")


@pytest.mark.parametrize("done", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_half_finished_recipe_does_not_fail(tmp_path: Path, done: int, seeds: int) -> None:
    places = {
        f"even, {n} clients": {"scenario": {"name": "even", "clients": n}, "training": {"batch": 8}}
        for n in (5, 10)
    }
    made = Recipe(
        tmp_path,
        places,
        ALL,
        ["plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot"],
        SEEDS[:seeds],
    )
    planned = [
        (label, scenario)
        for scenario in places
        for label in ("plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot")
    ]
    for label, scenario in planned[:done]:
        value = at(0.7)
        lam = float(label.split()[-1]) if "lambda" in label else 0.1
        tested = [
            {"split": "test", "client": c, "acc_personal_own": 0.7, "acc_personal_global": 0.6}
            for c in range(4)
        ]
        made.trial(
            label,
            scenario,
            value,
            method="zeroshot" if label == "zeroshot" else "fedrsclip",
            settings={"lam": lam},
            parameters=0 if label == "zeroshot" else 256,
            clients=lambda _, rows=tested: rows,
        )  # type: ignore[misc]
    parts, said = drawn(made.open())
    assert len([p for p in parts if not isinstance(p, Table)]) == len(ALL)
    assert all(p.missing for p in parts) if done == 0 else any(not getattr(p, "missing", "") for p in parts)
    assert "interval None" not in " ".join(said) and "nan" not in " ".join(said)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def sweep_with(kind: str, folder: Path) -> Recipe:
    """A recipe with two confirmed entries that declares a figure of a user's."""
    made = Recipe(folder / "sweep", {"even": {}}, [{"kind": kind, "title": "Mine"}], ["good", "poor"])
    for label, value in (("good", 0.8), ("poor", 0.6)):
        made.trial(label, "even", at(value), method=label)
    return made


def exhibit_of(made: Recipe) -> Exhibit:
    """The figure as the page has it."""
    [answer] = recipes.answers(made.open())
    exhibit = answer.parts[0]
    assert isinstance(exhibit, Exhibit)
    return exhibit


def test_the_figure_of_a_new_file_is_drawn(tmp_path: Path) -> None:
    plugins.load_plugin(write_new("figure", "worst_clients", tmp_path))
    figure_kinds()
    exhibit = exhibit_of(sweep_with("worst_clients", tmp_path))
    assert not exhibit.missing and exhibit.title == "Mine" and "FROM trials" in exhibit.source
    assert exhibit.says.startswith("The worst client is best off with good under even: 60.0%")
    assert len(exhibit.panels[0].figure.axes[0].lines) == 2
    assert exhibit.numbers is not None and len(exhibit.numbers.rows) == 2


def test_a_fault_is_said_in_its_place(tmp_path: Path) -> None:
    path = write_new("figure", "worst_clients", tmp_path)
    path.write_text(path.read_text().replace("FROM trials", "FROM trails"))
    plugins.load_plugin(path)
    figure_kinds()
    assert "could not be drawn: CatalogException" in exhibit_of(sweep_with("worst_clients", tmp_path)).missing
    assert main(["check", str(path)]) == 2


def test_without_its_plug_in_the_page_says_what_to_give(tmp_path: Path) -> None:
    made = sweep_with("worst_clients", tmp_path)
    assert f"raysim report {made.folder} --plugin FILE" in exhibit_of(made).missing
    assert main(["report", str(made.folder)]) == 0
    assert "comes from a plug-in that was not given" in (made.folder / "report/index.md").read_text()


FIGURE = """
from raysim import REPORT_FIGURES, ReportFigure

class Mine(ReportFigure):
    name = "differences"
    sql = "SELECT 1 AS x"
    def draw(self, rows, declared):
        return None

REPORT_FIGURES.add(Mine)
"""


def test_a_figure_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    plugins.load_plugin(write_plugin(tmp_path, "taken", FIGURE))
    with pytest.raises(UserError, match="figure 'differences': this name belongs to a built-in kind"):
        figure_kinds()
    plugins.unload(str(tmp_path / "taken.py"))
    for old, new, said in (
        ("    sql = ", "    text = ", "lacks sql"),
        ("def draw", "def paint", "lacks draw"),
    ):
        with pytest.raises(UserError, match=said):
            plugins.load_plugin(write_plugin(tmp_path, "lacking", FIGURE.replace(old, new)))
