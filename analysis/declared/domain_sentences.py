"""Sentences about the clients' main domains."""

from __future__ import annotations

from collections.abc import Sequence

from ..look.words import WITHIN, listing, points
from ..read.results import Results, Row
from .adjusted import may
from .domains import table_leads, table_main_domains

VERDICT_WORDS = {
    "helps": "ahead of",
    "hurts": "behind",
    "level": f"level ({WITHIN}) with",
    "undecided": "undecided against",
}


def sentences_domains(results: Results, compared: Sequence[Row]) -> list[str]:
    """Return a sentence per scenario and rival: for which domains the first entry is ahead, behind or level.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
    """
    leads: dict[tuple[str, str], list[Row]] = {}
    for row in table_leads(results, table_main_domains(results, compared)):
        leads.setdefault((row["scenario"], row["rival"]), []).append(row)
    texts: list[str] = []
    for (scenario, _), rows in leads.items():
        basis = "" if texts else f" (points; decided by {results.confidence:.0%} intervals, paired by seed)"
        texts.append(f"Under {scenario}, {rows[0]['label']} {_lead_clauses(rows)}{basis}.")
    return texts


def _lead_clauses(rows: Sequence[Row]) -> str:
    """Return the domains by verdict; uncertain verdicts come last, with `may be`.

    For example: `is ahead of local for clients of haze (+3.1), behind it for clients of winter (-1.0)`.
    """
    clauses, name = list[str](), rows[0]["rival"]
    for verb, uncertain in (("is", False), ("may be", True)):
        domains: dict[str, list[str]] = {}
        for row in (row for row in rows if may(row) == uncertain):
            gap = row["interval"]
            difference = f" ({points(gap.mean)})" if gap.excludes_zero else ""
            domains.setdefault(gap.verdict, []).append(f"{row['domain']}{difference}")
        phrases = []
        for verdict in (verdict for verdict in VERDICT_WORDS if verdict in domains):
            clients = listing(domains[verdict])
            phrases.append(f"{VERDICT_WORDS[verdict]} {name} for clients of {clients}")
            name = "it"
        if phrases:
            clauses.append(f"{'it ' if clauses else ''}{verb} {', '.join(phrases)}")
    return "; ".join(clauses)
