"""The keyword index in Postgres: immutable segments of posting lists, written in the caller's transaction.

`add` writes one segment; `remove` notes numbers as removed, which searches leave out of lists and counts alike, so
that a search finds what a fresh index of the live chunks would find. `compact` merges segments and forgets removed
numbers; it is a job's work and changes no result. Writers of one index wait for each other until they commit.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
from psycopg.types.json import Jsonb

from stores.lexical.analysis import Analysed, Group, analyse, analyse_query, query_language
from stores.lexical.base import MOST, NO_HITS, POSTING, Hits, Numbers, rank
from stores.lexical.compaction import ALONE
from stores.lexical.languages import prepare, prepared
from stores.lexical.memory import Memory, usual_size
from stores.records.database import Scope

LONGEST_QUERY = 10_000
"""Characters of a query that are read: a hundred thousand would bring the lists of nearly all words there are."""


class LexicalIndex:
    """BM25 over the chunks of document stores; one index for each `store_id`, made by the first `add`."""

    def __init__(self, memory: int | None = None) -> None:
        """Nothing is opened; the object remembers posting lists of the indexes that it searched, in so many bytes, or
        in as many as suit this machine."""
        self._preparing = asyncio.Lock()
        self._memory = Memory(usual_size() if memory is None else memory)

    async def add(self, scope: Scope, store_id: UUID, texts: Sequence[str]) -> Numbers:
        """Index chunks as one segment; returns their numbers in order. Numbers are never given twice."""
        return await self.add_analysed(scope, store_id, [analyse(text) for text in texts])

    async def add_analysed(self, scope: Scope, store_id: UUID, chunks: Sequence[Analysed]) -> Numbers:
        """`add` for chunks that `analyse` has read already, in a thread perhaps."""
        if not chunks:
            return np.empty(0, np.int32)
        lengths = [min(chunk.length, MOST) for chunk in chunks]
        row = await scope.one(_ADD, store=store_id, documents=len(chunks), length=sum(lengths))
        assert row is not None
        first, segment = row["first"], row["segment"]
        numbers = np.arange(first, first + len(chunks), dtype=np.int32)
        languages = [chunk.language for chunk in chunks]
        await scope.run(_COUNT_LANGUAGES, store=store_id, counts=Jsonb(Counter(languages)))
        await scope.run(
            _ADD_DOCUMENTS,
            store=store_id,
            segment=segment,
            count=len(chunks),
            first=first,
            lengths=lengths,
            languages=languages,
        )
        await _write_postings(scope, store_id, segment, _posting_lists(chunks, lengths, first))
        return numbers

    async def remove(self, scope: Scope, store_id: UUID, numbers: Numbers | Sequence[int]) -> None:
        """Take chunks out; unknown and removed numbers are no error."""
        if len(numbers):
            await scope.run(_LOCK, store=store_id)
            await scope.run(_REMOVE, store=store_id, numbers=[int(number) for number in numbers])

    async def search(
        self, scope: Scope, store_id: UUID, query: str, limit: int, *, allowed: Numbers | None = None
    ) -> Hits:
        """The `limit` best chunks for a query, of the allowed numbers only where they are given.

        Which chunks are allowed changes no score. An index that does not exist has no hits.
        """
        query, languages = query[:LONGEST_QUERY], self._memory.languages(store_id)
        groups = await self._read(query, languages)
        found = await self._memory.lists(scope, store_id, _terms(groups))
        if found is None:
            return NO_HITS
        if found.state.languages != languages:
            read = await self._read(query, found.state.languages)
            if read != groups:
                groups = read
                found = await self._memory.lists(scope, store_id, _terms(groups))
                if found is None:
                    return NO_HITS
        hits = rank(groups, found.lists, found.state.statistics, limit, allowed)
        return replace(hits, language=query_language(query, found.state.languages))

    async def drop(self, scope: Scope, store_id: UUID) -> None:
        """Remove the whole index; a no-op when there is none."""
        await scope.run(ALONE, store=store_id)  # a compaction takes the lists before the index
        await scope.run(_LOCK, store=store_id)
        await scope.run("DELETE FROM lexical_postings WHERE store_id = %(store)s", store=store_id)
        await scope.run("DELETE FROM lexical_indexes WHERE store_id = %(store)s", store=store_id)

    async def _read(self, query: str, languages: tuple[str, ...]) -> list[Group]:
        """The words of a query. What tells languages apart takes a second to load, once, and not the event loop's."""
        if len(languages) > 1 and not prepared():
            async with self._preparing:
                await asyncio.to_thread(prepare)
        return analyse_query(query, languages)


def _terms(groups: Sequence[Group]) -> list[str]:
    return [term for group in groups for term in group.variants]


def _posting_lists(chunks: Sequence[Analysed], lengths: Sequence[int], first: int) -> dict[str, bytes]:
    """The packed posting list of each term, numbers ascending."""
    terms: dict[str, list[tuple[int, int, int]]] = {}
    for number, (chunk, length) in enumerate(zip(chunks, lengths, strict=True), first):
        for term, count in chunk.terms.items():
            terms.setdefault(term, []).append((number, min(count, MOST), length))
    packed = np.array([entry for entries in terms.values() for entry in entries], dtype=POSTING).tobytes()
    lists, start = {}, 0
    for term, entries in terms.items():
        end = start + len(entries) * POSTING.itemsize
        lists[term] = packed[start:end]
        start = end
    return lists


async def _write_postings(scope: Scope, store_id: UUID, segment: int, lists: dict[str, bytes]) -> None:
    async with scope.connection.cursor() as cursor, cursor.copy(_COPY_POSTINGS) as copy:
        copy.set_types(["uuid", "text", "int8", "bytea"])
        for term in sorted(lists):
            await copy.write_row((store_id, term, segment, lists[term]))


_LOCK = "SELECT FROM lexical_indexes WHERE store_id = %(store)s FOR UPDATE"

_ADD = """
    INSERT INTO lexical_indexes AS index (store_id, documents, total_length, next_number, next_segment)
    VALUES (%(store)s, %(documents)s, %(length)s, 1 + %(documents)s, 2)
    ON CONFLICT (store_id) DO UPDATE SET
        documents = index.documents + excluded.documents,
        total_length = index.total_length + excluded.total_length,
        next_number = index.next_number + excluded.documents::integer,
        next_segment = index.next_segment + 1
    RETURNING next_number - %(documents)s::integer AS first, next_segment - 1 AS segment
"""

_COUNT_LANGUAGES = """
    UPDATE lexical_indexes SET languages = (
        SELECT jsonb_object_agg(language, documents) FROM (
            SELECT key AS language, sum(value::bigint) AS documents
            FROM (
                SELECT * FROM jsonb_each_text(languages) UNION ALL SELECT * FROM jsonb_each_text(%(counts)s)) AS merged
            GROUP BY key) AS counts)
    WHERE store_id = %(store)s
"""

_ADD_DOCUMENTS = """
    WITH segment AS (
        INSERT INTO lexical_segments (store_id, segment, documents) VALUES (%(store)s, %(segment)s, %(count)s))
    INSERT INTO lexical_documents (store_id, number, length, language)
    SELECT %(store)s, %(first)s::integer + (place - 1)::integer, length, language
    FROM unnest(%(lengths)s::integer[], %(languages)s::text[]) WITH ORDINALITY AS chunk (length, language, place)
"""

_COPY_POSTINGS = "COPY lexical_postings (store_id, term, segment, postings) FROM STDIN (FORMAT BINARY)"

_REMOVE = """
    WITH gone AS (
        DELETE FROM lexical_documents WHERE store_id = %(store)s AND number = ANY(%(numbers)s::integer[])
        RETURNING number, length, language),
    counts AS (SELECT language, count(*) AS documents FROM gone GROUP BY language)
    UPDATE lexical_indexes SET
        documents = documents - (SELECT count(*) FROM gone),
        total_length = total_length - (SELECT sum(length) FROM gone),
        removed = removed || (SELECT string_agg(int4send(number), '') FROM gone),
        languages = coalesce((
            SELECT jsonb_object_agg(each.key, each.value::bigint - coalesce(counts.documents, 0))
            FROM jsonb_each_text(languages) AS each LEFT JOIN counts ON counts.language = each.key
            WHERE each.value::bigint > coalesce(counts.documents, 0)), '{}')
    WHERE store_id = %(store)s AND EXISTS (SELECT FROM gone)
"""
