"""`ragstone config`: every setting, its value, and where that comes from."""

import json
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
    from service.settings import load, sources, strangers

    overrides = {"data": data}
    settings = load(environment(), overrides)
    found = sources(environment(), overrides)
    rows = [_row(name, getattr(settings, name), found.get(name, "default")) for name in type(settings).model_fields]
    for told in strangers(environment(), settings).values():
        say(told)
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
        "value": _plain(value, known=value == field.default),
        "default": _plain(field.default, known=True),
        "source": source,
        "help": field.description,
    }


def _plain(value: Any, *, known: bool) -> Any:
    """A value for JSON: paths as text, secrets as stars, unless they are `known`, as defaults are."""
    from pydantic import SecretStr
    from pydantic_core import to_jsonable_python

    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return secret if known or not secret else "********"
    return to_jsonable_python(value)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return json.dumps(value) if isinstance(value, bool | dict) else str(value)
