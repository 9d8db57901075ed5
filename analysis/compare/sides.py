"""One side of a comparison, read: a run, a folder of runs, a sweep, or one entry of a sweep."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..look.words import listing, short_listing
from ..read.columns import ACCURACIES, FLOORS
from ..read.files import DamagedFile, read_object
from ..read.results import TESTED, NoResult, Results, Row, flatten, open_results, tuning_of
from ..verdicts.samples import Samples
from ..verdicts.study import base_of

MEASURED = (*ACCURACIES, "worst_client_accuracy", "p10_client_accuracy", *FLOORS)
COSTS = ("bytes_up", "bytes_down", "flops", "flops_server")
# Kinds of trials that can be compared; of one label, the first kind that can be paired is taken.
TRIAL_KINDS = ("confirm", "contrast", "rival", "search")
NOT_CONFIGURATION = ("seed", "resources.")  # settings in which runs of one configuration may differ


class Mistake(ValueError):
    """An argument that names no result, or two that cannot be compared; the message says which and why."""


@dataclass(frozen=True)
class Entry:
    """One configuration in one scenario, over seeds."""

    trial: Row  # as the table of trials has it, with scenario, label, seeds, runs and a list per measure
    samples: Samples  # reader of its samples
    peers: Sequence[Row]  # trials of its sweep on the same seeds, whose noise it shares; itself among them
    homes: dict[int, Path]  # seed -> the folder of its run

    def meta(self, seed: int) -> Row:
        """Return `run.json` of a run; empty where it is not on disk, or damaged."""
        try:
            return read_object(self.homes[seed] / "run.json")
        except (KeyError, DamagedFile):
            return {}

    def seeds(self, metric: str, split: str) -> set[int]:
        """Return the seeds that have a value."""
        side = self.samples.side("", self.trial, metric, split)
        return set(side.sample.kept) if side else set()


@dataclass(frozen=True)
class Argument:
    """One of the two arguments, read.

    Its groups have one entry per scenario, the preferred group first; which group is compared depends on the
    other side. A whole sweep has one group with all confirmed configurations.
    """

    text: str  # as it was typed
    groups: Sequence[Sequence[Entry]]
    origins: Sequence[Row]  # `run.json` of the runs or of the sweep, with commit and versions
    notes: Sequence[str]  # sentences on what was left out
    sweep: Results | None = None  # None for runs
    label: str = ""  # the entry of a sweep that was named; empty otherwise

    @property
    def whole(self) -> bool:
        """Whether it is a sweep of several configurations."""
        return not self.label and len({entry.trial["label"] for entry in self.groups[0]}) > 1


def open_argument(which: str, text: str) -> Argument:
    """Read side `A` or `B` of a comparison from a folder, or from SWEEP:LABEL.

    Raises:
        Mistake: It names no result, or runs that do not belong together.
    """
    try:
        return _open(text)
    except (Mistake, NoResult) as error:
        raise Mistake(f"{which} = {text}: {error}") from None


def _open(text: str) -> Argument:
    """Read the folder, or what is left of a colon, as runs or as a sweep."""
    places = [i for i, letter in enumerate(text) if letter == ":" and Path(text[:i]).is_dir()]
    at = len(text) if Path(text).is_dir() or not places else places[0]
    folder, label = Path(text[:at]), text[at + 1 :].strip()
    if not folder.is_dir():
        near = difflib.get_close_matches(folder.name, [p.name for p in folder.parent.glob("*/")], n=1)
        hint = f"; did you mean {folder.with_name(near[0])}?" if near else ""
        raise Mistake(f"there is no folder {folder}{hint}")
    alone = (folder / "run.json").exists()
    homes = [folder] if alone else [path.parent for path in sorted(folder.glob("*/run.json"))]
    found = [open_results(home) for home in homes]
    if alone and found[0].kind == "sweep":
        return _sweep(text, label, found[0])
    if sweeps := [results.folder.name for results in found if results.kind == "sweep"]:
        raise Mistake(f"holds sweeps; name one of {listing(sweeps)}")
    if not found:
        raise Mistake("holds no run.json and no run")
    if label:
        raise Mistake(f"only a sweep has entries to pick; leave out ':{label}'")
    return _runs(text, found)


def _runs(text: str, runs: Sequence[Results]) -> Argument:
    """Read runs of one configuration, one per seed, as one trial; a run that failed is a lost seed."""
    status = {run.folder.name: str(run.meta.get("status", "no status")) for run in runs}
    ended = [run for run in runs if status[run.folder.name] in ("done", "failed")]
    left = listing([f"{name} ({state})" for name, state in status.items() if state not in ("done", "failed")])
    done = [run.meta["result"] for run in ended if run.meta.get("result")]
    if not done and not left:
        raise Mistake(f"every run failed, so there is nothing to compare: {listing(list(status))}")
    if not done:
        raise Mistake(f"no run is finished yet: {left}; its command with --resume finishes it")
    metas = [run.meta for run in ended]
    experiments: list[Row] = [meta.get("experiment") or {} for meta in metas]
    trial: Row = {
        "scenario": metas[0].get("scenario_label"),
        "label": metas[0].get("label"),
        "method": (experiments[0].get("method") or {}).get("name"),
        "experiment": json.dumps(experiments[0]),
        "seeds": [int(experiment.get("seed", 0)) for experiment in experiments],
        "runs": [meta.get("id") for meta in metas],
        "outcomes": ["complete" if meta.get("result") else "failed" for meta in metas],
        **{name: [(meta.get("result") or {}).get(name) for meta in metas] for name in MEASURED},
        **{f"test_{name}": [(meta.get("test") or {}).get(name) for meta in metas] for name in MEASURED},
        **{name: sum(result.get(name) or 0 for result in done) / len(done) for name in COSTS},
    }
    homes = dict(zip(trial["seeds"], (run.folder for run in ended), strict=True))
    config = config_of(experiments[0])
    for run, seed, experiment in zip(ended, trial["seeds"], experiments, strict=True):
        if homes[seed] != run.folder:
            names = f"{run.folder.name} and {homes[seed].name}"
            raise Mistake(f"two runs have seed {seed}: {names}; keep one")
        other, first, name = config_of(experiment), ended[0].folder.name, run.folder.name
        if values := [
            f"{path} ({config.get(path)} in {first}, {other.get(path)} in {name})"
            for path in differing(config, other)
        ]:
            reason = f"its runs differ in more than the seed: {short_listing(values, 5)}"
            raise Mistake(f"{reason}; name a folder of one configuration")
    number = len(runs) - len(ended)
    notes = [f"{text}: {number} of {len(runs)} runs unfinished, left out: {left}"] if left else []
    return Argument(text, [[Entry(trial, Samples(*ended), [trial], homes)]], metas, notes)


def config_of(experiment: Row) -> Row:
    """Return dotted path -> value of an experiment, without the seed and the resources."""
    flat = flatten(experiment)
    return {path: value for path, value in flat.items() if not path.startswith(NOT_CONFIGURATION)}


def differing(first: Row, second: Row) -> list[str]:
    """List the dotted paths in which two configurations differ; a missing field equals an empty one."""
    return [path for path in dict.fromkeys([*first, *second]) if first.get(path) != second.get(path)]


def _sweep(text: str, label: str, results: Results) -> Argument:
    """Read a sweep: the entry that was named, or all confirmed configurations."""
    query = "FROM trials WHERE kind IN $kinds AND state <> 'PRUNED' ORDER BY trial, study"
    trials, samples = results.sql(query, kinds=TRIAL_KINDS), Samples(results)
    by_kind = {kind: [t for t in trials if t["kind"] == kind] for kind in TRIAL_KINDS}
    confirmed = by_kind["confirm"]
    labels = list(dict.fromkeys(t["label"] for t in confirmed or trials if t["kind"] != "search"))
    named = [_named(group, label) for group in by_kind.values()] if label else [confirmed]
    groups = [list(_entries(group, trials, samples, results.folder)) for group in named if group]
    if not groups and label:
        near = difflib.get_close_matches(label, labels, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        known = listing(labels) or "none yet"
        raise Mistake(f"this sweep has no finished entry '{label}'{hint} It has {known}")
    if not groups:
        hint = f": name an entry, such as {text}:{labels[0]}" if labels else ""
        raise Mistake(f"no configuration of this sweep is confirmed on fresh seeds yet{hint}")
    notes = [f"{text}: left out because it cannot be read: {file}" for file in results.unreadable]
    if (status := results.meta.get("status", "unfinished")) != "done":
        notes = [f"{results.folder}: this sweep is {status}; only what is on disk is compared", *notes]
    return Argument(text, groups, [results.meta], notes, results, label)


def _named(trials: Sequence[Row], label: str) -> list[Row]:
    """Return the trials of a label; how it was tuned may be left out, then tuned comes first."""
    bare = [t for t in trials if base_of(t["label"]) == label]
    tuned = [t for t in bare if tuning_of(t["label"]) != "untuned"]
    return [t for t in trials if t["label"] == label] or tuned or bare


def _entries(named: Sequence[Row], trials: Sequence[Row], samples: Samples, folder: Path) -> Iterator[Entry]:
    """Yield one entry per label and scenario; of several trials of one study the last counts."""
    latest: dict[tuple[str, str], Row] = {}
    for trial in named:
        before = latest.get((trial["label"], trial["scenario"]), trial)
        if before["study"] != trial["study"] and before["runs"] != trial["runs"]:
            studies = f"{before['study']} and {trial['study']}"
            raise Mistake(f"'{trial['label']}' is not one entry: {studies} have one of that name")
        latest[trial["label"], trial["scenario"]] = trial
    for trial in latest.values():
        alike = [t for t in trials if t["scenario"] == trial["scenario"] and t["kind"] != "search"]
        peers = [t for t in alike if (t["kind"] in TESTED) == (trial["kind"] in TESTED)]
        runs = zip(trial["seeds"] or [], trial["runs"] or [], strict=False)
        yield Entry(trial, samples, peers, {int(seed): folder / "runs" / run for seed, run in runs})
