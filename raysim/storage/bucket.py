"""Results in a bucket: a folder on this machine that is copied to its address while it is written.

Files are written here first, whole or not at all. They are copied in an order that leaves a result to go on
with at the address at every moment: tables and checkpoints, which have names of their own, then the records
that name them (`.json`, as they were before the others were looked for), then removals. So a machine that is
lost takes the last seconds with it at most: `--resume` fetches the rest elsewhere.

`copy.json` lies in both places. It holds the address and a token of the last writer. A process that finds
another token at the address than here leaves it alone.
"""

from __future__ import annotations

import json
import logging
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pyarrow import ArrowException, fs

from raysim.core.errors import UserError
from raysim.storage.address import MARK, Mark, copied_to, mark_of
from raysim.storage.files import first_line, lock_folder, write_json

SECONDS = 10.0  # between two copies
ATTEMPTS = 5  # of one copy, where files are removed while it is made
IMMUTABLE = (".parquet", ".safetensors", ".arrow")  # never written again under one name
FAILURES = (OSError, ArrowException, ValueError, TypeError, UserError)  # of a copy; the next one may not fail
LOG = logging.getLogger(__name__)


class Version(NamedTuple):
    """A version of a file on this machine: bytes, and nanoseconds of its last change."""

    size: int
    changed: int


class Bucket:
    """A folder, and its copy at an address."""

    def __init__(self, folder: Path, address: str) -> None:
        """Find the address.

        Args:
            folder: The folder on this machine.
            address: As `address_of` returns it.

        Raises:
            UserError: The address cannot be used.
        """
        self.folder, self.address = folder, address
        with self._explained("cannot be used"):
            self.filesystem, self.root = fs.FileSystem.from_uri(address)
        # files at the address -> what was copied there: a version of a file, or the bytes of a record
        self.copied: dict[str, Version | bytes | None] = {}
        self.folders: set[str] = set()  # folders at the address that were made

    def open(self) -> None:
        """Fetch what is at the address, unless this machine wrote it, and take the address over.

        Raises:
            UserError: Another machine has written to the address since, it holds other files, the folder is
                the copy of another address, or the address cannot be read or written.
        """
        here = mark_of(self.folder)
        with self._explained("cannot be read"):
            there = self._mark_there()
        if here is not None:
            if here.address.partition("?")[0] != self.address.partition("?")[0]:
                raise UserError(
                    f"--out {self.address}: {self.folder} on this machine is the copy of {here.address}; "
                    "give an address that differs in more than its punctuation"
                )
            lock_folder(self.folder).release()  # of a process that is writing there
            # a process that was killed while it took the address over has told only one of the two places
            if there is not None and there.writer not in (here.writer, here.before):
                raise UserError(
                    f"--out {self.address}: {there.host} has written to it since; remove {self.folder}, its "
                    "copy on this machine, or give another address"
                )
        if there is None:
            self._check_apart(may_hold_files=here is not None)
        elif here is None:
            self._fetch()
        before = there.writer if there else None
        mark = Mark(self.address, socket.gethostname(), uuid.uuid4().hex, before)
        with self._explained("cannot be written"):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / MARK, mark._asdict())
            self._write(MARK, (self.folder / MARK).read_bytes())

    def copy(self) -> None:
        """Copy what has changed since the last copy, and remove what is gone.

        Raises:
            One of `FAILURES`: The address does not answer or is damaged, or belongs to another process now.
        """
        for _ in range(ATTEMPTS):
            if self._copy():
                return
        raise OSError(f"files were removed during each of {ATTEMPTS} copies")

    @contextmanager
    def copying(self) -> Iterator[None]:
        """Copy from time to time, and once more at the end.

        Raises:
            UserError: The last copy failed; the results are whole on this machine.
        """
        done, problem = threading.Event(), ""
        with self._explained("cannot be read"):
            self._list()

        def often() -> None:
            warned = ""  # the reason of the last warning
            while not done.wait(SECONDS):
                try:
                    self.copy()
                    warned = ""  # the reason of the last warning
                except FAILURES as error:  # the network may come back
                    if (reason := first_line(error)) != warned:
                        LOG.warning("%s: not copied: %s", self.address, reason)
                    warned = reason

        thread = threading.Thread(target=often, name="copies to the bucket", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            try:
                self.copy()
            except FAILURES as error:
                problem = first_line(error)
                LOG.warning("%s: the last copy failed: %s", self.address, problem)
        if problem:
            raise UserError(
                f"--out {self.address}: the last copy failed ({problem}); the results are whole in "
                f"{self.folder}, and the same command with --resume copies them"
            )

    def _copy(self) -> bool:
        """Copy once; return whether all files were still there that the records may name."""
        self._check_owner()
        records = {name: self._read(name) for name in self._files() if name.endswith(".json")}
        files = {name: self._version(name) for name in self._files() if not name.endswith(".json")}
        for name, version in files.items():
            if version is None or self.copied.get(name) == version:
                continue
            data = self._read(name)
            if data is None:
                return False
            self._write(name, data)
            self.copied[name] = version
        if None in records.values() or any(self._version(name) is None for name in files):
            return False
        for name in sorted(records, key=lambda name: (name.endswith("run.json"), name)):
            data = records[name] or b""
            if name != MARK and self.copied.get(name) != data:
                self._write(name, data)
                self.copied[name] = data
        for name in self.copied.keys() - files.keys() - records.keys():
            with suppress(FileNotFoundError):  # somebody has removed it there
                self.filesystem.delete_file(f"{self.root}/{name}")
            del self.copied[name]
        return True

    def _files(self) -> list[str]:
        """Return the names of all files here; hidden ones are locks, or are being written."""
        paths = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return sorted(
            path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)
        )

    def _version(self, name: str) -> Version | None:
        try:
            status = (self.folder / name).stat()
        except FileNotFoundError:
            return None
        return Version(status.st_size, status.st_mtime_ns)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        path = f"{self.root}/{name}"
        if (folder := path.rpartition("/")[0]) not in self.folders:
            self.filesystem.create_dir(folder, recursive=True)
            self.folders.add(folder)
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(data)

    def _list(self) -> None:
        """Note which files of the address are those that are here."""
        selector = fs.FileSelector(self.root, allow_not_found=True, recursive=True)
        for info in self.filesystem.get_file_info(selector):
            name = info.path.removeprefix(self.root).lstrip("/")
            if info.type != fs.FileType.File or name == MARK:
                continue
            here = self._version(name)
            same = here is not None and here.size == info.size and name.endswith(IMMUTABLE)
            self.copied[name] = here if same else None

    def _check_apart(self, may_hold_files: bool) -> None:
        """Check that a new address shares no files with others: a copy removes what is not in its folder.

        Args:
            may_hold_files: Whether files at the address can be this folder's own.
        """
        for parent in PurePosixPath(self.root).parents:
            mark = fs.FileType.NotFound
            with suppress(*FAILURES):  # a user may have no rights outside of the address
                mark = self.filesystem.get_file_info(f"{parent}/{MARK}").type
            if mark != fs.FileType.NotFound:
                raise UserError(
                    f"--out {self.address}: it lies inside of another result ({parent}); give an address "
                    "beside it"
                )
        with self._explained("cannot be read"):
            selector = fs.FileSelector(self.root, allow_not_found=True, recursive=True)
            infos = self.filesystem.get_file_info(selector)
            files = [info.path for info in infos if info.type == fs.FileType.File]
        if files and not may_hold_files:
            raise UserError(
                f"--out {self.address}: it holds files that are no result of raysim, such as {files[0]}; "
                "give an address without files"
            )

    def _fetch(self) -> None:
        """Copy all files of the address to this machine, whole or not at all."""
        temporary = self.folder.with_name(f".{self.folder.name}.fetched")
        shutil.rmtree(temporary, ignore_errors=True)  # of a fetch that was killed
        with self._explained("cannot be read"):
            temporary.mkdir(parents=True)
            fs.copy_files(
                self.root,
                str(temporary),
                source_filesystem=self.filesystem,
                destination_filesystem=fs.LocalFileSystem(),
            )
        try:
            temporary.rename(self.folder)
        except OSError as error:
            raise UserError(
                f"--out {self.address}: {self.folder} is in the way, which is no copy of it: "
                f"{first_line(error)}"
            ) from None

    def _check_owner(self) -> None:
        if (mark := self._mark_there()) != mark_of(self.folder):
            raise OSError(f"it belongs to {mark.host if mark else 'nobody'} now")

    def _mark_there(self) -> Mark | None:
        path = f"{self.root}/{MARK}"
        if self.filesystem.get_file_info(path).type == fs.FileType.NotFound:
            return None
        with self.filesystem.open_input_stream(path) as stream:
            return Mark(**json.loads(stream.read()))

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Raise a `UserError` that names the address where the block fails."""
        try:
            yield
        except (*FAILURES, ImportError) as error:
            raise UserError(f"--out {self.address}: it {what}: {first_line(error)}") from None


@contextmanager
def copying(folder: Path) -> Iterator[None]:
    """Copy a folder of results to its address while it is written; nothing for one that has none."""
    if address := copied_to(folder):
        with Bucket(folder, address).copying():
            yield
    else:
        yield
