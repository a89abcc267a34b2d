"""Jobs that share a provider wait for it together."""

import asyncio

import pytest

from service.document_stores import pacing
from service.document_stores.pacing import paced
from service.providers import pace as module
from service.providers.embedding.fake import FakeEmbedder
from service.providers.errors import BadCredential, ProviderUnavailable, RateLimited
from service.providers.pace import Pace
from service.resources import Resources


class Provider:
    """Refuses so many calls, and says how many it was asked at once."""

    def __init__(self, refusals: int, error: Exception) -> None:
        self.refusals, self.error = refusals, error
        self.calls = self.inside = 0
        self.at_once: list[int] = []
        """How many calls were under way as each refused one and the first answered one began."""

    async def ask(self) -> str:
        self.calls += 1
        self.inside += 1
        if self.refusals >= 0:
            self.at_once.append(self.inside)
        await asyncio.sleep(0.01)
        self.inside -= 1
        self.refusals -= 1
        if self.refusals >= 0:
            raise self.error
        return "vectors"


class Waits:
    """Counts the times that a job is told of a pause."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> None:
        self.count += 1


async def test_many_jobs_meet_as_many_refusals_as_one_but_for_those_under_way() -> None:
    provider, pace, waits = Provider(4 + 3, RateLimited("slow", retry_after=0.02)), Pace(), Waits()
    found = await asyncio.gather(*(paced(provider.ask, waits, pace) for _ in range(4)))
    assert found == ["vectors"] * 4
    assert provider.at_once == [1, 2, 3, 4, 1, 1, 1, 1]  # four under way, three tries one by one, one that is answered
    assert provider.calls == 4 + 3 + 4
    assert waits.count >= 4
    assert (pace.refusal, pace.left) == (None, 0)


async def test_who_comes_during_a_pause_waits_for_its_end() -> None:
    provider, pace = Provider(1, RateLimited("slow", retry_after=0.05)), Pace()
    first = asyncio.create_task(paced(provider.ask, Waits(), pace))
    while pace.refusal is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    waits = Waits()
    assert await paced(provider.ask, waits, pace) == "vectors"
    assert await first == "vectors"
    assert (waits.count, provider.calls) == (1, 3)


async def test_a_job_that_is_stopped_in_its_turn_lets_the_next_one_try() -> None:
    provider, pace = Provider(2, RateLimited("slow", retry_after=30)), Pace()
    stopped = [asyncio.create_task(paced(provider.ask, Waits(), pace)) for _ in range(2)]
    while pace.refusal is None or provider.inside:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for task in stopped:
        task.cancel()
    await asyncio.gather(*stopped, return_exceptions=True)
    pace._until = 0.0
    assert await paced(provider.ask, Waits(), pace) == "vectors"


async def test_pauses_grow_by_refusals_one_after_another_and_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE", 5.0)
    pace, error, now = Pace(), ProviderUnavailable("away"), asyncio.get_running_loop().time()
    pauses = []
    for step in range(5):
        pauses.append(pace.pause_after(now + step, None))
        pace.refused(error, now + step, 0)
    assert pauses == [1, 2, 4, 5, 5]
    assert pace.pause_after(now - 1, None) == 0  # it was under way as the others were refused
    assert pace.pause_after(now - 1, 7) == 7
    pace.answered()
    assert pace.pause_after(now, None) == 1


async def test_nobody_waits_longer_than_patience_and_the_next_one_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "PATIENCE_SECONDS", 1.0)
    provider, pace = Provider(1, RateLimited("slow", retry_after=3600)), Pace()
    with pytest.raises(RateLimited):
        await paced(provider.ask, Waits(), pace)
    assert await paced(provider.ask, Waits(), pace) == "vectors"
    provider = Provider(1, BadCredential("no"))
    with pytest.raises(BadCredential):
        await paced(provider.ask, Waits(), pace)
    pace.refused(RateLimited("slow"), 0, 2.0)  # as another job, which came earlier and has more patience, was told
    with pytest.raises(RateLimited):
        await paced(provider.ask, Waits(), pace)
    assert provider.calls == 1


async def test_jobs_of_one_configuration_have_one_pace(resources: Resources) -> None:
    one = await resources.embedders.get("fake", {"dimension": 16})
    same = await resources.embedders.get("fake", {"dimension": 16})
    other = await resources.embedders.get("fake", {"dimension": 24})
    assert isinstance(one, FakeEmbedder)
    assert one.pace is same.pace is not other.pace
