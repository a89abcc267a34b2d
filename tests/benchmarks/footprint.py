"""What a start costs, and what an idle service holds."""

import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure

SETTLE_SECONDS = 3.0


def run(data: Path) -> Iterator[Measure]:
    """Start on a folder that was used before; it is left stopped."""
    begun = time.perf_counter()
    with Service(data) as service:
        seconds = time.perf_counter() - begun
        usage = service.usage()
        yield Measure(
            "second start until Ready, CPU of all processes",
            usage.cpu_seconds,
            3.0,
            "s",
            "lower",
            {"wall seconds, a key included": seconds},
        )
        time.sleep(SETTLE_SECONDS)
        yield Measure(
            "resident memory of the API process, idle, embedder loaded",
            service.usage().api_bytes / 1e6,
            350.0,
            "MB",
            "lower",
        )
