"""Clients: which images each of them holds, which labels are wrong, and which clients fail or are late.

`scenario` and `partition` (how images are assigned), `counts` (the integer tables behind them),
`heterogeneity` (measures of the result), `noise` (wrong labels) and `faults` (dropouts, late and corrupt
updates). It imports core, nn and data only.
"""
