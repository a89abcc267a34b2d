"""A run as JUnit XML, which CI services show: a test case for each check, and one for each case that went wrong."""

import re
from collections.abc import Sequence
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from service.cli.exits import CommandError
from service.cli.suites.checks import Check, Kind
from service.cli.suites.outcome import Broken, Outcome

MOST_CASES = 200
"""Cases that went wrong which are told one by one."""
MOST_TEXT = 2_000
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def write_junit(outcome: Outcome, checks: Sequence[Check], seconds: float, file: Path) -> None:
    """Write what the checks say. Raises `CommandError` when the file cannot be written."""
    document = JUnitXml(_clean(outcome.suite))
    places = ["", *outcome.targets, *(check.target for check in checks)]
    for target in dict.fromkeys(places):
        suite = _suite(outcome, target, checks)
        if suite is not None:
            document.add_testsuite(suite)
    _write(document, seconds, file)


def write_failure(name: str, reason: str, file: Path) -> None:
    """Write that a suite could not be run."""
    suite = TestSuite(_clean(name))
    case = TestCase("run", _clean(name), 0.0)
    case.result = Error(_clean(reason), "CommandError")
    suite.add_testcase(case)
    document = JUnitXml(_clean(name))
    document.add_testsuite(suite)
    _write(document, 0.0, file)


def _suite(outcome: Outcome, target: str, checks: Sequence[Check]) -> TestSuite | None:
    """The checks of a target and its cases that went wrong; without a target, the checks of the whole run."""
    name = f"{outcome.suite}: {target}" if target else outcome.suite
    cases = [_checked(name, check) for check in checks if check.target == target]
    broken = [item for item in outcome.broken if item.target == target]
    cases += [_broken(name, item) for item in broken[:MOST_CASES]]
    if not cases:
        return None
    suite = TestSuite(_clean(name))
    for label, text in (("evaluation", str(outcome.evaluation.get("id", ""))), ("target", target)):
        suite.add_property(label, _clean(text))
    suite.add_testcases(cases)
    return suite


def _checked(name: str, check: Check) -> TestCase:
    before = "baseline: " if check.kind is Kind.BASELINE else ""
    case = TestCase(_clean(f"{before}{check.measure} {check.demand}" if before else check.demand), _clean(name), 0.0)
    if check.failed:
        failure = Failure(_clean(check.reason), str(check.kind))
        failure.text = _clean(f"{check.reason}\nfound: {check.found}")
        case.result = failure
    else:
        case.system_out = _clean("\n".join(filter(None, (f"found: {check.found}", check.reason))))
    return case


def _broken(name: str, item: Broken) -> TestCase:
    repeat = f" (repeat {item.repeat + 1})" if item.repeat else ""
    case = TestCase(_clean(f"row: {item.question[:200]}{repeat}"), _clean(name), 0.0)
    error = Error(_clean(item.reason), "case" if item.error else "score")
    error.text = _clean(item.reason)
    case.result = error
    return case


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("�", text)[:MOST_TEXT]


def _write(document: JUnitXml, seconds: float, file: Path) -> None:
    for count in ("tests", "failures", "errors"):
        setattr(document, count, sum(getattr(suite, count) for suite in document))
    document.time = round(seconds, 3)
    try:
        document.write(str(file), pretty=True)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error}") from None
