"""The files of a report: figures, repeatable pages, escaped names, pages of a running sweep."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from analysis import write_report
from analysis.look.page import Exhibit
from analysis.pages.sweep_page import sweep_page
from analysis.read.results import NoResult, open_results
from analysis.report import pages_of
from tests.fakes import results as fake_results
from tests.fakes import tables as fake_tables


def test_figures_are_files_of_text_and_vectors(reported_sweep: Path) -> None:
    files = sorted((reported_sweep / "report" / "figures").glob("*.svg"))
    drawn = [
        panel.key
        for part in sweep_page(open_results(reported_sweep)).parts()
        if isinstance(part, Exhibit)
        for panel in part.panels
    ]
    beside = [
        panel.key
        for page in pages_of(open_results(reported_sweep))
        for part in page.parts()
        if isinstance(part, Exhibit)
        for panel in part.panels
    ]
    assert {file.stem for file in files} == set(beside) >= set(drawn) and len(drawn) == len(set(drawn)) >= 20
    for file in files:
        root = ET.parse(file).getroot()
        assert root.tag.endswith("svg") and any(e.tag.endswith("text") for e in root.iter())
    assert (
        "fedrsclip (tuned)"
        in (reported_sweep / "report" / "figures" / "methods-acc-personal-own.svg").read_text()
    )


def test_report_is_the_same_each_time(reported_sweep: Path) -> None:
    import matplotlib

    first, settings = (reported_sweep / "report" / "index.html").read_bytes(), dict(matplotlib.rcParams)
    (reported_sweep / "report" / "figures" / "stale.svg").write_text("left by an earlier report")
    assert write_report(reported_sweep).read_bytes() == first
    assert not (reported_sweep / "report" / "figures" / "stale.svg").exists()
    assert dict(matplotlib.rcParams) == settings


def test_names_are_escaped_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "<script>alert(1)</script> & $x_1$ %"
    classes = (evil, *fake_tables.CLASSES[1:])
    for module in (fake_results, fake_tables):
        monkeypatch.setattr(module, "CLASSES", classes)
    folder = fake_results.fake_run(tmp_path, rounds=2)
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "label": evil, "command": evil}))
    page = write_report(folder).read_text(encoding="utf-8")
    assert page.count("<script") == 1 and page.count("&lt;script&gt;") >= 5
    root = ET.parse(folder / "report" / "figures" / "classes.svg").getroot()
    drawn = ["".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("text")]
    assert evil in drawn  # and no mathematics made of it


def test_what_is_no_result_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        write_report(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"no run\.json"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text('{"kind": "cake"}')
    with pytest.raises(ValueError, match="'cake', should be 'run', 'sweep' or 'stress'"):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


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
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            write_report(folder)
    assert (folder / "report" / "index.html").read_bytes() == first
    assert not [p for p in (folder / "report").rglob(".*")]


def test_a_report_is_written_through_no_link_and_over_no_folder(tmp_path: Path) -> None:
    folder, elsewhere = fake_results.fake_sweep(tmp_path / "s", search=1, stop=2, rounds=2), tmp_path / "mine"
    (elsewhere / "figures").mkdir(parents=True)
    (elsewhere / "figures/mine.svg").touch()
    (folder / "report").symlink_to(elsewhere)
    with pytest.raises(NoResult, match="is no folder of this result, but a link or a file; remove it"):
        write_report(folder)
    assert (elsewhere / "figures/mine.svg").exists()
    (folder / "report").unlink()
    (folder / "report/index.html").mkdir(parents=True)
    with pytest.raises(NoResult, match="is a folder, where a file of the report belongs"):
        write_report(folder)
