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


@pytest.mark.parametrize("most", [4, pytest.param(1000, marks=[pytest.mark.bench, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("write", WRITES, ids=[write.name for write in WRITES])
async def test_a_death_between_any_two_side_effects_loses_and_doubles_nothing(
    bench: Bench, write: Write, most: int, seed: int
) -> None:
    before, after, steps, _ = await rehearse(bench, write)
    assert steps >= 1
    for step in sorted(random.Random(seed).sample(range(steps), min(most, steps))):
        await write.prepare(bench)
        bench.faults.arm(step)
        assert await bench.dies(lambda: write.act(bench)), step
        await bench.drain()
        if write.name != "doctor --fix":
            await bench.sound()
            seen = await bench.look()
            if write.whole:
                assert seen in (before, after), step
        if not write.whole or seen == before or write.repeats:
            await write.act(bench)
            await bench.sound()
        if write.ends:
            again = await bench.look()
            assert {**again, "history": 0} == {**after, "history": 0}, step
        await bench.nothing_is_left()


@pytest.mark.parametrize("most", [2, pytest.param(1000, marks=[pytest.mark.bench, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("write", WRITES, ids=[write.name for write in WRITES])
async def test_a_commit_whose_answer_is_lost_loses_and_doubles_nothing(
    bench: Bench, write: Write, most: int, seed: int
) -> None:
    before, after, _, commits = await rehearse(bench, write)
    for number in sorted(random.Random(seed).sample(range(commits), min(most, commits))):
        await write.prepare(bench)
        bench.faults.arm(lost=number)
        await bench.breaks(lambda: write.act(bench))
        await bench.drain()
        if write.name != "doctor --fix":
            await bench.sound()
            seen = await bench.look()
            if write.whole:
                assert seen in (before, after), number
        if not write.whole or seen == before or write.repeats:
            await write.act(bench)
            await bench.sound()
        if write.ends:
            again = await bench.look()
            assert {**again, "history": 0} == {**after, "history": 0}, number
        await bench.nothing_is_left()
