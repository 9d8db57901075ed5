"""The command line. Results go to standard output, messages to people go to standard error.

Exit status: 0 done, 2 a user's mistake or a damaged file (one clear message), 1 a failure, 130 interrupted by
Ctrl-C, 143 by SIGTERM, 129 by SIGHUP (everything finished is on disk). A second signal ends it at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from raysim.cli.options import COMMANDS, Command
from raysim.cli.plugin_options import plugin_option
from raysim.core.errors import LostProcess, UserError, first_cause
from raysim.core.plugins import load_plugins
from raysim.core.signals import exit_status, handled, set_last_words
from raysim.core.words import plain


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UserError(f"{message}\n{self.format_usage().strip()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    with handled():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    """Run a command, and turn what ends it into a message and an exit status."""
    started = time.monotonic()
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = argparse.Namespace(command_line="")
    try:
        if not words or words[0] in ("-h", "--help"):
            print(_overview())
            return 0
        if words[0] == "--version":
            print(f"raysim {_version()}")
            return 0
        command = _command(words[0])
        arguments = _parser(words[0], command).parse_intermixed_args(words[1:])
        arguments.command_line, arguments.started = shlex.join(["raysim", *words]), started
        set_last_words(partial(_stopped, arguments))
        load_plugins(arguments.plugin)
        command.load()(arguments)
    except UserError as error:
        print(f"raysim: {plain(str(first_cause(error)))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        with contextlib.suppress(OSError):  # a closed terminal
            print(f"\nraysim: {_how_to_resume(arguments)}", file=sys.stderr)
        return exit_status(interrupt)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("RAYSIM_DEBUG"):
            raise
        cause = first_cause(error)
        if isinstance(cause, LostProcess):
            print(_stopped(arguments, str(cause)), file=sys.stderr)
            return 1
        print(f"raysim: failed: {type(cause).__name__}: {plain(str(cause))}", file=sys.stderr)
        print("(RAYSIM_DEBUG=1 shows the traceback)", file=sys.stderr)
        return 1
    return 0


def _overview() -> str:
    """The help without a command."""
    lines = [f"  raysim {name:9}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "raysim: federated learning for remote sensing, simulated on Ray\n",
            *lines,
            "\nraysim COMMAND --help shows the options of a command, raysim --version the version.",
            "`raysim sweep` without any option is a good first run.",
        ]
    )


def _version() -> str:
    """The version from the metadata of the installed package."""
    from importlib.metadata import version

    return version("raysim")


def _command(name: str) -> Command:
    """The command of this name.

    Raises:
        UserError: there is none.
    """
    if name in COMMANDS:
        return COMMANDS[name]
    from raysim.core.config import suggest

    near = suggest(name, [*COMMANDS, "--help", "--version"])
    raise UserError(f"unknown command '{name}'{near} Known: {', '.join(COMMANDS)}")


def _parser(name: str, command: Command) -> argparse.ArgumentParser:
    """The parser of a command's options."""
    parser = _Parser(prog=f"raysim {name}", description=command.summary, allow_abbrev=False)
    command.add_options(parser)
    plugin_option(parser)
    return parser


def _stopped(arguments: argparse.Namespace, reason: str) -> str:
    """Return the message of a command that has lost a process it needs."""
    return f"raysim: {reason}; {_how_to_resume(arguments, 'stopped')}"


def _how_to_resume(arguments: argparse.Namespace, what: str = "interrupted") -> str:
    """Return the message of a command that did not end: how to resume it."""
    if not hasattr(arguments, "resume"):
        return f"{what}; give the same command again"
    out = getattr(arguments, "out", None)
    again = _resumed(arguments.command_line, str(out)) if out else "the same command"
    if address := os.environ.get("RAY_ADDRESS"):  # without it Ray would start here
        again = f"RAY_ADDRESS={shlex.quote(address)} {again}"
    return f"{what}; everything finished is on disk. To go on: {again}"


def _resumed(command: str, out: str) -> str:
    """Return the command with `--out` and `--resume`, each once, wherever and however they stood in it."""
    words, kept = shlex.split(command), []
    while words:
        word = words.pop(0)
        if word == "--out":
            words = words[1:]
        elif word != "--resume" and not word.startswith("--out="):
            kept.append(word)
    return shlex.join([*kept, "--out", out, "--resume"])
