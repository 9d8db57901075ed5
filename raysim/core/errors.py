"""Exceptions of raysim, each with the exit status of the command that ends by it.

A `UserError` ends it with 2, a `ClientError` and everything else with 1.
"""

from __future__ import annotations


class UserError(Exception):
    """A user's mistake: one message that names the field, the value and what is allowed."""


class DamagedFile(UserError):
    """A file of a result that is not what raysim wrote.

    Attributes:
        args: The file and what is wrong with it; what to do.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)

    def __str__(self) -> str:
        """Return both in one sentence."""
        return "; ".join(self.args)


class ClientError(RuntimeError):
    """A failure of a client's work: the message names the round, the clients and the first cause."""


class LostProcess(RuntimeError):
    """A process that the run needs was lost (Ray's raylet, its server, the driver); `--resume` goes on."""


class Diverged(ClientError):
    """A loss, a tensor that is sent or kept, or a logit that became infinite or NaN."""


class OutOfTime(Exception):
    """A trial that took longer than its time limit."""


def why_unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Return in words why a text file cannot be read."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8"
    return "there is no such file" if isinstance(error, FileNotFoundError) else str(error.strerror or error)


def first_cause(error: BaseException) -> BaseException:
    """Return the exception that was raised first.

    An engine may wrap it in others: Ray's errors carry the wrapped one as `cause`.
    """
    while isinstance(inner := getattr(error, "cause", None), BaseException):
        error = inner
    return error
