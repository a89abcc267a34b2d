"""Runs an evaluation on a service and follows it to its end: by a bar on a terminal, else by a line now and then."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from service.cli.client import Client
from service.cli.exits import CommandError, Rejected, Unreachable, UsageProblem
from service.cli.output import console, say
from service.cli.suites.plan import Plan
from service.cli.suites.preparing import Prepared
from service.cli.suites.suite import Judge

OPEN = ("queued", "running", "paused")
LOOK_SECONDS = 0.3
LINE_SECONDS = 10.0
"""A line that often at least, where there is no terminal."""
PATIENCE = 60.0
"""Seconds that a service may be away while it runs: what died of it is started again."""


class Interrupted(CommandError):
    """Somebody wanted the command to end."""


def begin(client: Client, plan: Plan, prepared: Prepared) -> Mapping[str, Any]:
    """Make the evaluation; a further version, where there is one of the suite's name. Raises what `start` raises."""
    suite = plan.suite
    simple = [item["id"] for item in prepared.evaluators if item["type"] != "llm"]
    judged = [item["id"] for item in prepared.evaluators if item["type"] == "llm"]
    body: dict[str, Any] = {
        "name": suite.name,
        "datasetId": prepared.dataset_id,
        "targets": prepared.targets,
        "selectedSimpleEvaluators": simple,
        "selectedLLMEvaluators": judged,
        "repeats": suite.repeats,
        "datasetAsOneConversation": suite.one_conversation,
    }
    if plan.metrics is not None:
        body["metrics"] = [item.model_dump() for item in plan.metrics]
    for name in ("concurrency", "retries"):
        if getattr(suite, name) is not None:
            body[name] = getattr(suite, name)
    return start(client, plan.file, body, suite.judge)


def start(client: Client, file: Path, body: Mapping[str, Any], judge: Judge | None) -> Mapping[str, Any]:
    """Queue an evaluation that a file asks for. Raises `UsageProblem`, with the service's words, for one that it does
    not take."""
    judging = {"name": judge.name, "inputs": judge.inputs, "credentialId": judge.credential} if judge else None
    asked = body if judging is None else {**body, "judge": judging}
    try:
        response = client.send("POST", "/evaluations", json=asked, headers={"Prefer": "respond-async"})
    except Rejected as error:
        if error.status in (400, 404, 413, 422):
            raise UsageProblem(f"{file}: {error}") from None
        raise
    made: Mapping[str, Any] = response.json()
    return made


def follow(client: Client, evaluation_id: str, *, show: bool) -> Mapping[str, Any]:
    """The progress of an evaluation when it has ended. One that is interrupted is cancelled on the service, and
    `Interrupted` raised. `show` tells on stderr how far it is."""
    try:
        for progress in _shown(_looked(client, evaluation_id), show=show):
            if progress["state"] not in OPEN:
                return progress
    except KeyboardInterrupt:
        raise Interrupted(_cancelled(client, evaluation_id)) from None
    raise AssertionError("it is looked at until it has ended")


def cancel(client: Client, evaluation_id: str) -> Mapping[str, Any]:
    """Stop an evaluation; what it has stays."""
    done: Mapping[str, Any] = client.send("POST", f"/evaluations/{evaluation_id}/cancel").json()
    return done


def _cancelled(client: Client, evaluation_id: str) -> str:
    """Cancel, and what to say of it."""
    try:
        cancel(client, evaluation_id)
    except CommandError as error:
        return f"interrupted; evaluation {evaluation_id} goes on, as it could not be cancelled: {error}"
    return f"interrupted: evaluation {evaluation_id} is cancelled on the service"


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, the signals that end a command raise `KeyboardInterrupt`, and that ends as `Interrupted`: what was begun
    is ended in order."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _looked(client: Client, evaluation_id: str) -> Iterator[Mapping[str, Any]]:
    """How far it is, again and again. A service that is away for a moment is waited for."""
    away: float | None = None
    while True:
        try:
            progress: Mapping[str, Any] = client.get(f"/evaluations/{evaluation_id}/progress")
        except Unreachable:
            now = time.monotonic()
            if away is None:
                away = now
                say("The service is away; the evaluation goes on when it is back.")
            if now - away > PATIENCE:
                raise
        else:
            away = None
            yield progress
        time.sleep(LOOK_SECONDS)


def _shown(looks: Iterator[Mapping[str, Any]], *, show: bool) -> Iterator[Mapping[str, Any]]:
    if not show:
        yield from looks
    elif console(remarks=True).is_terminal:
        yield from _bar(looks)
    else:
        yield from _lines(looks)


def _lines(looks: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """With a line at each tenth, and after `LINE_SECONDS`."""
    said, tenth = -LINE_SECONDS, -1
    for progress in looks:
        done, total = progress["done"], progress["total"]
        now, reached = time.monotonic(), 10 * done // total if total else 0
        if reached > tenth or now - said >= LINE_SECONDS or progress["state"] not in OPEN:
            say(line(progress))
            said, tenth = now, reached
        yield progress


def _bar(looks: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.fields[stage]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rest]}"),
        TimeElapsedColumn(),
        console=console(remarks=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, stage="waiting", rest="")
        for progress in looks:
            rest = ", ".join(_rest(progress))
            bar.update(
                task,
                completed=progress["done"],
                total=progress["total"] or None,
                stage=progress["stage"] or progress["state"],
                rest=rest,
            )
            yield progress


def line(progress: Mapping[str, Any]) -> str:
    """How far an evaluation is, in one line."""
    head = f"{progress['state']}: {progress['done']} of {progress['total']} cases"
    return ", ".join([head, *_rest(progress)])


def _rest(progress: Mapping[str, Any]) -> Iterator[str]:
    if progress["failed"]:
        yield f"{progress['failed']} failed"
    if progress["rate"]:
        yield f"{progress['rate']:.1f}/s"
    if progress["etaSeconds"] is not None and progress["state"] in OPEN:
        yield f"{_span(progress['etaSeconds'])} left"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
