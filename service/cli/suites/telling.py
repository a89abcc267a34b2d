"""Tells people what became of a run."""

from collections.abc import Sequence

from service.cli.output import print_table, say
from service.cli.suites.checks import Check, Kind, Result
from service.cli.suites.outcome import Outcome

MOST_BROKEN = 5
SIGNS = {Result.PASSED: "ok", Result.FAILED: "FAILED", Result.NOTED: "–"}


def print_checks(checks: Sequence[Check]) -> None:
    """A table of what was demanded, and what was found."""
    rows = [
        (
            SIGNS[check.result],
            check.target or "all",
            _demand(check),
            check.found,
            check.reason if not check.failed else "",
        )
        for check in checks
    ]
    print_table(("", "target", "demand", "found", ""), rows)


def _demand(check: Check) -> str:
    return f"{check.measure}: {check.demand}" if check.kind is Kind.BASELINE else check.demand


def say_failures(outcome: Outcome, checks: Sequence[Check]) -> None:
    """On stderr, why the run failed, and the first cases that went wrong."""
    for check in checks:
        if check.failed:
            say(f"FAILED: {check.reason}")
    for item in outcome.broken[:MOST_BROKEN]:
        say(f"  {item.target}: {item.question[:100]!r}: {item.reason}")
    if (more := len(outcome.broken) - MOST_BROKEN) > 0:
        say(f"  and {more} more")


def verdict(outcome: Outcome, checks: Sequence[Check]) -> str:
    """The last line."""
    name = f"{outcome.suite} (evaluation {outcome.evaluation['id']}"
    if outcome.evaluation.get("version"):
        name += f", version {outcome.evaluation['version']}"
    failed = sum(check.failed for check in checks)
    judged = sum(check.result is not Result.NOTED for check in checks)
    if failed:
        return f"{name}) FAILED: {failed} of {judged} checks"
    return f"{name}) passed: {judged} checks, {outcome.cases} cases"
