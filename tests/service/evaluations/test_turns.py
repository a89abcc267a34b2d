"""Places for calls are shared fairly, and none is lost."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from service.evaluations.turns import Turns


async def test_a_second_evaluation_does_not_wait_for_the_first_to_end() -> None:
    turns, order = Turns(2), list[str]()
    long, short = uuid4(), uuid4()

    async def call(who: UUID, name: str) -> None:
        async with turns.place(who):
            order.append(name)
            await asyncio.sleep(0)

    first = [asyncio.create_task(call(long, "long")) for _ in range(40)]
    await asyncio.sleep(0)
    second = [asyncio.create_task(call(short, "short")) for _ in range(5)]
    await asyncio.gather(*first, *second)
    assert order.count("short") == 5
    assert order[:20].count("short") == 5, order  # each second place, from when they came


async def test_whoever_is_cancelled_while_he_waits_takes_no_place_with_him() -> None:
    turns, who = Turns(1), uuid4()
    async with turns.place(who):
        waiting = [asyncio.create_task(_hold(turns, who)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waiting[:2]:
            task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    async with asyncio.timeout(5), turns.place(who):
        pass


async def test_whoever_is_cancelled_as_he_is_served_gives_the_place_back() -> None:
    turns, who = Turns(1), uuid4()
    async with turns.place(who):
        waiting = asyncio.create_task(_hold(turns, who))
        await asyncio.sleep(0)
    waiting.cancel()  # its turn has come, and it has not run since
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5), turns.place(who):
        pass


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=40), st.integers(1, 4))
def test_never_more_calls_than_places_and_all_places_free_at_the_end(
    calls: list[tuple[int, int, bool]], places: int
) -> None:
    parties = [UUID(int=number) for number in range(4)]

    async def play() -> None:
        turns, inside, most = Turns(places), 0, 0

        async def call(who: UUID, steps: int) -> None:
            nonlocal inside, most
            async with turns.place(who):
                inside += 1
                most = max(most, inside)
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [(asyncio.create_task(call(parties[who], steps)), kill) for who, steps, kill in calls]
        await asyncio.sleep(0)
        for task, kill in tasks:
            if kill:
                task.cancel()
        await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert most <= places
        async with asyncio.timeout(5), AsyncExitStack() as stack:
            for _ in range(places):
                await stack.enter_async_context(turns.place(parties[0]))

    asyncio.run(play())


async def _hold(turns: Turns, who: UUID) -> None:
    async with turns.place(who):
        await asyncio.sleep(0)
