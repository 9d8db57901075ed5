"""Studies: the search of one method in one scenario with Optuna, its ranking and its races."""
