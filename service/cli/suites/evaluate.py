"""`ragstone eval run` from the plan to the verdict."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.cli.client import Client
from service.cli.exits import CommandError
from service.cli.output import say
from service.cli.suites import baseline as baselines
from service.cli.suites.checks import Check, judge
from service.cli.suites.junit import write_failure, write_junit
from service.cli.suites.outcome import Outcome, read_outcome
from service.cli.suites.plan import Plan
from service.cli.suites.preparing import prepare
from service.cli.suites.running import begin, follow


@dataclass(frozen=True, slots=True)
class Files:
    """What is read and written besides the suite."""

    baseline: baselines.Baseline | None = None
    junit: Path | None = None
    report: Path | None = None
    save: Path | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A run, and what the checks say of it."""

    outcome: Outcome
    checks: Sequence[Check]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not any(check.failed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "suite": self.outcome.suite,
            "passed": self.passed,
            "evaluationId": self.outcome.evaluation["id"],
            "version": self.outcome.evaluation.get("version"),
            "state": self.outcome.state,
            "cases": self.outcome.cases,
            "errors": len(self.outcome.broken),
            "checks": [check.as_json() for check in self.checks],
            "targets": {target: dict(figures) for target, figures in self.outcome.summaries.items()},
            "seconds": round(self.seconds, 3),
        }


def evaluate(client: Client, plan: Plan, files: Files, *, show: bool) -> Verdict:
    """Run a suite on a service and judge it; writes the files. `show` tells on stderr how far it is.

    Raises what `prepare`, `begin` and `follow` raise; then the JUnit file says so.
    """
    begun = time.monotonic()
    try:
        prepared = prepare(client, plan, show=show)
        evaluation = begin(client, plan, prepared)
        if show:
            say(f"Evaluation {evaluation['id']} of {prepared.dataset_name}.")
        progress = follow(client, str(evaluation["id"]), show=show)
        if progress["state"] != "completed":  # what it says of itself now
            evaluation = {**evaluation, **client.get(f"/evaluations/{evaluation['id']}", page=1, limit=1)}
        outcome = read_outcome(client, plan.suite.name, evaluation, str(progress["state"]))
    except CommandError as error:
        if files.junit is not None:
            write_failure(plan.suite.name, str(error), files.junit)
        raise
    verdict = Verdict(outcome, judge(outcome, plan.suite, files.baseline), time.monotonic() - begun)
    if files.junit is not None:
        write_junit(outcome, verdict.checks, verdict.seconds, files.junit)
    if files.save is not None:
        baselines.save(outcome, files.save)
    if files.report is not None:
        client.download(f"/evaluations/{evaluation['id']}/report", {}, files.report)
    return verdict
