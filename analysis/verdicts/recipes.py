"""Differences that the figures of a recipe declare (`FIGURES` of its space, `figures` of its `run.json`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from ..read.results import Row, flatten, json_object, parameters_of
from ..stats.comparisons import Sample
from .confirmed import main_label
from .samples import OWN, PERSONAL, Difference, Side
from .study import Study, base_of

TEST, VALIDATION = "test", "validation"
GROUPS = ("acc_shared_tail", "acc_shared_medium", "acc_shared_head")
LEAST_SHARE = 0.5  # share of a client's images from which on its main domain is meaningful
RIVALS = ("local", "promptfl")  # methods that the clients of a domain are compared on
# The runs of confirmed configurations.
RUNS = """run_of AS (
  SELECT scenario, label, method, trial, unnest(runs) AS run, unnest(seeds) AS seed
  FROM trials WHERE kind = 'confirm'
)"""
# Clients by the domain of which they have most training images, tested after the last round.
BY_DOMAIN = f"""{RUNS}, held AS (
  SELECT run, client, domain, count(*) AS images FROM partition GROUP BY ALL
), main AS (
  SELECT run, client, domain, images / sum(images) OVER (PARTITION BY run, client) AS share FROM held
  QUALIFY row_number() OVER (PARTITION BY run, client ORDER BY images DESC, domain) = 1
), tested AS (
  SELECT run, client, any_value(acc_personal_own) AS acc_personal_own,
    any_value(acc_personal_global) AS acc_personal_global
  FROM clients WHERE split = 'test' GROUP BY ALL
), by_seed AS (
  SELECT scenario, label, any_value(method) AS method, trial, seed, domain AS place,
    any_value(coalesce(domain_names[domain + 1], domain::VARCHAR)) AS domain,
    avg(acc_personal_own) AS acc_personal_own, avg(acc_personal_global) AS acc_personal_global,
    avg(share) AS share, count(*) AS clients
  FROM run_of JOIN main USING (run) JOIN (SELECT run, domain_names FROM runs) USING (run)
    JOIN tested USING (run, client)
  GROUP BY scenario, label, trial, seed, place
)"""
# Overlap of the masks with the foreground, mean over the images of a run.
BY_MASK = f"""{RUNS}, once AS (
  FROM masks WHERE split = 'validation' QUALIFY row_number() OVER (PARTITION BY run, image) = 1
), by_seed AS (
  SELECT scenario, run_of.label, trial, seed, avg(open) AS open, avg(iou) AS iou,
    avg(iou_untrained) AS iou_untrained, avg(iou_random) AS iou_random
  FROM run_of JOIN once USING (run) GROUP BY ALL
)"""
# The shared parameters alone, after the first and the last round that most seeds of a configuration have.
ENDS_BY_SEED = f"""WITH {RUNS}, measured AS (
  SELECT scenario, run_of.label, trial, seed, round, acc_shared_global AS value
  FROM run_of JOIN rounds USING (run) WHERE split = 'validation' AND isfinite(acc_shared_global)
    AND trial IN (SELECT trial FROM trials WHERE kind = 'confirm' AND shared_parameters > 0)
), counted AS (SELECT *, count(*) OVER (PARTITION BY trial, round) AS together FROM measured),
kept AS (FROM counted QUALIFY together = max(together) OVER (PARTITION BY trial)),
common AS (
  SELECT *, min(round) OVER (PARTITION BY trial) AS first,
    max(round) OVER (PARTITION BY trial) AS last FROM kept
)
SELECT scenario, label, trial, seed, max(value) FILTER (round = first) AS first_value,
  max(value) FILTER (round = last) AS last_value, any_value(first) AS first, any_value(last) AS last
FROM common WHERE first < last GROUP BY scenario, label, trial, seed ORDER BY trial, seed"""
MASKS = {"iou_untrained": "untrained gate", "iou_random": "random masks of equal area"}


def recipes(study: Study) -> Iterator[Difference]:
    """Yield the differences that the figures of a recipe show, in the order of the figures."""
    for figure in study.meta.get("figures") or []:
        makers = {
            "differences": lambda f: to_reference(study, f, f.get("metrics") or PERSONAL),
            "groups": lambda f: to_reference(study, f, GROUPS),
            "against": lambda f: along(study, f),
            "domains": lambda _: by_domain(study),
            "masks": lambda _: by_mask(study),
            "convergence": lambda _: by_round(study),
        }
        if figure.get("kind") in makers:
            yield from makers[figure["kind"]](figure)


def to_reference(study: Study, figure: Row, metrics: Sequence[str]) -> Iterator[Difference]:
    """Yield each entry minus the reference, on the test split."""
    for scenario in study.scenarios:
        trials = study.of("confirm", scenario)
        reference = next((t for t in trials if figure["to"] in (t["label"], base_of(t["label"]))), None)
        for trial in trials if reference else ():
            for metric in metrics:
                a = study.side(trial["label"], trial, metric, TEST)
                b = study.side(reference["label"], reference, metric, TEST) if reference else None
                if a and b and trial is not reference:
                    yield _difference(study, scenario, a, b, figure["kind"], trial["label"], metric)


def along(study: Study, figure: Row) -> Iterator[Difference]:
    """Yield the first entry at the largest value of a setting minus itself at the smallest."""
    main, path = (
        main_label(study, [str(t["label"]) for t in study.trials if t["kind"] == "confirm"]),
        figure["x"],
    )
    places = placed(study.trials, path)
    line = next(
        (places[t["trial"]]["line"] for t in study.trials if t["label"] == main and t["trial"] in places), ""
    )
    families: dict[str, list[tuple[float, Row]]] = {}
    for trial in study.trials:
        place = places.get(trial["trial"])
        if place and place["line"] == line:
            families.setdefault(place["family"], []).append((place["x"], trial))
    for family, members in families.items():
        (low, first), (high, last) = min(members, key=lambda m: m[0]), max(members, key=lambda m: m[0])
        name = figure.get("name") or path.rpartition(".")[2]
        a = study.side(f"{line} at {high:g} {name}", last, OWN, TEST)
        b = study.side(f"{line} at {low:g} {name}", first, OWN, TEST)
        if a and b and low < high:
            yield _difference(study, last["scenario"], a, b, "against", family, OWN)


def placed(trials: Sequence[Row], path: str) -> dict[int, Row]:
    """Return number of a confirmed trial -> x (the setting), line and family.

    A family are the scenarios whose settings are the same but for x; families of a single x are left out.
    """
    confirmed = [t for t in trials if t["kind"] == "confirm" and number_at(t, path) is not None]
    lines, alike, family_of = families(confirmed, [path]), dict[str, list[str]](), dict[str, str]()
    for trial in confirmed:
        if trial["scenario"] not in family_of:  # its settings are those of its first configuration
            ignored = ("seed", path, *parameters_of(trial))
            kept = {k: v for k, v in settings(trial).items() if not k.startswith(("method.", "resources."))}
            family = repr(sorted((k, v) for k, v in kept.items() if k not in ignored))
            family_of[trial["scenario"]] = family
            alike.setdefault(family, []).append(trial["scenario"])
    found, xs = dict[int, Row](), dict[str, set[float]]()
    for trial in confirmed:
        place = {"x": number_at(trial, path), "line": lines[trial["label"]]}
        found[trial["trial"]] = {**place, "family": common(alike[family_of[trial["scenario"]]])}
        xs.setdefault(found[trial["trial"]]["family"], set()).add(found[trial["trial"]]["x"])
    return {number: place for number, place in found.items() if len(xs[place["family"]]) > 1}


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
    of_method, alike = [path for path in paths if path.startswith("method.")], dict[str, list[str]]()
    for trial in trials:
        kept = {k: v for k, v in settings(trial).items() if k.startswith("method.") and k not in of_method}
        members = alike.setdefault(repr(sorted(kept.items())) if of_method else trial["label"], [])
        members += [] if trial["label"] in members else [trial["label"]]
    return {label: common(members) for members in alike.values() for label in members}


def common(labels: Sequence[str]) -> str:
    """Return the common part of labels: parts between commas, else first words, else the first label."""
    shared = [part for part in labels[0].split(", ") if all(part in other.split(", ") for other in labels)]
    words = takewhile(
        lambda same: len(set(same)) == 1, zip(*(label.split() for label in labels), strict=False)
    )
    return ", ".join(shared) or " ".join(same[0] for same in words) or labels[0]


def by_domain(study: Study) -> Iterator[Difference]:
    """Yield the first entry minus its rivals for the clients of each domain, on the test split.

    Rivals are local-only and PromptFL, or else the first other entry; scenarios are those whose clients hold
    most of their images of one domain.
    """
    rows = study.view.sql(f"WITH {BY_DOMAIN} FROM by_seed ORDER BY scenario, place, trial, seed")
    main = main_label(study, [row["label"] for row in rows])
    for scenario in study.scenarios:
        here = [row for row in rows if row["scenario"] == scenario]
        shares = [row["share"] for row in here]
        others = list(dict.fromkeys((row["label"], row["method"]) for row in here if row["label"] != main))
        rivals = [label for label, method in others if method in RIVALS] or [label for label, _ in others][:1]
        for rival in rivals if shares and sum(shares) / len(shares) >= LEAST_SHARE else ():
            for domain in dict.fromkeys(row["domain"] for row in here):
                a, b = (
                    _side(
                        study, label, [r for r in here if (r["label"], r["domain"]) == (label, domain)], OWN
                    )
                    for label in (main, rival)
                )
                if a and b:
                    yield _difference(study, scenario, a, b, "domains", domain, f"{OWN}, clients of {domain}")


def by_mask(study: Study) -> Iterator[Difference]:
    """Yield the overlap of the trained gate's masks minus that of other masks, on validation."""
    rows = study.view.sql(f"WITH {BY_MASK} FROM by_seed WHERE iou IS NOT NULL ORDER BY trial, seed")
    for (scenario, label), group in _groups(rows).items():
        for column, name in MASKS.items():
            a = _side(study, label, group, "iou", "trained gate of ")
            b = _side(study, label, group, column, f"{name} of ")
            if a and b:
                yield _difference(study, scenario, a, b, "masks", label, "iou", VALIDATION)


def by_round(study: Study) -> Iterator[Difference]:
    """Yield the shared parameters after the last round minus those after the first one, on validation."""
    rows = study.view.sql(ENDS_BY_SEED)
    for (scenario, label), group in _groups(rows).items():
        a = _side(study, label, group, "last_value", "last round of ")
        b = _side(study, label, group, "first_value", "first round of ")
        if a and b:
            yield _difference(study, scenario, a, b, "convergence", label, "acc_shared_global", VALIDATION)


def _groups(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return rows by scenario and label."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["scenario"], row["label"]), []).append(row)
    return groups


def _side(study: Study, label: str, rows: Sequence[Row], column: str, before: str = "") -> Side | None:
    """Return a side whose values are those of a column by seed; None without one."""
    values: Mapping[int, float] = {
        int(row["seed"]): float(row[column])
        for row in rows
        if row[column] is not None and math.isfinite(row[column])
    }
    if not values:
        return None
    sample = Sample(values=values, outcomes=dict.fromkeys(values, "complete"))
    return Side(f"{study.prefix}{before}{label}", sample, rows[0]["trial"])


def _difference(
    study: Study, scenario: str, a: Side, b: Side, subject: str, level: str, metric: str, split: str = TEST
) -> Difference:
    """Return a declared difference; its trials ran on fresh seeds, also where it is on validation."""
    made = study.difference(
        "recipe", "recipe", scenario, a, b, subject=subject, level=level, metric=metric, split=split
    )
    return replace(made, planned=study.planned("confirm"), pool=made.pool.replace("selection", "fresh"))
