"""Options that several verbs share, and the settings that they lead to."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.settings import Settings

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder of all state.", show_default="RAGSTONE_DATA, or ./ragstone-data", metavar="DIR"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Service to talk to.", show_default="RAGSTONE_URL, or the one running on the folder"),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="API key.", show_default="RAGSTONE_API_KEY, or one made for the folder"),
]

RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        help="Folder that holds all files which FILE names, links followed; others are refused.",
        show_default="the file's own folder",
        metavar="DIR",
        exists=True,
        file_okay=False,
    ),
]


def environment() -> Mapping[str, str]:
    """Where settings come from besides the command line."""
    return os.environ


def settings_for(data: Path | None = None, **overrides: Any) -> "Settings":
    """The settings of this command line, with an absolute data folder. Raises `SettingsError`."""
    from service.settings import load

    settings = load(environment(), {"data": data, **overrides})
    return settings.model_copy(update={"data": settings.data.expanduser().absolute()})


def warn_of_strangers(settings: "Settings") -> None:
    """Log the variables of the environment that look like settings and are none."""
    from service.settings import strangers

    for told in strangers(environment(), settings).values():
        logging.getLogger("ragstone.settings").warning("%s", told)
