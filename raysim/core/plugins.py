"""Plug-ins: Python files outside the package that add methods, scenarios, datasets and others to it.

A plug-in file calls `add` of a registry (`raysim.METHODS.add`, see `raysim.core.registry`). It is executed
from its text, so that the text can travel to every process: the engines send the files of this process with
their first message, and `install` executes them there. The digest of a file is part of the identity of every
experiment that uses something of it.
"""

from __future__ import annotations

import hashlib
import json
import linecache
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from raysim.core.errors import UserError, why_unreadable

VARIABLE = "RAYSIM_PLUGINS"  # files that every process loads, separated as in PATH
DIGITS = 12  # of a digest
OWN = ("raysim", "analysis", "pydantic", "torch", "numpy")  # packages whose versions run.json has anyway
MAIN = "__main__"


@dataclass(frozen=True)
class PluginFile:
    """A plug-in file as it was when it was loaded.

    Attributes:
        path: Absolute path on the machine that loaded it first.
        source: Its text.
    """

    path: str
    source: str

    @property
    def name(self) -> str:
        """File name, for messages."""
        return Path(self.path).name

    @property
    def digest(self) -> str:
        """First hex digits of the SHA-256 of its text."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:DIGITS]

    @property
    def module(self) -> str:
        """Name of its module in `sys.modules`; another text of the same file is another module."""
        return f"raysim_plugin_{Path(self.path).stem}_{self.digest}"


# what a new process does to load the files that stand on its standard input
_LOAD = """
import json, sys
from raysim.core import plugins
from raysim.core.errors import UserError
try:
    plugins.install([plugins.PluginFile(*file) for file in json.load(sys.stdin)])
except UserError as error:
    sys.exit(str(error))
"""

_modules: dict[str, PluginFile] = {}  # module name -> file, of all that were executed
_active: dict[str, PluginFile] = {}  # path -> file, of those that registered something
packages: dict[str, str] = {}  # top-level module that something was loaded from -> its package and version
forgetting: list[Callable[[str], None]] = []  # of every registry: drop what a module registered


def load(path: str | Path) -> ModuleType:
    """Execute a Python file, and return its module.

    A file that registers something becomes a plug-in: it travels to every worker. It is executed once for
    each text; a changed text replaces what the earlier one registered.

    Raises:
        UserError: There is no such file, or it is no text.
        Exception: What the file raises.
    """
    place = _absolute(path)
    try:
        source = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"plug-in {path}: cannot be read: {why_unreadable(error)}") from None
    return _execute(PluginFile(str(place), source))


def load_plugin(path: str | Path) -> ModuleType:
    """Load a plug-in file, for all processes of this one's runs and sweeps.

    Args:
        path: A Python file that adds to a registry, for example `raysim.METHODS.add`.

    Returns:
        Its module.

    Raises:
        UserError: The file cannot be read or executed (with the line), or it registers nothing.
    """
    place = str(_absolute(path))
    try:
        module = load(path)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"plug-in {error_with_line(Path(place), error)}") from None
    if place not in _active:
        raise UserError(
            f"plug-in {path}: registers nothing; it should call add of a registry, for example "
            "raysim.METHODS.add(MyMethod)"
        )
    _export()
    return module


def unload(path: str | Path) -> None:
    """Drop what a plug-in file registered, and its name from the environment."""
    _forget(str(path))
    os.environ[VARIABLE] = os.pathsep.join(place for place in _named() if place != str(path))


def load_from_environment() -> None:
    """Load the files that `RAYSIM_PLUGINS` names.

    Raises:
        UserError: See `load_plugin`.
    """
    for path in _named():
        if path not in _active or Path(path).exists():  # this process may have named it, and its file be gone
            load_plugin(path)


def load_plugins(files: Iterable[str | Path]) -> None:
    """Load the plug-in files that `RAYSIM_PLUGINS` names, and then these.

    Raises:
        UserError: See `load_plugin`.
    """
    load_from_environment()
    for file in files:
        load_plugin(file)


def install(files: Iterable[PluginFile]) -> None:
    """Execute plug-in files that another process has sent.

    Raises:
        UserError: A file cannot be executed in this process: it imports a file that is only on the machine of
            the other one, or reads one.
    """
    for file in files:
        try:
            _execute(file)
        except (Exception, SystemExit) as error:
            raise UserError(
                f"plug-in {file.name} cannot be loaded in a worker: {type(error).__name__}: {error}. A "
                "plug-in is one file: it may import installed packages, but no file beside it"
            ) from None


def check_loadable() -> None:
    """Check that a new process can load this process's plug-in files from their texts alone.

    Raises:
        UserError: It cannot: a file needs a file beside it, or a variable of this process.
    """
    if not _active:
        return
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD],
            input=json.dumps([[file.path, file.source] for file in active()]),
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise UserError(done.stderr.strip().splitlines()[-1])


def active() -> tuple[PluginFile, ...]:
    """Return the files whose registrations hold in this process."""
    return tuple(_active.values())


def file_of(module: str) -> PluginFile | None:
    """Return the plug-in file of a module; None for a module that is none."""
    return _modules.get(module)


def registered_from(module: str) -> None:
    """Note that a module has registered something: its file is then a plug-in that travels."""
    file = _modules.get(module)
    if file is not None:
        _active[file.path] = file


def check_travels(thing: Any) -> None:
    """Check that other processes can load a class or function.

    Raises:
        UserError: It is defined in a script or in a notebook's cell.
    """
    if module_of(thing) == MAIN:
        raise UserError(
            f"'{getattr(thing, 'name', thing)}' is defined in this script or notebook, so Ray's workers "
            "cannot load it: move it to a file (in a notebook, %%writefile my.py on top of the cell) and "
            "load that with raysim.load_plugin('my.py'), or use the serial engine"
        )


def module_of(thing: Any) -> str:
    """Return the name of the module that a class or function is defined in."""
    return str(getattr(thing, "__module__", type(thing).__module__))


def place_of(module: str) -> str:
    """Return in words where a module comes from: `my.py`, `package my-methods 1.2`, `raysim`."""
    top = module.partition(".")[0]
    file = _modules.get(module)
    if top in OWN:
        return "raysim"
    if file is not None:
        return file.path
    for name in packages_distributions().get(top, ()):
        try:
            return f"package {name} {Distribution.from_name(name).version}"
        except PackageNotFoundError:
            continue
    return f"module {module}"


def error_with_line(path: Path, error: Exception | SystemExit) -> str:
    """Return an error that a user's file raised in one line: place, error, and the source at this place."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path
    ]
    if isinstance(error, SyntaxError):
        return f"{path}{f':{error.lineno}' if error.lineno else ''}: {type(error).__name__}: {error}"
    if not lines or not lines[-1]:
        return f"{path}: {type(error).__name__}: {error}"
    source = path.read_text().splitlines()[lines[-1] - 1].strip()
    return f"{path}:{lines[-1]}: {type(error).__name__}: {error}{f' in: {source}' if source else ''}"


def _execute(file: PluginFile) -> ModuleType:
    """Execute a file's text as a module, once; one that registered nothing is executed again."""
    if _active.get(file.path) == file:
        return sys.modules[file.module]
    module = ModuleType(file.module)
    module.__file__ = file.path
    _forget(file.path)  # another text of it
    sys.modules[file.module] = module  # records and type hints look their module up there
    _modules[file.module] = file
    lines = file.source.splitlines(keepends=True)
    linecache.cache[file.path] = (len(file.source), None, lines, file.path)  # for tracebacks elsewhere
    try:
        exec(compile(file.source, file.path, "exec"), module.__dict__)
    except BaseException:
        _forget(file.path)
        raise
    return module


def _forget(path: str) -> None:
    """Drop what a plug-in file registered; nothing where it registered nothing."""
    file = _active.pop(path, None)
    if file is not None:
        for forget in forgetting:
            forget(file.module)


def _named() -> list[str]:
    """Return the absolute paths of the files that the environment names."""
    words = filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))
    return [str(_absolute(word)) for word in words]


def _absolute(path: str | Path) -> Path:
    """Return the one name that stands for a plug-in file in this process: absolute, without `..`."""
    return Path(os.path.abspath(Path(path).expanduser()))


def _export() -> None:
    """Name the plug-ins in the environment, so that processes started from here load them too.

    Files that it names already stay, also those that this process has not loaded yet.
    """
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*_named(), *_active]))
