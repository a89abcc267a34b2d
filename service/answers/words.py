"""How much of a question's words a text takes up, without a dictionary: for ranking sentences and telling silence.

A word of the question is met by a word with the same beginning, so that "calibrated" meets "calibration" and
"Urlaub" meets "Urlaubstage"; numbers are met only by themselves; scripts without spaces count by pairs of characters.
"""

import math
import re
from collections.abc import Callable, Collection, Sequence

Idf = Callable[[str], float]
"""The weight of a lower-case word: how rare it is in the whole document store."""

_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힯]+|(?:(?![぀-ヿ㐀-鿿가-힯])[^\W_])+(?:['’](?!s\b)[^\W\d_]+)?")
_BEGINS = re.compile(r"(?:^|[.!?:\n])\W*$")
_WIDE = re.compile(r"[぀-ヿ㐀-鿿가-힯]")

_ENGLISH = frozenset(
    word
    for line in (
        "a about after all also am an and any are as at be because been before being both but by can could did do",
        "does doing during each for from get gets got had has have having he her here him his how i if in into is",
        "it its just may me might more most much must my no not now of on one only or other our out over own shall",
        "she should so some such than that the their them then there these they this those through to too under",
        "until up us very was we were what when where which while who whom whose why will with would you your many",
        "long tell please mean happen happens",
    )
    for word in line.split()
)
_GERMAN = frozenset(
    word
    for line in (
        "aber alle allem allen aller alles als also am an ander andere anderen auch auf aus bei beim bin bis bist",
        "da damit dann das dass dein dem den denn der des die dies diese diesem diesen dieser dieses doch du durch",
        "ein eine einem einen einer eines er es etwas für gegen gibt hab habe haben hat hatte hatten hier ich ihm",
        "ihn ihr ihre ihrem ihren im in ist ja kann kein keine keinem keinen können man mein mich mir mit muss",
        "müssen nach nicht noch nur ob oder ohne sehr sein seine seinem seinen seiner sich sie sind so soll sollen",
        "über um und uns unser unter viel viele vom von vor wann war waren warum was weil welche welchem welchen",
        "welcher welches wem wen wenn wer werden wie wird wir wo wurde wurden zu zum zur zwischen lange bekomme",
        "bekommt darf dürfen",
    )
    for word in line.split()
)
FUNCTION_WORDS = _ENGLISH | _GERMAN
"""Words that ask and join but name nothing."""


def words(text: str) -> list[str]:
    """The words of a text in lower case, in order; pairs of characters for scripts without spaces."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if _WIDE.match(word) and len(word) > 2:
            found.extend(word[index : index + 2] for index in range(len(word) - 1))
        else:
            found.append(word)
    return found


def is_german(question: str) -> bool:
    """Whether a question's small words are German rather than English."""
    every = words(question)
    german = sum(word in _GERMAN and word not in _ENGLISH for word in every)
    english = sum(word in _ENGLISH and word not in _GERMAN for word in every)
    return german > english


def content_words(question: str) -> list[str]:
    """The words of a question that name something, each once; all of its words when none does."""
    every = list(dict.fromkeys(words(question)))
    return [word for word in every if word not in FUNCTION_WORDS] or every


def meets(word: str, other: str) -> bool:
    """Whether two words count as the same: equal, or with the same beginning but for an ending."""
    if word == other:
        return True
    shorter = min(len(word), len(other))
    if shorter < 3 or word[0] != other[0] or not (word.isalpha() and other.isalpha()):
        return False
    if shorter == 3:
        return abs(len(word) - len(other)) <= 1 and word[:3] == other[:3]
    alike = max(4, math.ceil(0.75 * shorter))
    return word[:alike] == other[:alike]


def met(sought: Collection[str], text: str) -> frozenset[str]:
    """Those of the words `sought` that are met in `text`."""
    held = set(words(text))
    return frozenset(word for word in sought if _held(word, held))


class Question:
    """A question's words with their weights, against which texts are measured."""

    def __init__(self, question: str, texts: Sequence[str], idf: Idf | None = None) -> None:
        """`texts`: the passages; without `idf`, weights are estimated from how many of them hold a word."""
        self.words = content_words(question)
        self.weights = [idf(word) for word in self.words] if idf else self._estimated(texts)

    def coverage(self, text: str) -> float:
        """The share of the question's weight whose words are met in `text`, in [0, 1]."""
        return self.share(self.met(text))

    def met(self, text: str) -> frozenset[str]:
        """The question's words that are met in `text`."""
        return met(self.words, text)

    def share(self, told: Collection[str]) -> float:
        """The share of the question's weight that these of its words have, in [0, 1]."""
        total = sum(self.weights)
        held = sum(weight for word, weight in zip(self.words, self.weights, strict=True) if word in told)
        return held / total if total > 0 else 0.0

    def _estimated(self, texts: Sequence[str]) -> list[float]:
        sets = [set(words(text)) for text in texts]
        weights = []
        for word in self.words:
            share = sum(_held(word, held) for held in sets)
            weights.append(1.0 + math.log((len(sets) + 1) / (share + 1)))
        return weights


def _held(word: str, held: set[str]) -> bool:
    return word in held or any(meets(word, other) for other in held)


def names(question: str) -> list[str]:
    """The words of a question that must be those of its answer: with a figure, or written large within a sentence.

    None are written large in German, where every noun is, and in a question that is all large or small.
    """
    found = [word for word in words(question) if any(letter.isdigit() for letter in word)]
    if is_german(question):
        return found
    large = [
        match.group()
        for match in _WORD.finditer(question)
        if match.group()[0].isupper() and not _BEGINS.search(question, 0, match.start())
    ]
    parts = [part for word in large for part in words(word) if len(part) > 1 and part not in FUNCTION_WORDS]
    return found if question.isupper() else [*found, *parts]
