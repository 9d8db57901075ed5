"""Configurations that a report compares: their names, their order, and their look in all figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count, takewhile

from ..read.queries import parts
from ..read.results import Results, Row, finished_trials, flatten, json_object, tuning_of
from .style import GREY, KNOWN, LINES, MARKERS, PALETTE, UNTUNED, Look

# Start of a DuckDB query in the result folder. Of a trial that a resume wrote twice, the later row counts.
LATEST = f"""WITH latest AS (
  SELECT * FROM {parts("trials")} WHERE {{where}} AND state = 'COMPLETE'
  QUALIFY row_number() OVER (PARTITION BY scenario, method, label ORDER BY finished DESC, trial DESC) = 1
)"""
CONFIRMED = f"""{LATEST.format(where="kind = 'confirm'")}, confirmed AS (
  SELECT scenario, label, unnest(runs) AS run, unnest(seeds) AS seed,
    unnest(test_acc_personal_own) AS acc_personal_own, unnest(test_acc_personal_global) AS acc_personal_global
  FROM latest
)"""
MAX_PER_PANEL = 8  # configurations that can be distinguished in one panel


def quoted(text: str) -> str:
    """Quote a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def base_label(label: str) -> str:
    """Remove `(tuned)` or `(untuned)` from a label."""
    word = tuning_of(label)
    return label.removesuffix(f" ({word})") if word else label


def shown_trials(results: Results) -> list[Row]:
    """Return the trials whose runs are drawn: the confirmed ones, or the anchors while there are none."""
    confirmed = finished_trials(results.trials, "confirm")
    return confirmed or [t for t in finished_trials(results.trials, "contrast") if not t.get("factor")]


def name_of(trial: Row) -> str:
    """Return the name of a drawn trial."""
    return str(trial["label"] if trial["kind"] == "confirm" else f"{trial['method']} {trial['label']}")


def runs_of(results: Results) -> str:
    """Return the start of a DuckDB query: `run_of` holds the drawn runs with scenario, label and seed."""
    confirmed = bool(finished_trials(results.trials, "confirm"))
    where = "kind = 'confirm'" if confirmed else "kind = 'contrast' AND factor IS NULL"
    name = "label" if confirmed else "method || ' ' || label"
    return f"""{LATEST.format(where=where)}, run_of AS (
  SELECT scenario, {name} AS label, unnest(runs) AS run, unnest(seeds) AS seed FROM latest
)"""


def drawn_places(results: Results) -> dict[str, list[tuple[str, str, int]]]:
    """Return run -> (scenario, label, seed) of each drawn configuration; equal ones share their runs."""
    where: dict[str, list[tuple[str, str, int]]] = {}
    for trial in {(t["scenario"], name_of(t)): t for t in shown_trials(results)}.values():
        for run, seed in zip(trial.get("runs") or [], trial.get("seeds") or [], strict=False):
            where.setdefault(run, []).append((trial["scenario"], name_of(trial), seed))
    return where


def scenarios_of(results: Results, names: Iterable[str]) -> list[str]:
    """Return these scenarios in the order of the sweep, each once."""
    order = [s["label"] for s in results.meta.get("scenarios") or []]
    return sorted(dict.fromkeys(names), key=lambda s: (order.index(s) if s in order else len(order), s))


def entries(results: Results) -> dict[str, str]:
    """Return label -> method of all drawn configurations, in the order of the grid, else of the trials."""
    methods = {name_of(t): str(t["method"]) for t in shown_trials(results)}
    grid: Sequence[str] = results.meta.get("grid") or []
    return dict(
        sorted(
            methods.items(),
            key=lambda item: grid.index(base_label(item[0])) if base_label(item[0]) in grid else len(grid),
        )
    )


def subject(results: Results) -> str | None:
    """Return the configuration that a recipe is about: its first entry, once it is confirmed."""
    labels, grid = list(entries(results)), results.meta.get("grid") or []
    return next((label for label in labels if not grid or base_label(label) == grid[0]), None)


def entry_of(results: Results, study: str, scenario: str) -> str:
    """Return the entry of a tuned recipe whose study this is; the study is named `SPACE ENTRY | SCENARIO`."""
    return study.removesuffix(f" | {scenario}").removeprefix(f"{results.meta.get('space')} ")


def panel_groups(labels: Sequence[str]) -> list[list[str]]:
    """Cut labels into panels of at most `MAX_PER_PANEL`; the first label, the reference, is in each panel."""
    if len(labels) <= MAX_PER_PANEL:
        return [list(labels)]
    first, rest = labels[0], labels[1:]
    size = -(-len(rest) // -(-len(rest) // (MAX_PER_PANEL - 1)))
    return [[first, *rest[start : start + size]] for start in range(0, len(rest), size)]


def looks_of(entries: Mapping[str, str]) -> dict[str, Look]:
    """Return label -> look; no two configurations share a look.

    Args:
        entries: Label -> method, the most important first. Of several labels of a known method, the first
            has the colour of the method. The tuned and the untuned configuration of one name differ only in
            the filling and the line.
    """
    places: dict[str, int] = {}
    for label, method in entries.items():
        if method in KNOWN and KNOWN[method] not in places.values():
            places.setdefault(base_label(label), KNOWN[method])
    grey = next((base_label(label) for label, method in entries.items() if method == "zeroshot"), None)
    for name in map(base_label, entries):
        if name not in places and name != grey:
            places[name] = next(place for place in count() if place not in places.values())
    return {label: _look(places.get(base_label(label)), tuning_of(label) == "untuned") for label in entries}


def _look(place: int | None, hollow: bool) -> Look:
    """Return the look at a place, grey without one.

    After the last colour, the palette is repeated without its first colour and with another line.
    """
    again, which = divmod(max(0, (place or 0) - len(PALETTE)), len(PALETTE) - 1)
    tint = GREY if place is None else PALETTE[place] if place < len(PALETTE) else PALETTE[1 + which]
    line = LINES[0] if (place or 0) < len(PALETTE) else LINES[1 + again % (len(LINES) - 1)]
    return Look(
        tint, "h" if place is None else MARKERS[place % len(MARKERS)], UNTUNED if hollow else line, hollow
    )


def settings(trial: Row) -> Row:
    """Return dotted path -> value of the experiment of a trial's first seed."""
    return flatten(json_object(trial.get("experiment")))


def number_at(trial: Row, path: str) -> float | None:
    """Return a setting of a trial where it is a number."""
    value = settings(trial).get(path)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def families(trials: Sequence[Row], paths: Sequence[str]) -> dict[str, str]:
    """Return label -> name of its line: labels whose methods differ in these settings alone share a line.

    A line is named after the common part of its labels.

    Args:
        trials: Trials of any scenarios.
        paths: The settings along which lines are drawn; where none is a setting of the method, each label is
            a line.
    """
    of_method = [path for path in paths if path.startswith("method.")]
    alike: dict[str, list[str]] = {}
    for trial in trials:
        kept = {k: v for k, v in settings(trial).items() if k.startswith("method.") and k not in of_method}
        members = alike.setdefault(repr(sorted(kept.items())) if of_method else trial["label"], [])
        members += [] if trial["label"] in members else [trial["label"]]
    return {label: common(members) for members in alike.values() for label in members}


def common(labels: Sequence[str]) -> str:
    """Return the common part of labels: parts between commas, else first words, else the first label."""
    shared = [part for part in labels[0].split(", ") if all(part in other.split(", ") for other in labels)]
    words = list(
        takewhile(lambda same: len(set(same)) == 1, zip(*(label.split() for label in labels), strict=False))
    )
    return ", ".join(shared) or " ".join(same[0] for same in words) or labels[0]
