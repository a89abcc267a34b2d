"""From text to index terms, by language: what two texts must share to count as using the same word.

A text is normalised (NFKC, case folded) and cut into words. Words of scripts that put no spaces between them become
single characters and pairs of neighbours. Other words lose the stop words of the text's language and are stemmed by
its Snowball algorithm; Latin letters lose their accents. Numbers and codes stay whole: "PA-22-150" gives the
word pa22150 beside its parts.

A query is read in every language that its index holds: each of its words becomes a `Group` of variants.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stores.lexical.languages import DEFAULT, STEMMERS, STOP_WORDS, detect, stemmer

LONGEST_TERM = 64
"""Characters of a term; longer words are cut."""

_UNSPACED_LETTERS = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul, whose particles cling to the words
)
# Combining marks are no word characters to `re`, though Indic and Semitic words hold them.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff\u0f00-\u0fff"
)
# The plain letters at first: nearly all are, and the class behind them is looked through range by range.
_WORD = re.compile(f"(?:[a-z0-9]++|(?![_{_UNSPACED_LETTERS}])[\\w{_MARKS}])+|[{_UNSPACED_LETTERS}]+")
_UNSPACED_START = re.compile(f"[{_UNSPACED_LETTERS}]")
_CONTRACTION = re.compile(r"(?<=\w)['’](?:s|t|d|m|ll|re|ve)\b")
_CODE = re.compile(r"(?a:(?<!\w)\w++)(?:[-./,:](?a:\w)+)+")
_DIGIT = re.compile(r"\d")
_JOINER = re.compile(r"[-./,:_]")


@dataclass(frozen=True, slots=True)
class Analysed:
    """A chunk as the index sees it: how often each term occurs, how many words it has, and its language."""

    terms: Counter[str]
    length: int
    language: str


@dataclass(frozen=True, slots=True)
class Group:
    """One word of a query: a chunk scores its best variant. An optional one counts only where the index knows it."""

    variants: tuple[str, ...]
    optional: bool = False


def analyse(text: str) -> Analysed:
    """The terms of a chunk, in the language that it is written in."""
    normal = normalised(text)
    language = detect(normal)
    terms = _terms(normal, language)
    return Analysed(terms, terms.total(), language)


def analyse_query(text: str, languages: Sequence[str]) -> list[Group]:
    """The words of a query, each once, read in these languages; stop words of the query's language are left out."""
    normal = normalised(text)
    known = tuple(dict.fromkeys(languages)) or (DEFAULT,)
    spoken = _spoken(normal, known)
    stop_sources = (spoken,) if spoken in known else known
    groups: dict[tuple[str, ...], Group] = {}
    for word in _words(normal):
        if _UNSPACED_START.match(word):
            groups |= {(piece,): Group((piece,)) for piece in _pieces(word)}
        elif not any(word in STOP_WORDS.get(language, ()) for language in stop_sources):
            meaningful = [each for each in known if word not in STOP_WORDS.get(each, ())]
            variants = tuple(dict.fromkeys(_stem(word, each) for each in meaningful))
            if variants:
                groups[variants] = Group(variants)
    for code in _codes(normal):
        groups.setdefault((code,), Group((code,), optional=True))
    return list(groups.values())


def query_language(text: str, languages: Sequence[str]) -> str:
    """The language of a query over an index with these languages, the most frequent first; that one when in doubt."""
    known = tuple(languages) or (DEFAULT,)
    return _spoken(normalised(text), known) or known[0]


def normalised(text: str) -> str:
    """The text in the form that words are cut from."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _CONTRACTION.sub("", folded)


def _spoken(normal: str, known: Sequence[str]) -> str:
    """The language of a query, "" when it is too short to tell."""
    # Telling the language costs time and memory, and an index in one language answers the question.
    return known[0] if len(known) == 1 else detect(normal, default="")


def _terms(normal: str, language: str) -> Counter[str]:
    stops = STOP_WORDS.get(language, frozenset())
    terms = Counter(_codes(normal))
    for word, times in Counter(_words(normal)).items():  # each word is looked at once, however often it occurs
        if not word.isascii() and _UNSPACED_START.match(word):
            for piece in _pieces(word):
                terms[piece] += times
        elif word not in stops:
            terms[_stem(word, language)] += times
    return terms


def _words(normal: str) -> list[str]:
    return _WORD.findall(normal)


def _pieces(word: str) -> Iterator[str]:
    """Characters, and pairs of neighbours."""
    yield from word
    for index in range(len(word) - 1):
        yield word[index : index + 2]


def _codes(normal: str) -> Iterator[str]:
    """Numbers and names with separators in them, put together."""
    for code in _CODE.findall(normal):
        if _DIGIT.search(code):
            yield _JOINER.sub("", code)[:LONGEST_TERM]


@lru_cache(maxsize=1 << 17)
def _stem(word: str, language: str) -> str:
    """The word's term in a language. Cached, because a few thousand words make up most text."""
    stem = stemmer(language).stemWord(word) if language in STEMMERS else word
    if not stem.isascii() and stem[0] < "\u0250":
        stem = "".join(letter for letter in unicodedata.normalize("NFKD", stem) if not unicodedata.combining(letter))
    return stem[:LONGEST_TERM] or word[:LONGEST_TERM]
