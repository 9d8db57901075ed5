"""Sweeps: search spaces, studies with Optuna, plans of trials, and their running under Ray Tune.

`spaces` reads the files that declare a search; `studies` searches one method in one scenario; `plans` decides
which trials run and in which order; `running` runs a plan on Ray. `sweep` puts them together.
"""
