"""Checks of a sweep before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from raysim.core.errors import UserError
from raysim.experiment.resources import Resources
from raysim.search.options import SweepOptions
from raysim.search.spaces.record import Space
from raysim.search.studies.study import Study


def check_extension(studies: Sequence[Study], options: SweepOptions) -> None:
    """Check that an extended search has points left.

    Raises:
        UserError: The grids of all studies are searched to their ends.
    """
    extended = options.extended
    searched = [study for study in studies if not study.is_closed and study.name in extended]
    # [-2] is the number of search trials before this extension
    exhausted = [study for study in searched if (study.limit() or 0) <= extended[study.name][-2]]
    if options.extend and searched and len(exhausted) == len(searched):
        raise UserError(
            f"--extend {options.extend}: every point of the grid has been searched; a wider range has more"
        )


def check_resources(resources: Sequence[Resources]) -> None:
    """Check that trials which share Ray's workers ask for the same ones.

    Raises:
        UserError: They do not.
    """
    if len(set(resources)) > 1:
        raise UserError(
            "resources differ between the spaces; give them on the command line, for example "
            "resources.workers=1"
        )


def check_studies(spaces: Sequence[Space], studies: Sequence[Study]) -> None:
    """Check that studies, resources and recipes can be in one sweep.

    Raises:
        UserError: They cannot.
    """
    names = [study.name for study in studies]
    if len(set(names)) < len(names):
        raise UserError(
            f"the study '{max(names, key=names.count)}' was asked for twice; name each space once"
        )
    check_resources([study.base.resources for study in studies])
    if len(spaces) > 1 and (recipes := [space.name for space in spaces if space.grid]):
        raise UserError(
            f"'{recipes[0]}' is a recipe: its table and figures are of one set of runs; run it in a "
            "sweep of its own"
        )
