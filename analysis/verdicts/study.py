"""The trials of one space of a sweep, found by what they are for, and two of them beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..read.results import TESTED, Results, Row, space_of, tuning_of
from .samples import OWN, Difference, Group, Samples, Side

TEST, VALIDATION = "test", "validation"
ANCHOR = "anchor"
# Kind of a difference -> the family in which it is judged; all others are judged with the rivals.
FAMILIES = {
    "choice": "choices", "pair": "choices", "lead": "leads", "transfer": "transfer", "recipe": "recipe",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One side of a difference in one scenario, whatever the metric.

    Attributes:
        label: Its name.
        trial: Its trial; None where it never ran.
        kind: The kind that its trial has or would have.
        floor: A key of `samples.FLOORS`, for the rule without training beside the trial.
        why: Why it never ran, where the sweep's plan does not say it.
    """

    label: str
    trial: Row | None
    kind: str = "confirm"
    floor: str = ""
    why: str = ""


class Study:
    """One space of a sweep: the results of this space alone, and the reader of the whole sweep's samples."""

    def __init__(self, view: Results, samples: Samples) -> None:
        self.view, self.samples, self.meta = view, samples, view.meta
        names = [str(name) for name in self.meta.get("spaces") or []]
        self.space = view.space or str(self.meta.get("space") or (names[0] if names else ""))
        self.prefix = f"{self.space}: " if len(names) > 1 else ""
        declared = (self.meta.get("spaces_declared") or {}).get(self.space) or {}
        self.trials = view.sql("FROM trials ORDER BY trial, study")
        self.method = str(declared.get("method") or self.space)
        scenarios = [str(s["label"]) for s in self.meta.get("scenarios") or []]
        self.scenarios = list(dict.fromkeys([*scenarios, *(str(t["scenario"]) for t in self.trials)]))
        rivals = [str(t["label"]) for t in self.trials if t["kind"] == "rival"]  # beside the declared ones
        self.rivals = list(dict.fromkeys([*(declared.get("rivals") or {}), *rivals]))
        self.grid = [str(label) for label in self.meta.get("grid") or []]  # of a recipe
        self._left_out: list[Row] = list((self.meta.get("left_out") or {}).get("trials") or [])

    def plans(self, kind: str) -> bool:
        """Return whether trials of this kind were run or planned."""
        planned = (self.meta.get("planned") or {}).get(kind)
        return bool(planned) or any(row.get("kind") == kind for row in (*self._left_out, *self.trials))

    def of(self, kind: str, scenario: str) -> list[Row]:
        """Return the trials of one kind in a scenario, in order; without those of a rival's own search."""
        home = f"{self.space} | {scenario}"
        own = [t for t in self.trials if t["kind"] == kind and t["scenario"] == scenario]
        return [t for t in own if t["study"] == home or self.grid]

    def labelled(self, kind: str, scenario: str) -> dict[str, Row]:
        """Return label -> trial (see `of`)."""
        return {str(t["label"]): t for t in self.of(kind, scenario)}

    def searched(self, entry: str, scenario: str) -> list[Row]:
        """Return the finished trials of the search of a tuned rival."""
        study = f"{self.space} {entry} | {scenario}"
        return [t for t in self.trials if t["study"] == study and t["state"] == "COMPLETE"]

    def left_out(self, kind: str, scenario: str) -> list[str]:
        """Return the labels of planned trials of this kind that have not run."""
        study = f"{self.space} | {scenario}"
        return [str(row["label"]) for row in self._left_out if (row["kind"], row["study"]) == (kind, study)]

    def side(self, entry: Entry, metric: str, split: str = VALIDATION) -> Side | None:
        """Return what an entry measured (see `Samples.side`)."""
        return self.samples.side(f"{self.prefix}{entry.label}", entry.trial, metric, split, entry.floor)

    def compared(
        self, kind: str, scenario: str, a: Entry, b: Entry,
        metrics: Sequence[str] = (OWN,), split: str = VALIDATION, **about: Any,
    ) -> Iterator[Difference]:  # fmt: skip
        """Yield a minus b on each metric on which what ran was measured; `about` as for `difference`."""
        about["reason"] = self.reason(scenario, a, b)
        for metric in metrics:
            sides = self.side(a, metric, split), self.side(b, metric, split)
            if sides[0] and sides[1]:
                yield self.difference(kind, scenario, sides[0], sides[1], metric, split, **about)

    def difference(
        self, kind: str, scenario: str, a: Side, b: Side, metric: str, split: str, **about: Any
    ) -> Difference:
        """Return a difference between trials of this space; those of a recipe ran on fresh seeds.

        `about` are its subject and level, and what else a `Difference` has.
        """
        fresh = split == TEST or kind == "recipe"
        group = (self.space, scenario, "fresh seeds" if fresh else "selection seeds")
        return Difference(
            space=self.space, scenario=scenario, kind=kind, a=a, b=b, metric=metric, split=split,
            family=f"{FAMILIES.get(kind, 'rivals')} of {self.space}",
            planned=self._planned("confirm" if fresh else "contrast"), **{"group": group, **about},
        )  # fmt: skip

    def _planned(self, kind: str) -> int:
        """Return the number of seeds that a trial of this kind has."""
        seeds = self.meta.get("fresh_seeds" if kind in TESTED else "selection_seeds") or []
        return len(seeds) or max((len(t["seeds"] or []) for t in self.trials if t["kind"] == kind), default=0)

    def reason(self, scenario: str, *entries: Entry) -> str:
        """Return why the first of these entries that never ran did not; empty where all ran."""
        missing = next((entry for entry in entries if not (entry.trial or {}).get("seeds")), None)
        if missing is None or missing.why:
            return missing.why if missing else ""
        names = [str(name) for name in self.meta.get("spaces") or [self.space]]
        left = {
            base_of(str(row["label"]))
            for row in self._left_out
            if row["kind"] == missing.kind
            and str(row["study"]).endswith(f" | {scenario}")
            and space_of(str(row["study"]), names) in (self.space, "")
        }
        if base_of(missing.label) in left:
            return "no time was left"
        status = self.meta.get("status")
        return "it has not run so far" if status == "running" else f"never ran; the sweep is {status}"


def all_trials(results: Results) -> list[Row]:
    """Return the trials; of a folder of one run, the run as the only trial."""
    meta = results.meta
    if results.kind != "run":
        return results.sql("FROM trials ORDER BY trial, study")
    if not meta.get("result"):
        return []
    experiment = meta.get("experiment") or {}
    label = str(meta.get("label") or "")
    return [
        {
            "study": label, "label": label, "scenario": meta.get("scenario_label"),
            "method": (experiment.get("method") or {}).get("name"),
            "kind": "run", "trial": 0, "state": "COMPLETE",
            "seeds": [int(experiment.get("seed") or 0)], "runs": [str(meta.get("id"))],
            **{name: [value] for name, value in meta["result"].items()},
            **{f"test_{name}": [value] for name, value in (meta.get("test") or {}).items()},
        }
    ]  # fmt: skip


def space_of_trial(results: Results, trial: Row) -> str:
    """Return the space of a trial."""
    names = [str(name) for name in results.meta.get("spaces") or []]
    if trial["kind"] == "stress":
        return str(trial["study"]).split(" | ")[0]
    return space_of(str(trial["study"]), names) or str(results.meta.get("space") or "")


def group_of(results: Results, trial: Row) -> Group:
    """Return the group of trials whose noise this trial shares."""
    space = space_of_trial(results, trial)
    if trial["kind"] == "stress":
        return space, str(trial["factor"]), "stress"
    return space, str(trial["scenario"]), "fresh seeds" if trial["kind"] in TESTED else "selection seeds"


def base_of(label: str) -> str:
    """Return a label without the words in brackets that say how it was tuned."""
    word = tuning_of(label)
    return label.removesuffix(f" ({word})") if word else label
