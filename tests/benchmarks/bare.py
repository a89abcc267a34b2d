"""The floor under predictions: the same steps called directly in one script, without a service around them.

Embed the question, ask pgvector once, call the model through the same client. Run as its own process.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence

from psycopg_pool import AsyncConnectionPool

from service.providers.chat import create_chat_model
from service.providers.defaults import Defaults
from service.providers.embedding.onnx import OnnxEmbedder
from tests.benchmarks.corpus import questions
from tests.benchmarks.measure import percentile
from tests.stubs.openai_server import near

PROMPT = "Answer from the context.\n\n{context}\n\nQuestion: {question}"


async def measure(url: str, table: str, stub: str, asked: Sequence[str], concurrency: int) -> dict[str, float]:
    """Answer every question once: requests a second, p50 and p99 in milliseconds."""
    embedder = OnnxEmbedder.configured({}, {}, Defaults())
    model = create_chat_model(
        "openai", {"basepath": stub, "modelName": "stub-model"}, {"openAIApiKey": "sk-bench"}, defaults=near()
    )
    # the table's name comes from the benchmark itself
    statement = (
        f"SELECT id, 1 - (embedding <=> %s::vector) AS score FROM {table} ORDER BY embedding <=> %s::vector LIMIT 4"
    )
    pool = AsyncConnectionPool(url, min_size=4, max_size=16, open=False, kwargs={"autocommit": True})
    await pool.open(wait=True)
    seconds: list[float] = []

    async def once(question: str) -> None:
        begun = time.perf_counter()
        vector = str((await embedder.embed_query_array(question)).tolist())
        async with pool.connection() as connection:
            cursor = await connection.execute(statement, (vector, vector))
            rows = await cursor.fetchall()
        context = " ".join(f"passage {row[0]}" * 30 for row in rows)
        await model.ainvoke(PROMPT.format(context=context, question=question))
        seconds.append(time.perf_counter() - begun)

    waiting = iter(asked)

    async def caller() -> None:
        for question in waiting:
            await once(question)

    for question in asked[:8]:
        await once(question)
    seconds.clear()
    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    rate = len(asked) / (time.perf_counter() - begun)
    await pool.close()
    return {"rate": rate, "p50": percentile(seconds, 0.5) * 1000, "p99": percentile(seconds, 0.99) * 1000}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser()
    for name in ("url", "table", "stub"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    given = parser.parse_args()
    asked = (questions("squad-en") * (given.requests // 612 + 1))[: given.requests]
    print(json.dumps(asyncio.run(measure(given.url, given.table, given.stub, asked, given.concurrency))))


if __name__ == "__main__":
    main()
