"""A server on loopback with the routes of GitHub's API that listing and reading a repository need.

with GithubStub() as stub:
    stub.files["docs/a.md"] = b"..."
    ... githubBaseUrl: stub.url, repoLink: stub.url + "/acme/handbook", token: stub.token ...
    stub.limits.append({"Retry-After": "1"})   # the next request is limited
    stub.requests[-1]
"""

import hashlib
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.stubs.threaded import ThreadedStub

BASE = "/api/v3/repos/acme/handbook/git"


def sha(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class GithubStub(ThreadedStub):
    """One repository, `acme/handbook`, with one branch. Use as a context manager."""

    token: str = "ghp_0123456789"
    branch: str = "main"
    files: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    """Of files that are not plain ones."""
    truncated: bool = False
    """Deep trees are cut off, as those of large repositories."""
    limits: list[dict[str, str]] = field(default_factory=list)
    """Headers of refusals to come, for the next requests."""
    requests: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        self.requests.append(handler.path.removeprefix(BASE))
        given = handler.headers.get("Authorization", "")
        self.tokens.add(given)
        headers: dict[str, str] = {"Content-Type": "application/json"}
        if self.limits:
            headers |= self.limits.pop(0)
            status, body = 403, b'{"message": "API rate limit exceeded"}'
        elif given != f"Bearer {self.token}":
            status, body = 404, b'{"message": "Not Found"}'
        elif parts.path.startswith(f"{BASE}/trees/"):
            status, body = self._tree(unquote(parts.path.rpartition("/")[2]), deep="recursive=1" in parts.query)
        else:
            status, body = self._blob(parts.path.rpartition("/")[2])
            headers["Content-Type"] = "application/vnd.github.raw+json; charset=utf-8"
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _folders(self) -> dict[str, str]:
        """The name of each tree, by path."""
        found = {self.branch: ""}
        for path in self.files:
            steps = path.split("/")[:-1]
            for number in range(1, len(steps) + 1):
                folder = "/".join(steps[:number])
                found[hashlib.sha1(folder.encode(), usedforsecurity=False).hexdigest()] = folder
        return found

    def _tree(self, name: str, *, deep: bool) -> tuple[int, bytes]:
        if not self.files:
            return 409, b'{"message": "Git Repository is empty."}'
        folders = self._folders()
        if name not in folders:
            return 404, b'{"message": "Not Found"}'
        folder = f"{folders[name]}/" if folders[name] else ""
        entries: list[dict[str, Any]] = []
        for path, content in sorted(self.files.items()):
            rest = path.removeprefix(folder)
            if path.startswith(folder) and (deep or "/" not in rest):
                mode = self.modes.get(path, "100644")
                kind = "commit" if mode == "160000" else "blob"
                entries.append({"path": rest, "mode": mode, "type": kind, "sha": sha(content), "size": len(content)})
        for tree, path in folders.items():
            rest = path.removeprefix(folder)
            if path and path.startswith(folder) and (deep or "/" not in rest):
                entries.append({"path": rest, "mode": "040000", "type": "tree", "sha": tree})
        cut = self.truncated and deep
        return 200, json.dumps({"tree": entries[:1] if cut else entries, "truncated": cut}).encode()

    def _blob(self, name: str) -> tuple[int, bytes]:
        for content in self.files.values():
            if sha(content) == name:
                return 200, content
        return 404, b'{"message": "Not Found"}'
