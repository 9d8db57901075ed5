"""The trials of one space of a sweep, found by what they are for."""

from __future__ import annotations

from functools import cached_property

from ..read.results import Results, Row, space_of, tuning_of
from .samples import Difference, Samples, Side

FINAL = ("confirm", "transfer")  # kinds of trials on fresh seeds and the test split


class Study:
    """One space of a sweep.

    Args:
        view: The results of this space alone.
        samples: Reader of the whole sweep's samples.
    """

    def __init__(self, view: Results, samples: Samples) -> None:
        self.view, self.samples, self.meta = view, samples, view.meta
        names = [str(name) for name in self.meta.get("spaces") or []]
        self.space = view.space or str(self.meta.get("space") or (names[0] if names else ""))
        self.prefix = f"{self.space}: " if len(names) > 1 else ""
        self.declared: Row = (self.meta.get("spaces_declared") or {}).get(self.space) or {}
        self.trials = view.sql("FROM trials ORDER BY trial")

    @cached_property
    def method(self) -> str:
        """The name of the space's own method."""
        return str(self.declared.get("method") or self.space)

    @cached_property
    def scenarios(self) -> list[str]:
        """The labels of its scenarios, in the declared order."""
        declared = [str(s["label"]) for s in self.meta.get("scenarios") or []]
        tried = [str(t["scenario"]) for t in self.trials]
        return list(dict.fromkeys([*declared, *tried]))

    @cached_property
    def rivals(self) -> list[str]:
        """The labels of the declared rivals, and of those that were tried."""
        tried = [str(t["label"]) for t in self.trials if t["kind"] == "rival"]
        return list(dict.fromkeys([*(self.declared.get("rivals") or {}), *tried]))

    @cached_property
    def grid(self) -> list[str]:
        """The entries of a recipe, in the declared order; empty for a search."""
        return [str(label) for label in self.meta.get("grid") or []]

    def plans(self, kind: str) -> bool:
        """Return whether trials of this kind were run or planned."""
        planned = (self.meta.get("planned") or {}).get(kind)
        left = any(row.get("kind") == kind for row in self._left_out)
        return bool(planned) or left or any(t["kind"] == kind for t in self.trials)

    def of(self, kind: str, scenario: str) -> list[Row]:
        """Return the trials of one kind in a scenario, in order; without those of a rival's own search."""
        home = f"{self.space} | {scenario}"
        own = [t for t in self.trials if t["kind"] == kind and t["scenario"] == scenario]
        return [t for t in own if t["study"] == home or self.grid]

    def searched(self, entry: str, scenario: str) -> list[Row]:
        """Return the finished trials of the search of a tuned rival."""
        study = f"{self.space} {entry} | {scenario}"
        return [t for t in self.trials if t["study"] == study and t["state"] == "COMPLETE"]

    def planned(self, kind: str) -> int:
        """Return the number of seeds that a trial of this kind has."""
        seeds = self.meta.get("fresh_seeds" if kind in FINAL else "selection_seeds") or []
        return len(seeds) or max((len(t["seeds"] or []) for t in self.trials if t["kind"] == kind), default=0)

    def reason(self, kind: str, scenario: str, label: str) -> str:
        """Return why a trial never ran."""
        for row in self._left_out:
            study = str(row.get("study"))
            same = row.get("kind") == kind and base_of(str(row.get("label"))) == base_of(label)
            if same and study.endswith(f" | {scenario}") and self._is_own(study):
                return "no time was left"
        status = self.meta.get("status")
        return "it has not run so far" if status == "running" else f"never ran; the sweep is {status}"

    def left_out(self, kind: str, scenario: str) -> list[str]:
        """Return the labels of planned trials of this kind that have not run."""
        study = f"{self.space} | {scenario}"
        return [str(row["label"]) for row in self._left_out if (row["kind"], row["study"]) == (kind, study)]

    @cached_property
    def _left_out(self) -> list[Row]:
        """The planned trials that have not run."""
        return list((self.meta.get("left_out") or {}).get("trials") or [])

    def _is_own(self, study: str) -> bool:
        names = [str(name) for name in self.meta.get("spaces") or [self.space]]
        return space_of(study, names) in (self.space, "")

    def side(
        self, words: str, trial: Row | None, metric: str, split: str = "validation", floor: str = ""
    ) -> Side | None:
        """Return one side of a difference (see `Samples.side`)."""
        return self.samples.side(f"{self.prefix}{words}", trial, metric, split, floor)

    def difference(
        self, kind: str, family: str, scenario: str, a: Side, b: Side, *,
        subject: str, level: str, metric: str, split: str, parts: int = 1, reason: str = "",
    ) -> Difference:  # fmt: skip
        """Return a difference between trials of this space."""
        stage = "fresh seeds" if split == "test" else "selection seeds"
        return Difference(
            space=self.space,
            scenario=scenario,
            family=f"{family} of {self.space}",
            kind=kind,
            subject=subject,
            level=level,
            a=a,
            b=b,
            metric=metric,
            split=split,
            planned=self.planned("confirm" if split == "test" else "contrast"),
            pool=pool_name(self.space, scenario, stage, metric, split),
            parts=parts,
            reason=reason,
        )


def base_of(label: str) -> str:
    """Return a label without the words in brackets that say how it was tuned."""
    word = tuning_of(label)
    return label.removesuffix(f" ({word})") if word else label


def pool_name(space: str, scenario: str, stage: str, metric: str, split: str) -> str:
    """Return the name of the group of trials whose noise is pooled."""
    return " | ".join((space, scenario, stage, metric, split))
