"""Repositories, on a server that answers as GitHub's API does."""

from collections.abc import Iterator
from typing import Any

import pytest

from service.connectors.base import BadConnectorOption, Connector, Got, Known, NotModified
from service.connectors.github import readable
from service.egress.errors import EgressFailed, EgressRefused
from service.errors import TooLarge
from tests.service.connectors.places import listed, place, read
from tests.stubs.github_server import GithubStub, sha


@pytest.fixture
def stub() -> Iterator[GithubStub]:
    with GithubStub() as opened:
        opened.files |= {
            "README.md": b"# Handbook",
            "docs/a.md": b"a",
            "docs/deep/b c.md": b"bc",
            "docs/logo.png": b"\x89PNG",
            "package.lock": b"{}",
            "src/link": b"../README.md",
            "vendor": b"",
        }
        opened.modes |= {"src/link": "120000", "vendor": "160000"}
        yield opened


def config(stub: GithubStub, **more: Any) -> dict[str, Any]:
    return {"repoLink": f"{stub.url}/acme/handbook", "recursive": True, **more}


def token(stub: GithubStub) -> dict[str, str]:
    return {"accessToken": stub.token}


async def names(connector: Connector) -> list[str]:
    return [item.name for item in await listed(connector)]


async def test_a_repository_is_listed_in_one_answer_and_read_by_hash(stub: GithubStub) -> None:
    hosts: list[str] = []
    async with place("github", config(stub), values=token(stub), hosts=hosts) as repository:
        items = await listed(repository)
        assert [item.name for item in items] == ["README.md", "docs/a.md", "docs/deep/b c.md", "package.lock"]
        assert items[2].source == items[2].url == f"{stub.url}/acme/handbook/blob/main/docs/deep/b%20c.md"
        assert items[2].etag == sha(b"bc")
        content, got = await read(repository, items[2])
        assert isinstance(got, Got)
        assert (content, got.etag) == (b"bc", sha(b"bc"))
        assert (await read(repository, items[2], Known(got.etag)))[1] == NotModified()
    assert stub.requests == ["/trees/main?recursive=1", f"/blobs/{sha(b'bc')}"]
    assert (hosts, stub.tokens) == (["127.0.0.1"], {f"Bearer {stub.token}"})


async def test_a_tree_that_is_cut_off_is_walked_folder_by_folder(stub: GithubStub) -> None:
    stub.truncated = True
    async with place("github", config(stub), values=token(stub)) as repository:
        assert sorted(await names(repository)) == ["README.md", "docs/a.md", "docs/deep/b c.md", "package.lock"]
    assert len(stub.requests) == 5


async def test_only_the_top_folder_unless_asked(stub: GithubStub) -> None:
    async with place("github", config(stub, recursive=False), values=token(stub)) as repository:
        assert await names(repository) == ["README.md", "package.lock"]


async def test_paths_are_left_out_by_patterns(stub: GithubStub) -> None:
    ignored = '["*.lock", "docs/deep"]'
    async with place("github", config(stub, ignorePath=ignored), values=token(stub)) as repository:
        assert await names(repository) == ["README.md", "docs/a.md"]


async def test_a_branch_may_hold_a_slash(stub: GithubStub) -> None:
    stub.branch = "release/2.0"
    async with place("github", config(stub, branch="release/2.0"), values=token(stub)) as repository:
        assert "README.md" in await names(repository)
    assert stub.requests == ["/trees/release%2F2.0?recursive=1"]


async def test_an_empty_repository_lists_nothing(stub: GithubStub) -> None:
    stub.files.clear()
    async with place("github", config(stub), values=token(stub)) as repository:
        assert await names(repository) == []


async def test_a_rate_limit_is_waited_for(stub: GithubStub) -> None:
    stub.limits = [{"Retry-After": "1"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}]
    async with place("github", config(stub), values=token(stub)) as repository:
        assert "README.md" in await names(repository)
    assert len(stub.requests) == 3


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ([{"Retry-After": "7200"}], "rate limit lasts 7200 seconds more"),
        ([{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}], "rate limit lasts"),
        ([{}], "status 403: API rate limit exceeded"),
    ],
)
async def test_a_limit_that_lasts_and_a_plain_refusal_are_failures(
    stub: GithubStub, limits: list[dict[str, str]], match: str
) -> None:
    stub.limits = limits
    async with place("github", config(stub), values=token(stub)) as repository:
        with pytest.raises(EgressFailed, match=match):
            await listed(repository)
    assert len(stub.requests) == 1


async def test_a_repository_that_the_token_may_not_see_is_a_failure(stub: GithubStub) -> None:
    async with place("github", config(stub), values={"accessToken": "ghp_other"}) as repository:
        with pytest.raises(EgressFailed, match="acme/handbook with status 404: Not Found") as failed:
            await listed(repository)
    assert "ghp_other" not in str(failed.value)


async def test_a_file_over_the_limit_is_not_asked_for(stub: GithubStub) -> None:
    async with place("github", config(stub), values=token(stub), settings={"max_upload": 5}) as repository:
        items = await listed(repository)
        with pytest.raises(TooLarge, match="max_upload"):
            await read(repository, items[0])
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "link",
    ["https://github.com/owner", "git@github.com:owner/name", "ftp://host/a/b", "https://github.com/../x", "", "x"],
)
async def test_what_is_no_repository_is_refused(link: str) -> None:
    with pytest.raises(BadConnectorOption, match=r"repoLink|repo_link"):
        async with place("github", {"repoLink": link}):
            pass


async def test_a_server_in_the_private_network_is_refused() -> None:
    with pytest.raises(EgressRefused):
        async with place("github", {"repoLink": "owner/name", "githubBaseUrl": "http://10.0.0.1"}):
            pass


@pytest.mark.parametrize(
    "link", ["owner/name", "https://github.com/owner/name.git", "https://www.github.com/owner/name/tree/x"]
)
async def test_a_repository_of_github_may_be_named_in_short(link: str) -> None:
    async with place("github", {"repoLink": link}):
        pass


@pytest.mark.parametrize(
    ("path", "fine"),
    [
        ("a.md", True), ("Makefile", True), ("src/x.ts", True), ("b.pdf", True), ("c.docx", True), ("d.yaml", True),
        ("logo.png", False), ("film.mp4", False), ("x.zip", False), ("y.jar", False), ("font.woff2", False),
    ],
)  # fmt: skip
def test_files_that_hold_no_text_are_left_out(path: str, fine: bool) -> None:
    assert readable(path) is fine
