"""The best configuration of each scenario: its accuracy, the floors beside it, the command that runs it."""

from __future__ import annotations

from ..figures.rows import place_in, scenario_order
from ..look.page import Cell, Table, run_link
from ..look.words import accuracy, basis, listing
from ..read.results import Results, Row
from .commands import trial_command

# Chosen by validation among the confirmed configurations, else among all; then its row on the test split.
QUERY = """WITH measured AS (
  FROM estimates WHERE metric = 'acc_personal_own' AND kind <> 'floor' AND isfinite(mean)
), best AS (
  FROM measured WHERE split = 'validation'
  QUALIFY row_number() OVER (PARTITION BY scenario ORDER BY kind = 'confirm' DESC, mean DESC, number) = 1
)
SELECT e.* EXCLUDE (seeds), coalesce(len(e.seeds), 0) AS seeds, b.kind = 'confirm' AS confirmed
FROM best b JOIN measured e ON e.trial = b.trial AND e.scenario = b.scenario
QUALIFY row_number() OVER (PARTITION BY e.scenario ORDER BY e.split = 'test' DESC, e.number) = 1"""
FLOORS = """SELECT * EXCLUDE (seeds), coalesce(len(seeds), 0) AS seeds FROM estimates
WHERE metric = 'acc_personal_own' AND kind = 'floor' AND isfinite(mean) ORDER BY number"""


def best_table(results: Results) -> Table | None:
    """Return the table of the best configurations; None where nothing was measured."""
    order = scenario_order(results)
    chosen = sorted(results.sql(QUERY), key=lambda row: place_in(order, row["scenario"]))
    if not chosen:
        return None
    floors = results.sql(FLOORS)
    trials = {trial.get("trial"): trial for trial in results.trials}
    body = []
    for row in chosen:
        beside = [f for f in floors if (f["trial"], f["split"]) == (row["trial"], row["split"])]
        said = listing([f"{floor['label']} {accuracy(floor)}" for floor in beside])
        trial = trials.get(row["trial"])
        run = (trial.get("runs") or [""])[0] if trial else ""
        body.append(
            [
                row["scenario"],
                Cell(_name(row), link=run_link(run)),
                Cell(f"{accuracy(row)} %", "tight", basis(row)),
                basis(row),
                Cell(said or "not measured"),
                Cell("the command that runs it", code=trial_command(results, trial)) if trial else "",
            ]
        )
    confirmed = all(row["confirmed"] for row in chosen)
    caption = (
        "The best by validation among the configurations confirmed on fresh seeds; the number is that of the "
        f"{'test' if all(row['split'] == 'test' for row in chosen) else chosen[0]['split']} split."
        if confirmed
        else "Not confirmed on fresh seeds: the best of several on the seeds that chose it, "
        "so it looks a little too good."
    )
    columns = [
        "scenario",
        "best configuration",
        f"{chosen[0]['split']} {results.metric}",
        "interval",
        "beside it",
        "",
    ]
    return Table(
        columns, body, caption, results.shown(QUERY), key="best", title="Best configuration", look="cards"
    )


def _name(row: Row) -> str:
    """Return the label of a configuration, with its method where the label does not begin with it."""
    label = str(row["label"])
    return (
        label if row["kind"] == "confirm" or label.startswith(row["method"]) else f"{row['method']} {label}"
    )
