from pathlib import Path

from langchain_core.documents import Document
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from loaders.splitters.token import TokenSplitter, estimate

VOCABULARY = ["[UNK]", "ferry", "the", "leave", "##s", "at", "seven", ".", "##bo", "##at", "uber"]
TEXT = "The ferryboat leaves at seven. Über the ferry 🦆 leaves. " * 30


def tokenizer(folder: Path) -> Path:
    made = Tokenizer(WordPiece({word: n for n, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = BertNormalizer()
    made.pre_tokenizer = BertPreTokenizer()
    made.enable_truncation(8)
    made.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_the_tokens_of_a_model_are_counted_and_words_stay_whole(tmp_path: Path) -> None:
    path = tokenizer(tmp_path)
    count = Tokenizer.from_file(str(path))
    count.no_truncation()
    options = {"chunkSize": 10, "chunkOverlap": 2, "encodingName": "gpt2"}
    for made in (TokenSplitter(options, path), TokenSplitter({**options, "tokenizer": str(path)})):
        chunks = made.split([Document(page_content=TEXT)])
        assert len(chunks) > 20
        for chunk in chunks:
            assert len(count.encode(chunk.page_content).tokens) <= 10
            assert TEXT[chunk.metadata["start"] : chunk.metadata["end"]] == chunk.page_content
            before = TEXT[max(chunk.metadata["start"] - 1, 0) : chunk.metadata["start"]]
            assert not (before.isalnum() and chunk.page_content[0].isalnum())


def test_the_fingerprint_goes_by_what_is_counted(tmp_path: Path) -> None:
    path = tokenizer(tmp_path)
    prints = {
        TokenSplitter({}).fingerprint(),
        TokenSplitter({}, path).fingerprint(),
        TokenSplitter({}, str_tokens).fingerprint(),
    }
    assert len(prints) == 3
    assert TokenSplitter({}, path).fingerprint() == TokenSplitter({"tokenizer": str(path)}).fingerprint()


def str_tokens(text: str) -> list[tuple[int, int]]:
    return [(n, n + 1) for n in range(len(text))]


def test_a_callable_counts_what_it_returns() -> None:
    chunks = TokenSplitter({"chunkSize": 7, "chunkOverlap": 0}, str_tokens).split([Document(page_content="x" * 20)])
    assert [len(chunk.page_content) for chunk in chunks] == [7, 7, 6]


def test_the_estimate_counts_as_it_says() -> None:
    assert [len(estimate(text)) for text in ("word", "sevenseven", "知识库", "12345", "a-b", "", "x_y", "éé")] == [
        1,
        2,
        3,
        2,
        3,
        0,
        3,
        1,
    ]
