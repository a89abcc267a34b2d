"""`ragstone sample`: the sample handbook, put into the running service, and one question to it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.cli.exits import CommandError
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import print_json, say

app = typer.Typer(add_completion=False)

NAME = "Handbook"
"""The name of the sample's document store, and of its chatflow."""


def handbook() -> Path:
    """The sample's folder in a checkout."""
    return Path(__file__).parents[2] / "datasets" / "handbook"


@app.command()
def sample(
    folder: Annotated[
        Path | None, typer.Option("--from", help="Folder with files/ and questions.jsonl.", show_default="the handbook")
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the sample handbook into the running service, ask it a question and print the answer.

    Makes the document store "Handbook" and the chatflow "Handbook"; a second time adds nothing.
    """
    from service.cli.ask import print_answer
    from service.cli.client import connect
    from service.cli.flows import ensure_flow
    from service.cli.uploads import find_files, upload

    place = folder or handbook()
    try:
        with (place / "questions.jsonl").open(encoding="utf-8") as lines:
            question = str(json.loads(next(lines))["question"])
    except (OSError, StopIteration, ValueError, KeyError):
        raise CommandError(
            f"{place} holds no sample (files/ and questions.jsonl); name its folder with --from"
        ) from None
    with connect(data, url, key) as client:
        report = upload(client, NAME, find_files([place / "files"]), show=False)
        flow = ensure_flow(client, NAME, report.store_id)
        body = {"question": question}
        if as_json:
            answer = client.post(f"/prediction/{flow['id']}", body)
            print_json({**report.as_json(), "chatflowId": flow["id"], "prediction": answer})
            return
        say(f"The sample handbook is in: {report.summary()}.")
        print(f"\nQuestion\n  {question}\n\nAnswer")
        print_answer(client, str(flow["id"]), body)
        print()
    if report.failed:
        say(f"{len(report.failed)} file(s) failed: " + "; ".join(f"{name}: {why}" for name, why in report.failed))
