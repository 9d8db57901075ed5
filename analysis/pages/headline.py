"""The first screen of a sweep's page: which choice decides, the rivals, and the best of each scenario."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from ..figures.choices.verdicts import is_decided, named, size
from ..figures.rows import grouped, place_in, scenario_order
from ..look.entries import base_label
from ..look.page import Cell, Table, run_link
from ..look.words import (
    VERBS,
    WITHIN,
    accuracy,
    basis,
    be,
    bracket,
    capitalized,
    count,
    difference,
    listing,
    other_diverges,
    percent,
    points,
    quoted_names,
    seeds_said,
    short_listing,
    shown,
    verb_of,
)
from ..read.results import Results, Row, tuning_of
from .shared import trial_command

RULES = {"most frequent class": "the trivial rule (each client's most frequent class)"}
NEAR = 40  # more seeds than these are no plan
# Chosen by validation among the confirmed configurations, else among all; then its row on the test split.
# A lost seed counts as 0, as in the objective of the search. What breaks a constraint is not chosen.
BEST = """WITH measured AS (
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


def choice_headline(results: Results, rows: Sequence[Row], others: Sequence[Row], rest: str) -> str:
    """Write the answer in one sentence; what did not run and the command that runs it come first.

    `rows` are verdicts on choices, `others` count among the comparisons that ran or did not; `rest` says how
    the rest can be run (empty while the sweep runs).
    """
    ran = [row for row in rows if row["verdict"] != "missing"]
    start = how_many_ran(results, [*rows, *others], rest)
    if not ran:
        text = "nothing is decided about any choice"
    else:
        decided = sorted(filter(is_decided, ran), key=size, reverse=True)
        first = _strongest(results, decided) if decided else _nothing(ran)
        lost = list(dict.fromkeys(row["scenario"] for row in ran if other_diverges(row)))
        anchors = [f"the anchor diverges under {listing(lost)}, so nothing is decided there"] if lost else []
        text = "; ".join([first, *_others(rows, decided), *anchors])
    return f"{start}: {text}." if start else f"{capitalized(text)}."


def how_many_ran(results: Results, rows: Sequence[Row], rest: str) -> str:
    """Write `Only 3 of 9 comparisons ran (... runs the rest)`; empty where nothing is left."""
    many, total = sum(row["verdict"] != "missing" for row in rows), len(rows)
    if many == total:
        search = ((results.meta.get("left_out") or {}).get("counts") or {}).get("search") or {}
        if not rest or search.get("finished") == search.get("planned"):
            return ""
        tried = f"{search['finished']} of {count(search['planned'], 'search trial')}"
        return f"All {count(total, 'comparison')} and {tried} ran ({rest})"
    start = ("Only " if many else "") if rest else "So far "
    text = f"{start}{many or 'none'} of {count(total, 'comparison')} ran"
    return capitalized(text) + (f" ({rest})" if rest else "")


def _strongest(results: Results, decided: Sequence[Row]) -> str:
    """Write the choice that decides most, and what its level does in the scenarios where it does most."""
    row = decided[0]
    same = [r for r in decided if r["subject"] == row["subject"] and r["level"] == row["level"]]
    factor: Row = next((f for f in results.meta.get("factors") or [] if f["path"] == row["subject"]), {})
    level = f"{row['level']} instead of {factor['anchor']}" if factor else str(row["level"])
    lost = [r["scenario"] for r in same if r["verdict"] == "diverges"]
    clauses = [f"{difference(row)} under {listing(lost)}"] if lost else []
    sized = {r["verdict"]: r for r in reversed(same)}  # of each verdict the strongest
    for verdict, verb in (("behind", "costs"), ("ahead", "gains")):
        if r := sized.get(verdict):
            of = f"of validation {results.metric} under {r['scenario']}"
            ends = sorted(abs(r[end]) for end in ("adjusted_low", "adjusted_high") if r[end] is not None)
            interval = f" {bracket(ends[0], ends[1], percent)}" if ends else ""
            seeds = (
                f" ({seeds_said(r)}; a lost seed counts as 0)" if r["diverged_a"] or r["diverged_b"] else ""
            )
            clauses.append(f"{verb} {_unsigned(r)} points{interval} {of}{seeds}")
    left = len(same) - len(lost) - (len(clauses) - bool(lost))
    more = f", and is decided under {count(left, 'more scenario')}" if left else ""
    return f"the choice {row['symbol']} decides most: {level} {' and '.join(clauses)}{more}"


def _unsigned(row: Row) -> str:
    """Write the size of a difference without its sign."""
    return points(abs(shown(row) or 0.0)).removeprefix("+")


def _others(rows: Sequence[Row], decided: Sequence[Row]) -> list[str]:
    """Write which other choices matter, which do not, and how many are open."""
    symbols = {row["subject"]: row["symbol"] for row in rows}
    top = decided[0]["subject"] if decided else None
    matter = list(dict.fromkeys(row["subject"] for row in decided if row["subject"] != top))
    same = {"level", "negligible", "no effect"}
    flat = [s for s in symbols if {row["verdict"] for row in rows if row["subject"] == s} <= same]
    never = [s for s in symbols if {row["verdict"] for row in rows if row["subject"] == s} == {"missing"}]
    left = len(symbols) - len(matter) - len(flat) - len(never) - (top is not None)
    verb = "matters" if len(matter) == 1 else "matter"
    clauses = [f"{short_listing([symbols[s] for s in matter], 6)} {verb} too"] if matter else []
    no = "does" if len(flat) == 1 else "do"
    clauses += [f"{short_listing([symbols[s] for s in flat], 6)} {no} not ({WITHIN})"] if flat else []
    if left and decided:
        clauses.append(f"{left} of {count(len(symbols), 'choice')} {be(left)} undecided")
    if never and decided:
        clauses.append(f"{len(never)} of {count(len(symbols), 'choice')} did not run")
    return clauses


def _nothing(ran: Sequence[Row]) -> str:
    """Say that no choice is decided, and what would decide the nearest one."""
    near = sorted((row for row in ran if row["seeds_needed"]), key=lambda row: row["seeds_needed"])
    text = f"no choice is shown to matter in any of {count(len(ran), 'comparison')} with the anchor"
    if all(row["seeds_planned"] == 1 and row["adjusted_low"] is None for row in ran):
        return f"{text}, because one seed shows no noise (with --seeds 3 there are intervals)"
    if not near or near[0]["seeds_needed"] > NEAR:
        return f"{text}, and no number of seeds up to {NEAR} would probably change that" if near else text
    row = near[0]
    return (
        f"{text}; nearest is {row['symbol']} = {row['level']} under {row['scenario']} "
        f"({difference(row)}), which about {count(row['seeds_needed'], 'seed')} would decide"
    )


def floor_sentence(rows: Sequence[Row]) -> str:
    """Say where the method is below a rule that needs no training, by verdicts of the kind `floor`."""
    behind = sorted((row for row in rows if row["verdict"] == "behind"), key=size, reverse=True)
    texts = []
    for (a, floor), group in grouped(behind, "a", "b").items():
        sizes = [f"{_unsigned(row)} points under {row['scenario']}" for row in group]
        texts.append(f"Below {RULES.get(floor, floor)}: {a}, by {listing(sizes)}.")
    return " ".join(texts)


def rival_headline(results: Results, rows: Sequence[Row], on_global: Sequence[Row] = ()) -> str:
    """Say where the method is ahead of its strongest rival (or of each one), or behind.

    `rows` are verdicts on the clients' own distributions, `on_global` those on the global split: where only
    there a rival is ahead, it is said.
    """
    ran = [row for row in rows if row["verdict"] != "missing"]
    strongest = [row for row in ran if row["strongest"]]
    if not ran:
        return ""
    named_rows, many = strongest or ran, len({row["scenario"] for row in ran})
    start = f"on fresh seeds and test {results.metric} (own distribution), {_chosen(named_rows)}"
    if strongest:
        clauses = named(strongest, lambda row: f"{row['b']} under {row['scenario']}")
        text = f"Against its strongest rival, {start} {clauses}."
    else:
        text = f"{capitalized(start)} {'; it '.join(_by_places(ran, VERBS, many))}."
    missed = [row for row in rows if row["strongest"] and row["verdict"] == "missing"]
    for other, group in grouped(missed, "b").items():
        places = listing([row["scenario"] for row in group])
        text += f" {other}, its strongest rival on validation under {places}, is not confirmed."
    known = {(row["b"], row["scenario"]) for row in named_rows if row["verdict"] != "behind"}
    lost = [row for row in named_rows if row["diverged_a"] and row["verdict"] != "diverges"]
    if lost and not strongest:
        places = listing(list(dict.fromkeys(f"{seeds_said(row)} under {row['scenario']}" for row in lost)))
        text += f" It {places}; a lost seed counts as 0."
    behind = [r for r in on_global if r["verdict"] == "behind" and (r["b"], r["scenario"]) in known]
    other = _by_places(behind, ["behind"], many)
    return f"{text} On the global split it {other[0]}." if other else text


def _chosen(rows: Sequence[Row]) -> str:
    """Name the first side; where its tuning differs: `m (tuned in 1 and untuned in 2 of 3 scenarios)`."""
    labels = list({row["scenario"]: str(row["a"]) for row in rows}.values())
    if len(set(labels)) == 1:
        return labels[0]
    trials = sorted({int(number) for number in re.findall(r"best of (\d+) trial", " ".join(labels))})
    best = f"best of {' to '.join(map(str, dict.fromkeys([*trials[:1], *trials[-1:]])))} trials"
    words = Counter(re.sub(r"best of \d+ trials?", best, tuning_of(label)) for label in labels)
    texts = [f"{word} in {many}" for word, many in words.items()]
    return f"{base_label(labels[0])} ({listing(texts)} of {len(labels)} scenarios)"


def _by_places(rows: Sequence[Row], verdicts: Collection[str], many: int) -> list[str]:
    """Write a clause per verdict: `is ahead of a and b under all 3 scenarios; and c under even`."""
    clauses, told = [], [{**row, "verb": verb_of(row)} for row in rows if row["verdict"] in verdicts]
    told.sort(key=lambda row: list(VERBS).index(row["verdict"]))
    for verb, same in grouped(told, "verb").items():
        rivals: dict[tuple[str, ...], list[str]] = {}
        for rival, group in grouped(same, "b").items():
            rivals.setdefault(tuple(row["scenario"] for row in group), []).append(rival)
        texts = []
        for found, names in rivals.items():
            places = f"all {many} scenarios" if 2 < len(found) == many else listing(quoted_names(found))
            texts.append(f"{listing(quoted_names(names))} under {places}")
        clauses.append(verb.format("; and ".join(texts)))
    return clauses


def best_table(results: Results) -> Table | None:
    """Return the table of the best configurations; None where nothing was measured."""
    order = scenario_order(results)
    chosen = sorted(results.sql(BEST), key=lambda r: (place_in(order, r["scenario"]), r["scenario"]))
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
    source, title = results.shown(f"{BEST};\n{FLOORS}"), "Best configuration"
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
        names = [f"{row['method']} ({row['configurations']} tried)" for row in rows]
        texts[str(scenario)] = f"no configuration of {listing(names)} meets {_limits(results)}"
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
        for row in view.sql(BEST):
            runs, seeds = (trials.get(row["trial"], {}).get(name) or [] for name in ("runs", "seeds"))
            if runs:
                where = {name: row[name] for name in ("scenario", "split")}
                found.append(
                    {**where, "label": _name(row), "value": row["mean"], "run": runs[0], "seed": seeds[0]}
                )
    return found
