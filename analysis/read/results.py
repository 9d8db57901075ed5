"""Reader of a result folder: `run.json`, the tables, partitions and galleries.

A file that is not there (yet) is read as an empty one. A file that is there but damaged is left out and named
in `Results.unreadable`; everything else is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .files import DamagedFile, read_bytes, read_object, reason
from .metric import Metric, metric_named
from .queries import Database, Row, literal

OBJECTIVE = "acc_personal_own"
TESTED = ("confirm", "transfer")  # kinds of trials that are evaluated on the test split
KINDS = ("run", "sweep", "stress")  # of result folders
_LISTS = "scenarios factors spaces grid figures cases interactions plugins selection_seeds fresh_seeds"
_OBJECTS = (
    "search design planned race left_out experiment result test hardware versions spaces_declared anchor "
    "heterogeneity"
)
TYPES: dict[str, tuple[type, str]] = {  # of what run.json says -> what it is
    **dict.fromkeys(_LISTS.split(), (list, "a list")),
    **dict.fromkeys(_OBJECTS.split(), (dict, "an object")),
}


@dataclass(frozen=True)
class Gallery:
    """Images with the masks of a gated model: name -> array [n, ...], and a row of facts for each image."""

    arrays: dict[str, Any]
    images: list[Row]


class Results(Database):
    """The folder of a run, a sweep or a stress run.

    Attributes:
        meta: Its `run.json`.
        space: The space whose trials a view holds (see `views`); empty: all trials.
    """

    def __init__(self, folder: Path, meta: Row) -> None:
        super().__init__(folder)
        self.meta, self.space = meta, ""

    @property
    def kind(self) -> str:
        """`run`, `sweep` or `stress`."""
        return str(self.meta["kind"])

    @property
    def confidence(self) -> float:
        """Coverage of all intervals of the report."""
        return float(self.meta.get("confidence") or 0.9)

    @cached_property
    def listed(self) -> dict[str, tuple[dict[str, str], list[list[Any]]]]:
        """The scenarios, and the levels of the factors."""
        scenarios = [[place, s["label"]] for place, s in enumerate(self.meta.get("scenarios") or [])]
        factors = [
            [place, f["path"], f.get("symbol") or f["path"].rpartition(".")[2], f.get("basis"),
             level_place, str(level), str(level) == str(f.get("anchor"))]
            for place, f in enumerate(self.meta.get("factors") or [])
            for level_place, level in enumerate(f.get("levels") or [])
        ]  # fmt: skip
        texts = dict.fromkeys(("path", "symbol", "basis"), "VARCHAR")
        columns = {"place": "INTEGER", **texts, "level_place": "INTEGER", "level": "VARCHAR"}
        return {
            "scenarios": ({"place": "INTEGER", "scenario": "VARCHAR"}, scenarios),
            "factors": ({**columns, "is_anchor": "BOOLEAN"}, factors),
        }

    @cached_property
    def trials(self) -> list[Row]:
        """Rows of `tables/trials`, in order; a row that a resume wrote again counts once."""
        return self.sql("FROM trials ORDER BY trial, number, finished, study")

    def views(self) -> list[Results]:
        """Return one view per space, with its trials, scenarios and factors; of a single space, the sweep."""
        names, scenarios = self.meta.get("spaces") or [], self.meta.get("scenarios") or []
        if len(names) < 2:
            return [self]
        views = list[Results]()
        for space in names:
            declared = (self.meta.get("spaces_declared") or {}).get(space) or {}
            trials = [t for t in self.trials if space_of(str(t.get("study")), names) == space]
            labels = {str(t["scenario"]) for t in trials}
            meta = {
                **self.meta,
                "space": space,
                "factors": declared.get("factors") or (self.meta.get("factors") if not views else []),
                "scenarios": [s for s in scenarios if s["label"] in labels] or scenarios,
            }
            view = Results(self.folder, meta)
            view.space, view.unreadable = space, self.unreadable
            view.limits = dict.fromkeys(("verdicts", "estimates"), f"space = {literal(space)}")
            studies = sorted({str(t["study"]) for t in trials})
            view.limits["trials"] = f"study IN ({', '.join(map(literal, studies)) or 'NULL'})"
            views.append(view)
        return views

    def gallery(self, run: str | None = None) -> Gallery | None:
        """Images and masks (`gallery.safetensors`) of one run of a sweep or of the folder itself."""
        path = self._home(run) / "gallery.safetensors"
        return self._read(path, _gallery) if path.is_file() else None

    @cached_property
    def metric(self) -> Metric:
        """The metric in all columns `acc_*`, as run.json of each run says; both names where runs differ."""
        metas = [self.meta]
        if self.kind != "run":
            runs = {(t.get("study"), t.get("method")): t["runs"][0] for t in self.trials if t.get("runs")}
            metas = [self.run_meta(run) for run in runs.values()]
        return metric_named(str(meta.get("metric") or "") for meta in metas)

    def run_meta(self, run: str) -> Row:
        """`run.json` of one run of a sweep; empty when it is not there yet or damaged."""
        return self._read(self._home(run) / "run.json", read_object) or {}

    def _home(self, run: str | None) -> Path:
        """The folder of a run of a sweep; the folder itself where no run is named."""
        # the name comes from a file that somebody else may have written: it must not lead out of the folder
        return self.folder if run is None else self.folder / "runs" / Path(run).name


def _gallery(path: Path) -> Gallery:
    from safetensors import SafetensorError, safe_open

    read_bytes(path)
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Gallery(arrays, json.loads(file.metadata()["images"]))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(reason(error)) from error


class NoResult(ValueError):
    """A folder that holds no result: a reader's mistake, and none of the program."""


def open_results(folder: Path) -> Results:
    """Open the folder that `--out` named; its tables are read when they are asked for.

    Raises:
        NoResult: The folder holds no readable `run.json` of a run, a sweep or a stress run.
    """
    path, problem = folder / "run.json", f"{folder} is not a result folder"
    if not folder.is_dir():
        raise NoResult(f"{problem}: there is no such folder")
    if not path.exists():
        raise NoResult(f"{problem}: it holds no run.json (give the folder that --out named)")
    try:
        meta = read_object(path)
    except DamagedFile as error:
        raise NoResult(f"{problem}: {path.name} is damaged ({error}); put a copy of it back") from None
    if "kind" not in meta:
        raise NoResult(f"{problem}: in {path.name} it is not a JSON object that has a kind")
    if meta["kind"] not in KINDS:
        should = "should be 'run', 'sweep' or 'stress'"
        raise NoResult(f"{problem}: in {path.name} kind is {meta['kind']!r}, {should}")
    for name, value in meta.items():
        kind, words = TYPES.get(name, (object, ""))
        if value is not None and not isinstance(value, kind):
            raise NoResult(f"{problem}: in {path.name} {name} is {value!r}, it should be {words}")
    if meta["kind"] == "run":
        try:
            other = read_object(folder / "config.json").get("id", meta.get("id"))
        except DamagedFile:
            other = meta.get("id")
        if meta.get("id", other) != other:
            raise NoResult(f"{problem}: {path.name} is of run {meta['id']}, config.json of run {other}")
    return Results(folder, meta)


def space_of(study: str, spaces: Iterable[str]) -> str:
    """Return the space of a study (`SPACE | SCENARIO` or `SPACE ENTRY | SCENARIO`), or an empty text."""
    head = study.rpartition(" | ")[0]
    return max((name for name in spaces if head == name or head.startswith(f"{name} ")), key=len, default="")


def tuning_of(label: str) -> str:
    """Return the words in brackets at the end of a label: `tuned`, `untuned`, `best of 4 trials`, or none."""
    found = re.search(r" \((tuned|untuned|best of \d+ trials?)\)$", label)
    return found[1] if found else ""


def parameters_of(trial: Row) -> Row:
    """Dotted path -> value of the parameters that a trial set."""
    return json_object(trial.get("params"))


def json_object(text: str | None) -> Row:
    """Parse JSON text into an object; empty when there is no object."""
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def flatten(values: Row, prefix: str = "") -> Row:
    """Flatten nested objects into dotted paths."""
    flat: Row = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        flat |= flatten(value, f"{path}.") if isinstance(value, dict) and value else {path: value}
    return flat
