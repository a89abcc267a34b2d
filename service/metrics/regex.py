"""Whether a pattern is found in the answer."""

from typing import Any

from pydantic import Field

from service.errors import Unprocessable
from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable, scored

MOST_MEMORY = 16 * 1024 * 1024
"""Bytes that a pattern and its automaton may take."""


class RegexOptions(MetricOptions):
    """Which pattern, and how it is tried."""

    pattern: str = Field(min_length=1, max_length=2000, description="In RE2's syntax: no look-around, no references")
    ignore_case: bool = Field(False, description="Whether case does not matter")
    whole: bool = Field(False, description="Whether it must match the whole answer, blanks around it aside")


class Regex(PlainMetric):
    """1 when the pattern is found in the answer, else 0. RE2 needs time in proportion to the answer for every pattern
    (Cox 2007, "Regular expression matching can be simple and fast"): no pattern can hold up a run.

    Applicable to rows that were answered.
    """

    name = "regex"
    Options = RegexOptions
    options: RegexOptions

    def __init__(self, options: Any = None) -> None:
        """`options` are `RegexOptions`. Raises `Unprocessable` for what is no pattern."""
        if options is None:
            raise Unprocessable("metric 'regex': pattern: Field required")
        super().__init__(options)
        import re2  # type: ignore[import-untyped]

        rules = re2.Options()
        rules.max_mem = MOST_MEMORY
        rules.log_errors = False
        rules.case_sensitive = not self.options.ignore_case
        try:
            self._pattern = re2.compile(self.options.pattern, rules)
        except re2.error as error:
            told = error.args[0] if error.args else ""
            text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
            raise Unprocessable(f"metric 'regex': pattern: {text}") from None

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        answer = case.answer.encode(errors="replace").decode()  # lone surrogates are no text to RE2
        if self.options.whole:
            hit = self._pattern.fullmatch(answer.strip())
        else:
            hit = self._pattern.search(answer)
        return scored(float(hit is not None), **({} if hit is None else {"match": hit.group()[:200]}))
