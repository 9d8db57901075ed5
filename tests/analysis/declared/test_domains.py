"""Clients by their main domain: means to the digit, and sentences from intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.declared import domain_sentences, domains
from analysis.figures.rows import with_firm
from analysis.stats.intervals import t_interval
from tests.fakes.recipe import NOISE, SEEDS, Recipe, Row, at, drawn, marks, query
from tests.fakes.tables import write


def domains_recipe(folder: Path) -> Recipe:
    """Clients 0, 1 and 3 are summer's, client 2 is haze's.

    The subject is 2 points ahead of local in summer and 3 behind in haze.
    """
    made = Recipe(
        folder,
        {"domain per client": {"scenario": {"name": "domain"}}},
        [{"kind": "domains"}],
        ["fedrsclip", "local"],
    )

    def rows(summer: float, haze: float, wobble: float) -> Any:
        def of(seed: int) -> list[Row]:
            own = {0: summer - 0.01, 1: summer + 0.01, 2: haze, 3: summer}
            return [
                {
                    "split": split,
                    "client": c,
                    "examples": 5,
                    "acc_personal_own": v + wobble * NOISE[seed] - (split != "test"),
                    "acc_personal_global": 0.5,
                }
                for c, v in own.items()
                for split in ("test", "validation")
            ]

        return of

    made.trial("fedrsclip (tuned)", "domain per client", at(0.7), clients=rows(0.72, 0.6, 2.0))
    made.trial(
        "local (tuned)",
        "domain per client",
        at(0.7),
        method="local",
        clients=rows(0.70, 0.63, 1.0),
        parameters=0,
    )
    return made


def test_clients_count_for_the_domain_of_most_of_their_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = domains_recipe(tmp_path).open()
    assert domains.main_domains(results, "r000s1000") == {0: (0, 1.0), 1: (0, 1.0), 2: (1, 0.8), 3: (0, 0.5)}
    compared, (exhibit, table), sentences = drawn(results)
    rows = domains.table_main_domains(results, compared)
    own = {(r["domain"], r["label"]): r for r in rows if r["metric"] == "acc_personal_own"}
    assert [r["mean"] for r in own.values()] == pytest.approx([0.72, 0.70, 0.60, 0.63])
    assert own[("summer", "local (tuned)")]["values"] == pytest.approx({s: 0.70 + NOISE[s] for s in SEEDS})
    assert own[("summer", "local (tuned)")]["clients"] == 3 and rows[0]["share"] == pytest.approx(
        (1 + 1 + 0.8 + 0.5) / 4
    )
    assert sentences == [
        "Under domain per client, fedrsclip (tuned) is ahead of local (tuned) for clients of summer "
        "(+2.0), behind it for clients of haze (\u22123.0) (points; decided by 90% intervals, paired by "
        "seed)."
    ]
    assert (
        "The paired differences in the sentences: of 2 intervals of 90% shown, 2 exclude zero; by chance"
        in exhibit.caption
    )
    assert [marks(p, c) for p in exhibit.panels for c in ("#0072B2", "#009E73")] == [2, 2, 2, 2]
    sql_rows = {
        (r["domain"], r["label"]): r["personal_own"] for r in query(table.source, tmp_path, monkeypatch)
    }
    assert sql_rows == pytest.approx({place: r["mean"] for place, r in own.items()})
    assert [line[1] for line in table.rows] == ["summer", "haze"]


def test_leads_that_do_not_stand_may_be_leads() -> None:
    gaps = {"summer": 0.02, "haze": 0.0046, "winter": -0.03, "spring": 0.0, "autumn": 0.0}
    rows = [
        {"label": "m", "rival": "local", "domain": d, "interval": t_interval([g + NOISE[s] for s in SEEDS])}
        for d, g in gaps.items()
    ]
    sentences = domain_sentences._lead_clauses(with_firm(rows, 0.9))
    assert sentences == (
        "is ahead of local for clients of summer (+2.0), behind it for clients of winter (\u22123.0), "
        "level (within 1 point) with it for clients of spring and autumn; it may be ahead of it for "
        "clients of haze (+0.5)"
    )


def test_a_scenario_whose_clients_are_mixed_is_not_drawn(tmp_path: Path) -> None:
    made = domains_recipe(tmp_path)
    for part in tmp_path.glob("runs/*/partition.parquet"):
        write(
            part, [{"client": c, "image": i, "label": 0, "domain": i % 3} for c in range(4) for i in range(9)]
        )
    _, (exhibit,), sentences = drawn(made.open())
    assert (
        exhibit.missing == "In no scenario do clients hold most of their images of one domain."
        and sentences == []
    )
