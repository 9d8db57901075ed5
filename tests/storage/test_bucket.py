"""Results that are copied to an address while they are written; `file://` stands for a bucket."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from raysim.api.experiments import result_folder
from raysim.api.run import run
from raysim.core.errors import UserError
from raysim.core.types import RoundRecord
from raysim.storage import bucket
from raysim.storage.address import MARK, address_of, copied_to, local_name
from raysim.storage.bucket import Bucket, copying
from raysim.storage.files import lock_folder, read_record

RUN = {"method": "promptfl", "task.shots": 8, "scenario.clients": 2, "rounds": 3}


def place(tmp_path: Path) -> Bucket:
    opened = Bucket(tmp_path / "here", f"file://{tmp_path}/there")
    opened.open()
    return opened


def tree(folder: Path) -> dict[str, bytes]:
    """The files of a folder that belong to the result."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def wait_for(path: Path) -> None:
    """Return when a file is there."""
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        (Path("s3://bucket/a"), "s3://bucket/a"),
        (Path("file:///a/b"), "file:///a/b"),
        ("gs://bucket/a?x=1", "gs://bucket/a?x=1"),
        ("results/a", ""),
        ("/a:b/c", ""),
        ("C:/a", ""),
    ],
)
def test_an_address_is_told_from_a_folder(given: str | Path, address: str) -> None:
    assert address_of(given) == address


@pytest.mark.parametrize("given", ["hdfs://host/a", "http://host/a", "s3://"])
def test_other_addresses_are_refused_with_those_that_are_allowed(given: str) -> None:
    with pytest.raises(UserError, match=r"^--out .*: it should be a folder, or an address of s3://, gs://"):
        address_of(given)


def test_names_of_local_copies() -> None:
    assert local_name("s3://my-bucket/a/b?region=x") == "s3-my-bucket-a-b"


def test_what_changed_is_copied_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    opened = place(tmp_path)
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "tables").mkdir()
    for name in ("a.parquet", "tables/b.parquet", "run.json", ".hidden", ".run.json.12"):
        (here / name).write_text(name)
    opened.copy()
    assert tree(there) == tree(here) and len(tree(there)) == 4
    (here / "run.json").write_text("other")
    (here / "a.parquet").unlink()
    before = (there / "tables/b.parquet").stat().st_mtime_ns
    opened.copy()
    assert tree(there) == tree(here) and (there / "tables/b.parquet").stat().st_mtime_ns == before


def test_records_are_copied_after_the_files_that_they_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that changes while files are copied waits for the next copy, which has its files."""
    opened = place(tmp_path)
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "1.safetensors").write_text("1")
    (here / "manifest.json").write_text("1")
    order: list[str] = []
    write = Bucket._write

    def while_it_runs(self: Bucket, name: str, data: bytes) -> None:
        order.append(name)
        if name == "1.safetensors":
            (here / "2.safetensors").write_text("2")
            (here / "manifest.json").write_text("2")
        write(self, name, data)

    monkeypatch.setattr(Bucket, "_write", while_it_runs)
    opened.copy()
    assert order == ["1.safetensors", "manifest.json"]
    assert (there / "manifest.json").read_text() == "1" and not (there / "2.safetensors").exists()
    opened.copy()
    assert order[2:] == ["2.safetensors", "manifest.json"] and tree(there) == tree(here)


def test_a_file_that_is_removed_meanwhile_starts_the_copy_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record may name what took its place."""
    opened = place(tmp_path)
    here, there = tmp_path / "here", tmp_path / "there"
    for name in ("1.safetensors", "2.safetensors", "manifest.json"):
        (here / name).write_text("1")
    write, removed = Bucket._write, []

    def while_it_runs(self: Bucket, name: str, data: bytes) -> None:
        if not removed:
            removed.append(name)
            (here / "2.safetensors").unlink()
            (here / "3.safetensors").write_text("3")
            (here / "manifest.json").write_text("3")
        write(self, name, data)

    monkeypatch.setattr(Bucket, "_write", while_it_runs)
    opened.copy()
    assert tree(there) == tree(here) and (there / "manifest.json").read_text() == "3"


def test_another_machine_fetches_what_was_copied(tmp_path: Path) -> None:
    opened = place(tmp_path)
    (tmp_path / "here/run.json").write_text("{}")
    opened.copy()
    shutil.rmtree(tmp_path / "here")
    Bucket(tmp_path / "here", opened.address).open()
    assert (tmp_path / "here/run.json").read_text() == "{}"
    assert not list(tmp_path.glob(".*"))


def test_who_finds_the_address_taken_over_leaves_it_alone(tmp_path: Path) -> None:
    first = place(tmp_path)
    (tmp_path / "here/run.json").write_text("1")
    first.copy()
    second = Bucket(tmp_path / "elsewhere", first.address)
    second.open()
    (tmp_path / "elsewhere/run.json").write_text("2")
    second.copy()
    (tmp_path / "here/run.json").write_text("3")
    with pytest.raises(OSError, match=r"it belongs to .* now"):
        first.copy()
    with pytest.raises(UserError, match=r"has written to it since; remove .*here, its copy on this machine"):
        first.open()
    assert (tmp_path / "there/run.json").read_text() == "2"


def test_an_address_that_is_empty_again_gets_everything_again(tmp_path: Path) -> None:
    opened = place(tmp_path)
    (tmp_path / "here/run.json").write_text("1")
    opened.copy()
    shutil.rmtree(tmp_path / "there")
    place(tmp_path).copy()
    assert tree(tmp_path / "there") == tree(tmp_path / "here") and len(tree(tmp_path / "there")) == 2


def test_a_kill_while_the_address_is_taken_over_loses_nothing(tmp_path: Path) -> None:
    opened = place(tmp_path)
    (tmp_path / "here/run.json").write_text("1")
    opened.copy()
    before = (tmp_path / "there" / MARK).read_bytes()
    place(tmp_path)
    (tmp_path / "there" / MARK).write_bytes(before)  # only this machine was told
    place(tmp_path).copy()
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_a_network_that_is_away_for_a_while_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place(tmp_path)
    asked = Bucket._mark_there
    answers = iter([OSError("no route to host")] * 3)

    def sometimes(self: Bucket) -> object:
        if error := next(answers, None):
            raise error
        return asked(self)

    monkeypatch.setattr(bucket, "SECONDS", 0.02)
    monkeypatch.setattr(Bucket, "_mark_there", sometimes)
    with copying(tmp_path / "here"):
        (tmp_path / "here/a.parquet").write_text("a")
        wait_for(tmp_path / "there/a.parquet")
    assert caplog.text.count("not copied: no route to host") == 1


def test_a_file_that_somebody_removed_at_the_address_is_no_obstacle(tmp_path: Path) -> None:
    opened = place(tmp_path)
    (tmp_path / "here/a.parquet").write_text("a")
    opened.copy()
    (tmp_path / "here/a.parquet").unlink()
    (tmp_path / "there/a.parquet").unlink()
    (tmp_path / "here/b.parquet").write_text("b")
    opened.copy()
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_a_damaged_mark_at_the_address_ends_no_copying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place(tmp_path)
    mark = tmp_path / "there" / MARK
    whole = mark.read_bytes()
    monkeypatch.setattr(bucket, "SECONDS", 0.02)
    with copying(tmp_path / "here"):
        mark.write_text("{")
        end = time.monotonic() + 20
        while "not copied: " not in caplog.text:
            assert time.monotonic() < end
            time.sleep(0.02)
        mark.write_bytes(whole)
        (tmp_path / "here/a.parquet").write_text("a")
        wait_for(tmp_path / "there/a.parquet")


def test_a_damaged_mark_is_told(tmp_path: Path) -> None:
    place(tmp_path)
    (tmp_path / "here" / MARK).write_text("{")
    with pytest.raises(UserError, match=r"here/copy.json: is damaged .*; remove it to copy no more"):
        copied_to(tmp_path / "here")


def test_a_folder_that_is_no_copy_is_left_alone(tmp_path: Path) -> None:
    opened = place(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"other is in the way, which is no copy of it"):
        Bucket(other, opened.address).open()
    assert (other / "mine.txt").read_text() == "mine"


def test_an_address_that_holds_other_files_is_refused(tmp_path: Path) -> None:
    """A copy removes what is not in its folder; so nothing of others may lie there."""
    there = tmp_path / "there"
    (there / "thesis").mkdir(parents=True)
    (there / "thesis/photos.tar").write_text("mine")
    with pytest.raises(UserError, match=r"it holds files that are no result .*thesis/photos.tar; give"):
        Bucket(tmp_path / "here", f"file://{there}").open()
    assert tree(there) == {"thesis/photos.tar": b"mine"} and not (tmp_path / "here").exists()


def test_results_at_one_address_do_not_lie_inside_of_each_other(tmp_path: Path) -> None:
    opened = place(tmp_path)
    (tmp_path / "here/run.json").write_text("1")
    opened.copy()
    for address in (f"{opened.address}/a/b", f"file://{tmp_path}"):
        with pytest.raises(UserError, match=r"it lies inside of another result|it holds files that are no"):
            Bucket(tmp_path / "other", address).open()
    assert len(tree(tmp_path / "there")) == 2


def test_a_folder_is_the_copy_of_one_address(tmp_path: Path) -> None:
    opened = place(tmp_path)
    mark = (tmp_path / "here" / MARK).read_bytes()
    with pytest.raises(UserError, match=r"/other: .*/here on this machine is the copy of file://.*/there"):
        Bucket(tmp_path / "here", f"file://{tmp_path}/other").open()
    assert (tmp_path / "here" / MARK).read_bytes() == mark and not (tmp_path / "other").exists()
    Bucket(tmp_path / "here", f"{opened.address}?").open()  # settings of the connection may change


def test_what_a_killed_fetch_left_is_no_result(tmp_path: Path) -> None:
    opened = place(tmp_path)
    (tmp_path / "here/run.json").write_text("1")
    opened.copy()
    shutil.rmtree(tmp_path / "here")
    (tmp_path / ".here.fetched").mkdir()
    (tmp_path / ".here.fetched/old.parquet").write_text("old")
    place(tmp_path)
    assert set(tree(tmp_path / "here")) == {"run.json", MARK}


def test_a_process_that_writes_keeps_the_address(tmp_path: Path) -> None:
    opened = place(tmp_path)
    lock = lock_folder(tmp_path / "here")
    with pytest.raises(UserError, match="another process is writing there"):
        Bucket(tmp_path / "here", opened.address).open()
    lock.release()
    opened.copy()  # it is still the owner


def test_an_address_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^--out file://.*/file/x: it cannot be (read|written): "):
        Bucket(tmp_path / "here", f"file://{tmp_path}/file/x").open()


def test_copies_are_made_meanwhile_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "SECONDS", 0.02)
    opened = place(tmp_path)
    with copying(tmp_path / "here"):
        (tmp_path / "here/a.parquet").write_text("a")
        wait_for(tmp_path / "there/a.parquet")
        (tmp_path / "here/b.parquet").write_text("b")
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    assert opened.address.endswith("/there")


def test_a_last_copy_that_fails_is_told_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path)

    def fails(self: Bucket) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(Bucket, "copy", fails)
    message = (
        r"the last copy failed \(no route to host\); the results are whole in .*here, and the same command"
    )
    with pytest.raises(UserError, match=message), copying(tmp_path / "here"):
        (tmp_path / "here/a.parquet").write_text("a")
    assert (tmp_path / "here/a.parquet").read_text() == "a"
    with pytest.raises(ZeroDivisionError), copying(tmp_path / "here"):  # what went wrong first is told
        raise ZeroDivisionError


def test_a_folder_without_an_address_is_not_copied(tmp_path: Path) -> None:
    with copying(tmp_path):
        pass
    assert result_folder(tmp_path, "x", False) == tmp_path and not list(tmp_path.iterdir())


def test_a_run_goes_on_on_another_machine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two rounds here, the third elsewhere: the same bits as three rounds in one place."""
    address, there = f"file://{home}/there/run", home / "there/run"

    def interrupted(record: RoundRecord) -> None:
        if record.round == 2:
            raise KeyboardInterrupt

    whole = run(RUN, out=home / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        run(RUN, out=address, progress=False, on_round=interrupted)
    [here] = (home / "results").iterdir()
    assert not capsys.readouterr().err
    assert result_folder(address, "x", True) == Path("results") / here.name
    assert f"results are written to results/{here.name} and copied to {address}" in capsys.readouterr().err
    assert tree(there) == tree(here) and json.loads((there / MARK).read_text())["address"] == address
    with pytest.raises(UserError, match=r"holds this run already \(interrupted\); use --resume"):
        run(RUN, out=address, progress=False)
    shutil.rmtree(here)  # the machine is lost
    again = run(RUN, out=address, progress=False, resume=True)
    assert again.summary["state_sha256"] == whole.summary["state_sha256"]
    assert tree(there) == tree(here) and read_record(there)["status"] == "done"
    assert copied_to(again.out) == address  # named by its folder, it is copied, too
    (there / "run.json").unlink()
    assert run(RUN, out=again.out, progress=False).out == again.out
    assert tree(there) == tree(here)
