"""Python's way in: `run`, `sweep`, `load` and `compare`, public names of `raysim`.

`running` and `sweeping` do the work for Python and for the command line alike; `experiments` turns names,
files and overrides into experiments; `results` holds what comes back.
"""
