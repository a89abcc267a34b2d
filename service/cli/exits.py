"""How a command ends: the exit codes, stable for scripts, and the failures that lead to them."""

import sys
from enum import IntEnum
from pkgutil import resolve_name
from typing import ClassVar


class Exit(IntEnum):
    """The exit codes of every verb."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    IN_USE = 4
    REFUSED = 5


MEANING = {
    Exit.OK: "done",
    Exit.FAILED: "it failed, or problems were found",
    Exit.USAGE: "the command line or a setting cannot be used",
    Exit.UNREACHABLE: "no service is running there, or it cannot be reached",
    Exit.IN_USE: "the data folder or the port is in use",
    Exit.REFUSED: "the API key is missing, wrong, or lacks a permission",
}

EPILOG = "Exit codes: " + " · ".join(f"{code.value} {meaning}" for code, meaning in MEANING.items())


class CommandError(Exception):
    """A command cannot do what it was asked for; the message says why and names the remedy."""

    code: ClassVar[Exit] = Exit.FAILED


class UsageProblem(CommandError):
    """An argument, an option or a setting cannot be used."""

    code = Exit.USAGE


class Unreachable(CommandError):
    """The service is not running, or does not answer."""

    code = Exit.UNREACHABLE


class InUse(CommandError):
    """Another process holds the data folder, or the port."""

    code = Exit.IN_USE


class Refused(CommandError):
    """The service does not accept the key."""

    code = Exit.REFUSED


class Rejected(CommandError):
    """The service answers with an error. `status` is the one of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        """The message is the service's."""
        super().__init__(message)
        self.status = status


_EXPECTED = {
    "service.cli.exits:CommandError": Exit.FAILED,
    "service.settings:SettingsError": Exit.USAGE,
    "stores.records.errors:EmbeddedPostgresInUse": Exit.IN_USE,
    "stores.records.errors:UnreachableServer": Exit.UNREACHABLE,
    "stores.records.errors:UnreadableURL": Exit.USAGE,
    "stores.records.errors:RecordsError": Exit.FAILED,
    "service.errors:ServiceError": Exit.FAILED,
    "stores.vector.base:VectorStoreError": Exit.FAILED,
    "psycopg:OperationalError": Exit.UNREACHABLE,
}


def expected() -> tuple[type[Exception], ...]:
    """The failures that end a command with one line instead of a traceback.

    Only classes of modules that are loaded: what was never imported cannot have been raised.
    """
    return tuple(resolve_name(name) for name in _EXPECTED if name.partition(":")[0] in sys.modules)


def exit_code(error: Exception) -> Exit:
    """The exit code for one of the `expected` failures."""
    if isinstance(error, CommandError):
        return error.code
    for name, code in _EXPECTED.items():
        if name.partition(":")[0] in sys.modules and isinstance(error, resolve_name(name)):
            return code
    return Exit.FAILED
