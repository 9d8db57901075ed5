"""The configurations that a report compares: their names, their order, and how each is drawn in all of its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count, takewhile

from ..read.queries import parts
from ..read.results import Results, Row, finished, flatten, loads, standing
from .style import GREY, KNOWN, LINES, MARKERS, PALETTE, UNTUNED, Look

# The start of a DuckDB query in the result folder. Of a trial that a resume wrote twice, the later one
# counts.
LATEST = f"""WITH latest AS (
  SELECT * FROM {parts("trials")} WHERE {{where}} AND state = 'COMPLETE'
  QUALIFY row_number() OVER (PARTITION BY scenario, method, label ORDER BY finished DESC, trial DESC) = 1
)"""
CONFIRMED = f"""{LATEST.format(where="kind = 'confirm'")}, confirmed AS (
  SELECT scenario, label, unnest(runs) AS run, unnest(seeds) AS seed, unnest(test_acc_personal_own) AS acc_personal_own,
    unnest(test_acc_personal_global) AS acc_personal_global
  FROM latest
)"""
MOST = 8  # configurations that an eye tells apart in one panel


def quoted(text: str) -> str:
    """Text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def bare(label: str) -> str:
    """A label without `(tuned)` or `(untuned)`."""
    word = standing(label)
    return label.removesuffix(f" ({word})") if word else label


def shown_trials(results: Results) -> list[Row]:
    """The trials whose runs are drawn: the confirmed ones, or the anchors while there are none."""
    confirmed = finished(results.trials, "confirm")
    return confirmed or [t for t in finished(results.trials, "contrast") if not t.get("factor")]


def name_of(trial: Row) -> str:
    """What a drawn trial is called."""
    return str(trial["label"] if trial["kind"] == "confirm" else f"{trial['method']} {trial['label']}")


def runs_of(results: Results) -> str:
    """The start of a DuckDB query: `run_of`, the runs that are drawn, each with scenario, label and seed (see `shown_trials`)."""
    confirmed = bool(finished(results.trials, "confirm"))
    where = "kind = 'confirm'" if confirmed else "kind = 'contrast' AND factor IS NULL"
    name = "label" if confirmed else "method || ' ' || label"
    return f"""{LATEST.format(where=where)}, run_of AS (
  SELECT scenario, {name} AS label, unnest(runs) AS run, unnest(seeds) AS seed FROM latest
)"""


def places_of(results: Results) -> dict[str, list[tuple[str, str, int]]]:
    """Run -> (scenario, label, seed) of each drawn configuration that it is a run of: those that come to the same share their runs."""
    where: dict[str, list[tuple[str, str, int]]] = {}
    for trial in {(t["scenario"], name_of(t)): t for t in shown_trials(results)}.values():
        for run, seed in zip(trial.get("runs") or [], trial.get("seeds") or [], strict=False):
            where.setdefault(run, []).append((trial["scenario"], name_of(trial), seed))
    return where


def scenarios_of(results: Results, names: Iterable[str]) -> list[str]:
    """These scenarios in the sweep's order, each once."""
    order = [s["label"] for s in results.meta.get("scenarios") or []]
    return sorted(dict.fromkeys(names), key=lambda s: (order.index(s) if s in order else len(order), s))


def entries(results: Results) -> dict[str, str]:
    """Label -> method of all that is drawn, in the order of the recipe's grid, else of the trials."""
    found = {name_of(t): str(t["method"]) for t in shown_trials(results)}
    grid: Sequence[str] = results.meta.get("grid") or []
    return dict(
        sorted(
            found.items(), key=lambda item: grid.index(bare(item[0])) if bare(item[0]) in grid else len(grid)
        )
    )


def subject(results: Results) -> str | None:
    """The configuration that a recipe is about, its first entry, once it is confirmed."""
    labels, grid = list(entries(results)), results.meta.get("grid") or []
    return next((label for label in labels if not grid or bare(label) == grid[0]), None)


def entry_of(results: Results, study: str, scenario: str) -> str:
    """The entry of a tuned recipe that a study is about: its name is `SPACE ENTRY | SCENARIO`."""
    return study.removesuffix(f" | {scenario}").removeprefix(f"{results.meta.get('space')} ")


def groups(labels: Sequence[str]) -> list[list[str]]:
    """The labels, cut into panels of at most `MOST`; the first, with which the others are compared, is in each."""
    if len(labels) <= MOST:
        return [list(labels)]
    first, rest = labels[0], labels[1:]
    size = -(-len(rest) // -(-len(rest) // (MOST - 1)))
    return [[first, *rest[start : start + size]] for start in range(0, len(rest), size)]


def looks(entries: Mapping[str, str]) -> dict[str, Look]:
    """Label -> look, so that no two configurations share one, whatever their methods.

    Args:
        entries: Label -> method, the most important first. Of several labels of a known method, the first
            takes the method's own colour; tuned and untuned of one name differ only in being filled.
    """
    places: dict[str, int] = {}
    for label, method in entries.items():
        if method in KNOWN and KNOWN[method] not in places.values():
            places.setdefault(bare(label), KNOWN[method])
    grey = next((bare(label) for label, method in entries.items() if method == "zeroshot"), None)
    for name in map(bare, entries):
        if name not in places and name != grey:
            places[name] = next(place for place in count() if place not in places.values())
    return {label: _look(places.get(bare(label)), standing(label) == "untuned") for label in entries}


def _look(place: int | None, hollow: bool) -> Look:
    """The palette once through, then again and again without the first colour, each time with another line; without a place, grey."""
    again, which = divmod(max(0, (place or 0) - len(PALETTE)), len(PALETTE) - 1)
    tint = GREY if place is None else PALETTE[place] if place < len(PALETTE) else PALETTE[1 + which]
    line = LINES[0] if (place or 0) < len(PALETTE) else LINES[1 + again % (len(LINES) - 1)]
    return Look(
        tint, "h" if place is None else MARKERS[place % len(MARKERS)], UNTUNED if hollow else line, hollow
    )


def settings(trial: Row) -> Row:
    """Dotted path -> value of the experiment of a trial's first seed."""
    return flatten(loads(trial.get("experiment")))


def number_at(trial: Row, path: str) -> float | None:
    """A setting, where it is a number."""
    value = settings(trial).get(path)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def families(trials: Sequence[Row], paths: Sequence[str]) -> dict[str, str]:
    """Label -> the line that it is a point of: labels whose methods differ in these settings alone make one line, named by its common part.

    Args:
        trials: Of whatever scenarios.
        paths: The settings along which lines are drawn; none of them is the method's own where each label is
            a line.
    """
    own = [path for path in paths if path.startswith("method.")]
    alike: dict[str, list[str]] = {}
    for trial in trials:
        kept = {k: v for k, v in settings(trial).items() if k.startswith("method.") and k not in own}
        members = alike.setdefault(repr(sorted(kept.items())) if own else trial["label"], [])
        members += [] if trial["label"] in members else [trial["label"]]
    return {label: common(members) for members in alike.values() for label in members}


def common(labels: Sequence[str]) -> str:
    """What labels have in common: the parts between commas, else the first words; of a single label, all of it."""
    shared = [part for part in labels[0].split(", ") if all(part in other.split(", ") for other in labels)]
    words = list(
        takewhile(lambda same: len(set(same)) == 1, zip(*(label.split() for label in labels), strict=False))
    )
    return ", ".join(shared) or " ".join(same[0] for same in words) or labels[0]
