"""Talks HTTP to a service: finds it, finds a key, and turns its refusals into exit codes."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from service.cli.exits import CommandError, Refused, Rejected, Unreachable, UsageProblem
from service.cli.folder import KEY, running, write_private
from service.cli.options import environment, settings_for

URL_VARIABLE = "RAGSTONE_URL"
KEY_VARIABLE = "RAGSTONE_API_KEY"

TIMEOUT = httpx.Timeout(300.0, connect=10.0)


class Client:
    """A service and a key to it. Every method raises `Unreachable`, `Refused` or `CommandError` with its message."""

    def __init__(self, url: str, key: str, renew: Callable[[], str] | None = None) -> None:
        """`renew` makes another key when the service refuses this one, at most once."""
        self.url = url
        self._renew = renew
        # Proxies are for other machines; a service on this one is asked directly.
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/api/v1", timeout=TIMEOUT, headers=_bearer(key), trust_env=not _is_local(url)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; an answer that is an error is raised."""
        response = self._once(method, path, **options)
        if response.status_code == 401 and self._renew is not None:
            self._http.headers.update(_bearer(self._renew()))
            self._renew = None
            response = self._once(method, path, **options)
        _raise_for(response)
        return response

    def get(self, path: str, **params: Any) -> Any:
        """The JSON at a path."""
        return self.send("GET", path, params=params).json()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON, get JSON."""
        return self.send("POST", path, json=body).json()

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send a change as JSON, get JSON."""
        return self.send("PUT", path, json=dict(body)).json()

    def upload(self, path: str, files: list[tuple[str, Path]], fields: Mapping[str, str] | None = None) -> str:
        """Send named files as multipart, with fields beside them, without waiting for what becomes of them; returns
        the job's path."""
        opened = [(name, file.open("rb")) for name, file in files]
        try:
            parts = [("files", (name, stream)) for name, stream in opened]
            headers = {"Prefer": "respond-async"}
            response = self.send("POST", path, files=parts, data=dict(fields or {}), headers=headers)
        finally:
            for _, stream in opened:
                stream.close()
        location = response.headers.get("location", "")
        if not location:
            raise CommandError(f"{self.url} did not say which job took the files")
        return str(location).removeprefix("/api/v1")

    def send_form(self, path: str, fields: Mapping[str, str], files: Sequence[tuple[str, Path]]) -> Any:
        """Send named files with the fields of a form, as multipart; returns the JSON that answers."""
        try:
            with ExitStack() as opened:
                parts = [("files", (name, opened.enter_context(file.open("rb")))) for name, file in files]
                return self.send("POST", path, data=dict(fields), files=parts).json()
        except OSError as error:
            raise CommandError(f"a file cannot be read: {error}") from None

    def pieces(self, path: str, params: Mapping[str, Any]) -> Iterator[bytes]:
        """An answer as it comes, piece by piece; an answer that is an error is raised."""
        try:
            with self._http.stream("GET", path, params=dict(params)) as response:
                if response.status_code >= 400:
                    response.read()
                    _raise_for(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise Unreachable(f"{self.url} did not send all of it: {error}") from None

    def download(self, path: str, params: Mapping[str, Any], file: Path) -> int:
        """Write an answer into a file, which is there only once it is whole; returns its bytes."""
        aside = file.with_name(file.name + ".part")
        try:
            with aside.open("wb") as target:
                for piece in self.pieces(path, params):
                    target.write(piece)
                size = target.tell()
            aside.replace(file)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error}") from None
        finally:
            aside.unlink(missing_ok=True)
        return size

    def send_file(self, path: str, params: Mapping[str, Any], file: Path) -> str:
        """Send a file as it is, without waiting for what becomes of it; returns the job's path."""
        try:
            with file.open("rb") as stream:
                headers = {"Prefer": "respond-async", "Content-Length": str(file.stat().st_size)}
                response = self._once("POST", path, params=dict(params), content=stream, headers=headers)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error}") from None
        _raise_for(response)
        return str(response.headers["location"]).removeprefix("/api/v1")

    def events(self, path: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The events of a streamed answer, as (name, data); an answer that came whole is one event `answer`. Raises
        `CommandError` for the event `error`."""
        try:
            request = self._http.build_request("POST", path, json=body)
        except (ValueError, RecursionError) as error:
            raise _unsendable(error) from None
        try:
            with closing(self._http.send(request, stream=True)) as response:
                if response.status_code >= 400:
                    response.read()
                    _raise_for(response)
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    yield "answer", json.loads(response.read())
                    return
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        event = json.loads(line.removeprefix("data:"))
                        if event["event"] == "error":
                            raise CommandError(str(event["data"]))
                        yield event["event"], event["data"]
        except httpx.TransportError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from None

    def follow(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The states of a job until it has ended, from its stream of events; a broken connection ends them early."""
        try:
            with self._http.stream("GET", path) as response:
                if response.status_code >= 400:
                    response.read()
                    _raise_for(response)
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.TransportError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from None

    def store(self, name: str) -> Mapping[str, Any] | None:
        """The document store with this name (the one changed last) or this id."""
        return _named(self.get("/document-store/store"), name)

    def dataset(self, name: str) -> Mapping[str, Any] | None:
        """The dataset with this name (the one changed last) or this id."""
        return _named(self.get("/datasets"), name)

    def chatflow(self, name: str) -> Mapping[str, Any] | None:
        """The chatflow with this name (the one changed last) or this id."""
        return _named(self.get("/chatflows"), name)

    def _once(self, method: str, path: str, **options: Any) -> httpx.Response:
        for _, (_, stream) in options.get("files", ()):
            stream.seek(0)
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{self.url} does not answer ({reason}); is the service running?") from None
        except (ValueError, RecursionError) as error:
            raise _unsendable(error) from None


_LISTED = {
    "chatflow": "; `ragstone flow ls` lists what there is",
    "dataset": "; `ragstone dataset ls` lists what there is",
    "document store": "; `ragstone store list` lists what there is",
    "evaluation": "; `ragstone eval ls` lists what there is",
}


def need(found: Mapping[str, Any] | None, kind: str, name: str) -> Mapping[str, Any]:
    """What was found, else a `CommandError` that says what was looked for."""
    if found is None:
        raise CommandError(f"there is no {kind} {name!r}{_LISTED.get(kind, '')}")
    return found


@contextmanager
def connect(data: Path | None, url: str | None, key: str | None) -> Iterator[Client]:
    """A client for the service at `url`, RAGSTONE_URL, or the one that runs on the data folder.

    The key is `key`, RAGSTONE_API_KEY, or that of the data folder, which is made when there is none. Raises
    `Unreachable` when no service runs there, `Refused` when a key would be needed and there is none.
    """
    wanted = url or environment().get(URL_VARIABLE, "")
    secret = key or environment().get(KEY_VARIABLE, "")
    renew: Callable[[], str] | None = None
    if not wanted or not secret:
        settings = settings_for(data)
        note = running(settings.data)
        if not wanted:
            if note is None:
                raise Unreachable(
                    f"no service runs on {settings.data}: start it with `ragstone up`, or name one with --url"
                )
            wanted = note.url
        if not secret:
            if note is None or wanted.rstrip("/") != note.url:
                raise Refused(f"{wanted} needs an API key: give it with --key or {KEY_VARIABLE}")
            file = settings.data / KEY

            def renewed() -> str:
                return _make_key(data, file)

            secret = _stored_key(file) or renewed()
            renew = renewed
    with Client(wanted, secret, renew) as client:
        yield client


@contextmanager
def connect_here(data: Path) -> Iterator[Client]:
    """A client for the service that runs on this folder, with the folder's key, whatever the environment names."""
    note = running(data)
    if note is None:
        raise Unreachable(f"no service runs on {data}")

    def renewed() -> str:
        return _make_key(data, data / KEY)

    with Client(note.url, _stored_key(data / KEY) or renewed(), renewed) as client:
        yield client


def _stored_key(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def _make_key(data: Path | None, file: Path) -> str:
    from service.cli.key import make_key

    made = make_key(settings_for(data), f"command line of {os.environ.get('USER', 'this machine')}", ["*"])
    write_private(file, made["apiKey"] + "\n")
    return str(made["apiKey"])


def _unsendable(error: Exception) -> UsageProblem:
    """Arguments of a command line may be no text, and JSON in them no JSON: half characters, numbers without end."""
    return UsageProblem(f"this cannot be sent: {error}")


def _named(rows: list[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if name in (row["name"], row["id"])), None)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    return host in ("localhost", "::1", socket.gethostname()) or host.startswith("127.")


def _raise_for(response: httpx.Response) -> None:
    if response.status_code < 400:
        return
    try:
        message = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = f"{response.request.method} {response.request.url} answered {response.status_code}"
    if response.status_code in (401, 403):
        raise Refused(f"{message} (key refused by {response.request.url.copy_with(path='/')})")
    raise Rejected(message, response.status_code)
