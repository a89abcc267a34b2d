"""Questions of a chunk without a model: from its heading and its sentences.

A sentence that says what something is makes "What is …?"; one with a figure is asked for that figure; any other is
asked for by its heading and its longest words. The expected answer is the sentence itself, as it stands in the chunk.
Such questions are plainer than people's: they find what is missing from an index, and want somebody to accept them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.answers.units import LONGEST, Unit, units
from service.answers.words import FUNCTION_WORDS, is_german

SHORTEST = 30
"""Characters of a sentence that a question is made of."""
LONGEST_TOPIC = 80
LONGEST_HEADING = 120

_IS = re.compile(
    r"^(?P<subject>(?:(?:The|A|An|Der|Die|Das|Ein|Eine)\s)?[^\W\d_][^,;:.!?()]{1,78}?)\s(?P<verb>is|are|ist|sind)\s"
    r"(?:an?\s|the\s|eine?\s|der\s|die\s|das\s)"
)
_FIGURE = re.compile(r"(?<![\w.,])[$€£]?\d+(?:[.,:]\d+)*(?!\w)(?:\s?[%€])?")
_WORD = re.compile(r"[^\W_][\w'’-]*")
_PRONOUN = re.compile(
    r"^(?:this|that|these|those|it|they|he|she|we|you|there|here|what|which|dies\w*|das|es|er|sie|wir|ihr|man|hier|da|was)$",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"^(?:this|that|these|those|it|they|he|she|its|their|dies\w*|es|er|sie|dabei|dazu|hierbei|hierzu|damit)\b",
    re.IGNORECASE,
)
_FOREWORD = re.compile(r"^\s*(?:[-*+•–]|\d{1,3}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, what answers it, and the words of the chunk that say so."""

    text: str
    answer: str
    quote: str


def of_chunk(text: str, heading: str = "") -> Question | None:
    """The best question of a chunk under a heading; None where nothing in it can be asked for."""
    heading = heading.rpartition(">")[2].strip()[:LONGEST_HEADING]
    found = [unit for unit in units(text, heading) if _worth(unit)]
    if not found:
        return None
    best = max(found, key=lambda unit: (_score(unit), -unit.start))
    sentence = _FOREWORD.sub("", best.text).strip()
    # what is quoted stands in the chunk letter by letter, so that it can be looked for there
    quote = text[best.start : best.end].strip()
    return Question(_asked(sentence, best.context.strip() or heading, text), sentence, quote)


def _worth(unit: Unit) -> bool:
    return (
        SHORTEST <= len(unit.text) <= LONGEST
        and not unit.is_fragment
        and not unit.text.endswith(("?", "？", ":"))
        and len(_WORD.findall(unit.text)) >= 4
    )


def _score(unit: Unit) -> float:
    """How well a sentence can be asked for: by itself, with a figure or a definition, neither short nor long."""
    text = unit.text
    score = 2.0 * (_definition(text) is not None) + 1.5 * bool(_FIGURE.search(text)) + 0.5 * bool(unit.context)
    score -= 2.0 * bool(_REFERS.match(text)) + 1.0 * unit.is_row
    return score + 0.5 * (50 <= len(text) <= 250)


def _definition(sentence: str) -> str | None:
    """The subject of a sentence that says what it is."""
    found = _IS.match(sentence)
    if found is None:
        return None
    subject = " ".join(found["subject"].split())
    return None if _PRONOUN.match(subject) or len(subject) > LONGEST_TOPIC else subject


def _asked(sentence: str, heading: str, text: str) -> str:
    german = is_german(sentence) or (is_german(text) and not _tells_language(sentence))
    subject, found = _definition(sentence), _IS.match(sentence)
    if subject is not None and found is not None:
        return f"{'Was' if german else 'What'} {found['verb']} {_lowered(subject)}?"
    figure = _FIGURE.search(sentence)
    if figure is not None:
        gap = f"{sentence[: figure.start()]}…{sentence[figure.end() :]}"
        if german:
            return f"Welche Zahl fehlt{f' (unter „{heading}“)' if heading else ''}: „{gap}“"
        return f"Which figure is missing{f' (under “{heading}”)' if heading else ''}: “{gap}”"
    topic = ", ".join(_topic(sentence, heading))
    if german:
        return f"Was steht {f'unter „{heading}“' if heading else 'in den Unterlagen'} zu: {topic}?"
    return f"What {f'does “{heading}”' if heading else 'do the documents'} say about: {topic}?"


def _tells_language(sentence: str) -> bool:
    """Whether a sentence has small words of its own, by which its language is known."""
    return any(word in FUNCTION_WORDS for word in sentence.casefold().split())


def _lowered(subject: str) -> str:
    """A subject as it stands within a sentence: its article is small."""
    first, space, rest = subject.partition(" ")
    articles = ("The", "A", "An", "Der", "Die", "Das", "Ein", "Eine")
    return f"{first.lower()}{space}{rest}" if first in articles and rest else subject


def _topic(sentence: str, heading: str) -> Sequence[str]:
    """Up to four words that name what a sentence is about: the longest that the heading does not have, in order."""
    above = set(_WORD.findall(heading.casefold()))
    words = dict.fromkeys(
        word
        for word in _WORD.findall(sentence)
        if len(word) > 2 and word.casefold() not in FUNCTION_WORDS and word.casefold() not in above
    )
    chosen = set(sorted(words, key=len, reverse=True)[:4])
    return [word for word in words if word in chosen] or [sentence[:LONGEST_TOPIC]]
