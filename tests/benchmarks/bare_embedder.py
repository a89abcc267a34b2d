"""The floor under upserts: the embedder alone, in a process that the machine treats as it does a worker.

`python -m tests.benchmarks.bare_embedder NICENESS` reads lines, each a JSON array of texts, and answers each with
`{"seconds": ..., "cpu_seconds": ...}` for embedding them in batches as an upsert makes them.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from service.cli.parts import give_way
from service.document_stores.indexing.texts import BATCH
from service.providers.defaults import Defaults
from service.providers.embedding.onnx import OnnxEmbedder


class BareEmbedder:
    """That process, until the block ends."""

    def __init__(self, niceness: int) -> None:
        """`niceness` is the worker's."""
        self._niceness = niceness

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.benchmarks.bare_embedder", str(self._niceness)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.embed(["It loads its model."] * BATCH)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()

    def embed(self, texts: Sequence[str]) -> tuple[float, float]:
        """Seconds, and CPU seconds, that embedding these took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(list(texts)) + "\n")
        self._process.stdin.flush()
        spent = json.loads(self._process.stdout.readline())
        return spent["seconds"], spent["cpu_seconds"]


async def _embed(embedder: OnnxEmbedder, texts: Sequence[str]) -> None:
    for start in range(0, len(texts), BATCH):
        await embedder.embed_array(texts[start : start + BATCH])


def main() -> None:
    """Answer until the input ends."""
    give_way(int(sys.argv[1]))
    embedder = OnnxEmbedder.configured({}, {}, Defaults())
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            texts = json.loads(line)
            cpu, begun = time.process_time(), time.perf_counter()
            runner.run(_embed(embedder, texts))
            spent = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu}
            print(json.dumps(spent), flush=True)
        runner.run(embedder.aclose())


if __name__ == "__main__":
    main()
