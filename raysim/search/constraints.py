"""Constraints of a search: limits on what a configuration may cost, such as `bytes_up<=2e6`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from raysim.core.columns import RESULT_COLUMNS, TRAFFIC_COLUMNS
from raysim.core.config import suggest
from raysim.core.errors import UserError
from raysim.storage.trials import TrialRow, mean_of

COLUMNS = (*RESULT_COLUMNS, *TRAFFIC_COLUMNS, "bytes_setup", "flops", "flops_server", "shared_parameters")
FORM = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(\S+)\s*")
TIMES = ("seconds", "wall_seconds", "startup_seconds")


@dataclass(frozen=True, order=True)
class Constraint:
    """A limit on a column of the table of trials, of its mean over the seeds.

    Attributes:
        column: A column of `COLUMNS`.
        relation: `<=` or `>=`.
        limit: The limit, finite.
    """

    column: str
    relation: str
    limit: float

    @classmethod
    def of(cls, text: str) -> Constraint:
        """Read `COLUMN<=NUMBER` or `COLUMN>=NUMBER`.

        Raises:
            UserError: The text has another form, the column is not known, or the number is not finite.
        """
        found = FORM.fullmatch(text)
        if found is None:
            raise UserError(
                f"--constraint {text!r}: it should be COLUMN<=NUMBER or COLUMN>=NUMBER, in quotes, such as "
                "'bytes_up<=2e6'"
            )
        column, relation, number = found.groups()
        if column in TIMES:
            raise UserError(
                f"--constraint {text!r}: {column} depends on the machine, and a search must not; flops says "
                "how much is computed"
            )
        if column not in COLUMNS:
            raise UserError(
                f"--constraint {text!r}: unknown column '{column}'{suggest(column, list(COLUMNS))} Known: "
                f"{', '.join(COLUMNS)}"
            )
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit):
            raise UserError(
                f"--constraint {text!r}: '{number}' should be a finite number, such as 2e6 or 0.8"
            )
        return cls(column, relation, limit)

    def __str__(self) -> str:
        """The text by which users give it; equal constraints have equal texts."""
        return f"{self.column}{self.relation}{self.limit:.12g}"

    def excess(self, row: TrialRow) -> float:
        """Return by how much a trial breaks it; 0 or less where it meets it, infinite without a value."""
        value = mean_of(row, self.column)
        if value is None or not math.isfinite(value):
            return math.inf
        return value - self.limit if self.relation == "<=" else self.limit - value


def constraints_of(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Read constraints; their order does not matter, and neither does one that is given twice.

    Raises:
        UserError: One of them is not allowed.
    """
    return tuple(sorted({Constraint.of(text) for text in texts}))


def meets(row: TrialRow, constraints: Sequence[Constraint]) -> bool:
    """Return whether a trial meets all constraints."""
    return all(constraint.excess(row) <= 0 for constraint in constraints)


def violated(row: TrialRow, constraints: Sequence[Constraint]) -> str | None:
    """Return the constraints that a complete trial breaks, in words; None where there is nothing to judge."""
    if not constraints or row["state"] != "COMPLETE":
        return None
    return ", ".join(str(constraint) for constraint in constraints if constraint.excess(row) > 0)
