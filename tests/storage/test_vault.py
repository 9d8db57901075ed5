"""Large private states: files named by content, and the same answer as with small states."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from raysim.core.types import StoredState
from raysim.engines.serial import Serial
from raysim.simulation.rounds import Simulation
from raysim.storage import vault
from raysim.storage.store import Store
from tests.experiments import small


def test_small_travels_large_is_kept(tmp_path: Path) -> None:
    little = {"p": torch.zeros(4)}
    assert vault.keep(little, str(tmp_path)) is little and not list(tmp_path.iterdir())
    large = {"p": torch.arange(vault.LARGE // 4 + 1, dtype=torch.float32), "q": torch.ones(2, 2).T}
    kept = vault.keep(large, str(tmp_path))
    assert kept == StoredState(vault.digest_of(large)) == vault.keep(large, str(tmp_path))
    assert [file.stem for file in tmp_path.iterdir()] == [kept.digest]
    back = vault.fetch(kept, tmp_path)
    assert (
        all(torch.equal(back[name], large[name]) for name in large) and vault.digest_of(back) == kept.digest
    )


@pytest.mark.parametrize("content", [b"", b"half"])
def test_a_file_that_a_power_cut_left_is_written_again(content: bytes, tmp_path: Path) -> None:
    large = {"p": torch.arange(vault.LARGE, dtype=torch.float32)}
    file = vault.file_of(tmp_path, vault.digest_of(large))
    file.write_bytes(content)
    assert torch.equal(vault.fetch(vault.keep(large, str(tmp_path)), tmp_path)["p"], large["p"])


def test_a_power_cut_in_a_round_ends_no_run(
    simulate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round after the last flush is repeated, although the disk has kept empty files of its states."""
    monkeypatch.setattr(vault, "LARGE", 0)
    experiment = small(rounds=3)
    whole: Simulation = simulate(experiment, folder=tmp_path / "whole")
    folder = tmp_path / "cut"
    for record in Simulation(experiment, Serial(), Store(folder, experiment)).open().rounds():
        if record.round == 1:
            stored = shutil.copytree(folder, tmp_path / "stored")
        if record.round == 2:
            break
    private = "checkpoints/private"
    later = {path.name for path in (folder / private).iterdir()} - {*os.listdir(stored / private)}
    assert later
    for name in later:
        (stored / private / name).touch()
    resumed: Simulation = simulate(experiment, folder=stored, resume=True)
    assert resumed.result()["state_sha256"] == whole.result()["state_sha256"]


@pytest.mark.parametrize("participation", [1.0, 0.6])
def test_the_answer_is_the_same_and_old_states_are_collected(
    participation: float, simulate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small(rounds=4, participation=participation)
    plain: Simulation = simulate(experiment)
    monkeypatch.setattr(vault, "LARGE", 0)
    folder = tmp_path / "kept"
    for record in Simulation(experiment, Serial(), Store(folder, experiment)).open().rounds():
        files = list((folder / "checkpoints/private").glob("*"))
        manifests = [folder / "checkpoints" / name for name in ("manifest.json", "flushed.json")]
        texts = [path.read_text() for path in manifests if path.exists()]
        assert all(any(file.stem in text for text in texts) for file in files)
        assert len(files) <= 10  # five clients, of two rounds
        if record.round == 2:
            break
    resumed: Simulation = simulate(experiment, folder=folder, resume=True)
    assert all(isinstance(private, StoredState) for private in resumed.privates.values())
    assert resumed.result()["state_sha256"] == plain.result()["state_sha256"]
    names = {file.stem for file in (folder / "checkpoints/private").iterdir()}
    assert names == {vault.digest_of(private) for private in plain.privates.values()}
    assert not any(
        "private/" in key
        for file in (folder / "checkpoints").glob("*.safetensors")
        for key in vault.read_tensors(file)
    )


def test_a_fresh_start_forgets_the_states(
    simulate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault, "LARGE", 0)
    experiment = small(rounds=1)
    simulate(experiment, folder=tmp_path / "run")
    first = {file.stem for file in (tmp_path / "run/checkpoints/private").iterdir()}
    Store(tmp_path / "run", experiment).clear()
    assert first and not (tmp_path / "run/checkpoints/private").exists()
