"""Convergence of the shared parameters: start, end and best round."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.recipe import NOISE, Recipe, Row, at, drawn, marks


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
