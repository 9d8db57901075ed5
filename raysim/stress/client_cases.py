"""Stress by what clients do: participation, faults, and what is new after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysim.search.spaces.record import Overrides
from raysim.stress.cases import Case, Level, share_levels

ROBUST_AGGREGATIONS: Mapping[str, Overrides] = {
    "median": {"server.aggregation": "median"},
    "trimmed mean": {"server.aggregation": "trimmed", "server.trim": 0.4},
    "clipped": {"server.aggregation": "clip"},
}
PARTICIPATION = {
    5: 1.0,
    20: 1.0,
    100: 0.2,
    300: 0.07,
    1000: 0.02,
}  # clients -> share that takes part in a round: never more than 21 clients
DEADLINES = {
    24: 2.0,
    50: 1.0,
    76: 0.5,
    92: 0.25,
}  # percent late -> deadline in medians: P(exp(z) > deadline), z ~ N(0, 1)


def _corrupt(kind: str, title: str, note: str = "", **more: Any) -> Case:
    """Return the case of one kind of corrupt updates."""
    changes = {"faults.corruption": kind, **{f"faults.{name}": value for name, value in more.items()}}
    levels = (Level(label="0 %", x=0.0), *share_levels("faults.corrupt", (0.05, 0.125, 0.25, 0.4), changes))
    return Case(
        name=f"corrupt_{kind}",
        title=title,
        axis="clients whose updates are corrupt",
        levels=levels,
        quick=(0, 3),
        unit="%",
        variants=ROBUST_AGGREGATIONS,
        quick_variants=("median",),
        note=note,
    )


TRAFFIC = (
    Case(
        name="clients",
        title="More clients, the same images",
        axis="clients",
        levels=tuple(
            Level(label=f"{n:,}", x=n, changes={"scenario.clients": n, "participation": share})
            for n, share in PARTICIPATION.items()
        ),
        quick=(0, 3),
        log=True,
        settings={"task.shots": None, "evaluation.clients": 50},
        note="Never more than 21 clients take part in a round; local-only clients all train. At most fifty "
        "clients are measured.",
    ),
    Case(
        name="participation",
        title="Few clients take part",
        axis="clients that take part in a round",
        levels=share_levels("participation", (0.5, 0.2, 0.05, 0.01)),
        quick=(1, 3),
        unit="%",
        log=True,
        settings={"scenario.clients": 100, "task.shots": 100},
        note="Of 100 clients; local-only clients train in every round.",
    ),
    Case(
        name="dropout",
        title="Clients that die in a round",
        axis="clients that drop out",
        levels=share_levels("faults.dropout", (0.0, 0.3, 0.6, 0.9)),
        quick=(0, 2),
        unit="%",
    ),
    Case(
        name="stragglers",
        title="Stragglers and a deadline",
        axis="updates that come too late",
        levels=(
            Level(label="0 %", x=0.0),
            *(
                Level(label=f"{late} %", x=late, changes={"faults.deadline": deadline})
                for late, deadline in DEADLINES.items()
            ),
        ),
        quick=(0, 3),
        unit="%",
        settings={
            "scenario.clients": 16,
            "participation": 0.5,
            "faults.speed_sigma": 1.0,
            "faults.link_sigma": 0.0,
            "faults.bytes_per_second": 1e12,
        },
        variants={
            "over-selected": {"faults.over_selection": 2.0},
            "late ones kept": {"faults.stale": "keep"},
        },
        quick_variants=("late ones kept",),
        scales_deadlines=True,
        note="Seconds are simulated. Devices differ by a log-normal factor (sigma 1); the deadline is 2, "
        "1, 1/2 and 1/4 of the median "
        "client's time, so that about the said share of equal clients is late. Over-selected: twice as "
        "many are drawn, the first count.",
    ),
    _corrupt("nan", "Updates that are not numbers"),
    _corrupt("sign_flip", "Updates with the opposite sign"),
    _corrupt("scaled", "Updates that are ten times too large", scale=10.0),
)
UNSEEN = (
    Case(
        name="newcomers",
        title="New clients after training",
        axis="clients that come after training",
        levels=share_levels("evaluation.newcomers", (0.1, 0.3, 0.6, 0.9)),
        quick=(0, 3),
        unit="%",
        metric="acc_shared_newcomers",
        metric_local="acc_personal_own",
        settings={"scenario.clients": 20},
        note="The shared model at clients that never trained, on their own distributions. Local-only "
        "stands for what a client "
        "reaches that trains alone: its mean over all clients.",
    ),
    Case(
        name="novel",
        title="Classes unseen in training",
        axis="classes that no client trains on",
        levels=tuple(Level(label=f"{n}", x=n, changes={"task.novel": n}) for n in (2, 4, 6)),
        quick=(0, 2),
        metric="acc_novel",
        has_local=False,
        note="Accuracy among the unseen classes. Local-only has no model for them, so zero-shot is the "
        "only reference.",
    ),
)
