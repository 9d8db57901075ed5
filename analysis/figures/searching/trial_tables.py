"""Tables of all trials and of all open choices."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.page import Cell, Table
from ...look.words import mean_span, points
from ...read import queries
from ...read.results import Results, Row, by_seed, parameters_of
from ...stats.intervals import t_interval


def table_trials(results: Results) -> Table | None:
    """Return all trials with their state and values, folded; None where there is no trial."""
    if not results.trials:
        return None
    body = []
    for trial in results.trials:
        validation, test = (
            t_interval(list(by_seed(trial, column).values()), results.confidence)
            for column in ("acc_personal_own", "test_acc_personal_own")
        )
        look = {"FAIL": "hurts", "PRUNED": "undecided"}.get(trial["state"], "")
        changed = " ".join(f"{path}={value}" for path, value in parameters_of(trial).items())
        body.append(
            [
                trial.get("trial"),
                *(trial[key] for key in ("scenario", "kind", "label")),
                Cell(trial["state"], look),
                trial.get("reason") or "",
                mean_span(validation),
                mean_span(test) if test else "",
                len(trial.get("seeds") or []),
                trial.get("rounds"),
                round(trial.get("seconds") or 0, 1),
                Cell(changed, "code"),
            ]
        )
    caption = (
        f"Personal {results.metric} on the client's own distribution, mean [{results.confidence:.0%} "
        "interval] over seeds."
    )
    folded, key = f"All {len(body)} trials", "table-trials"
    return Table(TRIAL_COLUMNS, body, caption, queries.TRIALS, folded=folded, key=key, title="Trials")


TRIAL_COLUMNS = (
    "trial",
    "scenario",
    "kind",
    "label",
    "state",
    "reason",
    "validation, %",
    "test, %",
    "seeds",
    "rounds",
    "seconds",
    "set",
)


def table_choices(results: Results, contrasts: Sequence[Row]) -> Table | None:
    """Return the open choices: the source of each value, what was tried, and the best level.

    Args:
        results: The sweep.
        contrasts: Rows of `contrasts.table_contrasts`.
    """
    factors = results.meta.get("factors") or []
    if not factors:
        return None
    best_levels: dict[str, dict[str, Row]] = {}
    for row in contrasts:
        scenarios = best_levels.setdefault(row["path"], {})
        if row["scenario"] not in scenarios or row["mean"] > scenarios[row["scenario"]]["mean"]:
            scenarios[row["scenario"]] = row
    body = []
    for factor in factors:
        best = [_best_level(row) for row in best_levels.get(factor["path"], {}).values()]
        body.append(
            [
                Cell(factor["path"], "code"),
                factor.get("doc") or "",
                factor.get("basis") or "",
                str(factor.get("anchor")),
                ", ".join(map(str, factor.get("levels") or [])),
                "; ".join(best) or "not tried yet",
            ]
        )
    columns = ["choice", "what it is", "basis of the anchor", "anchor", "levels", "best mean so far"]
    caption = (
        "Basis: paper = stated in the paper's public text; relative = from the code of a published "
        "relative; computed = follows from a computation; guess = ours. The best mean is no verdict "
        "unless it says helps."
    )
    title = "Open choices and the sources of their values"
    return Table(columns, body, caption, queries.FACTORS, key="table-choices", title=title)


def _best_level(row: Row) -> str:
    """Return the best level in a scenario, or `anchor` where no level has a higher mean."""
    if row["mean"] <= 0:
        return f"{row['scenario']}: anchor"
    return f"{row['scenario']}: {row['level']} ({points(row['mean'])}, {row['verdict']})"
