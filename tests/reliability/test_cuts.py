"""Every kind of write, and a process that dies between every two of its side effects (scenario 3), or that is not told
that its transaction is committed."""

import random

import pytest

from tests.reliability.bench import Bench, Json
from tests.reliability.writes import WRITES, Write

pytestmark = pytest.mark.parametrize("vector_store", ["pgvector://", "memory://"], ids=["joins", "apart"])


async def rehearse(bench: Bench, write: Write) -> tuple[Json, Json, int, int]:
    """What is seen before and after the write, and how many side effects and commits it has."""
    await write.prepare(bench)
    before = await bench.look() if write.name != "doctor --fix" else {}
    bench.faults.arm()
    await write.act(bench)
    steps, commits = bench.faults.seen, bench.faults.commits
    await bench.sound()
    after = await bench.look()
    await bench.nothing_is_left()
    return before, after, steps, commits


SOAK = pytest.param(1000, 1000, marks=[pytest.mark.bench, pytest.mark.timeout(900)])


@pytest.mark.parametrize(("deaths", "losses"), [(4, 1), SOAK])
@pytest.mark.parametrize("write", WRITES, ids=[write.name for write in WRITES])
async def test_a_death_or_a_lost_answer_at_any_side_effect_loses_and_doubles_nothing(
    bench: Bench, write: Write, deaths: int, losses: int, seed: int
) -> None:
    before, after, steps, commits = await rehearse(bench, write)
    assert steps >= 1
    choice = random.Random(seed)
    for step in sorted(choice.sample(range(steps), min(deaths, steps))):
        await write.prepare(bench)
        bench.faults.arm(step)
        assert await bench.dies(lambda: write.act(bench)), step
        await ends_well(bench, write, before, after)
    for commit in sorted(choice.sample(range(commits), min(losses, commits))):
        await write.prepare(bench)
        bench.faults.arm(lost=commit)
        await bench.breaks(lambda: write.act(bench))
        await ends_well(bench, write, before, after)


async def ends_well(bench: Bench, write: Write, before: Json, after: Json) -> None:
    """What a fault left is taken up, the write is repeated, everything deleted: sound at each step."""
    await bench.drain()
    seen = before
    if write.name != "doctor --fix":
        await bench.sound()
        seen = await bench.look()
        if write.whole:
            assert seen in (before, after)
    if not write.whole or seen == before or write.repeats:
        await write.act(bench)
        await bench.sound()
    if write.ends:
        again = await bench.look()
        assert {**again, "history": 0} == {**after, "history": 0}
    await bench.nothing_is_left()
