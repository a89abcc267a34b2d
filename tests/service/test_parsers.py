import asyncio
from pathlib import Path

import pytest

from loaders.base import LoaderError, Source
from loaders.sandbox import Limits
from service.errors import Unavailable
from service.parsers import RETRY_SECONDS, Parsers, open_parsers
from service.resources import Resources
from service.settings import load


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "file").write_text("Ragstone reads files.")
    return Source(tmp_path / "file", "note.txt")


async def test_nothing_is_started_before_the_first_file(resources: Resources, source: Source) -> None:
    assert resources.sandbox.helper is None
    loaded = await resources.sandbox.load(source)
    assert [document.page_content for document in loaded.documents] == ["Ragstone reads files."]
    assert resources.sandbox.helper is not None


async def test_the_helper_ends_when_nothing_is_read_and_starts_again(source: Source) -> None:
    parsers = Parsers(Limits(), at_once=1, line=0, idle_seconds=0.01)
    try:
        await parsers.load(source)
        async with asyncio.timeout(60):
            while parsers.helper is not None:  # noqa: ASYNC110  # nothing tells it
                await asyncio.sleep(0.01)
        assert (await parsers.load(source)).loader == "text"
    finally:
        await parsers.close()
        await parsers.close()


async def test_files_beyond_the_slots_wait_and_those_beyond_the_line_are_sent_away(source: Source) -> None:
    parsers = Parsers(Limits(), at_once=1, line=1)
    try:
        loads = [asyncio.create_task(parsers.load(source)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await parsers.load(source)
        assert refused.value.headers == {"Retry-After": str(RETRY_SECONDS)}
        assert [loaded.loader for loaded in await asyncio.gather(*loads)] == ["text", "text"]
        assert (await parsers.load(source)).loader == "text"
    finally:
        await parsers.close()


async def test_a_cancelled_or_failed_file_leaves_its_place(tmp_path: Path, source: Source) -> None:
    parsers = Parsers(Limits(), at_once=1, line=1)
    (tmp_path / "empty").touch()
    try:
        load = asyncio.create_task(parsers.load(source))
        waiting = asyncio.create_task(parsers.load(source))
        await asyncio.sleep(0)
        waiting.cancel()
        load.cancel()
        await asyncio.gather(load, waiting, return_exceptions=True)
        with pytest.raises(LoaderError):
            await parsers.load(Source(tmp_path / "empty", "empty.txt"))
        assert (await parsers.load(source)).loader == "text"
    finally:
        await parsers.close()


async def test_no_job_of_a_worker_is_sent_away_for_the_sake_of_requests(source: Source) -> None:
    parsers = open_parsers(load({}, {"worker_concurrency": 3, "parser_processes": 1, "parser_line": 0}))
    try:
        loaded = await asyncio.gather(*(parsers.load(source) for _ in range(3)))
        assert len(loaded) == 3
    finally:
        await parsers.close()
