"""The best configuration of each scenario: its accuracy, the floors beside it, the command that runs it."""

from __future__ import annotations

from ..figures.rows import grouped, place_in, scenario_order
from ..look.page import Cell, Table, run_link
from ..look.words import accuracy, basis, count, listing
from ..read.results import Results, Row
from .commands import trial_command

# Chosen by validation among the confirmed configurations, else among all; then its row on the test split.
# A lost seed counts as 0, as in the objective of the search. What breaks a constraint is not chosen.
QUERY = """WITH measured AS (
  SELECT *, mean * len(seeds) / (len(seeds) + lost) AS counted FROM estimates
  WHERE metric = 'acc_personal_own' AND kind <> 'floor' AND isfinite(mean) AND len(seeds) > lost
    AND trial NOT IN (SELECT trial FROM trials WHERE violated <> '')
), best AS (
  SELECT *, count(*) OVER (PARTITION BY scenario) AS among FROM measured WHERE split = 'validation'
  QUALIFY row_number() OVER (PARTITION BY scenario ORDER BY kind = 'confirm' DESC, counted DESC, number) = 1
)
SELECT e.* EXCLUDE (seeds, counted), coalesce(len(e.seeds), 0) AS seeds, b.kind = 'confirm' AS confirmed,
  b.among
FROM best b JOIN measured e ON e.trial = b.trial AND e.scenario = b.scenario
QUALIFY row_number() OVER (PARTITION BY e.scenario ORDER BY e.split = 'test' DESC, e.number) = 1"""
FLOORS = """SELECT * EXCLUDE (seeds), coalesce(len(seeds), 0) AS seeds FROM estimates
WHERE metric = 'acc_personal_own' AND kind = 'floor' AND isfinite(mean) ORDER BY number"""
# Methods of which no configuration meets the constraints, where there are any.
BREAKING = """SELECT scenario, method, count(DISTINCT params) AS configurations FROM trials
WHERE violated IS NOT NULL GROUP BY scenario, method HAVING bool_and(violated <> '')
ORDER BY scenario, min(trial)"""

# How a configuration was chosen, and of which split its number is.
CHOSEN = {
    "confirmed": "The best by validation among the configurations confirmed on fresh seeds; the number is "
    "that of the {} split.",
    "chosen": "Not confirmed on fresh seeds: the best of several on the seeds that chose it, so it looks a "
    "little too good.",
    "alone": "The only configuration that was measured.",
}


def best_table(results: Results) -> Table | None:
    """Return the table of the best configurations; None where nothing was measured."""
    order = scenario_order(results)
    chosen = sorted(results.sql(QUERY), key=lambda r: (place_in(order, r["scenario"]), r["scenario"]))
    breaking = _breaking(results)
    infeasible = {s: said for s, said in breaking.items() if s not in {row["scenario"] for row in chosen}}
    if not chosen and not infeasible:
        return None
    floors = grouped(results.sql(FLOORS), "trial", "split")
    trials = {trial.get("trial"): trial for trial in results.trials}
    body, splits = [], list(dict.fromkeys(row["split"] for row in chosen))
    for row in chosen:
        beside = floors.get((row["trial"], row["split"]), [])
        said = listing([f"{floor['label']} {accuracy(floor)}" for floor in beside])
        trial = trials.get(row["trial"])
        link = run_link(next(iter(trial.get("runs") or []), "")) if trial else ""
        command = Cell("the command that runs it", code=trial_command(results, trial)) if trial else ""
        of_split = "" if len(splits) == 1 else f" ({row['split']})"
        value = Cell(f"{accuracy(row)} %{of_split}", "tight", basis(row))
        name = Cell(_name(row), link=link)
        body.append([row["scenario"], name, value, basis(row), Cell(said or "not measured"), command])
    body += [[scenario, Cell(said), *[""] * 4] for scenario, said in infeasible.items()]
    limits = _limits(results)
    caption = "Shared and private parameters together, on each client's own distribution."
    for how, said in CHOSEN.items():
        rows = [row for row in chosen if _how(row) == how]
        where = "" if len(rows) == len(chosen) else f"Under {listing([row['scenario'] for row in rows])}: "
        of = listing(list(dict.fromkeys(row["split"] for row in rows)))
        caption += f" {where}{said.format(of)}" if rows else ""
    caption += f" It meets {limits}." if limits and chosen else ""
    for scenario in (row["scenario"] for row in chosen if row["scenario"] in breaking):
        caption += f" Under {scenario}, {breaking[scenario]}."
    measure = f"{' or '.join(splits) or 'validation'} {results.metric} (own distribution)"
    columns = ["scenario", "best configuration", measure, "interval", "beside it", ""]
    source, title = results.shown(f"{QUERY};\n{FLOORS}"), "Best configuration"
    return Table(columns, body, caption, source, key="best", title=title, look="cards")


def _limits(results: Results) -> str:
    """Return the constraints of the search; empty without any."""
    return ", ".join((results.meta.get("search") or {}).get("constraints") or [])


def _how(row: Row) -> str:
    """Return how a best configuration was chosen, as `CHOSEN` has it."""
    return "confirmed" if row["confirmed"] else "chosen" if row["among"] > 1 else "alone"


def _breaking(results: Results) -> dict[str, str]:
    """Say for each scenario of which methods no configuration meets the constraints."""
    texts = {}
    for scenario, rows in grouped(results.sql(BREAKING), "scenario").items():
        names = [f"{count(row['configurations'], 'configuration')} of {row['method']}" for row in rows]
        texts[str(scenario)] = f"none of {listing(names)} meets {_limits(results)}"
    return texts


def _name(row: Row) -> str:
    """Return the label of a configuration, with its method where the label does not begin with it."""
    label, method = str(row["label"]), str(row["method"])
    return label if row["kind"] == "confirm" or label.startswith(method) else f"{method} {label}"


def best_runs(results: Results) -> list[Row]:
    """Return the best configurations as the page names them, those of each space in turn.

    Returns:
        By name: scenario, split, label, value, run (that on the first seed), and seed (that seed).
    """
    trials = {trial.get("trial"): trial for trial in results.trials}
    found = []
    for view in results.views():
        for row in view.sql(QUERY):
            runs, seeds = (trials.get(row["trial"], {}).get(name) or [] for name in ("runs", "seeds"))
            if runs:
                where = {name: row[name] for name in ("scenario", "split")}
                found.append(
                    {**where, "label": _name(row), "value": row["mean"], "run": runs[0], "seed": seeds[0]}
                )
    return found
