"""Judges a run: thresholds, errors, and whether it is worse than an earlier one. What cannot be told has not passed."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from service.cli.suites.baseline import Baseline
from service.cli.suites.outcome import Outcome
from service.cli.suites.suite import ALL, Suite, Threshold

if TYPE_CHECKING:
    from service.metrics.stats import Comparison

SLACK = 1e-9
"""By how much a figure may miss a limit: what adding up fractions leaves."""
FEWEST_PAIRS = 6
"""Below, no difference can be told from chance at 95 %: all rows going one way come by chance once in 2 ** (n - 1)."""
TIMES = ("ms",)
"""Units of measures that tell of the machine as much as of the service."""


class Kind(StrEnum):
    """What is checked."""

    THRESHOLD = "threshold"
    BASELINE = "baseline"
    ERRORS = "errors"


class Result(StrEnum):
    """What a check says. `noted` is told, and fails nothing."""

    PASSED = "passed"
    FAILED = "failed"
    NOTED = "noted"


@dataclass(frozen=True, slots=True)
class Check:
    """One demand on one target, and whether it is met. `demand` and `found` are for people."""

    kind: Kind
    target: str
    measure: str
    demand: str
    found: str
    result: Result
    reason: str = ""
    """Why it is not met."""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the run fails by it."""
        return self.result is Result.FAILED

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "kind": str(self.kind),
            "target": self.target,
            "measure": self.measure,
            "demand": self.demand,
            "found": self.found,
            "result": str(self.result),
            **({"reason": self.reason} if self.reason else {}),
            **({"details": dict(self.details)} if self.details else {}),
        }


def judge(outcome: Outcome, suite: Suite, baseline: Baseline | None) -> list[Check]:
    """All that the suite demands of a run."""
    found = [_errors(outcome, suite.max_errors)]
    found += [check for threshold in suite.thresholds for check in _thresholds(outcome, threshold)]
    if baseline is not None:
        found += _against(outcome, suite, baseline)
    return found


# Errors


def _errors(outcome: Outcome, most: int) -> Check:
    count = len(outcome.broken)
    demand = f"at most {most} of {outcome.cases} cases with an error" if most else "no case with an error"
    told = f"{count} of {outcome.cases}"
    if outcome.state != "completed":
        error = (outcome.evaluation.get("error") or {}).get("message") or "it says no reason"
        return Check(Kind.ERRORS, "", "errors", demand, told, Result.FAILED, f"the run {outcome.state}: {error}")
    if not outcome.cases:
        return Check(Kind.ERRORS, "", "errors", demand, told, Result.FAILED, "there is no case: the dataset is empty")
    if count <= most:
        return Check(Kind.ERRORS, "", "errors", demand, told, Result.PASSED)
    first = outcome.broken[0]
    many = "1 case has an error:" if count == 1 else f"{count} cases have an error, such as"
    reason = f"{many} {first.target!r} asked {first.question[:80]!r}: {first.reason}"
    return Check(Kind.ERRORS, "", "errors", demand, told, Result.FAILED, reason)


# Thresholds


def _thresholds(outcome: Outcome, threshold: Threshold) -> Iterator[Check]:
    labels = outcome.targets if ALL in threshold.target else threshold.target
    for target in labels:
        if threshold.fail_under is not None:
            yield _held(outcome, threshold, target, threshold.fail_under, under=True)
        if threshold.fail_over is not None:
            yield _held(outcome, threshold, target, threshold.fail_over, under=False)


def _held(outcome: Outcome, threshold: Threshold, target: str, limit: float, *, under: bool) -> Check:
    label, statistic = threshold.metric, threshold.statistic
    called = "" if statistic == "mean" else f"{statistic} of "
    demand = f"{called}{label} {'≥' if under else '≤'} {limit:g}"
    summary = outcome.summaries.get(target, {}).get(label)

    def check(result: Result, found: str, reason: str = "") -> Check:
        return Check(Kind.THRESHOLD, target, label, demand, found, result, reason, summary or {})

    if summary is None:
        return check(Result.FAILED, "–", f"{label} was not measured for {target!r}")
    if "mean" not in summary:
        many = f"{summary['errors']} errors" if summary["errors"] else outcome.reason(target, label)
        more = "; name the targets that it is for with `target`" if len(outcome.targets) > 1 else ""
        return check(Result.FAILED, "–", f"{label} applies to no case of {target!r}: {many}{more}")
    value, reason = _value(summary, statistic, under=under)
    if value is None:
        return check(Result.FAILED, "–", f"{label} of {target!r}: {reason}")
    missed = value < limit - SLACK if under else value > limit + SLACK
    found = f"{value:.4g}"
    if not missed:
        return check(Result.PASSED, found)
    return check(
        Result.FAILED,
        found,
        f"{called}{label} of {target!r} is {value:.4f}, {'under' if under else 'over'} {limit:g}"
        f" (mean {summary['mean']:.4f} of {summary['rows']} rows{_interval(summary)})",
    )


def _value(summary: Mapping[str, Any], statistic: str, *, under: bool) -> tuple[float | None, str]:
    """The statistic, or why there is none."""
    if statistic == "mean":
        return float(summary["mean"]), ""
    if statistic == "bound":
        end = summary.get("low" if under else "high")
        return (None, "one row has no interval") if end is None else (float(end), "")
    told = summary.get(statistic)
    if told is None:
        known = [name for name in summary if name.startswith("p") and name[1:2].isdigit()]
        return None, f"it tells no {statistic}, but {', '.join(['mean', 'bound', *known])}"
    return float(told["value"]), ""


def _interval(summary: Mapping[str, Any]) -> str:
    if summary.get("low") is None:
        return ""
    return f", interval {summary['low']:.4f} to {summary['high']:.4f}"


# The baseline


def _against(outcome: Outcome, suite: Suite, baseline: Baseline) -> Iterator[Check]:
    rules = suite.baseline
    pairs = 0
    for target in baseline.targets:
        judged = {
            label
            for label, info in baseline.measures[target].items()
            if (label in rules.metrics if rules.metrics is not None else info.unit not in TIMES)
        }
        found = dict(_comparisons(outcome, suite, baseline, target, judged))
        for label in baseline.measures[target]:
            if label in found:
                pairs += found[label].pairs
                if not found[label].pairs and found[label].alone == (0, 0):
                    continue  # it applies to neither run
                yield _compared_check(label, target, found[label], rules.tolerated(label), judged=label in judged)
            elif label in judged:
                yield _missing(target, label, baseline)
    known = {label for measures in baseline.measures.values() for label in measures}
    for label in rules.metrics or ():
        if label not in known:
            reason = f"{baseline.file} does not know {label}: save it anew"
            yield Check(Kind.BASELINE, "", label, "not worse", "–", Result.FAILED, reason)
    if not pairs:
        reason = f"no row of {baseline.file} is in this run: save it anew"
        yield Check(Kind.BASELINE, "", "rows", "rows in common", "0", Result.FAILED, reason)


def _missing(target: str, label: str, baseline: Baseline) -> Check:
    reason = f"{baseline.file} has {label} of {target!r}, and this run has not: measure it, or save it anew"
    return Check(Kind.BASELINE, target, label, "not worse", "–", Result.FAILED, reason)


def _comparisons(
    outcome: Outcome, suite: Suite, baseline: Baseline, target: str, judged: Set[str]
) -> Iterator[tuple[str, "Comparison"]]:
    """The measures that both runs have of a target. Of those that are judged, differences that are real by themselves
    but not among so many are unclear."""
    from service.metrics.base import Better
    from service.metrics.resampling import holm
    from service.metrics.stats import Verdict, compared

    level = suite.baseline.level
    found = {
        info.label: compared(
            baseline.scores(target, info.label),
            outcome.scores(target, info.label),
            better=Better(info.better),
            level=level,
        )
        for info in outcome.measures
        if target in outcome.targets and info.label in baseline.measures[target]
    }
    weighed = [label for label, item in found.items() if label in judged and item.p is not None]
    corrected = dict(zip(weighed, holm([found[label].p or 0.0 for label in weighed]), strict=True))
    for label, item in found.items():
        if item.real and corrected.get(label, 0.0) >= 1 - level:
            yield label, replace(item, verdict=Verdict.UNCLEAR)
        else:
            yield label, item


def _compared_check(label: str, target: str, comparison: "Comparison", tolerance: float, *, judged: bool) -> Check:
    """What a comparison says: only a difference for the worse that is real, and larger than tolerated, fails."""
    demand = "not worse" if not tolerance else f"not worse by more than {tolerance:g}"
    found = told(comparison)
    details = comparison.as_json()
    worse = comparison.verdict == "worse" and _size(comparison) > tolerance + SLACK
    if not judged:
        return Check(Kind.BASELINE, target, label, "not judged", found, Result.NOTED, details=details)
    if not comparison.pairs and not comparison.alone[0]:
        why = "the baseline has no value of it"
        return Check(Kind.BASELINE, target, label, "not judged", found, Result.NOTED, why, details)
    if not comparison.pairs:
        reason = f"{label} of {target!r}: no row that the baseline scores has a score now"
        return Check(Kind.BASELINE, target, label, demand, found, Result.FAILED, reason, details)
    if not worse:
        few = f"fewer than {FEWEST_PAIRS} rows in common: chance cannot be told from change"
        short = 0 < comparison.pairs < FEWEST_PAIRS and comparison.verdict != "equal"
        return Check(Kind.BASELINE, target, label, demand, found, Result.PASSED, few if short else "", details)
    reason = f"{label} of {target!r} is worse than in the baseline: {found}"
    return Check(Kind.BASELINE, target, label, demand, found, Result.FAILED, reason, details)


def _size(comparison: "Comparison") -> float:
    return abs(comparison.difference.value) if comparison.difference is not None else 0.0


def told(comparison: "Comparison") -> str:
    """A comparison in words: `0.9100 → 0.8700, −0.0400 [−0.0700, −0.0100], worse`."""
    if comparison.means is None or comparison.difference is None:
        return "no row in common"
    before, after = comparison.means
    interval = comparison.difference.interval
    ends = f" [{interval.low:+.4f}, {interval.high:+.4f}]" if interval is not None else ""
    return f"{before:.4f} → {after:.4f}, {comparison.difference.value:+.4f}{ends}, {comparison.verdict}"
