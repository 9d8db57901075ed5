"""Who is to blame: UserError 2, ClientError 1."""

from __future__ import annotations


class UserError(Exception):
    """A user's mistake: one message that names the field, the value and what is allowed. The command exits with 2."""


def first_cause(error: BaseException) -> BaseException:
    """What was raised first, without the wrapping that an engine put around it (Ray's errors carry it as `cause`)."""
    while isinstance(inner := getattr(error, "cause", None), BaseException):
        error = inner
    return error


class OutOfTime(Exception):
    """A trial took longer than it was given."""


class ClientError(RuntimeError):
    """A client's work failed: names the round, the clients and the first cause."""


class Diverged(ClientError):
    """A loss became infinite or NaN."""
