"""Sentences about the contrasts of each study."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.words import WITHIN, listing, points, share_of_choices, span, untried_clause
from ...read.metric import Metric
from ...read.results import Results, Row
from .contrasts import paths_without_effect, reported_rows, study_names

Effect = tuple[str, str]  # symbol of a choice, and its effect in words


def sentences(results: Results, rows: Sequence[Row]) -> list[str]:
    """Return a sentence per study.

    Args:
        results: The sweep.
        rows: Rows of `contrasts.table_contrasts`.
    """
    declared_paths = [factor["path"] for factor in results.meta.get("factors") or []]
    several_methods = len({row["method"] for row in rows}) > 1
    texts = []
    for study in study_names(rows):
        study_rows = [row for row in rows if row["study"] == study]
        paths = [] if several_methods else declared_paths
        text = sentence(study_rows, paths, results.confidence, results.metric)
        texts.append(f"{study_rows[0]['method']}: {text}" if several_methods else text)
    return texts


def sentence(rows: Sequence[Row], open_choices: Sequence[str], confidence: float, metric: Metric) -> str:
    """Return in words which choices of one study change accuracy, which may, and which do not.

    `May` is said of an interval that excludes zero but not when adjusted for the number of intervals.

    Args:
        rows: The study's rows of `contrasts.table_contrasts`.
        open_choices: Paths of all choices that the sweep declared open.
        confidence: Coverage of the intervals.
        metric: The metric of the sweep.
    """
    reported, same_paths, tried_paths = (
        reported_rows(rows),
        paths_without_effect(rows),
        {row["path"] for row in rows},
    )
    total = len({*open_choices, *tried_paths})
    not_tried = untried_clause(total - len(tried_paths)) if total > len(tried_paths) else ""
    under = f"Under {rows[0]['scenario']}, "
    if all(row["low"] is None for row in rows):
        return f"{under}none of {total} open choices is decided: one seed gives no interval."
    if not reported and not same_paths:
        rest = f" ({not_tried})" if not_tried else ""
        every = f"every {confidence:.0%} interval includes zero"
        return f"{under}none of {total} open choices is decided{rest}: {every}."
    open_count = len(tried_paths) - len(reported) - len(same_paths)
    prefixes = [f"{confidence:.0%} interval ", *[""] * len(reported)]
    effects = [(row["symbol"], _effect(row, prefix)) for row, prefix in zip(reported, prefixes, strict=False)]
    firm_count = sum(row["firm"] for row in reported)
    clauses = [
        *_effect_clauses(effects[:firm_count], effects[firm_count:], metric),
        _no_effect_clause([row["symbol"] for row in rows if row["path"] in same_paths]),
        f"{share_of_choices(open_count, total)} undecided" if open_count else "",
        not_tried,
    ]
    return under + "; ".join(clause for clause in clauses if clause) + "."


def _effect_clauses(
    firm_effects: Sequence[Effect], possible_effects: Sequence[Effect], metric: Metric
) -> list[str]:
    """Return a clause with the firm effects, and one with those that are only possible."""
    clauses = []
    if firm_effects:
        clauses.append(
            _effect_clause(firm_effects, "changes" if len(firm_effects) == 1 else "change", metric)
        )
    if possible_effects and firm_effects:
        clauses.append(f"{listing([' '.join(effect) for effect in possible_effects])} may too")
    elif possible_effects:
        clauses.append(_effect_clause(possible_effects, "may change", metric))
    return clauses


def _effect_clause(effects: Sequence[Effect], verb: str, metric: Metric) -> str:
    """Return `lam changes validation accuracy (best ...)`; of several effects the verb comes last."""
    if len(effects) == 1:
        symbol, effect = effects[0]
        return f"{symbol} {verb} validation {metric} {effect}"
    return f"{listing([' '.join(effect) for effect in effects])} {verb} validation {metric}"


def _no_effect_clause(symbols: Sequence[str]) -> str:
    names = list(dict.fromkeys(symbols))
    return f"{listing(names)} {'does' if len(names) == 1 else 'do'} not matter ({WITHIN})" if names else ""


def _effect(row: Row, prefix: str) -> str:
    """Return `(best 2: +2.0 points, 90% interval +1.8 to +2.2)`."""
    word = "best" if row["verdict"] == "helps" else "worst"
    return f"({word} {row['level']}: {points(row['mean'])} points, {prefix}{span(row['interval'])})"
