"""The main configuration against all others on the test split, in words: rows of `verdicts`."""

from __future__ import annotations

from ...read.results import Results, Row
from ..choices.verdicts import named
from ..differences import query_of, with_basis
from ..rows import grouped, place_in, scenario_order

ON_OWN = "on the clients' own distributions"
QUERY = query_of("rival", "floor", "tuning", where="split = 'test'")


def rivalry(results: Results) -> list[Row]:
    """Return the differences of the main configuration to all others and to the floors, on the test split."""
    order = scenario_order(results)
    return sorted(results.sql(QUERY), key=lambda row: (place_in(order, row["scenario"]), row["number"]))


def sentences(results: Results) -> list[str]:
    """Return a sentence per scenario with the verdicts on the main configuration against all others."""
    rows, texts = rivalry(results), []
    for scenario, group in grouped(rows, "scenario").items():
        own = [row for row in group if row["metric"] == "acc_personal_own"]
        verdicts = {row["level"]: row["verdict"] for row in own}
        differing = [
            row
            for row in group
            if row["metric"] == "acc_personal_global"
            and row["verdict"] in ("ahead", "behind", "diverges")
            and row["verdict"] != verdicts.get(row["level"])
        ]
        if own:
            text = f"Under {scenario}, {ON_OWN}, {own[0]['subject']} {named(own, other)}."
            if differing:
                text += f" On the global split it {named(differing, other)}."
            texts.append(text)
    return with_basis(texts, rows, results.confidence)


def other(row: Row) -> str:
    """Return the label of the other configuration."""
    return str(row["level"])
