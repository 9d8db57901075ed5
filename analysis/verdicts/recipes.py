"""Differences that the figures of a recipe declare (`FIGURES` of its space, `figures` of its `run.json`)."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..read.results import Row, flatten, json_object, parameters_of
from ..stats.comparisons import Sample
from .differences import main_label
from .samples import ALONE, OWN, PERSONAL, Difference, Side
from .study import TEST, VALIDATION, Entry, Study, base_of

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


def _by_seed(*columns: str) -> str:
    """Return the SQL of the lists of these columns of `by_seed`, and of the seeds that they belong to."""
    return ", ".join(f"list({column} ORDER BY seed) AS {column}" for column in ("seed", *columns))


DOMAINS = f"""WITH {BY_DOMAIN}
SELECT scenario, label, any_value(method) AS method, any_value(trial) AS trial, domain,
  {_by_seed(OWN)}
FROM (FROM by_seed QUALIFY avg(share) OVER (PARTITION BY scenario) >= {LEAST_SHARE})
GROUP BY scenario, label, domain ORDER BY scenario, min(place), min(trial)"""
# Overlap of the masks with the foreground, mean over the images of a run.
BY_MASK = f"""WITH {RUNS}, once AS (
  FROM masks WHERE split = 'validation' QUALIFY row_number() OVER (PARTITION BY run, image) = 1
), by_seed AS (
  SELECT scenario, run_of.label, trial, seed, favg(iou) AS iou, favg(iou_untrained) AS iou_untrained,
    favg(iou_random) AS iou_random
  FROM run_of JOIN once USING (run) GROUP BY ALL
)
SELECT scenario, label, trial, {_by_seed("iou", "iou_untrained", "iou_random")}
FROM by_seed WHERE iou IS NOT NULL GROUP BY scenario, label, trial ORDER BY trial"""
# The shared parameters alone, after the first and the last round that most seeds of a configuration have.
ENDS = f"""WITH {RUNS}, measured AS (
  SELECT scenario, run_of.label, trial, seed, round, acc_shared_global AS value
  FROM run_of JOIN rounds USING (run) WHERE split = 'validation' AND isfinite(acc_shared_global)
    AND trial IN (SELECT trial FROM trials WHERE kind = 'confirm' AND shared_parameters > 0)
), common AS (
  SELECT trial, round FROM measured GROUP BY trial, round
  QUALIFY count(*) = max(count(*)) OVER (PARTITION BY trial)
), ends AS (
  SELECT trial, min(round) AS first, max(round) AS last FROM common GROUP BY trial HAVING first < last
), by_seed AS (
  SELECT scenario, label, trial, seed, max(value) FILTER (round = first) AS first_value,
    max(value) FILTER (round = last) AS last_value
  FROM measured JOIN ends USING (trial) GROUP BY ALL
)
SELECT scenario, label, trial, {_by_seed("first_value", "last_value")}
FROM by_seed GROUP BY scenario, label, trial ORDER BY trial"""
MASKS = {"iou_untrained": "untrained gate", "iou_random": "random masks of equal area"}


def recipes(study: Study) -> Iterator[Difference]:
    """Yield the differences that the figures of a recipe show, in the order of the figures."""
    for figure in study.meta.get("figures") or []:
        kind = figure.get("kind")
        if kind in ("differences", "groups"):
            metrics = GROUPS if kind == "groups" else figure.get("metrics") or PERSONAL
            yield from to_reference(study, figure, metrics)
        elif kind == "against":
            yield from along(study, figure)
        elif kind in MEASURED:
            yield from MEASURED[kind](study)


def to_reference(study: Study, figure: Row, metrics: Sequence[str]) -> Iterator[Difference]:
    """Yield each entry minus the reference, on the test split."""
    for scenario in study.scenarios:
        entries = [Entry(t["label"], t) for t in study.of("confirm", scenario)]
        b = next((e for e in entries if figure["to"] in (e.label, base_of(e.label))), None)
        for a in entries if b else ():
            if b and a is not b:
                yield from study.compared(
                    "recipe", scenario, a, b, metrics, TEST, subject=figure["kind"], level=a.label
                )


def along(study: Study, figure: Row) -> Iterator[Difference]:
    """Yield the first entry at the largest value of a setting minus itself at the smallest."""
    main = main_label(study, [str(t["label"]) for t in study.trials if t["kind"] == "confirm"])
    places, name = placed(study.trials, figure["x"]), figure.get("name") or figure["x"].rpartition(".")[2]
    here = [{**places[t["trial"]], "trial": t} for t in study.trials if t["trial"] in places]
    line = next((place["line"] for place in here if place["trial"]["label"] == main), "")
    for family in dict.fromkeys(place["family"] for place in here if place["line"] == line):
        members = [(p["x"], p["trial"]) for p in here if (p["line"], p["family"]) == (line, family)]
        (low, first), (high, last) = min(members, key=lambda m: m[0]), max(members, key=lambda m: m[0])
        if low < high:
            a, b = Entry(f"{line} at {high:g} {name}", last), Entry(f"{line} at {low:g} {name}", first)
            about = {"subject": "against", "level": family, "group": ALONE}
            yield from study.compared("recipe", last["scenario"], a, b, split=TEST, **about)


def placed(trials: Sequence[Row], path: str) -> dict[int, Row]:
    """Return number of a confirmed trial -> x (the setting), line and family.

    A family are the scenarios whose settings are the same but for x; families of a single x are left out.
    """
    confirmed = [t for t in trials if t["kind"] == "confirm" and number_at(t, path) is not None]
    settings_of: dict[str, str] = {}  # those of a scenario are those of its first configuration
    for trial in confirmed:
        settings_of.setdefault(trial["scenario"], _scenario_settings(trial, path))
    lines, family = families(confirmed, [path]), _common_names(settings_of)
    found: dict[int, Row] = {
        t["trial"]: {"x": number_at(t, path), "line": lines[t["label"]], "family": family[t["scenario"]]}
        for t in confirmed
    }
    places = {(place["family"], place["x"]) for place in found.values()}
    several = Counter(name for name, _ in places)
    return {number: place for number, place in found.items() if several[place["family"]] > 1}


def _scenario_settings(trial: Row, path: str) -> str:
    """Return the settings of a trial but this one, those of its method, and what it set itself."""
    ignored = ("seed", path, *parameters_of(trial))
    kept = {k: v for k, v in settings(trial).items() if not k.startswith(("method.", "resources."))}
    return repr(sorted((k, v) for k, v in kept.items() if k not in ignored))


def settings(trial: Row) -> Row:
    """Return dotted path -> value of the experiment of a trial's first seed."""
    return flatten(json_object(trial.get("experiment")))


def number_at(trial: Row, path: str) -> float | None:
    """Return a setting of a trial where it is a number."""
    value = settings(trial).get(path)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def families(trials: Sequence[Row], paths: Sequence[str]) -> dict[str, str]:
    """Return label -> name of its line: labels whose methods differ in these settings alone share a line.

    A line is named after the common part of its labels. Of the settings along which lines are drawn, those of
    the method count; without one, each label is a line.
    """
    of_method, keys = [path for path in paths if path.startswith("method.")], dict[str, str]()
    for trial in trials:
        kept = {k: v for k, v in settings(trial).items() if k.startswith("method.") and k not in of_method}
        keys[trial["label"]] = repr(sorted(kept.items())) if of_method else trial["label"]
    return _common_names(keys)


def _common_names(keys: Mapping[str, str]) -> dict[str, str]:
    """Return label -> the common part of all labels that have its key.

    That is parts between commas, else first words, else the first label.
    """
    found: dict[str, str] = {}
    for key in dict.fromkeys(keys.values()):
        labels = [label for label, own in keys.items() if own == key]
        shared = [part for part in labels[0].split(", ") if all(part in one.split(", ") for one in labels)]
        words = zip(*(label.split() for label in labels), strict=False)
        first = [same[0] for same in itertools.takewhile(lambda same: len(set(same)) == 1, words)]
        found |= dict.fromkeys(labels, ", ".join(shared) or " ".join(first) or labels[0])
    return found


def by_domain(study: Study) -> Iterator[Difference]:
    """Yield the first entry minus its rivals for the clients of each domain, on the test split.

    Rivals are local-only and PromptFL, or else the first other entry; scenarios are those whose clients hold
    most of their images of one domain.
    """
    rows = study.view.sql(DOMAINS)
    main = main_label(study, [row["label"] for row in rows])
    for scenario in study.scenarios:
        here = {(row["label"], row["domain"]): row for row in rows if row["scenario"] == scenario}
        others = {row["label"]: row["method"] for row in here.values() if row["label"] != main}
        rivals = [label for label, method in others.items() if method in RIVALS] or list(others)[:1]
        for rival, domain in itertools.product(rivals, dict.fromkeys(domain for _, domain in here)):
            metric = f"{OWN}, clients of {domain}"
            sides = (here.get((main, domain)), OWN, ""), (here.get((rival, domain)), OWN, "")
            yield from _measured(study, "domains", domain, metric, TEST, *sides)


def by_mask(study: Study) -> Iterator[Difference]:
    """Yield the overlap of the trained gate's masks minus that of other masks, on validation."""
    for row in study.view.sql(BY_MASK):
        for column, name in MASKS.items():
            sides = (row, "iou", "trained gate of "), (row, column, f"{name} of ")
            yield from _measured(study, "masks", row["label"], "iou", VALIDATION, *sides)


def by_round(study: Study) -> Iterator[Difference]:
    """Yield the shared parameters after the last round minus those after the first one, on validation."""
    for row in study.view.sql(ENDS):
        sides = (row, "last_value", "last round of "), (row, "first_value", "first round of ")
        yield from _measured(study, "convergence", row["label"], "acc_shared_global", VALIDATION, *sides)


def _measured(
    study: Study, subject: str, level: str, metric: str, split: str, *sides: tuple[Row | None, str, str]
) -> Iterator[Difference]:
    """Yield the difference of two sides: a row with lists by seed, its column, and words before its label."""
    found = []
    for row, column, before in sides:
        pairs = zip(row["seed"], row[column], strict=True) if row else ()
        values = {int(s): float(v) for s, v in pairs if v is not None and math.isfinite(v)}
        if row and values:
            sample = Sample(values=values, outcomes=dict.fromkeys(values, "complete"))
            found.append((row, Side(f"{study.prefix}{before}{row['label']}", sample, row["trial"])))
    if len(found) == 2:
        (row, a), (_, b) = found
        about = {"subject": subject, "level": level, "group": ALONE}
        yield study.difference("recipe", row["scenario"], a, b, metric, split, **about)


MEASURED = {"domains": by_domain, "masks": by_mask, "convergence": by_round}
