"""How answers say that they do not know: told by their words.

An answer abstains when it is empty, or when it cites nothing, is no longer than `LONGEST` and holds one of the phrases.
An answer with a source number has found something, whatever else it says.
"""

import re
from collections.abc import Iterable

from service.answers.extractive import REFUSAL, REFUSAL_GERMAN
from service.metrics.gold import folded
from service.metrics.wording import MARKER

LONGEST = 400
"""Characters of an answer that abstains; a longer one says more than that."""

OWN = (REFUSAL, REFUSAL_GERMAN)
"""What this service says when it answers without a model."""

PHRASES = (
    "i'm not sure",
    "i am not sure",
    "i don't know",
    "i do not know",
    "i don't have information",
    "i do not have information",
    "i don't have enough information",
    "i do not have enough information",
    "i couldn't find",
    "i could not find",
    "i cannot find",
    "i can't find",
    "i cannot answer",
    "i can't answer",
    "i'm unable to answer",
    "i am unable to answer",
    "not in the knowledge base",
    "not in my knowledge base",
    "knowledge base does not contain",
    "knowledge base doesn't contain",
    "does not contain an answer",
    "does not contain the answer",
    "does not contain any information",
    "does not contain information",
    "do not contain the answer",
    "do not contain information",
    "do not contain any information",
    "context does not",
    "context doesn't",
    "is not mentioned in",
    "no information about",
    "no information on",
    "cannot be answered",
    "can't be answered",
    "ich weiß es nicht",
    "ich weiß das nicht",
    "weiß ich nicht",
    "ich bin mir nicht sicher",
    "ich bin nicht sicher",
    "keine antwort auf diese frage",
    "keine informationen",
    "keine angaben",
    "nicht beantworten",
    "nicht beantwortet werden",
    "nicht in der wissensbasis",
    "konnte ich nicht finden",
    "konnte nichts finden",
    "kann ich nicht finden",
)
"""What chat models say, in English and German; other languages need phrases of their own."""

_CITED = re.compile(MARKER)
_APOSTROPHES = str.maketrans("’‘ʼ´`", "'''''")


def abstains(answer: str, further: Iterable[str] = (), *, known: bool = True) -> bool:
    """Whether an answer says that it does not know. `further`: phrases besides; `known`: those of this module count."""
    text = _plain(answer)
    if not text:
        return True
    if len(text) > LONGEST or _CITED.search(answer):
        return False
    phrases = [*(OWN + PHRASES if known else OWN), *further]
    return any(phrase in text for phrase in map(_plain, phrases) if phrase)


def _plain(text: str) -> str:
    return folded(text.translate(_APOSTROPHES))
