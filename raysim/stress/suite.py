"""The declared suite: which stress, at which levels, for whom. Data alone; `plan` makes trials of it.

A level is what a case changes on its ground, from the mildest to the severest. All cases stand on one ground,
so that their mildest levels are often one experiment and run once. Two references stand beside every method:
zero-shot CLIP, which trains nothing, and local-only training, which sends nothing. What concerns only what is
sent (faults, aggregation, participation) does not concern them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Overrides = Mapping[str, Any]

GROUND: Overrides = {"scenario": "dirichlet", "scenario.alpha": 0.5}
FEATURES_QUICK: Overrides = {  # a method that works on frozen features
    "rounds": 6,
    "evaluation.every": 3,
    "scenario.clients": 8,
    "task.classes": 8,
    "task.shots": 24,
}
NETWORK_QUICK: Overrides = {  # a method that trains a network
    "rounds": 8,
    "evaluation.every": 4,
    "scenario.clients": 8,
    "task.classes": 5,
    "task.shots": 40,
    "task.image_size": 32,
    "task.ses": 5,
    "task.views": 1,
    "training.epochs": 1,
    "training.batch": 16,
    "training.lr": 0.05,
    "method.network": "cnn",
}
SENT = ("faults.", "server.", "participation")  # paths that concern only what is sent
ALONE = (
    *SENT,
    "evaluation.newcomers",
)  # do not concern a client that trains alone: there is nothing that it could come to
UNTRAINED = (
    *SENT,
    "training.",
    "scenario.label_noise",
    "scenario.noise_kind",
)  # nor these a model that nobody trains
PARTNERS = (
    "rsscn7",
    "ucmerced",
    "eurosat",
    "optimal31",
    "aid",
    "patternnet",
    "resisc45",
)  # for mixtures, the smallest archives first
ROBUST: Mapping[str, Overrides] = {
    "median": {"server.aggregation": "median"},
    "trimmed mean": {"server.aggregation": "trimmed", "server.trim": 0.4},
    "clipped": {"server.aggregation": "clip"},
}


@dataclass(frozen=True)
class Level:
    """How severe: its name, its place on the case's axis, and what it changes."""

    label: str
    x: float
    changes: Overrides = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One kind of stress.

    Attributes:
        name: For the command line and the tables.
        title: For people.
        axis: What x is.
        levels: From the mildest to the severest.
        quick: Positions of the levels that `--quick` keeps.
        unit: Of x.
        log: Whether the axis is logarithmic.
        ground: What all levels have in common, on the suite's ground.
        metric: The column that is judged.
        metric_local: The same for local-only training, where that is another column.
        local: Whether local-only training is a reference at all.
        variants: Other ways to run the method, by what is said behind its name.
        quick_variants: Those that `--quick` keeps.
        paced: Whether deadlines are in units of the median client's work.
        seconds: Time budget of the trials of one space; `quick_seconds` with `--quick`.
        note: What a reader must know.
        skipped: Why the case cannot be run here; nothing where it can.
    """

    name: str
    title: str
    axis: str
    levels: tuple[Level, ...]
    quick: tuple[int, ...]
    unit: str = ""
    log: bool = False
    ground: Overrides = field(default_factory=dict)
    metric: str = "acc_personal_own"
    metric_local: str = ""
    local: bool = True
    variants: Mapping[str, Overrides] = field(default_factory=dict)
    quick_variants: tuple[str, ...] = ()
    paced: bool = False
    seconds: float = 3600.0
    quick_seconds: float = 100.0
    note: str = ""
    skipped: str = ""


def _shares(path: str, values: tuple[float, ...], more: Overrides | None = None) -> tuple[Level, ...]:
    """Levels of a share: `0 %`, `20 %`."""
    return tuple(Level(f"{100 * value:g} %", 100 * value, {path: value, **(more or {})}) for value in values)


def _corrupt(kind: str, title: str, note: str = "", **more: Any) -> Case:
    changes = {"faults.corruption": kind, **{f"faults.{name}": value for name, value in more.items()}}
    levels = (Level("0 %", 0.0), *_shares("faults.corrupt", (0.05, 0.125, 0.25, 0.4), changes))
    return Case(
        f"corrupt_{kind}",
        title,
        "clients whose updates are corrupt",
        levels,
        (0, 3),
        "%",
        variants=ROBUST,
        quick_variants=("median",),
        note=note,
    )


CLIENTS = {
    5: 1.0,
    20: 1.0,
    100: 0.2,
    300: 0.07,
    1000: 0.02,
}  # clients -> share of them that takes part: never more than 21
LATE = {
    24: 2.0,
    50: 1.0,
    76: 0.5,
    92: 0.25,
}  # percent late -> deadline in medians: P(exp(z) > deadline), z ~ N(0, 1)
SKEW = (
    Case(
        "one_class",
        "Few classes per client, down to one",
        "classes per client",
        tuple(Level(f"{n}", n, {"scenario": "classes_per_client", "scenario.classes": n}) for n in (4, 2, 1)),
        (0, 2),
        log=True,
        note="At one class per client local-only training is right without having learnt anything: on its "
        "own images there is one answer.",
    ),
    Case(
        "dirichlet",
        "Label skew: Dirichlet down to 0.01",
        "alpha",
        tuple(
            Level(f"{alpha:g}", alpha, {"scenario.alpha": alpha})
            for alpha in (10.0, 1.0, 0.3, 0.1, 0.03, 0.01)
        ),
        (0, 3, 5),
        log=True,
    ),
    Case(
        "disjoint",
        "Disjoint classes",
        "how classes are shared",
        (
            Level("all have all", 0, {"scenario": "even"}),
            Level("no class twice", 1, {"scenario": "disjoint"}),
        ),
        (0, 1),
    ),
    Case(
        "imbalance",
        "Frequent and rare classes",
        "images of the most frequent class to the rarest",
        tuple(
            Level(f"{ir:g}", ir, {"scenario": "long_tail", "scenario.imbalance": ir, "scenario.alpha": 0.5})
            for ir in (1.0, 10.0, 50.0, 100.0)
        ),
        (0, 3),
        log=True,
        ground={"task.shots": 100},
        note="Accuracies weigh classes as the clients hold them, so rare ones count little.",
    ),
    Case(
        "one_image",
        "Few images per client, down to one",
        "images per client",
        tuple(Level(f"{n}", n, {"scenario.clients": 64 // n}) for n in (16, 4, 1)),
        (0, 2),
        log=True,
        ground={"scenario": "even", "task.classes": 4, "task.shots": 16},
        note="The same 64 training images in all, over more clients.",
    ),
    Case(
        "quantity",
        "Unequal clients: sizes by a power law",
        "exponent of the power law",
        tuple(
            Level(f"{beta:g}", beta, {"scenario": "quantity", "scenario.beta": beta})
            for beta in (0.0, 1.0, 2.0, 3.0)
        ),
        (0, 2),
    ),
)
NOISE = tuple(
    Case(
        f"noise_{kind}",
        title,
        "wrong training labels",
        (
            Level("0 %", 0.0),
            *_shares("scenario.label_noise", (0.1, 0.2, 0.3, 0.4), {"scenario.noise_kind": kind}),
        ),
        (0, 4),
        "%",
        note="Labels are wrong at clients only; the server's samples, validation and test are clean.",
    )
    for kind, title in (("symmetric", "Label noise, any class"), ("pairs", "Label noise, confusable pairs"))
)
DOMAINS = Case(
    "domains",
    "A domain per client",
    "how domains are shared",
    (
        Level("all have all", 0, {"scenario": "even"}),
        Level("one each", 1, {"scenario": "domain"}),
        Level("one each, alpha 0.1", 2, {"scenario": "domain", "scenario.alpha": 0.1}),
    ),
    (0, 2),
    ground={"scenario.clients": 12},
)
TRAFFIC = (
    Case(
        "clients",
        "More clients, the same images",
        "clients",
        tuple(
            Level(f"{n:,}", n, {"scenario.clients": n, "participation": share})
            for n, share in CLIENTS.items()
        ),
        (0, 3),
        log=True,
        ground={"task.shots": None, "evaluation.clients": 50},
        note="Never more than 21 clients take part in a round; local-only clients all train. At most fifty "
        "clients are measured.",
    ),
    Case(
        "participation",
        "Few clients take part",
        "clients that take part in a round",
        _shares("participation", (0.5, 0.2, 0.05, 0.01)),
        (1, 3),
        "%",
        True,
        {"scenario.clients": 100, "task.shots": 100},
        note="Of 100 clients; local-only clients train in every round.",
    ),
    Case(
        "dropout",
        "Clients that die in a round",
        "clients that drop out",
        _shares("faults.dropout", (0.0, 0.3, 0.6, 0.9)),
        (0, 2),
        "%",
    ),
    Case(
        "stragglers",
        "Stragglers and a deadline",
        "updates that come too late",
        (
            Level("0 %", 0.0),
            *(Level(f"{late} %", late, {"faults.deadline": deadline}) for late, deadline in LATE.items()),
        ),
        (0, 3),
        "%",
        ground={
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
        paced=True,
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
        "newcomers",
        "New clients after training",
        "clients that come after training",
        _shares("evaluation.newcomers", (0.1, 0.3, 0.6, 0.9)),
        (0, 3),
        "%",
        metric="acc_shared_newcomers",
        metric_local="acc_personal_own",
        ground={"scenario.clients": 20},
        note="The shared model at clients that never trained, on their own distributions. Local-only "
        "stands for what a client "
        "reaches that trains alone: its mean over all clients.",
    ),
    Case(
        "novel",
        "Classes unseen in training",
        "classes that nobody trains on",
        tuple(Level(f"{n}", n, {"task.novel": n}) for n in (2, 4, 6)),
        (0, 2),
        metric="acc_novel",
        local=False,
        note="Accuracy among the unseen classes. Local-only has no model for them, so zero-shot is the "
        "only reference.",
    ),
)
CASES: tuple[Case, ...] = (*SKEW, *NOISE, DOMAINS, *TRAFFIC, *UNSEEN)


def mixed(first: str, second: str | None) -> Case:
    """Two datasets with vocabularies of their own.

    Args:
        first: The dataset of the space.
        second: The one it is mixed with; None where there is none on this machine.
    """
    both = f"{first}+{second}"
    levels = (
        Level("one dataset", 0, {"scenario": "even", "task.dataset": first}),
        Level("both everywhere", 1, {"scenario": "even", "task.dataset": both}),
        Level("one each", 2, {"scenario": "domain", "task.dataset": both}),
    )
    absent = (
        f"it takes a second dataset beside '{first}', and none of {', '.join(PARTNERS)} is under RAYSIM_DATA"
    )
    return Case(
        "mixed",
        "Two datasets, two vocabularies",
        "who holds which dataset",
        levels,
        (0, 2),
        ground={"task.classes": 12},
        note=f"{first} and {second}; 12 classes, evenly spaced over the names of both." if second else "",
        skipped="" if second else absent,
    )
