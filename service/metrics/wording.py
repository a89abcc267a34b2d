"""Words of answers, as the formulas that compare answers count them."""

import re
import string
import unicodedata
from abc import abstractmethod

from pydantic import Field

from service.answers.markers import MARKER as PLAIN
from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
MARKER = rf"{PLAIN}(?:\([^()\s]{{0,500}}\))?"
"""The pattern of a source number in an answer: [1], [2, 3], [4-6], each also as a Markdown link."""

_MARKED = re.compile(rf"\s*{MARKER}")
_WIDE = re.compile(r"([぀-ヿ㐀-鿿가-힯])")
_WORD = re.compile(r"[^\W_]+")


class ComparingOptions(MetricOptions):
    """How an answer is held against the expected ones."""

    keep_markers: bool = Field(False, description="Compare source numbers like [1] as well")


class ComparingMetric(PlainMetric):
    """A metric that holds the answer against the expected ones, the best of which counts (as SQuAD's script does).
    Applicable to rows with an expected answer that were answered."""

    Options = ComparingOptions
    options: ComparingOptions

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        if not case.expected:
            return not_applicable("the row has no expected answer")
        answer = case.answer if self.options.keep_markers else without_markers(case.answer)
        return max((self.compared(answer, expected) for expected in case.expected), key=lambda score: score.value or 0)

    @abstractmethod
    def compared(self, answer: str, expected: str) -> Score:
        """A value: what the answer is worth by one expected answer."""


def without_markers(answer: str) -> str:
    """An answer without its source numbers (`[1]`, `[2, 3]`)."""
    return _MARKED.sub("", answer)


def squad(text: str) -> str:
    """Text as SQuAD's script compares it: lower case, without ASCII punctuation, without the articles a, an and the,
    one blank between words. Unicode's composed forms besides: they look the same."""
    lower = unicodedata.normalize("NFC", text).lower()
    plain = "".join(sign for sign in lower if sign not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def squad_tokens(text: str) -> list[str]:
    """The words of a text as SQuAD's script compares them; characters of scripts without spaces are words of their own,
    as MLQA has it."""
    return _WIDE.sub(r" \1 ", squad(text)).split()


def rouge_tokens(text: str) -> list[str]:
    """The runs of letters and digits of a text, in lower case: for ASCII the words of the `rouge-score` package without
    its stemmer. Characters of scripts without spaces are words of their own."""
    return _WORD.findall(_WIDE.sub(r" \1 ", unicodedata.normalize("NFC", text).lower()))


def harmonic(precision: float, recall: float) -> float:
    """F1: their harmonic mean; 0 where both are."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
