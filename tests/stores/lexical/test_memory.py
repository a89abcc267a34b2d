"""Posting lists that are remembered: read once, and never used for another state of the index."""

from uuid import uuid4

import numpy as np

from stores.lexical.index import LexicalIndex
from stores.lexical.memory import OVERHEAD, Memory
from stores.records.database import Database
from tests.stores.lexical.test_index import CATS, WORKSPACE, add, remove, search

GONE = "DELETE FROM lexical_postings WHERE store_id = %(store)s"
"""Whoever finds words after this has not read their lists again."""


async def test_lists_are_read_once(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    await add(database, index, store, CATS)
    before = await search(database, index, store, "cats unicorns")
    async with database.write(WORKSPACE) as scope:
        await scope.run(GONE, store=store)
    again = await search(database, index, store, "cats unicorns")
    assert again.numbers.tolist() == before.numbers.tolist() == [2, 1]
    assert again.bound == before.bound
    # one that was not asked for before is read, and so is everything by who remembers nothing
    assert (await search(database, index, store, "dog")).numbers.tolist() == []
    assert (await search(database, LexicalIndex(0), store, "cats")).numbers.tolist() == []


async def test_every_change_is_seen_at_once_by_other_processes(database: Database) -> None:
    writer, reader, store = LexicalIndex(), LexicalIndex(), uuid4()
    await add(database, writer, store, CATS)
    assert (await search(database, reader, store, "cats")).numbers.tolist() == [2, 1]
    (new,) = await add(database, writer, store, ["cats"])
    assert (await search(database, reader, store, "cats")).numbers.tolist() == [2, new, 1]
    await remove(database, writer, store, [2])
    assert (await search(database, reader, store, "cats")).numbers.tolist() == [new, 1]


async def test_what_was_seen_of_a_transaction_that_failed_is_not_remembered_as_true(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    await add(database, index, store, CATS)
    async with database.write(WORKSPACE) as scope, scope.connection.transaction(force_rollback=True):
        await index.add(scope, store, ["cats"])
        assert len((await index.search(scope, store, "cats", 10)).numbers) == 3
    # the next change has the numbers that the failed one had
    await add(database, index, store, ["a dog"])
    assert (await search(database, index, store, "cats")).numbers.tolist() == [2, 1]


async def test_an_index_that_begins_anew_has_nothing_of_the_former(database: Database) -> None:
    index, reader, store = LexicalIndex(), LexicalIndex(), uuid4()
    await add(database, index, store, CATS)
    assert len((await search(database, reader, store, "cats")).numbers) == 2
    async with database.write(WORKSPACE) as scope:
        await index.drop(scope, store)
    await add(database, index, store, ["dogs", "cats", "birds", "fish"])
    assert (await search(database, reader, store, "cats")).numbers.tolist() == [2]


async def test_memory_is_bounded_and_what_is_used_stays(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    words = [f"word{number}" for number in range(50)]
    await add(database, index, store, [" ".join(words)] * 4)
    memory = Memory(10 * (4 * 8 + OVERHEAD) + OVERHEAD)
    async with database.read(WORKSPACE) as scope:
        for word in words:
            known = await memory.lists(scope, store, ["word0", word])
            assert known is not None
            assert {*known.lists} == {"word0", word}
            assert [each.numbers.tolist() for each in known.lists.values()] == [[1, 2, 3, 4]] * len(known.lists)
    assert [term for _, term in memory._lists] == [*words[-9:-1], "word0", words[-1]]
    assert memory._held == sum(each.size + OVERHEAD for each in memory._lists.values()) + OVERHEAD
    async with database.write(WORKSPACE) as scope:
        await index.drop(scope, store)
        assert await memory.lists(scope, store, ["word0"]) is None
    assert (memory._held, len(memory._lists), len(memory._states)) == (0, 0, 0)


async def test_code_that_knows_no_versions_makes_new_ones_all_the_same(database: Database) -> None:
    index, reader, store = LexicalIndex(), LexicalIndex(), uuid4()
    await add(database, index, store, CATS)
    assert (await search(database, reader, store, "cats")).numbers.tolist() == [2, 1]
    async with database.write(WORKSPACE) as scope:  # as an older worker beside a newer server would
        await scope.run("UPDATE lexical_indexes SET documents = documents WHERE store_id = %(store)s", store=store)
        await scope.run(GONE, store=store)
    assert (await search(database, reader, store, "cats")).numbers.tolist() == []


async def test_removed_chunks_are_in_no_remembered_list(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    numbers = await add(database, index, store, [f"cats number{number}" for number in range(6)])
    await remove(database, index, store, numbers[::2])
    memory = Memory(1 << 20)
    async with database.read(WORKSPACE) as scope:
        for _ in range(2):
            known = await memory.lists(scope, store, ["cat"])
            assert known is not None
            np.testing.assert_array_equal(known.lists["cat"].numbers, numbers[1::2])
