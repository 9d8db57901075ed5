"""Figures of a study, a module each: `table_x` computes rows, `draw_x` draws them, `exhibit_x` adds words."""
