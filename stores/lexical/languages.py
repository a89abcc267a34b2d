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


def prepared() -> bool:
    """Whether `detect` has loaded what it needs."""
    return _identifier.cache_info().currsize > 0


def prepare() -> None:
    """Load what `detect` needs; may be called again."""
    _identifier()


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
    # Imported and unpacked on first use: up to a second that a process without keyword work does not pay.
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
        "a about am an and are as at be been being but by can could did do does for from had has have he her him his"
        " how i if in into is it its may me might my no not of on or our s shall she should so such t than that the"
        " their them then there these they this to too us was we were what when where which who whom why will with"
        " would you your"
    ),
    "de": _words(
        "aber als am an auch auf aus bei bin bis das dass dem den der des die durch ein eine einem einen einer eines"
        " er es für hat hatte haben ich ihr im in ist ja kann mit nach nicht noch nur ob oder sein sich sie sind so"
        " über um und uns unter vom von vor war waren warum was welche welchem welchen welcher welches wenn wer werden"
        " wie wird wo wurde wurden zu zum zur"
    ),
    "fr": _words(
        "à a au aux avec c ce ces cette comme d dans de des du elle elles en est et était été il ils j je l la le les"
        " leur leurs lui m mais n ne nous on ont ou où par pas plus pour qu quand que quel quelle quelles quels qui s"
        " sa se ses si son sont sur t un une vous y"
    ),
    "es": _words(
        "a al como con cuál cuándo de del dónde el ella ellos en era es esta este fue ha han la las le les lo los más"
        " me mi no nos o para pero por qué que quién se ser si sin sobre son su sus un una uno y ya yo"
    ),
    "it": _words(
        "a ai al alla alle anche che chi ci come con cosa cui da dal dalla de degli dei del della delle di dove e è era"
        " gli i il in l la le lo ma nel nella non o per più quale quali quando se si sono su sua suo un una uno"
    ),
    "pt": _words(
        "a ao aos as com como da das de do dos e é ela ele em era essa esse esta este eu foi mais mas na nas no nos não"
        " o os ou para pela pelo por qual quando que quem se sem ser seu sua são um uma"
    ),
    "nl": _words(
        "aan als bij dat de deze die dit door een en er haar heb heeft het hij hoe ik in is je kan maar meer met naar"
        " niet nog of om ook op over te tot uit van voor waar was wat welke wie wordt ze zich zij zijn"
    ),
}
"""Words that are neither indexed nor searched, by language: articles, prepositions, pronouns, auxiliaries, questions.

Written down here from grammar. Against articles and prepositions alone, the English pronouns, auxiliaries and question
words gain BM25 up to .02 nDCG@10 on questions as people ask them, and lose it nowhere.
"""
