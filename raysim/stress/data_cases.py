"""Stress by the data that clients hold: label skew, label noise, domains, mixed datasets."""

from __future__ import annotations

from raysim.stress.cases import Case, Level, share_levels

PARTNER_DATASETS = (
    "rsscn7",
    "ucmerced",
    "eurosat",
    "optimal31",
    "aid",
    "patternnet",
    "resisc45",
)  # of mixtures, the smallest archives first
SKEW = (
    Case(
        name="one_class",
        title="Few classes per client, down to one",
        axis="classes per client",
        levels=tuple(
            Level(label=f"{n}", x=n, changes={"scenario": "classes_per_client", "scenario.classes": n})
            for n in (4, 2, 1)
        ),
        quick=(0, 2),
        log=True,
        note="At one class per client local-only training is right without having learnt anything: on its "
        "own images there is one answer.",
    ),
    Case(
        name="dirichlet",
        title="Label skew: Dirichlet down to 0.01",
        axis="alpha",
        levels=tuple(
            Level(label=f"{alpha:g}", x=alpha, changes={"scenario.alpha": alpha})
            for alpha in (10.0, 1.0, 0.3, 0.1, 0.03, 0.01)
        ),
        quick=(0, 3, 5),
        log=True,
    ),
    Case(
        name="disjoint",
        title="Disjoint classes",
        axis="how classes are shared",
        levels=(
            Level(label="all have all", x=0, changes={"scenario": "even"}),
            Level(label="no class twice", x=1, changes={"scenario": "disjoint"}),
        ),
        quick=(0, 1),
    ),
    Case(
        name="imbalance",
        title="Frequent and rare classes",
        axis="images of the most frequent class to the rarest",
        levels=tuple(
            Level(
                label=f"{ir:g}",
                x=ir,
                changes={"scenario": "long_tail", "scenario.imbalance": ir, "scenario.alpha": 0.5},
            )
            for ir in (1.0, 10.0, 50.0, 100.0)
        ),
        quick=(0, 3),
        log=True,
        settings={"task.shots": 100},
        note="Accuracies weigh classes as the clients hold them, so rare ones count little.",
    ),
    Case(
        name="one_image",
        title="Few images per client, down to one",
        axis="images per client",
        levels=tuple(Level(label=f"{n}", x=n, changes={"scenario.clients": 64 // n}) for n in (16, 4, 1)),
        quick=(0, 2),
        log=True,
        settings={"scenario": "even", "task.classes": 4, "task.shots": 16},
        note="The same 64 training images in all, over more clients.",
    ),
    Case(
        name="quantity",
        title="Unequal clients: sizes by a power law",
        axis="exponent of the power law",
        levels=tuple(
            Level(label=f"{beta:g}", x=beta, changes={"scenario": "quantity", "scenario.beta": beta})
            for beta in (0.0, 1.0, 2.0, 3.0)
        ),
        quick=(0, 2),
    ),
)
NOISE = tuple(
    Case(
        name=f"noise_{kind}",
        title=title,
        axis="wrong training labels",
        levels=(
            Level(label="0 %", x=0.0),
            *share_levels("scenario.label_noise", (0.1, 0.2, 0.3, 0.4), {"scenario.noise_kind": kind}),
        ),
        quick=(0, 4),
        unit="%",
        note="Labels are wrong at clients only; the server's samples, validation and test are clean.",
    )
    for kind, title in (("symmetric", "Label noise, any class"), ("pairs", "Label noise, confusable pairs"))
)
DOMAINS = Case(
    name="domains",
    title="A domain per client",
    axis="how domains are shared",
    levels=(
        Level(label="all have all", x=0, changes={"scenario": "even"}),
        Level(label="one each", x=1, changes={"scenario": "domain"}),
        Level(label="one each, alpha 0.1", x=2, changes={"scenario": "domain", "scenario.alpha": 0.1}),
    ),
    quick=(0, 2),
    settings={"scenario.clients": 12},
)


def mixed(first: str, second: str | None) -> Case:
    """Return the case of two datasets, each with its own vocabulary.

    Args:
        first: The dataset of the space.
        second: The dataset that is mixed with it; None where there is none on this machine.
    """
    both = f"{first}+{second}"
    levels = (
        Level(label="one dataset", x=0, changes={"scenario": "even", "task.dataset": first}),
        Level(label="both everywhere", x=1, changes={"scenario": "even", "task.dataset": both}),
        Level(label="one each", x=2, changes={"scenario": "domain", "task.dataset": both}),
    )
    absent = (
        f"it takes a second dataset beside '{first}', and none of {', '.join(PARTNER_DATASETS)} is under "
        "RAYSIM_DATA"
    )
    return Case(
        name="mixed",
        title="Two datasets, two vocabularies",
        axis="who holds which dataset",
        levels=levels,
        quick=(0, 2),
        settings={"task.classes": 12},
        note=f"{first} and {second}; 12 classes, evenly spaced over the names of both." if second else "",
        skip_reason="" if second else absent,
    )
