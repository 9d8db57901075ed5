"""Define-by-run function of a search space: it asks a trial for parameters and returns overrides."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from raysim.core.config import digest
from raysim.core.errors import UserError
from raysim.core.plugins import error_with_line
from raysim.core.warm import kept
from raysim.search.spaces.discovery import discover
from raysim.search.spaces.factors import Factor
from raysim.search.spaces.source_lines import line_of

SampleFunction = Callable[[Any], Mapping[str, Any]]


class SpaceFunction:
    """A function of a space file whose errors name file and line."""

    def __init__(self, sample: SampleFunction) -> None:
        self.sample = sample
        self.name = sample.__name__
        self.path = Path(sample.__code__.co_filename)

    @property
    def signature(self) -> str:
        """Digest of the parameters and their ranges: a space with another digest is another space."""
        return _signature(self.sample)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """Every parameter that the function can ask for.

        Raises:
            UserError: A parameter has two ranges, a range is wrong, or the function asks for nothing.
        """
        return discover(self.overrides)

    def overrides(self, trial: Any) -> dict[str, Any]:
        """Return the overrides of a trial.

        Raises:
            UserError: The function made a mistake, with file and line.
        """
        try:
            return dict(self.sample(trial))
        except UserError as error:
            raise self.user_error(error) from None
        except Exception as error:
            raise UserError(error_with_line(self.path, error)) from None

    def user_error(self, error: UserError) -> UserError:
        """Return an error about the function's overrides with file and line."""
        return UserError(f"{line_of(self.path, self.name, error)}: {self.name}(trial): {error}")


@kept("space signatures", maxsize=64)
def _signature(sample: SampleFunction) -> str:
    try:
        return digest([factor.json() for factor in discover(sample)])
    except Exception:
        # a range depends on another parameter, or there is a mistake, which the first suggestion reports
        return digest(inspect.getsource(sample))
