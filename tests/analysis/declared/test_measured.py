"""What runs measured inside: domains to the digit, masks over seeds, the shared part from start to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.declared import measured
from tests.fakes import safe as fake_safe
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
    rows = measured.table_main_domains(results)
    own = {(r["domain"], r["label"]): r for r in rows if r["metric"] == "acc_personal_own"}
    assert [r["mean"] for r in own.values()] == pytest.approx([0.72, 0.70, 0.60, 0.63])
    summer = own["summer", "local (tuned)"]
    assert (summer["low"], summer["high"]) == pytest.approx(
        (0.70 + min(NOISE.values()), 0.70 + max(NOISE.values()))
    )
    assert summer["clients"] == 3
    assert [row["held"] for row in rows] == pytest.approx([(2.5 / 3 + 0.8) / 2] * len(rows))
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


def test_masks_of_a_recipe_over_seeds(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}]).open()
    (pictures, table), said = drawn(results)
    assert len(pictures.panels) == 2
    assert pictures.caption.startswith("safe under imbalance 10, seed 1000, after the last round.")
    steps = (("iou", 0.6, 0.01, 5), ("iou_untrained", 0.3037, 0.02, 3), ("iou_random", 0.2, 0.01, 4))
    mean = {what: np.mean([start + step * (k % n) for k in range(12)]) for what, start, step, n in steps}
    levels = {(row["scenario"], row["label"]): row for row in results.sql(measured.MASKS)}
    assert len(levels) == 4 and levels["imbalance 10", "safe"]["iou"] == pytest.approx(mean["iou"], abs=1e-3)
    gain = 100 * (mean["iou"] - mean["iou_untrained"])
    assert "the trained gate: that of safe is ahead of random masks of equal area (+" in said[0]
    assert f"the untrained gate (+{gain:.1f} points [" in said[0]
    assert table.rows[0][-2].text.startswith(f"+{gain:.1f} [") and table.rows[0][-2].text.endswith("] ahead")


def test_masks_of_a_recipe_without_a_known_foreground(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}], known=False).open()
    (pictures, table), said = drawn(results)
    assert said == [] and "is not known" in table.caption and pictures.panels
    assert [cell.text for cell in table.rows[0][3:]] == [""] * 5


def test_shared_parameters_start_end_and_best_round(tmp_path: Path) -> None:
    methods = ["fedrsclip", "promptfl", "local"]
    made = Recipe(tmp_path, {"even": {}, "disjoint": {}}, [{"kind": "convergence"}], methods)
    for scenario, end in (("even", 0.75), ("disjoint", 0.56)):
        for method in methods:
            path = {0: 0.60, 2: 0.70, 4: end} if method != "promptfl" else {0: 0.60, 2: 0.65, 4: 0.64}

            def rounds(
                seed: int, path: dict[int, float] = path, nothing: bool = method == "local"
            ) -> list[Row]:
                sent = {"bytes_up": 8, "bytes_down": 8, "flops": 1.0, "seconds": 1.0, "acc_personal_own": 0.5}
                values = {n: None if nothing else v + n * NOISE[seed] / 4 for n, v in path.items()}
                return [{"round": n, "acc_shared_global": value, **sent} for n, value in values.items()]

            parameters = 0 if method == "local" else 256
            made.trial(
                f"{method} (tuned)", scenario, at(0.7), method=method, parameters=parameters, rounds=rounds
            )
    (exhibit, table), sentences = drawn(made.open())
    assert sentences[0].startswith(
        "Under even, on the global validation split, the shared part of fedrsclip (tuned) is ahead of its "
        "start (+15.0 points ["
    )
    assert "; that of promptfl (tuned) is ahead of its start (+" in sentences[0]
    assert "the shared part of fedrsclip (tuned) is behind its start (\u22124.0 points [" in sentences[1]
    assert [marks(panel, "#B87A00") for panel in exhibit.panels] == [3, 3]
    cells = [[getattr(cell, "text", cell) for cell in row] for row in table.rows]
    assert len(cells) == 4  # local shares nothing
    assert cells[2][1:4] == ["fedrsclip (tuned)", "60.0", "56.0"] and cells[2][5] == "70.0 (round 2)"
    assert cells[2][4].endswith("] below")
