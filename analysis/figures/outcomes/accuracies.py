"""The accuracies that figures show: their columns, their names, and how their scopes are drawn."""

from __future__ import annotations

from dataclasses import dataclass

PERSONAL_METRICS = {
    "acc_personal_own": "on each client's own distribution",
    "acc_personal_global": "on the global split",
}
FOUR_METRICS = {
    "acc_personal_own": "personal, own",
    "acc_personal_global": "personal, global",
    "acc_shared_own": "shared alone, own",
    "acc_shared_global": "shared alone, global",
}
ALL_METRICS = (*FOUR_METRICS, "worst_client_accuracy")
MEANS = """avg(acc_personal_own) AS personal_own, stddev_samp(acc_personal_own) AS sd_own,
  avg(acc_personal_global) AS personal_global, stddev_samp(acc_personal_global) AS sd_global,
  count(*) AS seeds"""  # columns of SQL over `confirmed` (see `entries.CONFIRMED`)


@dataclass(frozen=True)
class ScopeLook:
    """Look of the accuracies of one scope: marker, colour and name in the legend."""

    marker: str
    colour: str
    name: str


SCOPES = {
    "shared": ScopeLook("s", "#D55E00", "shared alone"),
    "personal": ScopeLook("o", "#0072B2", "personal"),
}
