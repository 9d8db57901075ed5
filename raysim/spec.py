"""What a trial is, how large a sweep is, and which finished trials stand. No ray, no optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raysim.config import digest
from raysim.experiment import Experiment
from raysim.racing import Race
from raysim.simulate import RESULTS, TRAFFIC

if TYPE_CHECKING:
    from raysim.samplers import SamplerName

Row = dict[str, Any]
Kind = Literal["contrast", "rival", "interaction", "design", "search", "race", "confirm", "transfer", "stress"]
BATCH = 4  # search trials of a study that are suggested together; part of the study, never of the machine
LASTING = ("diverged", "not possible", "out of time")  # failures that a second try would repeat
OBJECTIVE = "acc_personal_own"
OBJECTIVES: dict[str, int] = {**dict.fromkeys(RESULTS, 1), **dict.fromkeys((*TRAFFIC, "flops"), -1)}  # 1: large is good


@dataclass(frozen=True)
class Spec:
    """One trial: a configuration on a group of seeds."""

    number: int
    study: str
    scenario: str
    method: str
    kind: Kind
    label: str
    experiments: tuple[Experiment, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    factor: str | None = None
    level: str | None = None
    factor2: str | None = None
    level2: str | None = None
    point: int | None = None
    unit: tuple[float, ...] | None = None
    space: str = ""
    thresholds: Mapping[int, float] = field(default_factory=dict)
    limit_s: float | None = None

    @property
    def key(self) -> str:
        """The same trial in a resumed sweep."""
        return digest(
            {"kind": self.kind, "study": self.study, "label": self.label, "runs": [experiment.id for experiment in self.experiments]}
        )

    @property
    def test(self) -> bool:
        """Only chosen configurations meet the test split."""
        return self.kind in ("confirm", "transfer")


@dataclass(frozen=True)
class Options:
    """How large a sweep is.

    Attributes:
        trials: Search trials per study; None = as many as the time allows.
        seeds: Seeds per trial.
        minutes: Time for the whole sweep; None = no limit.
        contrasts: Whether the one-factor contrasts are run.
        slots: Trials that run at once; used to predict time, never to decide a result.
        sampler: How the space is searched.
        objectives: What is searched for; the first decides who wins, several make a Pareto front and switch pruning off.
        race: Extra seeds for the configurations in question.
        design: A designed sensitivity study in place of contrasts and search: "sobol" or "morris".
        budget: Its trials in each study.
        extend: Search trials per study that a finished sweep is to get on top.
        extended: Study -> its numbers of search trials when it was extended, the last being how many it is to have in all.
    """

    trials: int | None
    seeds: int
    minutes: float | None
    contrasts: bool
    slots: int
    sampler: SamplerName = "tpe"
    objectives: tuple[str, ...] = (OBJECTIVE,)
    race: Race = field(default_factory=Race)
    design: str | None = None
    budget: int = 0
    extend: int = 0
    extended: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def settled(row: Row) -> bool:
    """Whether a finished trial stands: one that failed for a passing reason (memory, disk, a killed process) is run again."""
    return row["state"] != "FAIL" or str(row["reason"]).startswith(LASTING)


def standing(rows: Sequence[Row], ends: Mapping[str, Sequence[int]] | None = None) -> list[Row]:
    """The rows that a resumed sweep takes over; of a trial that was run again, the later one.

    A failure with a passing reason is run again, unless finished trials of its study were chosen in the knowledge of it: then it stands, or
    they would all be other trials.

    Args:
        rows: All that were written.
        ends: Study -> its numbers of search trials when it was extended.
    """
    latest = {row["key"]: row for row in sorted(rows, key=lambda row: float(row["finished"] or 0))}
    done = [row for row in latest.values() if settled(row)]
    failed = [row for row in latest.values() if not settled(row)]
    known = [row for row in failed if any(_chosen_after(other, row, (ends or {}).get(row["study"], ())) for other in done)]
    return sorted([*done, *known], key=lambda row: int(row["trial"]))


def _chosen_after(other: Row, row: Row, ends: Sequence[int]) -> bool:
    """Whether a trial was chosen by what was known of `row`."""
    if other["study"] != row["study"] or row["kind"] not in ("contrast", "search", "race"):
        return False
    if other["kind"] == "search" and not other["space"]:  # a recipe's levels are declared, not chosen
        return False
    order = ("contrast", "search", "race", "confirm")
    if other["kind"] != row["kind"]:  # an extension goes back to searching
        later = (other["finished"] or 0) > (row["finished"] or 0)
        return later and other["kind"] in order and order.index(other["kind"]) > order.index(row["kind"])
    if row["kind"] == "race":  # a seed a round
        return max(other["seeds"]) > max(row["seeds"])
    return row["kind"] == "search" and (other["space"] != row["space"] or _batch(other, ends) > _batch(row, ends))


def _batch(row: Row, ends: Sequence[int]) -> tuple[int, int]:
    """Stage and batch of a search trial; its label ends with its place in the study."""
    place = int(row["label"].rpartition(" ")[2])
    begun = max([0, *(end for end in ends if end <= place)])
    return begun, (place - begun) // BATCH
