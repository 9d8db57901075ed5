"""The first sentences of the page of a sweep: which choice decides, by how much, under which data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from ..figures.choices.verdicts import is_decided, named, size
from ..figures.rows import grouped
from ..look.entries import base_label
from ..look.words import (
    VERBS,
    WITHIN,
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

FLOORS = {"most frequent class": "the trivial rule (each client's most frequent class)"}
NEAR = 40  # more seeds than these are no plan


def choice_headline(results: Results, rows: Sequence[Row], others: Sequence[Row], rest: str) -> str:
    """Write the answer in one sentence; what did not run and the command that runs it come first.

    Args:
        results: The sweep.
        rows: Verdicts on choices.
        others: Other verdicts; they count among the comparisons that ran or did not.
        rest: How the rest can be run; empty while the sweep runs.
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
            clauses.append(f"{verb} {_points(shown(r))[0]} points{interval} {of}{seeds}")
    left = len(same) - len(lost) - (len(clauses) - bool(lost))
    more = f", and is decided under {count(left, 'more scenario')}" if left else ""
    return f"the choice {row['symbol']} decides most: {level} {' and '.join(clauses)}{more}"


def _points(*values: float | None) -> list[str]:
    """Write sizes of differences without their signs, the smallest first."""
    return [
        points(size).removeprefix("+") for size in sorted(abs(value) for value in values if value is not None)
    ]


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
        clauses.append(f"{left} of {count(len(symbols), 'choice')} {'is' if left == 1 else 'are'} undecided")
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
        sizes = [f"{_points(shown(row))[0]} points under {row['scenario']}" for row in group]
        texts.append(f"Below {FLOORS.get(floor, floor)}: {a}, by {listing(sizes)}.")
    return " ".join(texts)


def rival_headline(results: Results, rows: Sequence[Row], on_global: Sequence[Row] = ()) -> str:
    """Say where the method is ahead of its strongest rival (or of each one), or behind.

    Args:
        results: The sweep.
        rows: Verdicts on rivals, on the clients' own distributions.
        on_global: The same on the global split: where only there a rival is ahead, it is said.
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
