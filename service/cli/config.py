"""`ragstone config`: every setting, its value, and where that comes from."""

from typing import Any

import typer

from service.cli.options import DataOption, JsonOption, environment
from service.cli.output import print_json, say

app = typer.Typer(add_completion=False)


@app.command()
def config(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List every setting with value, default, source and help; secrets are masked.

    Settings come from flags, else RAGSTONE_* in the environment, else the TOML file that RAGSTONE_CONFIG names
    (`port = 3000`), else their defaults.
    """
    from service.settings import load, sources

    overrides = {"data": data}
    settings = load(environment(), overrides)
    found = sources(environment(), overrides)
    rows = [_row(name, getattr(settings, name), found.get(name, "default")) for name in type(settings).model_fields]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        default = "" if row["source"] == "default" else f", default {_shown(row['default'])}"
        print(f"{row['name']} = {_shown(row['value'])}  ({row['source']}{default})\n    {row['help']}")
    if not environment().get("RAGSTONE_CONFIG"):
        say("No file is read; RAGSTONE_CONFIG would name one.")


def _row(name: str, value: Any, source: str) -> dict[str, Any]:
    from service.settings import PREFIX, Settings

    field = Settings.model_fields[name]
    return {
        "name": PREFIX + name.upper(),
        "value": _plain(value),
        "default": _plain(field.default),
        "source": source,
        "help": field.description,
    }


def _plain(value: Any) -> Any:
    """A value for JSON: secrets as stars, paths as text."""
    from pathlib import Path

    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    return str(value) if isinstance(value, Path) else value


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
