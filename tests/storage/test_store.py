"""The folder of a run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.core.plugins import PluginFile
from raysim.core.types import (
    MicroCohort,
    ServerState,
)
from raysim.engines.serial import Serial
from raysim.simulation.rounds import Simulation
from raysim.storage import vault
from raysim.storage.plugin_files import check_plugins, plugin_record
from raysim.storage.provenance import provenance
from raysim.storage.store import Store
from tests.experiments import small

Run = Callable[..., Simulation]


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "run", small()).open()
    with pytest.raises(UserError, match="holds run"):
        Store(tmp_path / "run", small(seed=5)).open()


def test_stale_checkpoints_are_collected(simulate: Run, tmp_path: Path) -> None:
    simulate(small(rounds=6), folder=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run/checkpoints").glob("round-*")] == [
        "round-000006.safetensors"
    ]
    state, privates, progress = Store(tmp_path / "run", small(rounds=6)).restore() or (
        ServerState(0, {}),
        {},
        {},
    )
    assert state.round == 6 and len(privates) == 5 and progress["totals"]["bytes_up"] > 0
    assert MicroCohort(0, (), ()).clients == ()


def test_a_store_that_is_not_opened_leaves_the_disk_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", small())
    assert not store.has_rounds and not store.finished and store.described() == {}
    assert not (tmp_path / "run").exists()


def test_a_cleared_run_is_gone_and_its_neighbours_stay(simulate: Run, tmp_path: Path) -> None:
    for seed in (0, 1):
        experiment = small(rounds=1, seed=seed)
        store = Store(tmp_path / str(seed), experiment, tmp_path / "tables")
        list(Simulation(experiment, Serial(), store).open().rounds())
    first = Store(tmp_path / "0", small(rounds=1, seed=0), tmp_path / "tables")
    assert first.finished and first.has_rounds
    first.clear()
    assert not first.finished and not first.has_rounds and store.finished and len(store.rounds()) == 2


def test_a_finished_run_without_its_private_states_starts_afresh_only_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault, "LARGE", 0)
    experiment = small(rounds=1)
    store = Store(tmp_path / "run", experiment)
    list(Simulation(experiment, Serial(), store).open().rounds())
    result = store.described()["result"]
    store.drop_vault()
    assert not store.finished and len(store.rounds()) == 2
    with pytest.raises(UserError, match="unfinished run"):
        Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open()
    assert len(store.rounds()) == 2
    again = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open(resume=True)
    assert [record.round for record in again.rounds()] == [0, 1]
    assert again.result()["state_sha256"] == result["state_sha256"]


def test_the_end_of_a_run_is_stored_before_its_tables_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A joined part is named after the last round; a run that goes on from an earlier one skips it."""
    experiment = small(rounds=3)
    store = Store(tmp_path / "run", experiment)

    def power_cut() -> None:
        flushed = store.checkpoints.manifest("flushed.json")
        assert flushed is not None and flushed["round"] == 3
        raise KeyboardInterrupt

    monkeypatch.setattr(store.tables, "compact", power_cut)
    monkeypatch.setattr("raysim.storage.checkpoints.FLUSH_SHARE", -1.0)  # the last round alone is stored
    with pytest.raises(KeyboardInterrupt):
        list(Simulation(experiment, Serial(), store).open().rounds())


def test_a_slow_git_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **options: float) -> None:
        raise subprocess.TimeoutExpired("git", options["timeout"])

    monkeypatch.setattr("raysim.storage.provenance.subprocess.run", slow)
    assert provenance("raysim run")["commit"] == ""


def test_two_plug_ins_may_have_one_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [PluginFile(str(tmp_path / name / "mine.py"), f"# {name}\n") for name in "ab"]
    monkeypatch.setattr("raysim.core.plugins.active", lambda: files)
    record = {"plugins": plugin_record()}
    check_plugins(tmp_path, record)
    monkeypatch.setattr("raysim.core.plugins.active", lambda: files[:1])
    with pytest.raises(UserError, match=rf"another text of the plug-in mine.py \({files[1].digest}, now"):
        check_plugins(tmp_path, record)
