"""Commands that repeat runs and trials, written from the experiments on disk."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..look.page import Text
from ..read.results import TESTED, Results, Row, flatten, json_object, parameters_of

NOT_SPELLED_OUT = ("resources.", "seed")  # resources are no part of an experiment; the seed is a loop


def settings(trial: Row) -> Row:
    """Return dotted path -> value of a trial's experiment, without resources and seed.

    Where no experiment is recorded, it holds the trial's method and parameters.
    """
    recorded = flatten(json_object(trial.get("experiment")))
    flat = recorded or {"method.name": trial.get("method"), **parameters_of(trial)}
    return {_path(k): v for k, v in flat.items() if not k.startswith(NOT_SPELLED_OUT)}


def _path(path: str) -> str:
    return path.removesuffix(".name") if path in ("method.name", "scenario.name") else path


def assignment(path: str, value: Any) -> str:
    """Write `path=value`, quoted for the shell."""
    text = value if isinstance(value, str) else json.dumps(value)
    return shlex.quote(f"{path}={text}")


def trial_command(results: Results, trial: Row) -> str:
    """Write the loop over the seeds of one trial, with every setting spelled out."""
    return _loop(results, trial, settings(trial))


def _loop(results: Results, trial: Row, chosen: Row, common: str = "") -> str:
    first = [assignment(k, chosen[k]) for k in ("method", "scenario") if k in chosen]
    rest = [assignment(k, v) for k, v in chosen.items() if k not in ("method", "scenario")]
    test = ["--open-test"] if trial["kind"] in TESTED else []
    space = shlex.quote(space_argument(results))
    run = " ".join(["raysim run", space, *test, *first, *([common] if common else []), *rest, "seed=$seed"])
    return f"for seed in {' '.join(map(str, trial['seeds']))}; do {run}; done"


def commands(results: Results) -> Text:
    """Write a shell script: the settings that all trials share, then a loop over the seeds for each trial."""
    trials: Sequence[Row] = [t for t in results.trials if t.get("seeds")]
    if not trials:
        return Text(["No trial is finished, so there is no command to repeat."])
    all_settings = [settings(t) for t in trials]
    common = {
        k: v
        for k, v in all_settings[0].items()
        if k not in ("method", "scenario") and all(k in s and s[k] == v for s in all_settings)
    }
    lines = ["COMMON=(" + " ".join(assignment(k, v) for k, v in common.items()) + ")"]
    for trial, chosen in zip(trials, all_settings, strict=True):
        own = {k: v for k, v in chosen.items() if k not in common}
        loop = _loop(results, trial, own, '"${COMMON[@]}"')
        lines.append(f"# trial {trial.get('trial')}: {_comment(trial)}\n{loop}")
    return Text(code="\n".join(lines), folded=f"The command of each of {len(trials)} trials (bash)")


def rest_command(results: Results) -> str:
    """Return the command that runs what a sweep left out; empty while it runs."""
    made_by = str(results.meta.get("command") or "").strip()
    if results.meta.get("status", "running") == "running" or not made_by:
        return ""
    if command := (results.meta.get("left_out") or {}).get("command"):
        return str(command)  # with the minutes that it takes
    out = shlex.quote(str(results.folder))
    resumed = made_by if " --out " in made_by else f"{made_by} --out {out}"
    return resumed if "--resume" in resumed else f"{resumed} --resume"


def repeat(results: Results) -> list[str]:
    """Return the commands that repeat a page: the one that made the results, then the one of the report."""
    made_by = str(results.meta.get("command") or "").strip()
    return [*([made_by] if made_by else []), f"raysim report {shlex.quote(str(results.folder))}"]


def space_argument(results: Results) -> str:
    """Return the space as the command of the sweep named it: a name, or the path of a file."""
    name = str(results.meta.get("space") or (results.trials[0]["method"] if results.trials else ""))
    return next(
        (word for word in shlex.split(str(results.meta.get("command") or "")) if Path(word).stem == name),
        name,
    )


def _comment(trial: Row) -> str:
    return " ".join(f"{trial['label']}, {trial['scenario']}".split())


def run_command(results: Results) -> str:
    """Write the command that repeats a single run, with all its settings."""
    flat = {
        _path(k): v
        for k, v in flatten(results.meta.get("experiment") or {}).items()
        if not k.startswith("resources.")
    }
    words = shlex.split(str(results.meta.get("command") or ""))
    space = (
        words[words.index("run") + 1]
        if "run" in words[:-1]
        else str(flat.get("method") or results.meta.get("label"))
    )
    first = [assignment(k, flat.pop(k)) for k in ("method", "scenario") if k in flat]
    test = ["--open-test"] if results.meta.get("test") else []
    return " ".join(
        ["raysim run", shlex.quote(space), *test, *first, *(assignment(k, v) for k, v in flat.items())]
    )
