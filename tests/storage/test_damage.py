"""A damaged file of a run is named, or the run goes on from what is whole, with the same bits."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analysis.read.files import is_intact as is_intact_for_analysis
from raysim.cli.main import main
from raysim.core.errors import DamagedFile, UserError
from raysim.engines.serial import Serial
from raysim.simulation.rounds import Simulation
from raysim.storage import vault
from raysim.storage.files import lock_folder, read_record
from raysim.storage.seal import is_intact
from raysim.storage.store import Store
from tests.experiments import small

SETTINGS = {"rounds": 3, "evaluation__every": 1, "scenario": "even", "scenario__clients": 3, "task__shots": 4}
EXPERIMENT = small(**SETTINGS)
BY_RAYSIM = {".parquet", ".safetensors", ".json"}


def flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "a flipped bit": flip,
    "half of it": lambda data, _: data[: len(data) // 2],
    "gone": lambda data, _: None,
}


def resumed(folder: Path) -> str:
    simulation = Simulation(EXPERIMENT, Serial(), Store(folder, EXPERIMENT)).open(resume=True)
    list(simulation.rounds())
    return str(simulation.result()["state_sha256"])


@pytest.fixture(scope="module", params=["small states", "large states"])
def unfinished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    """A run that was killed after round 2 of 3, and the digest of its undisturbed end."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "large states":
            patch.setattr(vault, "LARGE", 0)
        folder, whole = tmp_path_factory.mktemp("damage") / "run", tmp_path_factory.mktemp("whole")
        for record in Simulation(EXPERIMENT, Serial(), Store(folder, EXPERIMENT)).open().rounds():
            if record.round == 2:
                break
        yield folder, resumed(whole)


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_damaged_the_answer_is_the_same_or_an_error_that_names_it(
    damage: str, unfinished: tuple[Path, str], tmp_path: Path
) -> None:
    source, expected = unfinished
    draw, ends = random.Random(7), {"same": 0, "named": 0}
    # one of each kind: of the tables the first part, of the others the last file
    kinds: dict[object, Path] = {}
    for file in sorted(source.rglob("*")):
        if file.suffix == ".parquet":
            kinds.setdefault(file.parent, file)
        else:
            kinds[file if file.suffix == ".json" else (file.parent, file.suffix)] = file
    for file in kinds.values():
        if file.suffix not in BY_RAYSIM:
            continue
        folder, name = tmp_path / "run", file.relative_to(source)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        data = DAMAGES[damage](file.read_bytes(), draw)
        (folder / name).unlink()
        if data is not None:
            (folder / name).write_bytes(data)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        try:
            assert resumed(folder) == expected, name
            ends["same"] += 1
        except DamagedFile as error:
            assert str(folder / name) in str(error) or str((folder / name).parent) in str(error), name
            assert all(path.read_bytes() == content for path, content in before.items()), name
            ends["named"] += 1
    assert ends["same"] >= 2 and ends["named"] >= 2, ends


def test_a_run_without_its_manifests_is_left_alone(unfinished: tuple[Path, str], tmp_path: Path) -> None:
    folder = shutil.copytree(unfinished[0], tmp_path / "run")
    for name in ("manifest.json", "flushed.json"):
        (folder / "checkpoints" / name).unlink()
    parts = sorted(folder.rglob("*.parquet"))
    with pytest.raises(DamagedFile, match=r"manifest\.json is damaged \(it is missing, and the tables hold"):
        resumed(folder)
    assert sorted(folder.rglob("*.parquet")) == parts


def test_a_manifest_names_no_file_outside_of_its_folder(unfinished: tuple[Path, str], tmp_path: Path) -> None:
    folder = shutil.copytree(unfinished[0], tmp_path / "run")
    (folder / "checkpoints/flushed.json").unlink()
    path = folder / "checkpoints/manifest.json"
    values = json.loads(path.read_text())
    values.pop("raysim_sha256")  # somebody who writes a manifest can also leave out its digest
    path.write_text(json.dumps({**values, "state": "../../elsewhere.safetensors"}))
    with pytest.raises(DamagedFile, match="is no manifest of a run"):
        resumed(folder)


def test_files_of_a_later_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema": 99, "kind": "run", "status": "done"}))
    with pytest.raises(UserError, match=r"run\.json: is of a later raysim \(version 99"):
        Store(tmp_path, EXPERIMENT).described()


def test_both_readers_know_the_seal(unfinished: tuple[Path, str]) -> None:
    draw = random.Random(3)
    sealed = [path.read_bytes() for path in unfinished[0].rglob("*") if path.suffix in (".parquet", ".json")]
    for data in sealed:
        assert b"raysim_sha256" in data and is_intact(data) and is_intact_for_analysis(data)
        key = data.rfind(b"raysim_sha256")
        for _ in range(20):
            place = draw.randrange(key)  # a changed key is an older file, and what it seals is whole
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            assert not is_intact(changed) and not is_intact_for_analysis(changed)


def test_the_report_names_a_changed_part_on_the_page(
    unfinished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(unfinished[0], tmp_path / "run")
    Store(folder, EXPERIMENT).describe({"status": "interrupted"})
    part = sorted((folder / "tables/clients").glob("*.parquet"))[-1]
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 4
    part.write_bytes(data)
    assert main(["report", str(folder)]) == 0
    page = (folder / "report/index.html").read_text()
    assert "Left out because they cannot be read" in page and part.name in page


def test_a_changed_run_json_is_named_with_the_way_out(
    unfinished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(unfinished[0], tmp_path / "run")
    path = folder / "run.json"
    path.write_text(path.read_text().replace("fedrsclip", "fedrsclap"))
    with pytest.raises(DamagedFile, match=r"run\.json is damaged .*; undo the change or put a copy"):
        resumed(folder)
    assert main(["report", str(folder)]) == 2
    assert "run.json" in capsys.readouterr().err


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same federation with another seed, after two rounds."""
    folder, experiment = tmp_path_factory.mktemp("other") / "run", small(**{**SETTINGS, "seed": 1})
    for record in Simulation(experiment, Serial(), Store(folder, experiment)).open().rounds():
        if record.round == 2:
            break
    return folder


def test_files_in_a_linked_vault_that_are_not_raysims_stay(
    unfinished: tuple[Path, str], tmp_path: Path
) -> None:
    folder, elsewhere = shutil.copytree(unfinished[0], tmp_path / "run"), tmp_path / "elsewhere"
    vault_folder = folder / "checkpoints/private"
    vault_folder.mkdir(exist_ok=True)
    shutil.move(vault_folder, elsewhere)
    (elsewhere / "precious.txt").write_text("mine")
    (elsewhere / "folder").mkdir()
    vault_folder.symlink_to(elsewhere)
    assert resumed(folder) == unfinished[1]
    assert (elsewhere / "precious.txt").read_text() == "mine" and (elsewhere / "folder").is_dir()


@pytest.mark.parametrize("names", [("manifest.json", "flushed.json"), ("flushed.json",)])
def test_checkpoints_of_another_run_are_refused(
    names: tuple[str, ...], unfinished: tuple[Path, str], other_run: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(unfinished[0], tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    shutil.copytree(other_run / "checkpoints", folder / "checkpoints")
    for name in {"manifest.json", "flushed.json"} - set(names):
        (folder / "checkpoints" / name).unlink()
    before = contents(folder)
    with pytest.raises(DamagedFile, match=r"\.json is damaged \(it is of run [0-9a-f]{12}, not of "):
        resumed(folder)
    assert contents(folder) == before


def test_a_part_with_the_rows_of_another_run_is_refused(
    unfinished: tuple[Path, str], other_run: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(unfinished[0], tmp_path / "run")
    part, foreign = (
        next((f / "tables/rounds").glob("*-000001-validation.parquet")) for f in (folder, other_run)
    )
    shutil.copy(foreign, part)
    try:
        assert resumed(folder) == unfinished[1]  # from a round before, where the disk has stored one
    except DamagedFile as error:
        assert "its rows are of another run" in str(error) and str(part) in str(error)


@pytest.mark.parametrize("what", ["folder", "link"])
@pytest.mark.parametrize("name", ["checkpoints/manifest.json", "partition.parquet", "run.json", "a part"])
def test_what_is_no_file_is_named_before_anything_is_removed(
    what: str, name: str, unfinished: tuple[Path, str], tmp_path: Path
) -> None:
    folder = shutil.copytree(unfinished[0], tmp_path / "run")
    parts = sorted((folder / "tables/clients").glob("*.parquet"))
    path = parts[-1] if name == "a part" else folder / name
    path.unlink(missing_ok=True)
    path.mkdir() if what == "folder" else path.symlink_to(tmp_path / "nowhere")
    before = contents(folder)
    words = "it is a folder, not a file" if what == "folder" else "it is a link that leads nowhere"
    with pytest.raises(DamagedFile, match=words):
        resumed(folder)
    assert contents(folder) == before


def test_json_that_no_parser_reads_is_named_without_its_words(tmp_path: Path) -> None:
    for text in ("[" * 100_000, "{", "\xff"):
        (tmp_path / "run.json").write_text(text, encoding="latin-1")
        with pytest.raises(
            DamagedFile, match=r"run\.json is damaged \(it is no JSON(, at line 1, column \d+)?\)"
        ):
            read_record(tmp_path)
    for version in ("x", None, 2.5, True, -1):
        (tmp_path / "run.json").write_text(json.dumps({"schema": version}))
        with pytest.raises(DamagedFile, match="should be a whole number from 1"):
            read_record(tmp_path)


def test_a_folder_that_cannot_be_locked_or_named_is_a_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "run/.lock").mkdir(parents=True)
    with pytest.raises(UserError, match=r"\.lock: cannot be locked"):
        lock_folder(tmp_path / "run")
    with pytest.raises(UserError, match="is no name in UTF-8"):
        lock_folder(tmp_path / os.fsdecode(b"bad\xff"))
