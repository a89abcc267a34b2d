"""A large document store that is deleted (scenario 16): gone at once, its space given back by the purge."""

import pytest

from service.worker.runner import Runner
from tests.reliability.bench import LEFT, Bench
from tests.service.document_stores.talk import API
from tests.service.document_stores.test_kills import LINES, town

SPACE = """
    SELECT pg_total_relation_size('chunks') + pg_total_relation_size('lexical_postings')
    + pg_total_relation_size('lexical_documents') AS kept,
    (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c WHERE c.relname LIKE 'vectors_ds_%%'
     AND c.relkind = 'r') AS vectors
"""


@pytest.mark.parametrize(
    ("chunks", "files"), [(12_000, 6), pytest.param(100_000, 20, marks=[pytest.mark.bench, pytest.mark.timeout(900)])]
)
async def test_a_large_document_store_is_gone_at_once_and_its_space_comes_back(
    bench: Bench, chunks: int, files: int
) -> None:
    talk, each = bench.talk, chunks // files
    small = await talk.store("Small")
    await talk.start(small, ("small.txt", "The lighthouse stands on the northern rock."))
    store = await talk.store("Large")
    texts = [(f"{number}.txt", town(each).replace("house", f"house {number} of")) for number in range(files)]
    await talk.start(store, *texts, splitter=LINES)
    await bench.drain()
    assert (await talk.chunks(store))["count"] == chunks
    assert await talk.query(store, "house 3 of 77 has a door", topK=4)
    (before,) = await talk.rows(SPACE)

    bench.faults.arm()
    assert (await bench.client.delete(f"{API}/store/{store}")).status_code == 200
    assert bench.faults.commits <= 2  # whatever it holds: a mark, and the job that removes it
    (held,) = await talk.rows("SELECT count(*) AS n FROM chunks")
    assert held["n"] > chunks  # nothing of it has been removed yet, and nobody finds any of it
    for path in (f"store/{store}", f"chunks/{store}/all/1", f"documents/{store}"):
        assert (await bench.client.get(f"{API}/{path}")).status_code == 404, path
    asked = await bench.client.post(f"{API}/vectorstore/query", json={"storeId": store, "query": "house 3 of 77"})
    assert asked.status_code == 404
    assert [item["id"] for item in await bench.call("GET", f"{API}/store")] == [small]

    # I4: the purge of one leaves the other alone, and answers come while it runs
    (purge,) = await talk.rows("SELECT id FROM jobs WHERE kind = 'purge_store'")
    runner = Runner(bench.resources)
    bench.faults.arm(bench.faults.seen + 3)
    assert await bench.dies(lambda: runner._run(str(purge["id"])))
    found = await talk.query(small, "Where does the lighthouse stand?")
    assert [doc["pageContent"] for doc in found] == ["The lighthouse stands on the northern rock."]
    bench.unended[purge["id"]] = None
    await bench.drain()
    await bench.sound()

    (left,) = await talk.rows(LEFT)
    assert (left["stores"], left["chunks"], left["collections"], left["tables"]) == (1, 1, 1, 1)
    async with bench.resources.database.connection() as connection:  # as autovacuum does in its time
        await connection.execute("VACUUM FULL chunks, lexical_postings, lexical_documents")
    (after,) = await talk.rows(SPACE)
    assert int(after["vectors"]) < int(before["vectors"]) / 10
    assert int(after["kept"]) < int(before["kept"]) / 10
    assert [doc["pageContent"] for doc in await talk.query(small, "lighthouse")] == [found[0]["pageContent"]]
