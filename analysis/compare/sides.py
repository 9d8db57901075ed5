"""What `raysim compare` is told to compare: a run, a folder of runs, a sweep, or one entry of a sweep."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..look.words import listing
from ..read.results import Results, Row, by_seed, finished, flatten, loads, open_results

METRICS = (
    "acc_personal_own",
    "acc_personal_global",
    "acc_shared_own",
    "acc_shared_global",
    "worst_client_accuracy",
)
MEASURED = (*METRICS, "p10_client_accuracy")
KINDS = (
    "confirm",
    "contrast",
    "rival",
    "search",
)  # of the trials of one label, the first that can be paired is taken
NO_PART = ("seed", "resources.")  # of a configuration: what seeds and machines differ in


class Mistake(ValueError):
    """An argument names no result, or the two cannot be compared; the message says which and why."""


@dataclass(frozen=True)
class Entry:
    """One configuration in one scenario, over seeds.

    Attributes:
        scenario: Its label.
        label: Of the configuration.
        config: Dotted path -> value; without the seed and the machines.
        values: Metric (`test_` before it on the test split) -> seed -> value.
        cost: Means over the runs: bytes (up and down), flops.
        partitions: Seed -> the file that says who holds which image.
    """

    scenario: str
    label: str
    config: Row
    values: dict[str, dict[int, float]]
    cost: dict[str, float]
    partitions: dict[int, Path]


@dataclass(frozen=True)
class Side:
    """One of the two arguments, read.

    Attributes:
        argument: As it was typed.
        label: The entry of a sweep that was picked; empty otherwise.
        groups: Each an entry per scenario, best first: which one is compared is up to the other side. Of a
            whole sweep, one group of all confirmed configurations.
        whole: It is a sweep of several configurations.
        origins: `run.json` of the runs or of the sweep: commit and versions.
        notes: What was left out, in words.
    """

    argument: str
    label: str
    groups: Sequence[Sequence[Entry]]
    whole: bool
    origins: Sequence[Row]
    notes: list[str] = field(default_factory=list)


def open_side(which: str, text: str) -> Side:
    """Read what an argument names.

    Args:
        which: `A` or `B`, for messages.
        text: A folder, or SWEEP:LABEL.

    Raises:
        Mistake: It names no result, or runs that do not belong together.
    """
    folder, label = _split(text)
    what = f"{which} = {text}"
    if not folder.is_dir():
        near = difflib.get_close_matches(folder.name, [p.name for p in folder.parent.glob("*/")], n=1)
        raise Mistake(
            f"{what}: there is no folder {folder}"
            + (f"; did you mean {folder.with_name(near[0])}?" if near else "")
        )
    if (folder / "run.json").is_file():
        results = _open(what, folder)
        if results.kind == "sweep":
            return _sweep(what, text, label, results)
        runs = [results]
    else:
        runs = [_open(what, path.parent) for path in sorted(folder.glob("*/run.json"))]
        sweeps = [r.folder.name for r in runs if r.kind == "sweep"]
        if sweeps or not runs:
            raise Mistake(
                f"{what}: "
                + (
                    f"holds sweeps; name one of {listing(sweeps)}"
                    if sweeps
                    else "holds no run.json and no run"
                )
            )
    if label:
        raise Mistake(f"{what}: only a sweep has entries to pick; leave out ':{label}'")
    return _runs(what, text, runs)


def _split(text: str) -> tuple[Path, str]:
    """A folder, and the label after its colon."""
    if not Path(text).is_dir():
        for at in (i for i, letter in enumerate(text) if letter == ":"):
            if Path(text[:at]).is_dir():
                return Path(text[:at]), text[at + 1 :].strip()
    return Path(text), ""


def _open(what: str, folder: Path) -> Results:
    try:
        return open_results(folder)
    except ValueError as error:
        raise Mistake(f"{what}: {error}") from None


def _config(experiment: Row) -> Row:
    return {path: value for path, value in flatten(experiment).items() if not path.startswith(NO_PART)}


def differing(first: Row, second: Row) -> list[str]:
    """The dotted paths in which two configurations differ; a field that one does not have is as good as an empty one."""
    return [path for path in dict.fromkeys([*first, *second]) if first.get(path) != second.get(path)]


def _runs(what: str, text: str, runs: Sequence[Results]) -> Side:
    """Runs of one configuration, a seed each."""
    done = [r for r in runs if r.meta.get("status") == "done" and r.meta.get("result")]
    left = [f"{r.folder.name} ({r.meta.get('status', 'no status')})" for r in runs if r not in done]
    if not done:
        raise Mistake(
            f"{what}: no run is finished yet: {listing(left)}; its command with --resume finishes it"
        )
    configs = [_config(r.meta.get("experiment") or {}) for r in done]
    for run, config in zip(done[1:], configs[1:], strict=True):
        if paths := differing(configs[0], config):
            said = [
                f"{p} ({configs[0].get(p)} in {done[0].folder.name}, {config.get(p)} in {run.folder.name})"
                for p in paths[:4]
            ]
            more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
            raise Mistake(
                f"{what}: its runs differ in more than the seed: {', '.join(said)}{more}; name a folder of "
                "one configuration"
            )
    by: dict[int, Results] = {}
    for run in done:
        seed = int((run.meta.get("experiment") or {}).get("seed", 0))
        if seed in by:
            raise Mistake(
                f"{what}: two runs have seed {seed}: {by[seed].folder.name} and {run.folder.name}; keep one"
            )
        by[seed] = run
    meta = done[0].meta
    values = {name: _known({s: r.meta["result"].get(name) for s, r in by.items()}) for name in MEASURED}
    values |= {
        f"test_{name}": _known({s: (r.meta.get("test") or {}).get(name) for s, r in by.items()})
        for name in MEASURED
    }
    cost = {name: sum(_cost(r.meta["result"])[name] for r in done) / len(done) for name in ("bytes", "flops")}
    partitions = {seed: r.folder / "partition.parquet" for seed, r in by.items()}
    entry = Entry(
        str(meta.get("scenario_label")), str(meta.get("label")), configs[0], values, cost, partitions
    )
    notes = [f"{text}: {len(left)} of {len(runs)} runs unfinished, left out: {listing(left)}"] if left else []
    return Side(text, "", [[entry]], False, [r.meta for r in done], notes)


def _known(values: dict[int, Any]) -> dict[int, float]:
    return {seed: float(v) for seed, v in values.items() if v is not None and math.isfinite(v)}


def _cost(row: Row) -> dict[str, float]:
    return {
        "bytes": float((row.get("bytes_up") or 0) + (row.get("bytes_down") or 0)),
        "flops": float(row.get("flops") or 0),
    }


def _sweep(what: str, text: str, label: str, results: Results) -> Side:
    """A sweep: the entry that was named, or all confirmed configurations."""
    trials = finished(results.trials, *KINDS)
    confirmed = finished(trials, "confirm")
    labels = list(dict.fromkeys(t["label"] for t in confirmed))
    known = labels or list(dict.fromkeys(t["label"] for t in trials if t["kind"] != "search"))
    status = results.meta.get("status", "unfinished")
    notes = (
        []
        if status == "done"
        else [f"{results.folder}: this sweep is {status}; only what is on disk is compared"]
    )
    if label:
        chosen = [own for kind in KINDS if (own := _named(finished(trials, kind), label))]
        if not chosen:
            raise Mistake(
                f"{what}: this sweep has no finished entry '{label}'{_near(label, known)} It has "
                f"{listing(known) or 'none yet'}"
            )
        groups = [_entries(what, own, results) for own in chosen]
    elif not labels:
        hint = f": name an entry, such as {text}:{known[0]}" if known else ""
        raise Mistake(f"{what}: no configuration of this sweep is confirmed on fresh seeds yet{hint}")
    else:
        groups = [[entry for name in labels for entry in _entries(what, _named(confirmed, name), results)]]
    return Side(text, label, groups, not label and len(labels) > 1, [results.meta], notes)


def _near(label: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(label, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else "."


def _named(trials: Sequence[Row], label: str) -> list[Row]:
    """The trials of a label; its bracket may be left out."""
    for name in (label, f"{label} (tuned)", f"{label} (untuned)"):
        if own := [t for t in trials if t["label"] == name]:
            return own
    return []


def _entries(what: str, trials: Sequence[Row], results: Results) -> list[Entry]:
    """An entry per scenario; a trial that was run again counts once."""
    latest: dict[str, Row] = {}
    for trial in trials:
        before = latest.get(trial["scenario"])
        if before and before["study"] != trial["study"] and before.get("runs") != trial.get("runs"):
            raise Mistake(
                f"{what}: '{trial['label']}' is not one entry: {before['study']} and {trial['study']} have "
                "one of that name"
            )
        latest[trial["scenario"]] = trial
    columns = [f"{split}{name}" for split in ("", "test_") for name in MEASURED]
    return [
        Entry(
            scenario,
            t["label"],
            _config(loads(t.get("experiment"))),
            {name: _known(dict(by_seed(t, name))) for name in columns},
            _cost(t),
            {
                int(s): results.folder / "runs" / run / "partition.parquet"
                for s, run in zip(t.get("seeds") or [], t.get("runs") or [], strict=False)
            },
        )
        for scenario, t in latest.items()
    ]
