"""The keyword index against the definition of BM25, and against a fresh index after any history."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stores.lexical import compaction, integrity
from stores.lexical.base import K1, B, Hits
from stores.lexical.index import LONGEST_QUERY, LexicalIndex
from stores.records.database import Database

WORKSPACE = UUID(int=1)
CATS = ["cats and dogs", "cats cats cats", "a dog barks", "nothing of the kind here today"]


async def add(database: Database, index: LexicalIndex, store: UUID, texts: Sequence[str]) -> list[int]:
    """Index texts in a transaction of their own."""
    async with database.write(WORKSPACE) as scope:
        return [int(number) for number in await index.add(scope, store, texts)]


async def remove(database: Database, index: LexicalIndex, store: UUID, numbers: Sequence[int]) -> None:
    """Remove chunks in a transaction of their own."""
    async with database.write(WORKSPACE) as scope:
        await index.remove(scope, store, numbers)


async def search(database: Database, index: LexicalIndex, store: UUID, query: str, **options: Any) -> Hits:
    """Search with a limit of ten unless another is given."""
    async with database.read(WORKSPACE) as scope:
        return await index.search(scope, store, query, options.pop("limit", 10), **options)


def bm25(texts: Sequence[Sequence[str]], query: Sequence[str]) -> tuple[list[float], float]:
    """Scores and bound by the textbook, word by word."""
    average = sum(map(len, texts)) / len(texts)
    scores, bound = [0.0] * len(texts), 0.0
    for word in query:
        having = sum(word in text for text in texts)
        idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        bound += idf
        for place, text in enumerate(texts):
            count = text.count(word)
            scores[place] += idf * count / (count + K1 * (1 - B + B * len(text) / average))
    return scores, bound


async def test_scores_and_bound_are_those_of_the_formula(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    numbers = await add(database, index, store, CATS)
    hits = await search(database, index, store, "Cats, dog & zebra")
    words = [["cat", "dog"], ["cat"] * 3, ["dog", "bark"], ["noth", "kind", "here", "today"]]
    scores, bound = bm25(words, ["cat", "dog", "zebra"])
    expected = sorted(zip(numbers, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))
    assert list(hits.numbers) == [number for number, score in expected if score]
    assert list(hits.scores) == pytest.approx([score for _, score in expected if score], rel=1e-5)
    assert hits.bound == pytest.approx(bound, rel=1e-6)
    assert list(hits.of(np.array([*numbers, 999, -1]))) == pytest.approx([*scores, 0, 0], rel=1e-5)


async def test_an_index_that_does_not_exist_has_no_hits(database: Database) -> None:
    hits = await search(database, LexicalIndex(), uuid4(), "anything")
    assert len(hits.numbers) == 0
    assert hits.bound == 0


async def test_a_query_of_stop_words_or_nothing_finds_nothing(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    await add(database, index, store, CATS)
    for query in ("", "the of and", "?!"):
        hits = await search(database, index, store, query)
        assert (len(hits.numbers), hits.bound) == (0, 0)


async def test_indexes_do_not_leak_into_each_other(database: Database) -> None:
    index, one, two = LexicalIndex(), uuid4(), uuid4()
    await add(database, index, one, ["apple"])
    await add(database, index, two, ["pear"])
    assert len((await search(database, index, one, "pear")).numbers) == 0
    async with database.write(WORKSPACE) as scope:
        await index.drop(scope, one)
        await index.drop(scope, one)
    assert len((await search(database, index, one, "apple")).numbers) == 0
    assert len((await search(database, index, two, "pear")).numbers) == 1
    assert await add(database, index, one, ["apple again"]) == [1]


async def test_limit_and_allowed_cut_the_answer_and_change_no_score(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    numbers = await add(database, index, store, ["same words"] * 5 + ["same same words"])
    whole = await search(database, index, store, "same")
    assert list(whole.numbers) == [numbers[5], *numbers[:5]]
    assert list((await search(database, index, store, "same", limit=3)).numbers) == list(whole.numbers[:3])
    assert len((await search(database, index, store, "same", limit=0)).numbers) == 0
    allowed = np.array([numbers[3], numbers[1], 77, -4])
    some = await search(database, index, store, "same", allowed=allowed)
    assert list(some.numbers) == [numbers[1], numbers[3]]
    assert list(some.scores) == [whole.scores[1]] * 2
    assert len((await search(database, index, store, "same", allowed=np.empty(0, np.int32))).numbers) == 0


async def test_a_transaction_that_fails_leaves_the_index_as_it_was(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    numbers = await add(database, index, store, CATS)
    before = await search(database, index, store, "cats")
    async with database.write(WORKSPACE) as scope, scope.connection.transaction(force_rollback=True):
        await index.add(scope, store, ["more cats"])
        await index.remove(scope, store, numbers)
    after = await search(database, index, store, "cats")
    assert list(after.numbers) == list(before.numbers)
    assert list(after.scores) == list(before.scores)


async def test_removing_twice_or_what_was_never_there_is_no_error(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    numbers = await add(database, index, store, CATS)
    await remove(database, index, store, [numbers[0], numbers[0], 999])
    await remove(database, index, store, [numbers[0]])
    await remove(database, index, store, [])
    await remove(database, index, uuid4(), [1])
    assert list((await search(database, index, store, "cats")).numbers) == [numbers[1]]
    await remove(database, index, store, numbers)
    hits = await search(database, index, store, "cats")
    assert len(hits.numbers) == 0
    assert await add(database, index, store, ["cats"]) == [5]


async def test_a_query_is_read_in_each_language_of_the_index(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    german = "Die Häuser der kleinen Städte stehen an den Ufern der großen Flüsse und Seen."
    english = "The houses of small cities stand on the banks of the great rivers and lakes of the country."
    chinese = "这座城市的房子建在大河的岸边，湖泊也很多。"
    one, two, three = await add(database, index, store, [german, english, chinese])
    for query, number in [("Haus", one), ("house", two), ("CITY", two), ("stadt fluss", one), ("城市", three)]:
        assert list((await search(database, index, store, query)).numbers) == [number], query


async def test_another_process_learns_of_a_new_language(database: Database) -> None:
    writer, reader, store = LexicalIndex(), LexicalIndex(), uuid4()
    await add(database, writer, store, ["The houses of small cities stand on the banks of the great rivers."])
    await search(database, reader, store, "Haus")
    (number,) = await add(database, writer, store, ["Die Häuser der kleinen Städte stehen an den Ufern der Flüsse."])
    assert list((await search(database, reader, store, "Haus")).numbers) == [number]


async def test_compaction_merges_segments_and_changes_no_result(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    for batch in range(compaction.MOST_SEGMENTS):
        await add(database, index, store, [f"cats number{batch}", f"dogs number{batch} cats"])
    before = await search(database, index, store, "dogs number3 cats", limit=100)
    async with database.write(WORKSPACE) as scope:
        assert await compaction.needs_compaction(scope, store)
        assert await compaction.compact(scope, store)
        assert not await compaction.needs_compaction(scope, store)
        assert not await compaction.compact(scope, store)
        rows = await scope.all(
            "SELECT segment, documents FROM lexical_segments WHERE store_id = %(store)s", store=store
        )
        lists = await scope.all("SELECT FROM lexical_postings WHERE term = 'cat'")
    assert rows == [{"segment": 1, "documents": 64}]
    assert len(lists) == 1
    after = await search(database, index, store, "dogs number3 cats", limit=100)
    assert list(after.numbers) == list(before.numbers)
    assert list(after.scores) == list(before.scores)


async def test_an_index_that_does_not_exist_needs_no_compaction(database: Database) -> None:
    async with database.write(WORKSPACE) as scope:
        assert not await compaction.needs_compaction(scope, uuid4())
        assert not await compaction.compact(scope, uuid4())


def test_a_merge_reaches_back_to_the_first_larger_segment() -> None:
    sizes = [1000] + [10] * 31
    assert list(compaction._newest_run(range(1, 33), sizes)) == list(range(2, 33))
    assert list(compaction._newest_run(range(1, 33), [10] * 32)) == list(range(1, 33))


WORDS = st.lists(st.sampled_from(["red", "blue", "green", "grey", "x"]), min_size=0, max_size=6).map(" ".join)
HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(WORDS, min_size=1, max_size=4)),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 12), max_size=4)),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("drop"), st.none()),
    ),
    max_size=10,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=HISTORY, query=WORDS, memory=st.sampled_from([0, 700, 1 << 20]))
async def test_after_any_history_a_search_finds_what_a_fresh_index_finds(
    database: Database, history: list[tuple[str, Any]], query: str, memory: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "MOST_SEGMENTS", 2)
        patch.setattr(compaction, "FEWEST_REMOVED", 2)
        index, store, live = LexicalIndex(), uuid4(), dict[int, str]()
        reader = LexicalIndex(memory)
        for name, argument in history:
            if name == "add":
                live |= dict(zip(await add(database, index, store, argument), argument, strict=True))
            elif name == "remove":
                await remove(database, index, store, argument)
                live = {number: text for number, text in live.items() if number not in argument}
            elif name == "drop":
                async with database.write(WORKSPACE) as scope:
                    await index.drop(scope, store)
                live = {}
            else:
                async with database.write(WORKSPACE) as scope:
                    await compaction.compact(scope, store)
            remembering = await search(database, reader, store, query, limit=50)
            reading = await search(database, LexicalIndex(0), store, query, limit=50)
            assert remembering.numbers.tolist() == reading.numbers.tolist()
            assert remembering.scores.tolist() == reading.scores.tolist()
            assert (remembering.bound, remembering.language) == (reading.bound, reading.language)
    await is_whole(database, store, live)
    fresh = uuid4()
    places = dict(zip(await add(database, index, fresh, list(live.values())), live, strict=True))
    expected = await search(database, index, fresh, query, limit=50)
    actual = await search(database, index, store, query, limit=50)
    assert list(actual.numbers) == [places[int(number)] for number in expected.numbers]
    assert list(actual.scores) == list(expected.scores)
    assert actual.bound == expected.bound or not live


async def is_whole(database: Database, store: UUID, live: Mapping[int, str]) -> None:
    """An index of these chunks has no fault, whatever of them waits for a compaction."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integrity, "WINDOW", 3)

        async def texts(after: int) -> dict[int, str]:
            return {number: live[number] for number in sorted(live) if number > after}

        async with database.read(WORKSPACE) as scope:
            found = await integrity.faults(scope, store, max(live, default=0), texts)
    assert found == integrity.Faults()


async def test_of_a_query_without_end_the_beginning_counts(database: Database) -> None:
    index, store = LexicalIndex(), uuid4()
    await add(database, index, store, CATS)
    hits = await search(database, index, store, "barks " + "word " * LONGEST_QUERY + "cats")
    assert hits.numbers.tolist() == [3]
