"""What a report draws of any study: a module per figure, `table_x` and `draw_x`."""
