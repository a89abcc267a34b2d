"""`ragstone eval`: evaluations by the command line and in CI."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.exits import EPILOG, Exit, UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, RootOption, UrlOption
from service.cli.output import moment, print_json, print_table, print_text, say

if TYPE_CHECKING:
    from service.cli.client import Client
    from service.cli.suites.suite import Threshold

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Run evaluation suites, and read, compare and export what came of them.",
    epilog=EPILOG,
)

EvaluationArgument = Annotated[
    str, typer.Argument(help="Id of the evaluation, or its name, which stands for the newest version.", metavar="ID")
]
SuiteArgument = Annotated[Path, typer.Argument(help="The suite file, YAML.", metavar="SUITE.yaml")]

SHOWN = 20


class Format(StrEnum):
    """How results are exported."""

    CSV = "csv"
    JSONL = "jsonl"


@app.command(epilog=EPILOG)
def run(
    suite: SuiteArgument,
    baseline: Annotated[
        Path | None,
        typer.Option(help="An earlier run, as --save wrote it; getting really worse fails.", metavar="FILE"),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            help="Fail when the mean is lower; TARGET:METRIC=VALUE for one target. Repeat it.", metavar="METRIC=VALUE"
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.", metavar="FILE")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report, one HTML page.", metavar="FILE.html")] = None,
    save: Annotated[Path | None, typer.Option(help="Write what a later --baseline reads.", metavar="FILE.json")] = None,
    start: Annotated[
        bool | None,
        typer.Option(
            "--start/--no-start",
            help="Start a service for the suite, and end it afterwards.",
            show_default="when none runs and none is named",
        ),
    ] = None,
    root: RootOption = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run an evaluation suite and judge it by its thresholds, and by an earlier run. Exit code 1 when it fails, or when
    cases have errors.

    It runs on the service that the other verbs would find. Where none runs, one is started, on the folder that --data
    or RAGSTONE_DATA names, else on one that is removed afterwards.
    """
    from service.cli.suites.baseline import load
    from service.cli.suites.evaluate import Files, evaluate
    from service.cli.suites.plan import read_plan
    from service.cli.suites.running import interruptible
    from service.cli.suites.telling import print_checks, say_failures, verdict

    plan = read_plan(suite, [_threshold(text) for text in fail_under or ()], root=root, show=not as_json)
    earlier = baseline or plan.baseline
    files = Files(load(earlier) if earlier is not None else None, junit, report, save)
    for file in (junit, report, save):
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageProblem(f"{file} cannot be written: there is no folder {file.absolute().parent}")
    with interruptible(), _service(data, url, key, start) as client:
        done = evaluate(client, plan, files, show=not as_json)
        if as_json:
            print_json(done.as_json())
        else:
            from service.cli.scores import print_scores

            print_scores(client.get(f"/evaluations/{done.outcome.evaluation['id']}/summary"))
            print()
            print_checks(done.checks)
            print()
            say_failures(done.outcome, done.checks)
            print_text(verdict(done.outcome, done.checks))
    if not done.passed:
        raise typer.Exit(Exit.FAILED)


@app.command(epilog=EPILOG)
def schema() -> None:
    """Print the JSON Schema of suite files, for editors that check and complete YAML."""
    from service.cli.suites.reading import schema as suite_schema

    print_json(suite_schema())


@app.command("ls", epilog=EPILOG)
def list_evaluations(
    most: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many names.")] = SHOWN,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List evaluations with their versions, the newest name first."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        found = client.get("/evaluations", page=1, limit=most)["data"]
    if as_json:
        print_json(found)
        return
    rows = [
        (item["id"], item["name"], item["version"], item["state"], _cases(item), item["datasetName"],
         moment(item["runDate"]))
        for item in found
    ]  # fmt: skip
    print_table(("id", "name", "version", "state", "cases", "dataset", "since"), rows)
    if not found:
        say("There are no evaluations.")


@app.command(epilog=EPILOG)
def show(
    evaluation: EvaluationArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the figures of an evaluation: every metric of every target, with its interval."""
    from service.cli.client import connect
    from service.cli.scores import print_scores

    with connect(data, url, key) as client:
        found = _find(client, evaluation)
        summary = client.get(f"/evaluations/{found['id']}/summary")
    if as_json:
        print_json({**found, **summary})
        return
    say(f"{found['name']}, version {found['version']}: {found['state']}, {_cases(found)}")
    print_scores(summary)


@app.command(epilog=EPILOG)
def compare(
    first: Annotated[str, typer.Argument(help="Id or name of the one before.", metavar="ID")],
    second: Annotated[str, typer.Argument(help="Id or name of the one after.", metavar="OTHER")],
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold two evaluations against each other, row by row, and say which differences are real."""
    from service.cli.client import connect
    from service.cli.scores import print_comparison

    with connect(data, url, key) as client:
        before, after = _find(client, first), _find(client, second)
        compared = client.get(f"/evaluations/{before['id']}/compare/{after['id']}")
    if as_json:
        print_json(compared)
    else:
        print_comparison(compared)


@app.command(epilog=EPILOG)
def report(
    evaluation: EvaluationArgument,
    file: Annotated[
        Path | None, typer.Argument(help="File to write.", metavar="FILE.html", show_default="NAME-VERSION.html")
    ] = None,
    against: Annotated[str | None, typer.Option("--compare", help="Show the differences to this one.")] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an evaluation as one HTML page that needs nothing else."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        found = _find(client, evaluation)
        params = {"compare": _find(client, against)["id"]} if against else {}
        place = file or Path(f"{_plain(found['name'])}-{found['version']}.html")
        size = client.download(f"/evaluations/{found['id']}/report", params, place)
    _told(found, place, size, as_json=as_json)


@app.command(epilog=EPILOG)
def export(
    evaluation: EvaluationArgument,
    file: Annotated[
        Path | None, typer.Argument(help="File to write.", metavar="FILE", show_default="NAME-VERSION.csv or .jsonl")
    ] = None,
    format: Annotated[Format | None, typer.Option(help="Default: as the file's name says, else csv.")] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the results of an evaluation, a line a case, as CSV or JSON Lines."""
    from service.cli.client import connect

    if format is None:
        lines = file is not None and file.suffix.casefold() in (".jsonl", ".ndjson")
        format = Format.JSONL if lines else Format.CSV
    with connect(data, url, key) as client:
        found = _find(client, evaluation)
        place = file or Path(f"{_plain(found['name'])}-{found['version']}.{format.value}")
        size = client.download(f"/evaluations/{found['id']}/export", {"format": format.value}, place)
    _told(found, place, size, as_json=as_json)


@app.command(epilog=EPILOG)
def cancel(
    evaluation: EvaluationArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop an evaluation; what it has so far stays."""
    from service.cli.client import connect
    from service.cli.suites.running import cancel as cancelled

    with connect(data, url, key) as client:
        found = _find(client, evaluation)
        done = cancelled(client, str(found["id"]))
    if as_json:
        print_json(done)
    else:
        say(f"{found['name']}, version {found['version']}, is {done['state']}: {_cases(done)}")


@contextmanager
def _service(data: Path | None, url: str | None, key: str | None, start: bool | None) -> Iterator["Client"]:
    """The service that runs, or one that is started."""
    from service.cli.client import URL_VARIABLE, connect
    from service.cli.folder import running
    from service.cli.options import environment, settings_for
    from service.cli.scratch import own_service

    named = url or environment().get(URL_VARIABLE)
    if start and url:
        raise UsageProblem("--start starts a service, and --url names one: give one of them")
    settings = settings_for(data)
    if start or (start is None and not named and running(settings.data) is None):
        folder = settings.data if data is not None or environment().get("RAGSTONE_DATA") else None
        say(f"Starting a service on {folder or 'a folder of its own, which is removed afterwards'} …")
        with own_service(folder) as client:
            yield client
    else:
        with connect(data, url, key) as client:
            yield client


_LIMIT = re.compile(r"(?:(?P<target>.+):)?(?P<metric>[^:=]+)=(?P<value>[^=]+)")


def _threshold(text: str) -> "Threshold":
    from service.cli.suites.suite import Threshold

    found = _LIMIT.fullmatch(text)
    try:
        value = float(found["value"]) if found else None
    except ValueError:
        value = None
    if found is None or value is None or value != value:
        raise UsageProblem(f"--fail-under {text}: give METRIC=VALUE, such as recall@5=0.9")
    named = {"target": found["target"]} if found["target"] else {}
    return Threshold.model_validate({"metric": found["metric"].strip(), "fail_under": value, **named})


def _find(client: "Client", name: str) -> Mapping[str, Any]:
    """The evaluation with this id, or the newest version of this name."""
    from service.cli.client import need

    found: list[Mapping[str, Any]] = client.get("/evaluations")
    rows = [item for item in found if item["id"] == name] or [
        item for item in found if item["name"] == name and item["latestEval"]
    ]
    return need(rows[0] if rows else None, "evaluation", name)


def _cases(item: Mapping[str, Any]) -> str:
    failed = f", {item['failed']} failed" if item["failed"] else ""
    return f"{item['done']} of {item['total']}{failed}"


def _plain(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "evaluation"


def _told(found: Mapping[str, Any], file: Path, size: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": found["id"], "name": found["name"], "file": str(file), "bytes": size})
    else:
        print_table(("evaluation", "version", "file", "bytes"), [(found["name"], found["version"], file, f"{size:,}")])
