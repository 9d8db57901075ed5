"""Records of the stress suite: a case and its levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raysim.search.spaces.record import Overrides


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of a case.

    Attributes:
        label: Its name.
        x: Its place on the axis of the case.
        changes: Overrides beside those that all levels of the case have.
    """

    label: str
    x: float
    changes: Overrides = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of stress.

    Attributes:
        name: Name on the command line and in the tables.
        title: Title in the report.
        axis: Meaning of a level's x.
        levels: Levels from the mildest to the severest.
        quick: Positions of the levels that `--quick` keeps.
        unit: Unit of x.
        log: Whether the axis is logarithmic.
        settings: Overrides that all levels have, beside those that all cases have.
        metric: Column that is judged.
        metric_local: Column that is judged of local-only training; empty where it is the same.
        has_local: Whether local-only training is a reference.
        variants: Other ways to run the method, by the words that are added to its name.
        quick_variants: Variants that `--quick` keeps.
        scales_deadlines: Whether deadlines are multiples of the median client's work.
        seconds: Time for the trials of one space.
        quick_seconds: The same with `--quick`.
        note: Remark for the readers of the report.
        skip_reason: Why the case cannot be run on this machine; empty where it can.
    """

    name: str
    title: str
    axis: str
    levels: tuple[Level, ...]
    quick: tuple[int, ...]
    unit: str = ""
    log: bool = False
    settings: Overrides = field(default_factory=dict)
    metric: str = "acc_personal_own"
    metric_local: str = ""
    has_local: bool = True
    variants: Mapping[str, Overrides] = field(default_factory=dict)
    quick_variants: tuple[str, ...] = ()
    scales_deadlines: bool = False
    seconds: float = 3600.0
    quick_seconds: float = 100.0
    note: str = ""
    skip_reason: str = ""


def share_levels(path: str, shares: tuple[float, ...], more: Overrides | None = None) -> tuple[Level, ...]:
    """Return the levels `0 %`, `20 %`, .. of a setting that is a share.

    Args:
        path: The setting.
        shares: Its values, from 0 to 1.
        more: Overrides that all these levels have.
    """
    return tuple(
        Level(label=f"{100 * share:g} %", x=100 * share, changes={path: share, **(more or {})})
        for share in shares
    )
