"""The evidence of a sweep, in the order of its questions: each figure with its table and its sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..figures.choices import leads, matrix
from ..figures.choices.verdicts import DECIDED, GLOBAL, exhibit, named, rows_of, size
from ..look.entries import base_label
from ..look.page import Exhibit, Part, Section
from ..look.words import WITHIN, count, difference, listing, short_listing
from ..read.results import Results, Row, tuning_of
from .headline import floor_sentence, rival_headline

RIVALS = "Does the method beat its rivals and the floors?"
CHOICES = "Which choices matter?"
LEADS = "Do the choices change who wins?"
PAIRS = "Do two choices act together?"
TUNING = "Was tuning worth it, and does it carry over?"
TRANSFER = {"ahead": ("costs points", "cost points"), "behind": ("gains points", "gain points")}
REST = {  # verdict -> what one row has, and several have
    "negligible": ("is negligible", "are negligible"),
    "level": (f"is level ({WITHIN})", f"are level ({WITHIN})"),
    "no effect": ("makes no difference", "make no difference"),
    "undecided": ("is undecided", "are undecided"),
    "missing": ("did not run", "did not run"),
}
DIVERGES = ("diverges", "diverge")
NO_RIVAL = "no rival ran beside the anchor, so there is no winner at any level."


def sections(results: Results) -> list[Section]:
    """Return the sections whose comparisons were planned or run; the others are left out."""
    made = [
        (RIVALS, [*_rivals(results)]),
        (CHOICES, [*_choices(results)]),
        (LEADS, [*_leads(results)]),
        (PAIRS, [*_pairs(results)]),
        (TUNING, [*_tuning(results)]),
    ]
    return [Section(title, parts) for title, parts in made if parts]


def _rivals(results: Results) -> list[Part]:
    parts: list[Part] = []
    rows = rows_of(results, "rival", "floor")
    globally = rows_of(results, "rival", "floor", metric=GLOBAL)
    on_global = [{**row, "scenario": f"{row['scenario']}, global split"} for row in globally]
    ran = [row for row in rows if row["verdict"] != "missing"]
    if not rows:
        return parts
    sides = list(dict.fromkeys(row["a"] for row in ran))
    rivals, floors = ([r for r in ran if r["kind"] == kind] for kind in ("rival", "floor"))
    said = [rival_headline(results, rivals, globally), floor_sentence(floors)]
    confirmed = any(row["split"] == "test" for row in ran)
    where = "Test {} on fresh seeds" if confirmed else "Validation {}; nothing is confirmed"
    who = listing(["the anchor" if side == "anchor" else side for side in sides])
    caption = f"{where.format(results.metric)}: {who} minus each rival and each rule that needs no training."
    if any(row["strongest"] for row in rivals):
        caption += " The strongest rival is the one that validation picked on the seeds of the selection."
    return [
        exhibit(
            results,
            [*rows, *on_global],
            "rivals",
            "Against rivals and floors",
            " ".join(said).strip() or f"Nothing shows {who} below a rule that needs no training.",
            label="points against it",
            caption=caption,
            name=lambda row: base_label(row["b"]),
            heads=("against", "other side"),
        )
    ]


def _choices(results: Results) -> list[Part]:
    rows = rows_of(results, "choice")
    left_open = matrix.choices_table(results)
    if not rows:
        return [left_open] if left_open else []
    caption = (
        f"Validation {results.metric} (personal, own distribution) with one choice changed, minus the "
        "anchor on "
        "the same seeds."
    )
    figure = exhibit(
        results,
        rows,
        "choices",
        "Every level of every choice, against the anchor",
        choice_sentence(rows),
        label="points against the anchor",
        caption=caption,
        name=_level,
        heads=("changed", "anchor"),
    )
    return [figure, *([left_open] if left_open else [])]


def _level(row: Row) -> str:
    return f"{row['symbol']} = {row['level']}"


def choice_sentence(rows: Sequence[Row]) -> str:
    """Say how many levels have which verdict, and name the decided ones with their sizes."""
    words: dict[str, list[Row]] = {}
    for row in rows:
        words.setdefault(row["verdict"], []).append(row)
    decided = sorted((row for row in rows if row["verdict"] in DECIDED), key=size, reverse=True)
    names = [f"{_level(row)} under {row['scenario']} ({difference(row)})" for row in decided]
    verb = "is" if len(decided) == 1 else "are"
    start = f"Of {count(len(rows), 'comparison')}, {len(decided)} {verb} decided"
    named_ones = f": {short_listing(names, 5)}" if names else ""
    counts = listing([f"{len(words[word])} {word}" for word in words if word not in DECIDED])
    return f"{start}{named_ones}{f'; {counts}' if counts else ''}."


def _leads(results: Results) -> list[Part]:
    rows = rows_of(results, "lead")
    if not rows:
        return []
    made = leads.table(results, rows)
    if made is None:
        return [Exhibit("leads", "The winner at each level", missing=NO_RIVAL)]
    return [made]


def _pairs(results: Results) -> list[Part]:
    rows = rows_of(results, "pair")
    if not rows:
        return []
    return [
        exhibit(
            results,
            rows,
            "pairs",
            "Two choices changed together",
            pair_sentence(rows),
            label="points beyond the sum",
            caption=f"Validation {results.metric}: both choices changed, minus each changed alone, plus the "
            "anchor, on the same seeds: 0 where they add up.",
            name=_pair,
            heads=("pair", "beside"),
        )
    ]


def _pair(row: Row) -> str:
    """Write two choices with their levels: `lam = 0.1, h = 16`."""
    paths, levels = str(row["subject"]).split(" & "), str(row["level"]).split(" & ")
    names = [path.rpartition(".")[2] for path in paths]
    return ", ".join(f"{name} = {level}" for name, level in zip(names, levels, strict=True))


def pair_sentence(rows: Sequence[Row]) -> str:
    """Say which pairs of choices give more or less than the sum of both."""
    phrases = {
        "ahead": ("gives more than the sum of both", "give more than the sum of both"),
        "behind": ("gives less than the sum of both", "give less than the sum of both"),
    }
    return _phrased(rows, phrases, lambda row: f"{_pair(row)} under {row['scenario']}", "pair")


def _phrased(
    rows: Sequence[Row], phrases: Mapping[str, tuple[str, str]], name: Callable[[Row], str], noun: str
) -> str:
    clauses = []
    for verdict, phrase in phrases.items():
        found = [f"{name(row)} ({difference(row)})" for row in rows if row["verdict"] == verdict]
        clauses += [f"{short_listing(found)} {phrase[len(found) > 1]}"] if found else []
    lost = [name(row) for row in rows if row["verdict"] == "diverges"]
    clauses += [f"{short_listing(lost)} {DIVERGES[len(lost) > 1]}"] if lost else []
    for word, phrase in REST.items():
        many = sum(row["verdict"] == word for row in rows)
        clauses += [f"{many} {phrase[many > 1]}"] if many else []
    return f"Of {count(len(rows), noun)}, {'; '.join(clauses)}."


def transfer_sentence(rows: Sequence[Row]) -> str:
    """Say which configurations cost or gain points under another scenario than the one that chose them."""
    return _phrased(
        rows, TRANSFER, lambda row: f"the one from {row['level']} under {row['scenario']}", "transfer"
    )


def _chosen_from(results: Results) -> str:
    """Write among which trials a configuration was chosen."""
    searched = results.sql("SELECT trial FROM trials WHERE kind = 'search' AND state = 'COMPLETE' LIMIT 1")
    return "among all trials of its search" if searched else "among the contrasts (nothing was searched)"


def _tuning(results: Results) -> list[Part]:
    tuned, moved = rows_of(results, "tuning"), rows_of(results, "transfer")
    parts: list[Part] = []
    if tuned:
        texts = [
            f"Under {row['scenario']}, {row['a']} {named([row], lambda r: str(r['b']))}."
            for row in tuned
            if row["verdict"] != "missing"
        ]
        parts.append(
            exhibit(
                results,
                tuned,
                "tuning",
                "What the choice by validation gained",
                " ".join(texts) or "No chosen configuration was confirmed.",
                label="points against the start",
                caption=f"Test {results.metric} of the configuration that was best on validation "
                f"{_chosen_from(results)}, minus the untuned one, confirmed on the same fresh seeds.",
                name=lambda row: tuning_of(str(row["a"])) or str(row["a"]),
            )
        )
    if moved:
        parts.append(
            exhibit(
                results,
                moved,
                "transfer",
                "Chosen under one scenario, used under another",
                transfer_sentence(moved),
                label="points that the own choice gains",
                caption=f"Test {results.metric} of the configuration that was chosen under a scenario, minus "
                "the one that was chosen under another, on the same fresh seeds. Ahead: the one from "
                "elsewhere costs points.",
                name=lambda row: f"from {row['level']}",
                heads=("chosen under", "its label"),
            )
        )
    return parts
