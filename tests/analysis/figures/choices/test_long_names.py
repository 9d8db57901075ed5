"""Long names of anchors and levels in the figures of the choices."""

from __future__ import annotations

from pathlib import Path

from analysis.figures.choices import contrast_tables, contrasts, winner_tiles, winners
from analysis.read.results import open_results
from tests.fakes import results as fake_results


def test_long_anchors_stand_inside_the_figure_and_in_full_in_the_table(tmp_path: Path) -> None:
    long = "a photograph that a satellite took of some place on earth"
    results = open_results(fake_results.fake_sweep(tmp_path, rounds=2, search=0))
    results.meta["factors"][0]["anchor"] = long
    results.meta["factors"][7]["symbol"] = "a_rather_long_symbol"
    rows = contrasts.table_contrasts(results)
    figures = [
        contrasts.draw_contrasts(rows[:19], 5, 3.2),
        winner_tiles.draw_winners(winners.table_winners(results)),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        texts = [
            t
            for axes in figure.axes
            for t in [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
            if t.get_text()
        ]
        assert len(texts) > 30
        for text in texts:
            box = text.get_window_extent()
            assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, text.get_text()
    assert any("\u2026" in t.get_text() for t in figures[0].axes[0].texts)
    table = contrast_tables.table_differences(results, rows)
    assert table is not None and table.rows[0][3] == long
