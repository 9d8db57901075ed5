"""The page of a sweep that runs is written again and again, by one child of low priority at a time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.storage.report import Refresher, analysis_module, write_report
from tests.fakes import results as fake_results


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """A shell script in place of Python: it notes each start with nice value and arguments."""
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


def test_a_refresher_starts_one_child_of_low_priority_at_a_time(
    command: Callable[[str], Path], tmp_path: Path
) -> None:
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


def test_a_page_that_takes_long_is_written_seldom(command: Callable[[str], Path], tmp_path: Path) -> None:
    log = command("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")  # some tenths of a second of CPU
    refresher = Refresher(tmp_path, every=0.0)
    refresher.touch()
    wait_for(lambda: len(starts(log)) == 1)
    child = refresher._child
    wait_for(lambda: child is not None and child.poll() is not None)
    ended = time.monotonic()
    wait_for(lambda: refresher.touch() or len(starts(log)) == 2)  # type: ignore[func-returns-value]
    assert time.monotonic() - ended > 4 * refresher._page_seconds > 0
    refresher.close()


def test_a_refresher_leaves_no_child_behind_and_never_raises(
    command: Callable[[str], Path], tmp_path: Path
) -> None:
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


def test_a_fault_of_a_page_is_not_the_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(results: object) -> None:
        raise ValueError("not enough values to unpack")

    folder = fake_results.fake_run(tmp_path / "run")
    monkeypatch.setattr(analysis_module("report"), "verdict_tables", broken)
    with pytest.raises(ValueError, match="to unpack"):
        write_report(folder)
    with pytest.raises(UserError, match="no such folder"):
        write_report(tmp_path / "none")
