"""The first sentences of the page of a sweep; all of them follow from the intervals."""

from __future__ import annotations

from collections.abc import Sequence

from .. import declared as recipes
from ..figures.choices import winners
from ..figures.choices.winners import METHOD
from ..figures.outcomes import methods, rivalry
from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..read.results import Results, Row
from .effect_sentences import effects_sentence
from .winner_sentences import elsewhere_sentence, global_sentence, winner_sentence

NO_CONTRAST = "No contrast is finished yet, so nothing can be said about the open choices."
NO_RIVAL = "No rival is finished on the seeds of the contrasts yet, so no winner can be named."

MAX_RECIPE_SENTENCES = 3  # sentences of a recipe in its summary; all of them are further below


def lead(results: Results, compared: Sequence[Row], changed: Sequence[Row], won: Sequence[Row]) -> list[str]:
    """Write the summary: the winner, the effects of the choices, the test split; of a recipe, its sentences.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        changed: Rows of `contrasts.table_contrasts`.
        won: Rows of `winners.table_winners`.
    """
    confidence, symbols = results.confidence, symbols_of(results, changed)
    on_test = (
        rivalry.headline(rivalry.rivalry(results, compared), confidence, results.metric)
        if compared
        else methods.NOT_YET
    )
    if not contrasted(results):
        of_test = [on_test, *rivalry.sentences(rivalry.rivalry(results, compared), confidence)]
        return (recipes.sentences(results, compared) or of_test)[:MAX_RECIPE_SENTENCES]
    sentences = _winner_sentences(results, changed, won)
    if changed:
        scenarios = len(results.meta.get("scenarios") or [])
        sentences.append(effects_sentence(changed, list(symbols), scenarios, results.metric))
    else:
        sentences.append(NO_CONTRAST)
    return [sentence for sentence in [*sentences, on_test] if sentence]


def _winner_sentences(results: Results, changed: Sequence[Row], won: Sequence[Row]) -> list[str]:
    """Write the sentences on the winner, or say that no winner can be named yet."""
    cases = winners.cases(won)
    if not cases:
        planned = (results.meta.get("planned") or {}).get("rival")
        return [NO_RIVAL] if planned and changed else []
    symbols = {p: symbol for p, symbol in symbols_of(results, changed).items() if p.startswith(METHOD)}
    on_global = winners.cases(winners.table_winners(results, list(PERSONAL_METRICS)[1]))
    return [
        winner_sentence(cases, symbols, results.metric),
        elsewhere_sentence(cases, symbols),
        global_sentence(cases, on_global),
    ]


def contrasted(results: Results) -> bool:
    """Whether the sweep contrasts open choices with an anchor, or plans to."""
    planned = (results.meta.get("planned") or {}).get("contrast") != 0
    return bool(results.meta.get("factors") and planned) or any(
        t["kind"] == "contrast" for t in results.trials
    )


def symbols_of(results: Results, changed: Sequence[Row]) -> dict[str, str]:
    """Return path -> symbol of every open choice, tried or not."""
    return {f["path"]: f["symbol"] for f in results.meta.get("factors") or []} | {
        r["path"]: r["symbol"] for r in changed
    }
