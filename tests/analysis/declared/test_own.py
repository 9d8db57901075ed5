"""A figure that a user adds is drawn with its numbers; a fault of it is said in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import declared
from analysis.look.page import Exhibit
from raysim.cli.main import main
from raysim.cli.new import write_new
from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.storage.report import figure_kinds
from tests.fakes.plugin import write_plugin
from tests.fakes.recipe import Recipe, at

pytestmark = pytest.mark.usefixtures("no_plugin_stays")


def sweep_with(kind: str, folder: Path) -> Recipe:
    """A recipe with two confirmed entries that declares a figure of a user's."""
    made = Recipe(folder / "sweep", {"even": {}}, [{"kind": kind, "title": "Mine"}], ["good", "poor"])
    for label, value in (("good", 0.8), ("poor", 0.6)):
        made.trial(label, "even", at(value), method=label)
    return made


def exhibit_of(made: Recipe) -> Exhibit:
    """The figure as the page has it."""
    [answer] = declared.answers(made.open())
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
