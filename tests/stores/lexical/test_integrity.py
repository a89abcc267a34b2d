"""What is wrong with a keyword index that was broken on purpose is found, and what can be mended of it is."""

from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from stores.lexical.base import POSTING
from stores.lexical.index import LexicalIndex
from stores.lexical.integrity import Faults, faults, mend
from stores.records.database import Database
from tests.stores.lexical.test_index import CATS, WORKSPACE, add, remove, search

TEXTS = dict(enumerate([*CATS, "two more cats", "and a bird"], 1))


@pytest.fixture
async def store(database: Database) -> UUID:
    """An index of two segments, whose second chunk is removed."""
    index, store = LexicalIndex(), uuid4()
    await add(database, index, store, [TEXTS[number] for number in range(1, 5)])
    await add(database, index, store, [TEXTS[5], TEXTS[6]])
    await remove(database, index, store, [2])
    return store


async def broken(database: Database, statement: Any, *params: Any) -> None:
    """Run a statement that no part of the service runs."""
    async with database.connection() as connection:
        assert (await connection.execute(statement, params)).rowcount > 0


async def found(database: Database, store: UUID) -> Faults:
    """What is found without looking at texts."""
    async with database.read(WORKSPACE) as scope:
        return await faults(scope, store, 6)


async def mended(database: Database, store: UUID) -> Faults:
    """What is left after everything was mended that needs no text."""
    before = await found(database, store)
    async with database.write(WORKSPACE) as scope:
        await mend(scope, store, sorted(before.surplus), 6)
    return await found(database, store)


async def texts(after: int) -> dict[int, str]:
    return {number: text for number, text in TEXTS.items() if number > after and number != 2}


async def test_a_removed_chunk_whose_words_wait_for_a_compaction_is_no_fault(database: Database, store: UUID) -> None:
    async with database.read(WORKSPACE) as scope:
        assert await faults(scope, store, 6, texts) == Faults()


async def test_no_index_of_no_chunks_has_no_fault(database: Database) -> None:
    async with database.read(WORKSPACE) as scope:
        assert await faults(scope, uuid4(), 0) == Faults()


async def test_chunks_that_lost_a_word_are_found(database: Database, store: UUID) -> None:
    await broken(database, "DELETE FROM lexical_postings WHERE term = 'cat' AND segment = 1")
    assert await found(database, store) == Faults([1])


async def test_a_length_that_is_not_that_of_the_words_is_found(database: Database, store: UUID) -> None:
    await broken(database, "UPDATE lexical_documents SET length = length + 1 WHERE number = 3")
    assert await found(database, store) == Faults([3], miscounted=True)
    assert await mended(database, store) == Faults([3])


async def test_other_words_than_those_of_the_text_are_found_by_who_reads_the_texts(
    database: Database, store: UUID
) -> None:
    await broken(database, "UPDATE lexical_postings SET term = 'horse' WHERE term = 'bird'")
    assert await found(database, store) == Faults()
    async with database.read(WORKSPACE) as scope:
        assert await faults(scope, store, 6, texts) == Faults([6])


async def test_a_live_chunk_that_is_taken_for_removed_is_found(database: Database, store: UUID) -> None:
    await broken(database, "UPDATE lexical_indexes SET removed = removed || int4send(5)")
    assert await found(database, store) == Faults([5])


async def test_words_of_no_chunk_are_taken_out_and_the_others_stay(database: Database, store: UUID) -> None:
    stray = np.array([(-7, 1, 1), (1_000_000, 1, 1)], POSTING).tobytes()
    await broken(database, "DELETE FROM lexical_documents WHERE number = 1")
    await broken(database, "UPDATE lexical_postings SET postings = postings || %s WHERE term = 'bird'", stray)
    assert await found(database, store) == Faults([], {1, -7, 1_000_000}, miscounted=True)
    assert await mended(database, store) == Faults()
    index = LexicalIndex()
    assert list((await search(database, index, store, "cats")).numbers) == [5]
    assert list((await search(database, index, store, "dog")).numbers) == [3]
    assert list((await search(database, index, store, "bird")).numbers) == [6]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lexical_indexes SET documents = 17",
        "UPDATE lexical_indexes SET total_length = 0",
        "UPDATE lexical_indexes SET languages = '{}'",
        "UPDATE lexical_indexes SET next_number = 3",
        "UPDATE lexical_indexes SET next_segment = 1",
        "DELETE FROM lexical_segments WHERE segment = 1",
    ],
)
async def test_what_is_counted_wrongly_is_counted_anew(database: Database, store: UUID, statement: str) -> None:
    await broken(database, statement)
    assert await found(database, store) == Faults(miscounted=True)
    assert await mended(database, store) == Faults()
    index = LexicalIndex()
    assert await add(database, index, store, ["one more cat"]) == [7]
    assert list((await search(database, index, store, "cats")).numbers) == [1, 5, 7]


async def test_an_index_that_is_gone_begins_anew_and_gives_no_number_twice(database: Database, store: UUID) -> None:
    await broken(database, "DELETE FROM lexical_indexes")
    assert await found(database, store) == Faults([], {1, 2, 3, 4, 5, 6}, miscounted=True)
    assert await mended(database, store) == Faults()
    assert await add(database, LexicalIndex(), store, ["one more cat"]) == [7]
