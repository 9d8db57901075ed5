"""One side of a comparison, read: a run, a folder of runs, a sweep, or one entry of a sweep."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..look.words import listing
from ..read.results import Results, Row, by_seed, finished_trials, flatten, json_object, open_results

METRICS = (
    "acc_personal_own",
    "acc_personal_global",
    "acc_shared_own",
    "acc_shared_global",
    "worst_client_accuracy",
)
MEASURED = (*METRICS, "p10_client_accuracy")
# Kinds of trials that can be compared; of one label, the first kind that can be paired is taken.
TRIAL_KINDS = ("confirm", "contrast", "rival", "search")
NOT_CONFIGURATION = ("seed", "resources.")  # settings in which runs of one configuration may differ


class Mistake(ValueError):
    """An argument that names no result, or two that cannot be compared; the message says which and why."""


@dataclass(frozen=True)
class Entry:
    """One configuration in one scenario, over seeds.

    Attributes:
        scenario: Label of the scenario.
        label: Label of the configuration.
        config: Dotted path -> value; without the seed and the resources.
        values: Metric (with the prefix `test_` on the test split) -> seed -> value.
        cost: Means over the runs: bytes (up and down), flops.
        partitions: Seed -> the file that says which client holds which image.
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
        argument: The argument as it was typed.
        label: The entry of a sweep that was named; empty otherwise.
        groups: Groups of one entry per scenario, the preferred first; which group is compared depends on the
            other side. A whole sweep has one group with all confirmed configurations.
        whole: Whether it is a sweep of several configurations.
        origins: `run.json` of the runs or of the sweep, with commit and versions.
        notes: Sentences on what was left out.
    """

    argument: str
    label: str
    groups: Sequence[Sequence[Entry]]
    whole: bool
    origins: Sequence[Row]
    notes: list[str] = field(default_factory=list)


def open_side(which: str, text: str) -> Side:
    """Read one side of a comparison.

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
    """Split an argument into a folder and the label after its colon."""
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
    return {
        path: value for path, value in flatten(experiment).items() if not path.startswith(NOT_CONFIGURATION)
    }


def differing(first: Row, second: Row) -> list[str]:
    """List the dotted paths in which two configurations differ; a missing field equals an empty one."""
    return [path for path in dict.fromkeys([*first, *second]) if first.get(path) != second.get(path)]


def _runs(what: str, text: str, runs: Sequence[Results]) -> Side:
    """Read runs of one configuration, one per seed."""
    done = [r for r in runs if r.meta.get("status") == "done" and r.meta.get("result")]
    left = [f"{r.folder.name} ({r.meta.get('status', 'no status')})" for r in runs if r not in done]
    if not done:
        raise Mistake(
            f"{what}: no run is finished yet: {listing(left)}; its command with --resume finishes it"
        )
    config = _common_config(what, done)
    notes = [f"{text}: {len(left)} of {len(runs)} runs unfinished, left out: {listing(left)}"] if left else []
    entry = _entry_of_runs(config, _runs_by_seed(what, done))
    return Side(text, "", [[entry]], False, [r.meta for r in done], notes)


def _common_config(what: str, runs: Sequence[Results]) -> Row:
    """Return the configuration of runs that differ in their seed alone.

    Raises:
        Mistake: They differ in more.
    """
    configs = [_config(r.meta.get("experiment") or {}) for r in runs]
    for run, config in zip(runs[1:], configs[1:], strict=True):
        if paths := differing(configs[0], config):
            examples = [
                f"{p} ({configs[0].get(p)} in {runs[0].folder.name}, {config.get(p)} in {run.folder.name})"
                for p in paths[:4]
            ]
            more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
            raise Mistake(
                f"{what}: its runs differ in more than the seed: {', '.join(examples)}{more}; name a folder "
                "of one configuration"
            )
    return configs[0]


def _runs_by_seed(what: str, runs: Sequence[Results]) -> dict[int, Results]:
    """Return seed -> run.

    Raises:
        Mistake: Two runs have one seed.
    """
    run_of_seed: dict[int, Results] = {}
    for run in runs:
        seed = int((run.meta.get("experiment") or {}).get("seed", 0))
        if seed in run_of_seed:
            names = f"{run_of_seed[seed].folder.name} and {run.folder.name}"
            raise Mistake(f"{what}: two runs have seed {seed}: {names}; keep one")
        run_of_seed[seed] = run
    return run_of_seed


def _entry_of_runs(config: Row, runs: dict[int, Results]) -> Entry:
    metas = {seed: run.meta for seed, run in runs.items()}
    first = next(iter(metas.values()))
    values = {name: _finite({s: m["result"].get(name) for s, m in metas.items()}) for name in MEASURED}
    values |= {
        f"test_{name}": _finite({s: (m.get("test") or {}).get(name) for s, m in metas.items()})
        for name in MEASURED
    }
    costs = [_cost(meta["result"]) for meta in metas.values()]
    return Entry(
        scenario=str(first.get("scenario_label")),
        label=str(first.get("label")),
        config=config,
        values=values,
        cost={name: sum(cost[name] for cost in costs) / len(costs) for name in ("bytes", "flops")},
        partitions={seed: run.folder / "partition.parquet" for seed, run in runs.items()},
    )


def _finite(values: dict[int, Any]) -> dict[int, float]:
    return {seed: float(v) for seed, v in values.items() if v is not None and math.isfinite(v)}


def _cost(row: Row) -> dict[str, float]:
    return {
        "bytes": float((row.get("bytes_up") or 0) + (row.get("bytes_down") or 0)),
        "flops": float(row.get("flops") or 0),
    }


def _sweep(what: str, text: str, label: str, results: Results) -> Side:
    """Read a sweep: the entry that was named, or all confirmed configurations."""
    trials = finished_trials(results.trials, *TRIAL_KINDS)
    confirmed = finished_trials(trials, "confirm")
    labels = list(dict.fromkeys(t["label"] for t in confirmed))
    examples = labels or list(dict.fromkeys(t["label"] for t in trials if t["kind"] != "search"))
    status = results.meta.get("status", "unfinished")
    notes = (
        []
        if status == "done"
        else [f"{results.folder}: this sweep is {status}; only what is on disk is compared"]
    )
    if label:
        candidates = [_named(finished_trials(trials, kind), label) for kind in TRIAL_KINDS]
        groups = [_entries(what, same_label, results) for same_label in candidates if same_label]
        if not groups:
            raise Mistake(
                f"{what}: this sweep has no finished entry '{label}'{_near(label, examples)} It has "
                f"{listing(examples) or 'none yet'}"
            )
    elif not labels:
        hint = f": name an entry, such as {text}:{examples[0]}" if examples else ""
        raise Mistake(f"{what}: no configuration of this sweep is confirmed on fresh seeds yet{hint}")
    else:
        groups = [[entry for name in labels for entry in _entries(what, _named(confirmed, name), results)]]
    notes += [f"{text}: left out because it cannot be read: {file}" for file in results.unreadable]
    return Side(text, label, groups, not label and len(labels) > 1, [results.meta], notes)


def _near(label: str, labels: Sequence[str]) -> str:
    near = difflib.get_close_matches(label, labels, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else "."


def _named(trials: Sequence[Row], label: str) -> list[Row]:
    """Return the trials of a label; `(tuned)` or `(untuned)` may be left out."""
    for name in (label, f"{label} (tuned)", f"{label} (untuned)"):
        if same_label := [t for t in trials if t["label"] == name]:
            return same_label
    return []


def _entries(what: str, trials: Sequence[Row], results: Results) -> list[Entry]:
    """Make one entry per scenario; a trial that was run again counts once."""
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
            scenario=scenario,
            label=trial["label"],
            config=_config(json_object(trial.get("experiment"))),
            values={name: _finite(dict(by_seed(trial, name))) for name in columns},
            cost=_cost(trial),
            partitions={
                int(seed): results.folder / "runs" / run / "partition.parquet"
                for seed, run in zip(trial.get("seeds") or [], trial.get("runs") or [], strict=False)
            },
        )
        for scenario, trial in latest.items()
    ]
