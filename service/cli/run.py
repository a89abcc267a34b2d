"""Finds the verb, runs it, and turns expected failures into one line and an exit code."""

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from service import __version__
from service.cli.exits import EPILOG, Exit, exit_code, expected
from service.cli.output import say

VERBS = {
    "up": "service.cli.up:app",
    "status": "service.cli.status:app",
    "doctor": "service.cli.doctor:app",
    "config": "service.cli.config:app",
    "key": "service.cli.key:app",
    "ingest": "service.cli.ingest:app",
    "jobs": "service.cli.jobs:app",
    "sync": "service.cli.sync:app",
    "search": "service.cli.search:app",
    "store": "service.cli.store:app",
    "principals": "service.cli.principals:app",
    "flow": "service.cli.flow:app",
    "eval": "service.cli.sweep:app",  # adds its verbs to those of service.cli.evals
    "ask": "service.cli.ask:app",
    "dataset": "service.cli.dataset:app",
    "sample": "service.cli.sample:app",
    "serve": "service.cli.serve:app",
    "worker": "service.cli.worker:app",
    "migrate": "service.cli.migrate:app",
    "bench": "service.cli.bench:app",
}
"""The verbs, in the order of `--help`: a line a verb, each a Typer application that is imported on use."""


class _Verbs(typer.core.TyperGroup):
    """Looks verbs up in the table, so that one verb never pays for the imports of another."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        row = VERBS.get(cmd_name)
        if row is None:
            return None
        command = typer.main.get_command(resolve_name(row))
        command.name = cmd_name
        command.epilog = command.epilog or EPILOG
        return command


app = typer.Typer(
    name="ragstone",
    cls=_Verbs,
    epilog=EPILOG,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"ragstone {__version__}")
        raise typer.Exit


@app.callback()
def _ragstone(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """A RAG and knowledge-base service: documents in, answers with their sources out."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code. Expected failures are one line on stderr."""
    command = typer.main.get_command(app)
    try:
        command.main(args=list(arguments), prog_name="ragstone")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else Exit.OK if left.code is None else Exit.FAILED
    except expected() as error:
        text = getattr(error, "message", None) or str(error)
        say(f"ragstone: {text.strip()}")
        return exit_code(error)
    return Exit.OK
