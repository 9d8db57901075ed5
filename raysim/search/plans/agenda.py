"""Agenda of a sweep: the declared trials that are not started, and which of them is next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from raysim.search.options import SweepOptions
from raysim.search.plans.confirmations import SELECTED, confirmation_blocks
from raysim.search.plans.planned_trial import Block, PlannedTrial
from raysim.search.plans.stages import FEWEST_SEEDS, FLOOR_SHARE, STAGES, Stage
from raysim.search.plans.time_budget import FEW, TIME_MARGIN, TimeBudget, TrialTimes
from raysim.search.studies.study import ANCHOR, Study
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow


class Agenda:
    """The declared trials of a sweep.

    Attributes:
        blocks: All blocks, each with its trials that are not started yet.
        counts: Stage -> number of all its trials.
        keeps_floors: Whether time is kept for later stages; no longer once the last ones have begun.
        times: Predicted seconds of trials; kept up to date by the plan.
        busy: Predicted seconds that are left of the trials that run; kept up to date by the plan.
    """

    def __init__(
        self,
        studies: Mapping[str, Study],
        options: SweepOptions,
        stored: Mapping[str, TrialRow],
        budget: TimeBudget,
    ) -> None:
        self.studies, self.options, self.stored, self.budget = studies, options, stored, budget
        self.blocks: list[Block] = []
        self.counts: dict[Stage, int] = {}
        self.keeps_floors = True
        self.times, self.busy = TrialTimes([]), [0.0]
        self._stored_specs: dict[PlannedTrial, TrialSpec] = {}
        self._confirmations: list[Block] | None = None
        self._shared = 0.0  # seconds of all slots from which the floors take their share
        self._fewer: dict[Stage, int] = {}  # seeds of a stage that does not fit with all of them
        self._finished_runs = {
            run for row in stored.values() if row["state"] == "COMPLETE" for run in row["runs"] or ()
        }

    def add(self, blocks: Iterable[Block]) -> None:
        """Add blocks behind those of their stage."""
        for block in blocks:
            if block.trials:
                self.counts[block.stage] = self.counts.get(block.stage, 0) + len(block.trials)
                self.blocks.append(block)
                for trial in block.trials if self.stored else ():
                    if spec := self._stored_spec(trial, block.stage):
                        self._stored_specs[trial] = spec
        self.blocks.sort(key=lambda block: STAGES.index(block.stage))

    def put_back(self, stage: Stage, trial: PlannedTrial, seeds: int) -> None:
        """Take back a trial that was interrupted before its end."""
        self.blocks.insert(0, Block(stage=stage, trials=[trial], seeds=seeds))

    def tell(self, row: TrialRow) -> None:
        """Take the row of a trial that has ended: its complete runs cost nothing any more."""
        self._confirmations = None
        if row["state"] == "COMPLETE":
            self._finished_runs |= set(row["runs"] or ())

    def next(self, stages: Sequence[Stage], alone: bool) -> tuple[Stage, TrialSpec, PlannedTrial] | None:
        """Start the next trial: return stage, specification and trial; None where none of these stages fits.

        A trial that an earlier start has finished always fits.

        Args:
            stages: Stages whose trials may be started.
            alone: Whether a trial is started where the others of its block do not fit.
        """
        blocks = [block for block in self.blocks if block.trials and block.stage in stages]
        for block in blocks:
            for trial in block.trials:
                if trial in self._stored_specs:
                    block.trials.remove(trial)
                    return block.stage, self._stored_specs[trial], trial
        kept = self._kept_blocks("contrast") if "contrast" in stages else []
        floors = {stage: self.floor(stage) for stage in {block.stage for block in blocks}}
        counts = {stage: self._seeds(stage, floor) for stage, floor in floors.items()}
        for block in blocks:
            seeds, behind = block.seeds or counts[block.stage], floors[block.stage]
            together = block.trials[:1] if block.seeds or alone else block.trials
            costs = [self.cost(trial, seeds) for trial in together]
            # for the last stages, and for the first rival, time was kept with a margin
            has_time = block.stage in ("confirm", "transfer") or block in kept
            if self.budget.fits(costs, behind, self.busy, 1.0 if has_time else TIME_MARGIN):
                block.seeds = seeds
                trial = block.trials.pop(0)
                return block.stage, trial.spec(seeds), trial
        return None

    def cost(self, trial: PlannedTrial, seeds: int | None = None) -> float:
        """Return the predicted seconds of a trial; runs that are finished take none.

        Args:
            trial: The trial.
            seeds: How many of its seeds are run; None = all.
        """
        first, base = trial.experiments[0], trial.study.base
        seconds = self.times.seconds(trial.study.name, trial.method, trial.label)
        if not self.times.knows(trial.study.name, trial.label):
            seconds *= first.training.epochs / base.training.epochs
        return seconds * sum(run not in self._finished_runs for run in trial.runs[:seeds])

    def floor(self, stage: Stage) -> list[float]:
        """Return the predicted seconds of the trials that a stage keeps time for, as `stages` declares it."""
        if not self.keeps_floors or stage in ("anchor", "design") or self.budget.seconds is None:
            return []
        if stage in ("level", "seeds", "search", "race"):
            return self.confirmation_seconds()
        if stage == "anchor seeds":  # they are of use where contrasts have as many
            return [*self.floor("contrast"), *(self.cost(trial) for trial in self._open("contrast"))]
        return [
            self.cost(trial, FEWEST_SEEDS) for block in self._kept_blocks(stage) for trial in block.trials
        ]

    def _kept_blocks(self, stage: Stage) -> list[Block]:
        """Return the blocks that contrasts, rivals or interactions keep time for, as far as it goes."""
        if self._shared == 0.0 and self.times.count:
            self._shared = self.budget.slots * (self.budget.left or 0.0)
        confirmations = self.confirmations()
        rivals = [block for block in self.blocks if block.stage == "rival" and stage == "contrast"]
        wanted = [
            *(block for block in confirmations if block.name == ANCHOR),
            *rivals[:1],
            *(block for block in confirmations if block.name == SELECTED),
        ]
        kept, seconds = [], 0.0
        for block in wanted:
            seconds += sum(self.cost(trial, FEWEST_SEEDS) for trial in block.trials)
            if seconds > FLOOR_SHARE * self._shared:
                break
            kept.append(block)
        return kept

    def confirmation_seconds(self) -> list[float]:
        """Return the predicted seconds of each confirmation, by what would be selected now."""
        return [self.cost(trial) for block in self.confirmations() for trial in block.trials]

    def confirmations(self) -> list[Block]:
        """Return what would be confirmed if it were selected now."""
        if self._confirmations is None:
            self._confirmations = confirmation_blocks(self.studies)
        return self._confirmations

    def fits(self, seconds: Sequence[float], stage: Stage) -> bool:
        """Return whether trials fit before the time that their stage keeps for those behind it.

        Args:
            seconds: Predicted seconds of each trial.
            stage: Their stage.
        """
        return self.budget.fits(seconds, self.floor(stage), self.busy)

    def _seeds(self, stage: Stage, behind: Sequence[float]) -> int:
        """Return on how many seeds trials of a stage start: on all, or on so many that all trials fit."""
        most, fewest = self.options.seeds, min(self.options.seeds, FEWEST_SEEDS)
        if self.budget.seconds is None or stage in ("design", "anchor seeds", "seeds"):
            return most
        if stage == "anchor":
            return fewest
        if stage not in self._fewer:
            waiting = [self.cost(trial) for trial in self._open("anchor seeds")]
            for seeds in range(most, fewest - 1, -1):
                costs = [*waiting, *(self.cost(trial, seeds) for trial in self._open(stage))]
                if self.budget.fits(costs, behind, self.busy, margin=1.0):
                    break
            if self.times.count < FEW:  # too few to decide for the whole stage
                return seeds
            self._fewer[stage] = seeds
        return self._fewer[stage]

    def _open(self, stage: Stage) -> list[PlannedTrial]:
        """Return the trials of a stage that are not started."""
        return [trial for block in self.blocks if block.stage == stage for trial in block.trials]

    def _stored_spec(self, trial: PlannedTrial, stage: Stage) -> TrialSpec | None:
        """Return the specification that an earlier start has finished, the one of most seeds."""
        most = len(trial.experiments)
        fewest = most if stage in ("anchor seeds", "seeds") else 1
        specs = (trial.spec(seeds) for seeds in range(most, fewest - 1, -1))
        return next((spec for spec in specs if spec.key in self.stored), None)
