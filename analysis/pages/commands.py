"""Commands that repeat runs and trials, written from the experiments on disk."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..look.page import Text
from ..read.results import TESTED, Results, Row, flatten, json_object, parameters_of, space_of

# Options without a value.
SWITCHES = ("--quiet", "--resume", "--open-test", "--json", "--no-contrasts", "--dry-run", "--quick")
REGISTERED = ("method", "scenario")  # a name that replaces all settings of its block


def settings(experiment: Mapping[str, Any]) -> Row:
    """Return dotted path -> value of an experiment, as a command names them, without its resources."""
    flat = {
        path.removesuffix(".name") if path in ("method.name", "scenario.name") else path: value
        for path, value in flatten(dict(experiment)).items()
        if not path.startswith("resources.")
    }
    return {path: flat[path] for path in sorted(flat, key=lambda path: path not in REGISTERED)}


def changes(flat: Row, declared: Row) -> Row:
    """Return the settings of an experiment that a command must give: those that differ from its space's base.

    `run.json` declares of a space its `base`, and as `fixed` the settings on the command line of the sweep.
    Without a base, all settings are returned.
    """
    base, fixed = settings(declared.get("base") or {}), settings(declared.get("fixed") or {})
    if not base:
        return flat
    replaced = tuple(f"{name}." for name in REGISTERED if name in fixed or flat.get(name) != base.get(name))
    return {
        path: value
        for path, value in flat.items()
        if path in fixed or path.startswith(replaced) or path not in base or value != base[path]
    }


def _run(space: str, tested: Any, chosen: Row) -> str:
    """Write `raysim run SPACE path=value ...`, quoted for the shell."""
    texts = {path: value if isinstance(value, str) else json.dumps(value) for path, value in chosen.items()}
    words = [space, *(["--open-test"] if tested else []), *(f"{path}={text}" for path, text in texts.items())]
    return f"raysim run {shlex.join(words)}"


def trial_command(results: Results, trial: Row) -> str:
    """Write the loop over the seeds of one trial; where no experiment is recorded, with its parameters."""
    recorded = json_object(trial.get("experiment"))
    flat = settings(recorded or {"method": trial.get("method"), **parameters_of(trial)})
    name = space_of(str(trial.get("study")), results.meta.get("spaces") or [])
    name = name or str(results.meta.get("space") or trial["method"])
    chosen = changes(flat, (results.meta.get("spaces_declared") or {}).get(name) or {})
    chosen.pop("seed", None)
    run = _run(_as_typed(results, name), trial["kind"] in TESTED, chosen)
    return f"for seed in {' '.join(map(str, trial['seeds']))}; do {run} seed=$seed; done"


def commands(results: Results) -> Text:
    """Write a shell script with the loop over the seeds of each trial."""
    trials = [trial for trial in results.trials if trial.get("seeds")]
    if not trials:
        return Text(["No trial is finished, so there is no command to repeat."])
    names = [" ".join(f"trial {t.get('trial')}: {t['label']}, {t['scenario']}".split()) for t in trials]
    lines = [f"# {name}\n{trial_command(results, t)}" for name, t in zip(names, trials, strict=True)]
    return Text(code="\n".join(lines), folded=f"The command of each of {len(trials)} trials (bash)")


def rest_words(results: Results) -> str:
    """Say how what a sweep left out can be run, or that it was not asked for; empty while it runs."""
    made_by = _made_by(results)
    if results.meta.get("status", "running") == "running" or not made_by:
        return ""
    if "left_out" in results.meta and results.meta["left_out"] is None:  # the plan has no more
        return "the rest was not asked for"
    command = (results.meta.get("left_out") or {}).get("command")  # it says the minutes
    return f"`{command or resume_command(results)}` runs the rest"


def resume_command(results: Results) -> str:
    """Return the command that made the results, as it goes on with them."""
    made_by = _made_by(results)
    out = "" if " --out " in made_by else f" --out {shlex.quote(str(results.folder))}"
    return f"{made_by}{out}" + ("" if "--resume" in made_by else " --resume")


def repeat(results: Results) -> list[str]:
    """Return the commands that repeat a page: the one that made the results, then the one of the report."""
    report = f"raysim report {shlex.quote(str(results.folder))}"
    return [command for command in (_made_by(results), report) if command]


def run_command(results: Results) -> str:
    """Write the command that repeats a single run, with all its settings."""
    flat, words = settings(results.meta.get("experiment") or {}), shlex.split(_made_by(results))
    named = next(iter(_places(words[words.index("run") + 1 :])), "") if "run" in words else ""
    space = named or str(flat.get("method") or results.meta.get("label"))
    return _run(space, results.meta.get("test"), flat)


def _made_by(results: Results) -> str:
    return str(results.meta.get("command") or "").strip()


def _as_typed(results: Results, space: str) -> str:
    """Return a space as the command of the sweep named it: a name, or the path of a file."""
    words = shlex.split(_made_by(results))
    return next((word for word in _places(words) if Path(word).stem == space), space)


def _places(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command that are neither options, values of options, nor overrides."""
    of_option = False
    for word in words:
        if not (of_option or word.startswith("-") or "=" in word):
            yield word
        of_option = word.startswith("--") and "=" not in word and word not in SWITCHES
