"""The page of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from . import contrasts, curves, methods, search
from .clients import exhibit_partition
from .commands import commands
from .page import Exhibit, Page, Section, Table, Text
from .results import Results, Row, loads, standing
from .shared import OWN, joined, notice, reproduce, small_backbone
from .words import chance, count, duration, listing, share

NO_CONTRAST = "No contrast is finished yet, so nothing can be said about the open choices."
QUESTION = "Which of the choices that are left open change the outcome, under which data, and how sure is that?"


def sweep_page(results: Results) -> Page:
    """Everything about a sweep that its folder tells, in words first, then figures, then tables."""
    rounds = results.rounds([run for t in curves.shown_trials(results) for run in t.get("runs") or []])
    compared, changed = methods.table_methods(results), contrasts.table_contrasts(results)
    figures = figures_of(results, rounds, compared, changed)
    tables = [t for t in (methods.table_of_methods(results, compared), contrasts.table_differences(results, changed),
                          search.table_choices(results, changed), search.table_trials(results)) if t]  # fmt: skip
    missing = [] if tables else [Text(["No trial is finished yet, so there are no tables."])]
    lead, points = summary(results, compared, changed)
    spaces = listing([str(s) for s in results.meta.get("spaces") or [results.meta.get("space") or "?"]])
    return Page(
        title=f"Sweep of {spaces}", question=str(results.meta.get("title") or QUESTION), lead=lead, points=points,
        notice=notice(results, progress(results)),
        facts=facts(results),
        sections=[
            Section("What was run", [scenarios_table(results), trial_counts(results)]),
            Section("Figures", figures),
            Section("Tables", [*tables, *missing]),
            Section("What can be trusted", [Text(points=trust(results, compared, changed))]),
            reproduce(results, [*figures, *tables], commands(results)),
        ],
    )  # fmt: skip


def figures_of(results: Results, rounds: Sequence[Row], compared: Sequence[Row], changed: Sequence[Row]) -> list[Exhibit | Table | Text]:
    """The figures, in the order in which they are read. A new figure is one line here."""
    matrix = contrasts.table_verdicts(results, changed)
    searching = searches(results)
    limits = methods.limits(compared) if compared else (0.0, 1.0)
    return [
        methods.exhibit_methods(results, compared),
        *([contrasts.exhibit_contrasts(results, changed)] if contrasted(results) else []),
        *([matrix] if matrix else []),
        methods.exhibit_heterogeneity(results, compared),
        curves.exhibit_curves(results, rounds),
        exhibit_partition(results),
        curves.exhibit_communication(results, compared, rounds, limits),
        *([search.exhibit_optimism(results), search.exhibit_search(results)] if searching else []),
    ]


def searches(results: Results) -> bool:
    """Whether anything is selected on validation; a plain recipe is a declared set."""
    return contrasted(results) or any(t["kind"] == "search" for t in results.trials)


def contrasted(results: Results) -> bool:
    """Whether the sweep has open choices to contrast with an anchor."""
    return bool(results.meta.get("factors")) or any(t["kind"] == "contrast" for t in results.trials)


def summary(results: Results, compared: Sequence[Row], changed: Sequence[Row]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The first sentences, and one point per study and scenario; all of it follows from the intervals."""
    confidence = results.confidence
    open_choices = [f["path"] for f in results.meta.get("factors") or []]
    several = len({r["method"] for r in changed}) > 1
    choices = []
    for study in contrasts.studies(changed):
        own = [r for r in changed if r["study"] == study]
        said = contrasts.sentence(own, [] if several else open_choices, confidence)
        choices.append(f"{own[0]['method']}: {said}" if several else said)
    pairs = methods.rivalry(results, compared)
    choice = NO_CONTRAST if contrasted(results) else ""
    lead = [
        headline(changed, open_choices, len(results.meta.get("scenarios") or [])) if changed else choice,
        methods.headline(pairs, confidence) if compared else methods.NOT_YET,
        chance(contrasts.count_chance(changed, confidence), confidence),
    ]
    said_of_methods = methods.sentences(pairs, confidence)
    points = [("Open choices, on validation", choices), ("Methods, on the test split and fresh seeds", said_of_methods)]
    return [sentence for sentence in lead if sentence], points


def headline(changed: Sequence[Row], open_choices: Sequence[str], scenarios: int) -> str:
    """Over all studies: which choices change validation accuracy beyond chance, which may, and how many are undecided everywhere."""
    studies, symbols = contrasts.studies(changed), {r["path"]: r["symbol"] for r in changed}
    firm = _where([r for r in changed if r["firm"]])
    hints = {path: places for path, places in _where(changed).items() if path not in firm}
    tried, total = len(symbols), len({*open_choices, *symbols})
    left = tried - len(firm) - len(hints)
    ends = [f"{share(left, total)} undecided everywhere"] if left else []
    ends += [f"{total - tried} not tried yet"] if total > tried else []
    if not firm:
        why = ": one seed gives no interval" if all(r["low"] is None for r in changed) else ""
        parts = [f"No open choice is shown to change validation accuracy in any of {count(len(studies), 'scenario')}{why}"]
        many = "hint at it by an interval" if len(hints) > 1 else "hints at it by an interval"
        parts += (
            [f"{_places(hints, symbols, scenarios)} {many}, which does not stand when adjusted for the number of intervals"]
            if hints
            else []
        )
    else:
        parts = [f"{_places(firm, symbols, scenarios)} {'changes' if len(firm) == 1 else 'change'} validation accuracy"]
        parts += [f"{_places(hints, symbols, scenarios)} may too"] if hints else []
    return "; ".join([*parts, *([", ".join(ends)] if ends else [])]) + "."


def _where(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Choice -> the scenarios in which one of these rows decides it."""
    where: dict[str, list[str]] = {}
    for row in (r for r in rows if r["verdict"] != "undecided"):
        if row["scenario"] not in where.setdefault(row["path"], []):
            where[row["path"]].append(row["scenario"])
    return where


def _places(where: dict[str, list[str]], symbols: dict[str, str], scenarios: int) -> str:
    ordered = sorted(where, key=lambda path: -len(where[path]))
    return listing([f"{symbols[p]} ({'everywhere' if len(where[p]) == scenarios > 1 else 'under ' + listing(where[p])})" for p in ordered])


def progress(results: Results) -> str:
    """`12 of 40 planned trials are finished`."""
    planned = results.meta.get("planned") or {}
    done = len(results.trials)
    if not planned or None in planned.values():  # a search that goes on until its time is over
        return f"{count(done, 'trial')} finished"
    return f"{done} of {sum(planned.values())} planned trials are finished"


def facts(results: Results) -> list[tuple[str, str]]:
    """What was run, in a few lines."""
    meta, trials = results.meta, results.trials
    experiment = next((e for t in trials if (e := loads(t.get("experiment")))), {})
    task = experiment.get("task") or {}
    rounds = sorted({t["rounds"] for t in trials if t.get("rounds") is not None})
    seeds, fresh = meta.get("selection_seeds") or [], meta.get("fresh_seeds") or []
    confirmed = any(t["kind"] == "confirm" for t in trials)
    opened = "the test split was opened once per confirmed configuration, for these only" if confirmed else "the test split is still closed"
    return [
        ("data and backbone", f"{task.get('dataset')}, {task.get('backbone') or 'no backbone'}" if task else "not recorded yet"),
        ("methods", listing(list(dict.fromkeys(t["method"] for t in trials))) or "none yet"),
        ("selection", f"{count(len(seeds), 'seed')} ({', '.join(map(str, seeds))}), shared by all trials of a scenario; the searcher saw "
                      "validation only"),
        ("confirmation", f"{count(len(fresh), 'fresh seed')} ({', '.join(map(str, fresh))}); {opened}"),
        ("rounds", " or ".join(map(str, rounds)) or "none yet"),
        ("took", f"{duration(meta.get('seconds'))} on {joined(meta.get('hardware'))}"),
    ]  # fmt: skip


def scenarios_table(results: Results) -> Table | Text:
    """The scenarios with what was asked for and what came out."""
    scenarios = results.meta.get("scenarios") or []
    if not scenarios:
        return Text(["No scenario is recorded yet."])
    body = []
    for scenario in scenarios:
        achieved = (scenario.get("heterogeneity") or {}).get("achieved") or {}
        sizes = f"{achieved['min_size']} to {achieved['max_size']}" if "min_size" in achieved and "max_size" in achieved else None
        asked = " ".join(f"{k}={v}" for k, v in (scenario.get("values") or {}).items())
        body.append([scenario["label"], asked, achieved.get("clients"), achieved.get("js_divergence"), achieved.get("domain_js"),
                     achieved.get("effective_classes"),
                     achieved.get("size_gini"), sizes])  # fmt: skip
    head = [
        "scenario",
        "asked for",
        "clients",
        "JS divergence of classes",
        "of domains",
        "effective classes per client",
        "size Gini",
        "images per client",
    ]
    return Table(head, body, "Scenarios, with the heterogeneity that came out.")


def trial_counts(results: Results) -> Table | Text:
    """Trials by kind and state, against the plan."""
    if not results.trials:
        return Text(["No trial is finished yet."])
    counts = Counter((t["kind"], t["state"]) for t in results.trials)
    planned = results.meta.get("planned") or {}
    kinds = [k for k in ("contrast", "search", "confirm") if k in planned or any(kind == k for kind, _ in counts)]
    what = {"contrast": "contrast: one choice changed, seeds shared with the anchor", "search": "search: proposed by the searcher",
            "confirm": "confirm: fresh seeds, test opened"}  # fmt: skip
    body = [[what[k], planned.get(k), *(counts[(k, s)] for s in ("COMPLETE", "PRUNED", "FAIL"))] for k in kinds]
    dropped = results.meta.get("dropped_contrasts")
    left = f" {count(dropped, 'contrast was', 'contrasts were')} left out because the time limit was near." if dropped else ""
    return Table(["trials", "planned", "complete", "stopped early", "failed"], body, "Trials by kind and state." + left)


def trust(results: Results, compared: Sequence[Row], changed: Sequence[Row]) -> list[str]:
    """What this page can and cannot show."""
    seeds, fresh = results.meta.get("selection_seeds") or [], results.meta.get("fresh_seeds") or []
    points = [
        f"Intervals are Student's t over {count(len(seeds), 'seed')} (contrasts) and {count(len(fresh), 'seed')} (methods), "
        f"{results.confidence:.0%}, "
        "paired by seed for differences. With so few seeds they are wide, and an effect that is not decided may still be there. A "
        "difference that is the same to the last bit for all seeds has no measured spread and decides nothing.",
        "A seed changes the partition, the cohort and the initial values, on one dataset: intervals speak about such repetitions, not "
        "about other data.",
        "Contrasts change one choice at a time around the anchor: they see no interactions, and another anchor may give other verdicts.",
    ]
    if compared:
        labels = list(dict.fromkeys(r["label"] for r in compared))
        tuned, untuned = ([label for label in labels if standing(label) == word] for word in ("tuned", "untuned"))
        if tuned and untuned:
            points.append(
                f"{listing(tuned)} had a search behind it, {listing(untuned)} did not: part of a tuned method's lead may be the tuning."
            )
    backbones = {(loads(t.get("experiment")).get("task") or {}).get("backbone") for t in results.trials}
    return [*points, OWN, *(small_backbone("scenes-clip") if "scenes-clip" in backbones else [])]
