"""The languages of the keyword index: which one a text is in, how its words are stemmed, which of them say nothing."""

import re
from functools import cache, lru_cache
from typing import Protocol, cast

STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
"""Language code to Snowball algorithm."""

UNSPACED = ("zh", "ja", "ko", "th")
"""Languages that are told apart but not stemmed: they are indexed by characters."""

PLAIN = ("uk", "bg", "vi", "he")
"""Languages that are told apart so that no other language's rules are applied to them."""

DEFAULT = "en"
"""The language of texts too short to tell."""

SHORTEST = 20
"""Letters that a text needs for its language to be told."""

SAMPLE = 300
"""Characters that are looked at."""

_LETTERS = re.compile(r"[^\W\d_]")


class Stemmer(Protocol):
    """A Snowball stemmer."""

    def stemWord(self, word: str) -> str:
        """The stem of a lower-case word."""
        ...


class _Identifier(Protocol):
    def set_languages(self, langs: list[str]) -> None: ...

    def classify(self, instance: str) -> tuple[str, float]: ...


def detect(text: str, *, default: str = DEFAULT) -> str:
    """The language code of a text, `default` when it has too few letters to tell."""
    sample = text[:SAMPLE]
    if len(_LETTERS.findall(sample[:200])) < SHORTEST and not _unspaced(sample):
        return default
    return _classified(sample)


@lru_cache(maxsize=512)
def _classified(sample: str) -> str:
    return _identifier().classify(sample)[0]


@cache
def stemmer(language: str) -> Stemmer:
    """The stemmer of a language in `STEMMERS`, without a cache of its own."""
    import Stemmer as snowball

    return cast(Stemmer, snowball.Stemmer(STEMMERS[language], 0))


@cache
def _identifier() -> _Identifier:
    # Imported and unpacked on first use: a tenth of a second that a process without keyword work does not pay.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = cast(_Identifier, LanguageIdentifier.from_model_file(MODEL_FILE))
    identifier.set_languages([*STEMMERS, *UNSPACED, *PLAIN])
    return identifier


def _unspaced(sample: str) -> bool:
    """Whether a short text is in a script whose few characters already tell the language."""
    return sum("\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7af" for letter in sample) >= 4


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = {
    "en": _words(
        "a an and are as at be but by for if in into is it no not of on or such that the their then there these they"
        " this to was will with"
    ),
}
"""Words that are neither indexed nor searched, by language: articles, prepositions, pronouns, auxiliaries."""
