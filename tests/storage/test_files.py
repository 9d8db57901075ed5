"""Result folders: opened, resumed, and locked by one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.storage.files import lock_folder, open_or_resume, read_record, write_json

NEW = {"id": "abc", "kind": "sweep", "title": "T"}


def test_a_new_folder_gets_the_new_record(tmp_path: Path) -> None:
    assert read_record(tmp_path) == {}
    for resume in (False, True):
        assert open_or_resume(tmp_path, NEW, identity="--seeds", resume=resume) == NEW
    assert not (tmp_path / "run.json").exists()


def test_a_folder_is_resumed_only_when_asked(tmp_path: Path) -> None:
    record = {**NEW, "status": "interrupted", "seconds": 3.0}
    write_json(tmp_path / "run.json", record)
    assert open_or_resume(tmp_path, NEW, identity="--seeds", resume=True) == record
    with pytest.raises(
        UserError, match=r"holds this sweep already \(interrupted\); continue it with --resume"
    ):
        open_or_resume(tmp_path, NEW, identity="--seeds", resume=False)


def test_another_sweep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"id": "old", "kind": "stress", "status": "done"}))
    with pytest.raises(
        UserError, match=r"holds stress old, this is sweep abc \(its id changes with --seeds\)"
    ):
        open_or_resume(tmp_path, NEW, identity="--seeds", resume=True)


def test_two_processes_may_not_write_one_folder(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from raysim.storage.files import lock_folder; "
        "lock_folder(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lock.release()
    assert "another process is writing there" in done.stderr
