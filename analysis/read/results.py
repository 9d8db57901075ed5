"""A result folder, read. Nothing is assumed to be there: a missing table is an empty one, a half-written part is left out and named."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Row = dict[str, Any]
TESTED = ("confirm", "transfer")  # kinds of trials that meet the test split
LISTINGS = 6  # of a table's parts, while a sweep that runs makes one of many


@dataclass(frozen=True)
class Gallery:
    """Pictures of what a gated model attends to: arrays with n images along their first axis, and a row of facts per image."""

    arrays: dict[str, Any]
    images: list[Row]


@dataclass
class Results:
    """One run's or one sweep's folder.

    Attributes:
        folder: Where it is.
        meta: `run.json`.
        unreadable: Parts that could not be read, with the reason (filled while reading).
        space: Of a view (see `views`), the space whose trials it holds; empty: all trials.
    """

    folder: Path
    meta: Row
    unreadable: list[str] = field(default_factory=list)
    space: str = ""

    @property
    def kind(self) -> str:
        """`run`, `sweep` or `stress`."""
        return str(self.meta["kind"])

    @property
    def confidence(self) -> float:
        """Coverage of all intervals of the report."""
        return float(self.meta.get("confidence") or 0.9)

    @cached_property
    def trials(self) -> list[Row]:
        """Rows of `tables/trials`, in order; a row written twice (a resume) counts once."""
        rows = self.table("trials").to_pylist()
        unique = {
            (r.get("study"), r.get("kind"), r.get("label"), r.get("trial"), r.get("number")): r for r in rows
        }
        names = self.meta.get("spaces") or []
        kept = [
            r for r in unique.values() if not self.space or space_of(str(r.get("study")), names) == self.space
        ]
        return sorted(kept, key=lambda r: (r.get("trial") or 0, r.get("number") or 0, r.get("finished") or 0))

    def views(self) -> list[Results]:
        """The sweep space by space, each with its own trials, scenarios and factors; a sweep of one space is its own view."""
        names = self.meta.get("spaces") or []
        if len(names) < 2:
            return [self]
        declared, scenarios, found = (
            self.meta.get("spaces_declared") or {},
            self.meta.get("scenarios") or [],
            [],
        )
        for name in names:
            own = {str(t["scenario"]) for t in self.trials if space_of(str(t.get("study")), names) == name}
            factors = (declared.get(name) or {}).get("factors") or (
                self.meta.get("factors") if name == names[0] else []
            )
            meta = {
                **self.meta,
                "space": name,
                "factors": factors,
                "scenarios": [s for s in scenarios if s["label"] in own] or scenarios,
            }
            found.append(Results(self.folder, meta, self.unreadable, name))
        return found

    def table(
        self, name: str, runs: Iterable[str] | None = None, columns: list[str] | None = None
    ) -> pa.Table:
        """All parts of `tables/NAME` together; restricted to `runs` and `columns` when given.

        Raises:
            FileNotFoundError: Parts kept vanishing, however often they were listed again.
        """
        wanted = None if runs is None else pa.array(sorted(runs), pa.string())
        for again in range(LISTINGS):
            parts = sorted(
                p for p in (self.folder / "tables" / name).glob("*.parquet") if p.name[0] not in "._"
            )
            try:
                with ThreadPoolExecutor(4) as pool:
                    tables = list(pool.map(lambda part: self._part(part, wanted, columns), parts))
                break
            except (
                FileNotFoundError
            ):  # a run that ended has made one part of many: what was listed is elsewhere now
                if again + 1 == LISTINGS:
                    raise
                time.sleep(0.05 * 2**again)
        kept = [t for t in tables if t is not None and t.num_rows]
        return pa.concat_tables(kept, promote_options="permissive") if kept else pa.table({})

    def _part(self, path: Path, runs: pa.Array | None, columns: list[str] | None) -> pa.Table | None:
        try:
            known = None if columns is None else [c for c in columns if c in pq.read_schema(path).names]
            table = pq.ParquetFile(path).read(columns=known)
        except FileNotFoundError:
            raise
        except (pa.ArrowInvalid, OSError) as error:
            self.unreadable.append(f"{path.relative_to(self.folder)} ({str(error).splitlines()[0][:120]})")
            return None
        return (
            table
            if runs is None or "run" not in table.column_names
            else table.filter(pc.is_in(table["run"].cast(pa.string()), runs))
        )

    def rounds(self, runs: Iterable[str] | None = None) -> list[Row]:
        """Rows of the rounds table on validation, sorted by run and round; the last one written wins."""
        rows = [
            r for r in self.table("rounds", runs).to_pylist() if r.get("split", "validation") == "validation"
        ]
        unique = {(r.get("run"), r["round"]): r for r in rows}
        return [unique[key] for key in sorted(unique, key=lambda k: (k[0] or "", k[1]))]

    @cached_property
    def tested(self) -> dict[str, Row]:
        """Run -> its row of the rounds table on the test split, where that was opened."""
        rows = [r for r in self.table("rounds").to_pylist() if r.get("split") == "test"]
        return {str(r.get("run")): r for r in sorted(rows, key=lambda r: r["round"])}

    def partition(self, run: str | None = None) -> pa.Table | None:
        """Which train image is at which client; of one run of a sweep, or of the folder itself."""
        path = (self.folder if run is None else self.folder / "runs" / run) / "partition.parquet"
        return self._part(path, None, ["client", "label", "domain"]) if path.is_file() else None

    def gallery(self, run: str | None = None) -> Gallery | None:
        """What a run's model attends to (`gallery.safetensors`); of one run of a sweep, or of the folder itself."""
        from safetensors import SafetensorError, safe_open

        path = (self.folder if run is None else self.folder / "runs" / run) / "gallery.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                return Gallery(
                    {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118
                    json.loads(file.metadata()["images"]),
                )
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            self.unreadable.append(f"{path.relative_to(self.folder)} ({str(error).splitlines()[0][:120]})")
            return None

    @cached_property
    def metric(self) -> str:
        """What all columns `acc_*` hold: `accuracy` or `mIoU`, as the runs say; both where they differ."""
        metas = [self.meta]
        if self.kind != "run":
            firsts = {(t.get("study"), t.get("method")): t["runs"][0] for t in self.trials if t.get("runs")}
            metas = [self.run_meta(run) for run in firsts.values()]
        return " or ".join(sorted({str(meta.get("metric") or "accuracy") for meta in metas})) or "accuracy"

    def run_meta(self, run: str) -> Row:
        """`run.json` of one run of a sweep; empty when it is not there yet."""
        return read_json(self.folder / "runs" / run / "run.json")


def read_json(path: Path) -> Row:
    """A JSON object, or an empty one where there is none (yet) or it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def open_results(folder: Path) -> Results:
    """Open a result folder.

    Args:
        folder: The folder that `--out` named.

    Returns:
        The results, not yet read.

    Raises:
        ValueError: The folder holds no readable `run.json` of a run or a sweep.
    """
    path = folder / "run.json"
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a result folder: there is no such folder")
    if not path.is_file():
        raise ValueError(
            f"{folder} is not a result folder: it holds no run.json (give the folder that --out named)"
        )
    meta = read_json(path)
    if meta.get("kind") not in ("run", "sweep", "stress"):
        kinds = "'run', 'sweep' or 'stress'"
        found = (
            f"kind is {meta['kind']!r}, should be {kinds}"
            if "kind" in meta
            else "it is not a JSON object that has a kind"
        )
        raise ValueError(f"{folder} is not a result folder: in {path.name} {found}")
    return Results(folder, meta)


def by_seed(trial: Row, metric: str) -> dict[int, float]:
    """Seed -> value of a per-seed list of a trial; seeds without a value are left out."""
    values = trial.get(metric) or []
    return {int(s): float(v) for s, v in zip(trial.get("seeds") or [], values, strict=False) if v is not None}


def space_of(study: str, spaces: Iterable[str]) -> str:
    """The space of a study, `SPACE | SCENARIO` or `SPACE ENTRY | SCENARIO`; empty when it is of none of these."""
    head = study.rpartition(" | ")[0]
    return max((name for name in spaces if head == name or head.startswith(f"{name} ")), key=len, default="")


def finished(trials: Iterable[Row], *kinds: str) -> list[Row]:
    """The COMPLETE trials of the given kinds; of two winners of one name, of which the first was before an extension, the later."""
    done = [t for t in trials if t.get("state") == "COMPLETE" and t.get("kind") in kinds]
    in_time = sorted(done, key=lambda t: t.get("finished") or 0)
    latest = {
        (t.get("study"), t["kind"], t.get("label"), t.get("level")): t for t in in_time if t["kind"] in TESTED
    }
    return [
        t
        for t in done
        if t["kind"] not in TESTED or latest[t.get("study"), t["kind"], t.get("label"), t.get("level")] is t
    ]


def standing(label: str) -> str:
    """`tuned` or `untuned` as a label says in brackets, else nothing: a member of a declared set."""
    return next((word for word in ("tuned", "untuned") if label.endswith(f" ({word})")), "")


def params(trial: Row) -> Row:
    """The dotted paths that a trial set, with their values."""
    return loads(trial.get("params"))


def loads(text: str | None) -> Row:
    """JSON text as an object; empty when there is none."""
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def flatten(values: Row, prefix: str = "") -> Row:
    """Nested objects as dotted paths."""
    flat: Row = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        flat |= flatten(value, f"{path}.") if isinstance(value, dict) and value else {path: value}
    return flat


OBJECTIVE = "acc_personal_own"
