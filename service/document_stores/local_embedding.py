"""Which bundled model a document store gets that names none: decided once, by what is first put into it.

all-MiniLM-L6-v2 is the best small model for English and knows nothing else; multilingual-e5-small finds passages in a
hundred languages, English nearly as well, at four times the work. So English text gets the former, and any real share
of other languages the latter (ADR 0034). The fingerprint of the first vectors records the choice.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from service.providers.defaults import Defaults
from service.providers.embedding import LOCAL, MINILM, MULTILINGUAL
from service.providers.embedding.e5.embedder import MODEL as MULTILINGUAL_MODEL
from service.providers.embedding.e5.weights import weights_file
from service.providers.embedding.onnx import BUNDLED as MINILM_MODEL
from stores.lexical.languages import detect

AUTO = "auto"
OTHER_SHARE = 0.25
"""The part of the text that must be in other languages than English. Names, codes and tables are mistaken for some
language now and then, so a single chunk decides nothing among many."""
LEAST_LETTERS = 40
"""Letters of a chunk that tell its language; shorter ones have no say."""
SAMPLE_CHUNKS = 64
"""Chunks that are looked at."""

_NAMES = {MINILM_MODEL: MINILM, MULTILINGUAL_MODEL: MULTILINGUAL}


def settled(fingerprint: Mapping[str, Any] | None, defaults: Defaults) -> str | None:
    """The embedder that `local` stands for in a document store with this fingerprint; None while its text decides.

    A model of the service's own (RAGSTONE_EMBEDDING_MODEL_PATH) is always it. What vectors were made by goes on being
    used, whatever RAGSTONE_EMBEDDING says since.
    """
    if defaults.embedding_model_path is not None:
        return LOCAL
    known = _NAMES.get(str(fingerprint.get("model"))) if fingerprint else None
    if known is not None:
        return known
    if defaults.embedding != AUTO:
        return defaults.embedding
    return None if weights_file() is not None else MINILM


def chosen(texts: Sequence[str]) -> str:
    """The embedder for a document store that begins with these texts."""
    letters: Counter[str] = Counter()
    for text in texts[:SAMPLE_CHUNKS]:
        count = sum(map(str.isalpha, text))
        # A Chinese or Japanese character says as much as several letters.
        if count >= LEAST_LETTERS or (count and not text.isascii() and detect(text, default="") != ""):
            letters[detect(text)] += count
    other = letters.total() - letters["en"]
    return MULTILINGUAL if other >= OTHER_SHARE * max(letters.total(), 1) and other else MINILM
