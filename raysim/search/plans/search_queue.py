"""Search trials and race seeds: studies are asked for them in batches, where there is time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from raysim.search.options import SweepOptions
from raysim.search.plans.agenda import Agenda
from raysim.search.plans.stages import Stage
from raysim.search.studies.study import Study
from raysim.search.trial_spec import BATCH, TrialSpec
from raysim.storage.trials import TrialRow


class SearchQueue:
    """Search trials and race seeds that can be handed out now, and the studies that give more of them.

    Args:
        studies: All studies by name.
        options: How large the sweep is.
        stored: Rows by key that an earlier start has finished.
        agenda: It knows what fits.
    """

    def __init__(
        self,
        studies: Mapping[str, Study],
        options: SweepOptions,
        stored: Mapping[str, TrialRow],
        agenda: Agenda,
    ) -> None:
        self.studies, self.options, self.stored, self.agenda = studies, options, stored, agenda
        self._queue: deque[TrialSpec] = deque()

    def next(self) -> TrialSpec | None:
        """Return the next trial, and give those up for which no time is left; None where there is none."""
        while self._queue:
            spec = self._queue.popleft()
            seconds = self.seconds(self.studies[spec.study], len(spec.experiments))
            if spec.key in self.stored or self.agenda.fits([seconds], stage_of(spec)):
                return spec
            self.give_up(spec)
        return None

    def give_up(self, spec: TrialSpec) -> None:
        """Forget a trial, and ask its study for no more in this start of the sweep."""
        study = self.studies[spec.study]
        study.pending.discard(spec.key)
        if spec.kind == "race":
            study.race.is_over = True
        else:
            study.is_closed = True

    def ask(self) -> bool:
        """Ask every study whose last batch is complete for search trials; return whether any gave some."""
        gave_trials = False
        for study in self.studies.values():
            if study.is_closed or study.pending:
                continue
            limit = study.limit()
            if (limit is not None and study.asked >= limit) or self._search_time_is_over(study):
                study.is_closed = True
                continue
            specs = study.ask()
            study.is_closed = not specs
            gave_trials |= self._add(study, specs)
        return gave_trials

    def ask_races(self) -> bool:
        """Ask every study for another seed of its race; return whether any gave trials."""
        gave_trials = False
        for study in self.studies.values():
            if study.race.is_over or study.pending:
                continue
            specs = study.ask_race()
            has_begun = any(spec.key in self.stored for spec in specs)
            if not has_begun and not self.agenda.fits([self.seconds(study, 1)] * len(specs), "race"):
                study.race.is_over = True
                continue
            gave_trials |= self._add(study, specs)
        return gave_trials

    def seconds(self, study: Study, seeds: int) -> float:
        """Return the predicted seconds of a trial of a study's own method."""
        return seeds * self.agenda.times.seconds(study.name, study.base.method.name)

    def _add(self, study: Study, specs: Sequence[TrialSpec]) -> bool:
        """Add trials that must all end before the study is asked again; return whether there are any."""
        study.pending |= {spec.key for spec in specs}
        self._queue.extend(specs)
        return bool(specs)

    def _search_time_is_over(self, study: Study) -> bool:
        """Return whether there is no time for more search trials of a study.

        A resumed search first repeats all trials of its earlier starts, whatever the time.
        """
        stored = sum(row["study"] == study.name and row["kind"] == "search" for row in self.stored.values())
        if study.asked < stored:
            return False
        asked = [other for other in self.studies.values() if not other.is_closed]
        seconds = [self.seconds(other, self.options.seeds) for other in asked for _ in range(BATCH)]
        return not self.agenda.fits(seconds, "search")


def stage_of(spec: TrialSpec) -> Stage:
    """Return the stage of a search trial or race seed."""
    return "race" if spec.kind == "race" else "search"
