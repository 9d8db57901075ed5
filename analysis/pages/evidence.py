"""The evidence of a sweep, in the order of its questions: each figure with its table and its sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..figures.choices import matrix
from ..figures.choices.verdicts import DECIDED, GLOBAL, exhibit, named, rows_of, size
from ..figures.rows import grouped
from ..look.entries import base_label
from ..look.page import Exhibit, Part, Section
from ..look.words import WITHIN, count, difference, listing, other_diverges, short_listing
from ..read.results import Results, Row, tuning_of
from .headline import floor_sentence, rival_headline

RIVALS = "Does the method beat its rivals and the floors?"
CHOICES = "Which choices matter?"
LEADS = "Do the choices change who wins?"
PAIRS = "Do two choices act together?"
TUNING = "Was tuning worth it, and does it carry over?"
# verdict -> what a sentence says of the rows that have it, in this order
WORDS = {
    "diverges": "diverges",
    "other diverges": "the anchor diverges",
    "ahead": "ahead",
    "behind": "behind",
    "negligible": "negligible",
    "level": f"level ({WITHIN})",
    "no effect": "no effect",
    "undecided": "undecided",
    "missing": "did not run",
}
PAIR = WORDS | {
    **dict.fromkeys(("diverges", "other diverges"), "a run of it, or the anchor, diverges"),
    "ahead": "more than the sum of both",
    "behind": "less than the sum of both",
}
TRANSFER = WORDS | {
    "diverges": "the scenario's own choice diverges",
    "other diverges": "the other scenario's choice diverges",
    "ahead": "the other scenario's choice costs points",
    "behind": "it gains points",
}
NO_RIVAL = "no rival ran beside the anchor, so there is no winner at any level."


def sections(results: Results) -> list[Section]:
    """Return the sections whose comparisons were planned or run; the others are left out."""
    makers = {RIVALS: _rivals, CHOICES: _choices, LEADS: _leads, PAIRS: _pairs, TUNING: _tuning}
    made = [Section(title, list(make(results))) for title, make in makers.items()]
    return [section for section in made if section.parts]


def tally(
    rows: Sequence[Row], noun: str, name: Callable[[Row], str], words: Mapping[str, str] = WORDS
) -> str:
    """Say how many rows have which verdict, and name the decided ones with their scenarios and sizes.

    `words` says a verdict, `noun` what a row is.
    """
    clauses, told = [], []
    for row in rows:
        verdict = "other diverges" if other_diverges(row) else row["verdict"]
        told.append({**row, "phrase": words[verdict], "place": list(words).index(verdict)})
    told.sort(key=lambda row: (row["place"], -size(row)))
    for phrase, found in grouped(told, "phrase").items():
        names = [f"{name(row)} under {row['scenario']} ({difference(row)})" for row in found]
        where = short_listing(names) if found[0]["verdict"] in DECIDED else str(len(found))
        clauses.append(f"{phrase} in {where}")
    return f"Of {count(len(rows), noun)}: {'; '.join(clauses)}."


def _rivals(results: Results) -> Iterator[Part]:
    rows, globally = (rows_of(results, "rival", "floor", metric=m) for m in ("acc_personal_own", GLOBAL))
    ran = [row for row in rows if row["verdict"] != "missing"]
    if not rows:
        return
    rivals, floors = ([row for row in rows if row["kind"] == kind] for kind in ("rival", "floor"))
    said = [rival_headline(results, rivals, globally), floor_sentence(floors)]
    tested = any(row["split"] == "test" for row in ran)
    untested = list(dict.fromkeys(row["scenario"] for row in ran if row["split"] == "validation"))
    where = "Test {} on fresh seeds" if tested else "Validation {}; nothing is confirmed"
    if tested and untested:
        where += f" (under {listing(untested)} validation; nothing is confirmed there)"
    sides = dict.fromkeys(row["a"] for row in ran)
    who = listing(["the anchor" if side == "anchor" else side for side in sides])
    caption = f"{where.format(results.metric)}: {who} minus each rival and each rule that needs no training."
    if any(row["strongest"] for row in rivals):
        caption += " The strongest rival is the one that validation picked on the seeds of the selection."
    yield exhibit(
        results,
        [*rows, *({**row, "scenario": f"{row['scenario']}, global split"} for row in globally)],
        "rivals",
        "Against rivals and floors",
        " ".join(said).strip() or _of_floors(who, floors, rivals),
        label="difference, points",
        caption=caption,
        name=lambda row: base_label(row["b"]),
        heads=("against", "other side"),
    )


def _of_floors(who: str, floors: Sequence[Row], rivals: Sequence[Row]) -> str:
    """Say how the first side stands beside the rules without training, where it is below none of them."""
    verdicts = {row["verdict"] for row in floors} - {"missing"}
    text = f"Nothing shows {who} below a rule that needs no training."
    if verdicts == {"ahead"}:
        text = f"On its clients' own images {who} is ahead of every rule that needs no training."
    left = f" None of {count(len(rivals), 'comparison')} with rivals ran." if rivals else ""
    return text + left


def _choices(results: Results) -> Iterator[Part]:
    title = "Every level of every choice, against the anchor"
    if rows := rows_of(results, "choice"):
        yield exhibit(
            results,
            rows,
            "choices",
            title,
            tally(rows, "comparison", _level),
            label="points against the anchor",
            caption=f"Validation {results.metric} (personal, own distribution) with one choice changed, "
            "minus the anchor on the same seeds.",
            name=_level,
            heads=("changed", "anchor"),
        )
    elif results.meta.get("factors"):
        yield Exhibit("choices", title, missing="no contrast was asked for.")
    if left_open := matrix.choices_table(results):
        yield left_open


def _level(row: Row) -> str:
    return f"{row['symbol']} = {row['level']}"


def _leads(results: Results) -> Iterator[Part]:
    if rows := rows_of(results, "lead"):
        missing = Exhibit("leads", "The winner at each level", missing=NO_RIVAL)
        yield matrix.table_leads(results, rows) or missing


def _pairs(results: Results) -> Iterator[Part]:
    if rows := rows_of(results, "pair"):
        yield exhibit(
            results,
            rows,
            "pairs",
            "Two choices changed together",
            tally(rows, "pair", _pair, PAIR),
            label="points beyond the sum",
            caption=f"Validation {results.metric}: both choices changed, minus each changed alone, plus the "
            "anchor, on the same seeds: 0 where they add up.",
            name=_pair,
            heads=("pair", "beside"),
        )


def _pair(row: Row) -> str:
    """Write two choices with their levels: `lam = 0.1, h = 16`."""
    paths, levels = str(row["subject"]).split(" & "), str(row["level"]).split(" & ")
    names = [path.rpartition(".")[2] for path in paths]
    return ", ".join(f"{name} = {level}" for name, level in zip(names, levels, strict=True))


def _tuning(results: Results) -> Iterator[Part]:
    if tuned := rows_of(results, "tuning"):
        texts = [
            f"Under {row['scenario']}, {row['a']} {named([row], lambda r: str(r['b']))}."
            for row in tuned
            if row["verdict"] != "missing"
        ]
        searched = results.sql("FROM trials WHERE kind = 'search' AND state = 'COMPLETE' LIMIT 1")
        among = "all trials of its search" if searched else "the contrasts (nothing was searched)"
        yield exhibit(
            results,
            tuned,
            "tuning",
            "What the choice by validation gained",
            " ".join(texts) or "No chosen configuration was confirmed.",
            label="points against the start",
            caption=f"Test {results.metric} of the configuration that was best on validation among {among}, "
            "minus the untuned one, confirmed on the same fresh seeds.",
            name=lambda row: tuning_of(str(row["a"])) or str(row["a"]),
        )
    if moved := rows_of(results, "transfer"):
        yield exhibit(
            results,
            moved,
            "transfer",
            "Chosen under one scenario, used under another",
            tally(moved, "transfer", lambda row: f"that of {row['level']}", TRANSFER),
            label="points that the own choice gains",
            caption=f"Test {results.metric} of the configuration that was chosen under a scenario, minus "
            "the one that was chosen under another, on the same fresh seeds. Ahead: the one from "
            "elsewhere costs points.",
            name=lambda row: f"from {row['level']}",
            heads=("chosen under", "its label"),
        )
