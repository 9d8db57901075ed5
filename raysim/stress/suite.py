"""The stress suite: its cases in their order.

A level is what a case changes, from the mildest to the severest. All cases have common settings, so that
their mildest levels are often one experiment and run once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raysim.core.config import suggest
from raysim.core.errors import UserError
from raysim.data.registry import catalogue, is_drawn, needs_path
from raysim.search.spaces.record import Space
from raysim.stress.cases import Case
from raysim.stress.client_cases import TRAFFIC, UNSEEN
from raysim.stress.data_cases import DOMAINS, NOISE, PARTNER_DATASETS, SKEW, mixed

IS_GIVEN = "the clients exist, so who holds which image is not changed"
CASES: tuple[Case, ...] = (*SKEW, *NOISE, DOMAINS, *TRAFFIC, *UNSEEN)


def chosen_cases(space: Space, names: Sequence[str]) -> list[Case]:
    """Return the cases of the suite, or some of them by name.

    Args:
        space: The first space; its dataset is mixed with another one.
        names: Names of cases; none = all.

    Raises:
        UserError: A name is unknown.
    """
    suite = [*CASES, mixed(space.base.task.dataset, _partner(space.base.task.dataset))]
    known = [case.name for case in suite]
    for name in names:
        if name not in known:
            raise UserError(f"--cases: unknown case '{name}'{suggest(name, known)} Known: {', '.join(known)}")
    chosen = [case for case in suite if not names or case.name in names]
    if not space.base.scenario.given:
        return chosen
    return [_of_given_clients(case) for case in chosen]


def _of_given_clients(case: Case) -> Case:
    """Return a case as it is for clients that exist: skipped where its levels deal images anew."""
    if _deals_images(case):
        return replace(case, skip_reason=case.skip_reason or IS_GIVEN)
    if "scenario.clients" not in case.settings:
        return case
    return replace(case, note=f"{case.note} The number of clients is that of those who exist.".strip())


def _deals_images(case: Case) -> bool:
    """Return whether the levels of a case differ in who holds which image, or in the dataset."""
    noise = ("scenario.label_noise", "scenario.noise_kind")
    return any(
        path.startswith(("scenario", "task.dataset")) and path not in noise
        for level in case.levels
        for path in level.changes
    )


def _partner(dataset: str) -> str | None:
    """Return a dataset on this machine that can be mixed with this one; None where there is none."""
    if "+" in dataset or needs_path(dataset):
        return None
    available = {info.name for info, folder in catalogue() if folder is not None or is_drawn(info.name)}
    candidates = PARTNER_DATASETS if dataset == "scenes" else ("scenes",)
    return next((name for name in candidates if name in available and name != dataset), None)
