"""What several pages share: their frame, assumptions and words, and the commands that repeat all numbers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..look.page import Cell, Exhibit, Page, Part, Section, Table, Text, notice, show, slug, written
from ..look.words import capitalized, count, duration
from ..read.results import TESTED, Results, Row, flatten, json_object, parameters_of, space_of

SMALL_BACKBONE = "scenes-clip"  # the bundled CLIP
# Options without a value.
SWITCHES = ("--quiet", "--resume", "--open-test", "--json", "--no-contrasts", "--dry-run", "--quick")
REGISTERED = ("method", "scenario")  # a name that replaces all settings of its block
GLOSSARY = {
    "anchor": "The configuration around which choices are changed: the paper's values, guesses where it "
    "gives none.",
    "choice": "A setting that the paper leaves open; its tried values are its levels.",
    "level": "One tried value of a choice. As a verdict: the whole interval lies within one point of zero.",
    "contrast": "A level of one choice minus the anchor, everything else equal, on the same seeds.",
    "rival": "Another method, run beside the method under study on the same data and seeds.",
    "lead": "The method minus a rival, at the anchor or at a level of a choice.",
    "floor": "What needs no federated training: naming each client's most frequent class (the trivial "
    "rule), and zero-shot. A method below a floor is of no use there.",
    "own": "Measured on a client's own distribution: the common images, weighted by the client's classes "
    "and domains.",
    "global": "Measured on the common split, every image counted alike.",
    "personal": "With the shared parameters and the client's private ones together.",
    "confirmed": "Run again on fresh seeds that no earlier stage saw; only then the test split is opened.",
    "tuned": "Chosen by at least the declared number of search trials; else best of N trials, or untuned.",
    "transfer": "A configuration tuned under one scenario and used under another.",
    "scenario": "How the data meet the clients: who holds which classes and domains, and how many images.",
    "ahead": "The adjusted interval of the difference lies above zero and reaches beyond one point; "
    "behind: below.",
    "negligible": "A difference that is shown, and lies within one point.",
    "no effect": "Identical runs, seed by seed.",
    "diverges": "At least half of the seeds ended without a finite number.",
    "undecided": "Anything else: the seeds that ran do not tell.",
    "adjusted": "Widened for the number of differences that are looked at together (false coverage rate), so "
    "that a difference keeps its 90 % although it was picked as one of many.",
}


def page_of(
    results: Results, finished: str, sections: Sequence[Section], scripts: Sequence[Text] = (), **parts: Any
) -> Page:
    """Make a page with its state, its commands, and the section on how to reproduce each number.

    `finished` says how much is finished, `scripts` hold commands of single trials, `parts` are other
    attributes of the page. Sections without parts and facts are left out.
    """
    kept = [section for section in sections if section.parts or section.facts]
    return Page(
        notice=notice(results, finished),
        written=written(results),
        commands=repeat(results),
        sections=[*kept, reproduce(results, *scripts)],
        **parts,
    )


def present(*parts: Part | None) -> list[Part]:
    """Return the parts that there are."""
    return [part for part in parts if part]


def progress(results: Results) -> str:
    """Write `12 of 40 planned trials are finished`; a search that time ends has no plan."""
    planned, done = (results.meta.get("planned") or {}).values(), len(results.trials)
    if not planned or None in planned:
        return f"{count(done, 'trial')} finished"
    return f"{done} of {sum(planned)} planned trials are finished"


def took(results: Results, limit: str = "") -> str:
    """Write the time that something took, and the machine."""
    meta = results.meta
    seconds = meta.get("seconds") or (meta.get("result") or {}).get("seconds")
    return f"{duration(seconds)}{limit} on {joined(meta.get('hardware'))}"


def tasks_of(results: Results) -> list[Row]:
    """Return the task of each experiment: of the run, or of the trials."""
    recorded = [results.meta.get("experiment") or {}]
    recorded += [json_object(trial.get("experiment")) for trial in results.trials]
    return [experiment["task"] for experiment in recorded if experiment.get("task")]


def data_said(results: Results) -> str:
    """Write the data and the backbone of the first experiment."""
    task = next(iter(tasks_of(results)), {})
    return f"{task['dataset']}, {task.get('backbone') or 'no backbone'}" if task else "not recorded"


def joined(values: Row | None) -> str:
    """Write values as `key: value; key: value`."""
    return "; ".join(f"{k}: {show(v)}" for k, v in (values or {}).items() if v != []) or "not recorded"


def under_name(view: Results, sentences: Sequence[str]) -> list[str]:
    """Put the name of the space before the first sentence, where a sweep has several spaces."""
    if not view.space or not sentences:
        return list(sentences)
    return [f"{view.space}: {sentences[0]}", *sentences[1:]]


def of_space(view: Results, parts: Sequence[Section | Table]) -> list[Any]:
    """Name sections or tables after their space, with keys of its own, where a sweep has several spaces."""
    if not view.space:
        return list(parts)
    named, prefix = [], f"{slug(view.space)}-"
    for part in parts:
        title = f"{view.space}: {part.title[:1].lower()}{part.title[1:]}"
        named.append(replace(_with_prefix(part, prefix), title=title))
    return named


def _with_prefix(part: Any, prefix: str) -> Any:
    """Return a part or a cell with a prefix before its key, the keys of its panels, and links in the page."""
    if isinstance(part, Cell):
        return replace(part, link=f"#{prefix}{part.link[1:]}") if part.link.startswith("#") else part
    if isinstance(part, Section):
        return replace(part, parts=[_with_prefix(inner, prefix) for inner in part.parts])
    if isinstance(part, Exhibit):
        panels = [replace(panel, key=prefix + panel.key) for panel in part.panels]
        return replace(part, key=prefix + part.key, panels=panels)
    if not isinstance(part, Table) or not part.key:
        return part
    rows = [[_with_prefix(cell, prefix) for cell in row] for row in part.rows]
    return replace(part, key=prefix + part.key, rows=rows)


def reproduce(results: Results, *commands: Text) -> Section:
    """Make the section on how to reproduce each number; `commands` are the commands of single trials."""
    folder, commit = shlex.quote(str(results.folder)), results.meta.get("commit") or "not recorded"
    facts = f"Commit {commit}; versions: {joined(results.meta.get('versions'))}."
    queries = (
        "Under each figure and table, folded: the command and the query that give its numbers. The query "
        "is SQL for DuckDB over the Parquet files of the result folder; save it as q.sql and run it there. "
        "Intervals are in the tables `verdicts` and `estimates`, which every report writes again."
    )
    run = (
        f'pip install duckdb\ncd {folder}\npython -c "import duckdb; '
        "duckdb.sql(open('q.sql').read()).show(max_rows=500)\""
    )
    return Section(
        "How to reproduce each number",
        [Text([facts], code="\n".join(repeat(results))), Text([queries], code=run), *commands],
        folded=True,
    )


def assumptions(results: Results) -> list[str]:
    """Sentences on what every number of a page assumes: own distributions, and the bundled backbone."""
    plural = results.metric.plural
    own_distribution = (
        f"{capitalized(plural)} on a client's own distribution (acc_*_own) are {plural} on the global "
        "split, reweighted by the client's class and domain frequencies. No client gives up training "
        "images for this, but it assumes that the images of a class and domain are alike across clients."
    )
    small = (
        f"The backbone is {SMALL_BACKBONE}, a small CLIP trained on generated scenes. It serves to compare "
        "methods under the same conditions and to prove that everything works. On real imagery its "
        f"{plural} are low and say nothing about what a full-size CLIP would reach."
    )
    backbones = {task.get("backbone") for task in tasks_of(results)}
    return [own_distribution, *([small] if SMALL_BACKBONE in backbones else [])]


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
    words = _places(shlex.split(_made_by(results)))
    typed = next((word for word in words if Path(word).stem == name), name)  # a name, or the path of a file
    run = _run(typed, trial["kind"] in TESTED, chosen)
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


def _places(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command that are neither options, values of options, nor overrides."""
    of_option = False
    for word in words:
        if not (of_option or word.startswith("-") or "=" in word):
            yield word
        of_option = word.startswith("--") and "=" not in word and word not in SWITCHES
