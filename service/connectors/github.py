"""Files of a repository on GitHub, or on an enterprise server: listed as a tree, fetched by the hash of their content.

The hash is the file's ETag, so that what is unchanged is never fetched. A rate limit is waited for as the host asks.
"""

import asyncio
import json
import mimetypes
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr

from loaders import LOADERS
from service.connectors.base import (
    BadConnectorOption,
    Connector,
    ConnectorOptions,
    Got,
    Item,
    Known,
    NotModified,
    Outside,
)
from service.connectors.naming import bounded, fits, patterns
from service.egress.client import Fetched
from service.egress.errors import EgressFailed
from service.errors import TooLarge

HOME = "https://github.com"
HOME_API = "https://api.github.com"
LISTING = "application/vnd.github+json"
RAW = "application/vnd.github.raw+json"
VERSION = "2022-11-28"
TREE_BYTES = 64 * 1024 * 1024

LONGEST_WAIT = 900.0
"""Seconds that a rate limit is waited for; one that lasts longer is a failure that names its end."""

EMPTY = 409
"""What GitHub answers for the tree of a repository without a commit."""

FILE_MODES = ("100644", "100755", "100664")
_PART = re.compile(r"[A-Za-z0-9._-]{1,100}")


class RepositoryOptions(ConnectorOptions):
    """The fields of Flowise's `github`."""

    repo_link: str = Field(description="URL of the repository, such as https://github.com/owner/name")
    branch: str = Field("main", min_length=1, description="Branch, tag or commit")
    recursive: bool = Field(False, description="Also the folders below the top one")
    ignore_path: str | list[str] = Field("", description="Patterns of paths to leave out, such as `*.lock`, `docs/old`")
    github_base_url: str = Field("", description="URL of an enterprise server")
    github_instance_api: str = Field("", description="URL of its API, where it is not BASE/api/v3")
    max_retries: int = Field(2, ge=0, le=10, description="How often a request that was limited or failed is sent again")
    access_token: SecretStr | None = Field(None, description="Token; better a credential, which is sealed")


class GithubRepository(Connector):
    """Every file that can hold text: no images, archives, binaries, symbolic links or submodules."""

    Options: ClassVar[type[ConnectorOptions]] = RepositoryOptions
    parallel = 4

    def __init__(self, options: RepositoryOptions, outside: Outside) -> None:
        """Raises `BadConnectorOption` naming the field, `EgressRefused` for a server that may not be called."""
        super().__init__(options, outside)
        base, owner, name = _repository(options.repo_link.strip(), options.github_base_url.strip().rstrip("/"))
        usual = HOME_API if base == HOME else f"{base}/api/v3"
        self._repository = f"{owner}/{name}"
        self._api = (options.github_instance_api.strip() or usual).rstrip("/")
        self._page = f"{base}/{owner}/{name}/blob/{quote(options.branch)}"
        self._branch, self._recursive = options.branch, options.recursive
        self._ignored = patterns(options.ignore_path)
        self._retries = options.max_retries
        self._given = options.access_token
        self._token: str | None = None
        self._not_before = 0.0
        outside.egress.check(self._api)

    async def items(self) -> AsyncIterator[Item]:
        top = quote(self._branch, safe="")
        if self._recursive:
            entries, whole = await self._tree(top, deep=True)
            if whole:
                for item in self._files("", entries):
                    yield item
                return
        waiting = [("", top)]
        while waiting:
            folder, tree = waiting.pop()
            entries, whole = await self._tree(tree, deep=False)
            if not whole:
                raise EgressFailed(f"Folder '{folder}' of {self._repository} has more entries than its host lists.")
            for item in self._files(folder, entries):
                yield item
            if self._recursive:
                inner = [entry for entry in entries if entry["type"] == "tree"]
                waiting += [(f"{folder}{entry['path']}/", entry["sha"]) for entry in reversed(inner)]

    def _files(self, folder: str, entries: Sequence[Mapping[str, Any]]) -> list[Item]:
        found = []
        for entry in entries:
            path = folder + entry["path"]
            if entry["type"] == "blob" and entry["mode"] in FILE_MODES and readable(path) and not self._ignores(path):
                url = f"{self._page}/{quote(path)}"
                name = path.replace("\0", "\ufffd")
                found.append(Item(bounded(url), name, url, entry["sha"], size=entry["size"]))
        return found

    def _ignores(self, path: str) -> bool:
        return any(fits(str(part), self._ignored) for part in (path, *PurePosixPath(path).parents))

    async def _tree(self, tree: str, *, deep: bool) -> tuple[list[dict[str, Any]], bool]:
        """The entries of a tree, and whether they are all of them. Raises `EgressFailed`."""
        path = f"/repos/{self._repository}/git/trees/{tree}" + ("?recursive=1" if deep else "")
        answer = await self._send(path, LISTING, TREE_BYTES, accepted=(200, EMPTY))
        if answer.status == EMPTY:
            return [], True
        try:
            found = json.loads(answer.body)
            entries = [
                {
                    "path": str(entry["path"]),
                    "type": str(entry["type"]),
                    "mode": str(entry["mode"]),
                    "sha": _hash(entry["sha"]),
                    "size": int(entry.get("size") or 0),
                }
                for entry in found["tree"]
            ]
            return entries, not found.get("truncated")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EgressFailed(f"The answer for the tree of {self._repository} is not what GitHub sends.") from None

    async def fetch(self, item: Item, sink: BinaryIO, known: Known | None = None) -> Got | NotModified:
        limit = self.outside.settings.max_upload
        if known is not None and known.etag == item.etag:
            return NotModified()
        if (item.size or 0) > limit:
            raise TooLarge(f"max_upload: '{item.name}' is larger than {limit} bytes")
        path = f"/repos/{self._repository}/git/blobs/{item.etag}"
        answer = await self._send(path, RAW, limit, sink=sink)
        return Got(item.name, answer.size, None, item.etag)

    async def _send(
        self,
        path: str,
        accept: str,
        max_bytes: int,
        *,
        accepted: tuple[int, ...] = (200,),
        sink: BinaryIO | None = None,
    ) -> Fetched:
        """A GET, sent again while its failure is a passing one. Raises `EgressFailed` in the host's words."""
        headers = {"Accept": accept, "X-GitHub-Api-Version": VERSION, **await self._authorization()}
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            if attempt and sink is not None:
                sink.seek(0)
                sink.truncate()
            try:
                answer = await self.outside.egress.fetch(
                    self._api + path, headers=headers, max_bytes=max_bytes, sink=sink
                )
            except EgressFailed as error:
                if last or not error.transient:
                    raise
                self._wait(2.0**attempt)
                continue
            if answer.status in accepted:
                return answer
            pause = _pause(answer) if answer.status in (403, 429) else 2.0**attempt if answer.status >= 500 else None
            if last or pause is None or pause > LONGEST_WAIT:
                raise self._failure(answer, pause)
            self._wait(pause)
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, seconds: float) -> None:
        """Nothing is sent for so long, by no fetch of this connector."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    async def _authorization(self) -> dict[str, str]:
        if self._token is None:
            values = await self.outside.reveal(urlsplit(self._api).hostname or "")
            given = self._given.get_secret_value() if self._given else ""
            self._token = values.get("accessToken", "") or given
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _failure(self, answer: Fetched, pause: float | None) -> EgressFailed:
        try:
            reason = str(json.loads(answer.body)["message"])[:300]
        except (ValueError, KeyError, TypeError):
            reason = ""
        if pause is not None and answer.status in (403, 429):
            reason = f"its rate limit lasts {pause:.0f} seconds more; a credential with a token has a higher one"
        text = f"GitHub answers for {self._repository} with status {answer.status}" + (f": {reason}" if reason else "")
        return EgressFailed(f"{text}.", answer=answer.status, transient=pause is not None)


def readable(path: str) -> bool:
    """Whether a file of this name can hold text: one that a loader knows, or of no known kind at all."""
    kind = (mimetypes.guess_type(path)[0] or "text/plain").partition("/")[0]
    if kind in ("image", "audio", "font"):
        return False
    suffix = PurePosixPath(path).suffix.lower()
    return kind == "text" or any(suffix in row.suffixes for row in LOADERS.values())


def _repository(link: str, base: str) -> tuple[str, str, str]:
    """Base URL, owner and name of a repository. Raises `BadConnectorOption`."""
    try:
        parts = urlsplit(link if "://" in link else f"{base or HOME}/{link}")
    except ValueError:
        parts = urlsplit("")
    steps = [step for step in parts.path.split("/") if step]
    owner, name = (steps[0], steps[1].removesuffix(".git")) if len(steps) >= 2 else ("", "")
    fine = all(_PART.fullmatch(step) and step.strip(".") for step in (owner, name))
    if parts.scheme not in ("http", "https") or not parts.hostname or not fine:
        raise BadConnectorOption(f"repoLink: '{link[:200]}' is not the URL of a repository, such as {HOME}/owner/name")
    origin = f"{parts.scheme}://{parts.netloc}".replace("://www.github.com", "://github.com")
    return base or origin, owner, name


def _hash(value: Any) -> str:
    """The name of an object. Raises `ValueError` for what is none, so that it can stand in a path."""
    text = str(value)
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise ValueError(text)
    return text


def _pause(answer: Fetched) -> float | None:
    """Seconds until the host wants to be asked again; None when it refuses for another reason."""
    after = answer.headers.get("retry-after", "")
    if after.isdecimal():
        return max(1.0, float(after))
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset) - time.time())
    return 60.0 if answer.status == 429 else None
