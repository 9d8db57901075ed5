"""Clients by their main domain: means to the digit, and sentences from intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.declared import domains
from tests.fakes.recipe import NOISE, Recipe, Row, at, drawn, marks
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


def test_clients_count_for_the_domain_of_most_of_their_images(tmp_path: Path) -> None:
    results = domains_recipe(tmp_path).open()
    (exhibit, table), sentences = drawn(results)
    rows = domains.table_main_domains(results)
    own = {(r["domain"], r["label"]): r for r in rows if r["metric"] == "acc_personal_own"}
    assert [r["mean"] for r in own.values()] == pytest.approx([0.72, 0.70, 0.60, 0.63])
    summer = own["summer", "local (tuned)"]
    assert (summer["low"], summer["high"]) == pytest.approx(
        (0.70 + min(NOISE.values()), 0.70 + max(NOISE.values()))
    )
    assert summer["clients"] == 3
    assert {row["held"] for row in rows} == {pytest.approx((2.5 / 3 + 0.8) / 2)}
    assert sentences[0].startswith(
        "Under domain per client, fedrsclip (tuned) is ahead of local (tuned) for clients of summer (+2.0 "
        "points ["
    )
    assert "it is behind local (tuned) for clients of haze (\u22123.0 points [" in sentences[0]
    assert [marks(p, c) for p in exhibit.panels for c in ("#0072B2", "#009E73")] == [2, 2, 2, 2]
    assert [line[1] for line in table.rows] == ["summer", "haze"]


def test_a_scenario_whose_clients_are_mixed_is_not_drawn(tmp_path: Path) -> None:
    made = domains_recipe(tmp_path)
    for part in tmp_path.glob("runs/*/partition.parquet"):
        write(
            part, [{"client": c, "image": i, "label": 0, "domain": i % 3} for c in range(4) for i in range(9)]
        )
    (exhibit,), sentences = drawn(made.open())
    assert (
        exhibit.missing == "In no scenario do clients hold most of their images of one domain."
        and sentences == []
    )
