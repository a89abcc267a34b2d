"""Runs JavaScript in single-use children that are kept ready, and makes the calls that scripts ask for."""

import asyncio
import base64
import binascii
import json
import logging
import math
import os
import re
import signal
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from loaders.channels import Channel, report
from loaders.forks import Forks, HelperFailed
from service.egress.errors import EgressError
from service.errors import Unavailable
from service.javascript.types import SETTING, JavaScriptOff, ScriptFailed
from service.json_text import check_depth
from service.settings import MIB, Settings, SettingsError

if TYPE_CHECKING:
    from service.egress.client import Egress

log = logging.getLogger("ragstone.javascript")

MAX_RESULT = 2 * MIB
"""Bytes of a result, as JSON."""

MAX_VALUES = 8 * MIB
"""Bytes of the values that a script is given, as JSON."""

MAX_CALLS = 20
"""Calls to other hosts that one script may make."""

MOST_ASKED = 5 * MAX_CALLS
"""Calls that it may ask for, those that are refused too: each costs this process the reading of a frame."""

MAX_ANSWER = 2 * MIB
"""Bytes of an answer of another host."""

MAX_REQUEST = 1 * MIB
"""Bytes of what a script sends to another host."""

SPARE = 1
"""Children that wait for a script while scripts are being run."""

IDLE_SECONDS = 120.0
"""Without a script for so long the helper ends and gives its memory back."""

LINE = 100
"""Scripts that wait for their turn; further ones are turned away."""

_LENGTH = 4
_ROLE = "j"
_NAME = re.compile(r"[$A-Za-z_][$\w]*", re.ASCII)
_RESERVED = frozenset(
    {
        "arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete",
        "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "if", "implements",
        "import", "in", "instanceof", "interface", "let", "new", "null", "package", "private", "protected", "public",
        "return", "static", "super", "switch", "this", "throw", "true", "try", "typeof", "var", "void", "while",
        "with", "yield",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What one script may cost."""

    seconds: float = 30.0
    memory_bytes: int = 128 * MIB
    at_once: int = 2


@dataclass(frozen=True, slots=True)
class _Child:
    """A child that waits for its script."""

    job: socket.socket
    watch: socket.socket

    def close(self) -> None:
        """Kills it, if it still runs."""
        self.job.close()
        self.watch.close()


class JavaScript:
    """Runs scripts. Costs nothing until the first; close it. One event loop only."""

    def __init__(self, egress: "Egress", limits: Limits | None = None) -> None:
        """Scripts reach other hosts by `egress` alone."""
        self._egress = egress
        self._limits = limits or Limits()
        preloaded = ("asyncio", "json", "service.javascript.child:preload")
        self._forks = Forks(preloaded, {_ROLE: "service.javascript.child"})
        self._turns = asyncio.Semaphore(self._limits.at_once)
        self._ready: deque[_Child] = deque()
        self._running = 0
        self._refilling: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None

    async def __call__(self, code: str, values: Mapping[str, Any]) -> Any:
        """What the function with the body `code` returns, awaited; `values` are globals by name, JSON.

        Raises `ScriptFailed`: the script's own error, or a limit that it crossed; `Unavailable` when too many wait.
        """
        request = _request(code, values)
        if self._running >= self._limits.at_once + LINE:
            raise Unavailable("Too many scripts are waiting; try again in a few seconds.", headers={"Retry-After": "5"})
        self._running += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            async with self._turns:
                return await self._run(request)
        finally:
            self._running -= 1
            if self._running == 0:
                self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._rest)

    async def close(self) -> None:
        """End the helper and every child. Safe to call twice."""
        if self._idle is not None:
            self._idle.cancel()
        if self._refilling is not None:
            self._refilling.cancel()
            await asyncio.gather(self._refilling, return_exceptions=True)
        if self._resting is not None:
            await self._resting
        await self._stop()

    @property
    def helper(self) -> int | None:
        """The helper's process id; None while it is not up."""
        return self._forks.helper

    async def _stop(self) -> None:
        while self._ready:
            self._ready.popleft().close()
        await self._forks.close()

    def _rest(self) -> None:
        if self._running == 0:
            self._resting = asyncio.create_task(self._stop())

    async def _run(self, request: bytes) -> Any:
        seconds = self._limits.seconds
        for last in (False, True):
            child = await self._take()
            self._refill()
            talk = _Talk(child, self._egress, seconds)
            try:
                async with asyncio.timeout(seconds):
                    answer = await talk.hold(request)
                    status = 0 if answer is not None else (await report(child.watch))[0]
            except TimeoutError:
                raise ScriptFailed(f"The script took longer than {seconds:g} seconds (javascript_seconds).") from None
            finally:
                child.close()
            if answer is not None:
                return _result(answer)
            if last or talk.calls or status != signal.SIGTERM:  # that is what is told when the helper has died
                raise self._died(status)
        raise AssertionError("unreachable")

    def _died(self, status: int) -> ScriptFailed:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return ScriptFailed(f"The script took more than {self._limits.seconds:g} seconds of CPU time.")
        size = self._limits.memory_bytes // MIB
        return ScriptFailed(f"The script was ended: it needs more than {size} MiB (javascript_memory), or broke V8.")

    async def _take(self) -> _Child:
        """A child that is ready, else a new one. Raises `Unavailable`."""
        while self._ready:
            child = self._ready.popleft()
            if _alive(child.watch):
                return child
            child.close()
        return await self._fork()

    async def _fork(self) -> _Child:
        try:
            child = _Child(*await self._forks.fork(_ROLE))
        except (HelperFailed, OSError) as error:
            raise Unavailable("The process that runs JavaScript did not come up.") from error
        settings = {"memory_bytes": self._limits.memory_bytes, "cpu_seconds": math.ceil(self._limits.seconds) + 1}
        try:
            await Channel(child.job).send(_frame(json.dumps(settings).encode()))
        except ConnectionError:
            child.close()
            raise Unavailable("The process that runs JavaScript did not come up.") from None
        return child

    def _refill(self) -> None:
        """Have children come up while a script runs."""
        if self._refilling is None or self._refilling.done():
            self._refilling = asyncio.create_task(self._spare())

    async def _spare(self) -> None:
        try:
            while len(self._ready) < SPARE:
                self._ready.append(await self._fork())
        except Unavailable as error:
            log.warning("%s", error)  # the next script asks again


class _Talk:
    """What is said with one child."""

    def __init__(self, child: _Child, egress: "Egress", seconds: float) -> None:
        self._channel = Channel(child.job)
        self._egress = egress
        self._seconds = seconds
        self.calls = 0
        """Calls that the script has made."""
        self._sending = asyncio.Lock()

    async def hold(self, request: bytes) -> bytes | None:
        """The child's answer; None when it died. Its calls are made meanwhile, and end with it."""
        calls: set[asyncio.Task[None]] = set()
        try:
            await self._channel.send(_frame(request))
            while True:
                frame = await self._read()
                message = _object(frame)
                if "call" not in message:
                    return frame
                self.calls += 1
                if self.calls > MOST_ASKED:
                    raise ScriptFailed(f"The script does not stop asking for calls; it may make {MAX_CALLS}.")
                calls.add(asyncio.create_task(self._answer(message, self.calls)))
        except ConnectionError:
            return None
        finally:
            for task in calls:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def _read(self) -> bytes:
        length = int.from_bytes(await self._channel.exactly(_LENGTH), "big")
        if length > 2 * MAX_RESULT + MIB:
            raise ScriptFailed(f"The script gives more than {MAX_RESULT} bytes of JSON.")
        return await self._channel.exactly(length)

    async def _answer(self, message: Mapping[str, Any], number: int) -> None:
        if number > MAX_CALLS:
            answer: dict[str, Any] = {"failure": f"a script may make {MAX_CALLS} calls"}
        else:
            answer = await self._fetched(message)
        data = f"{int(message['call'])} ".encode() + json.dumps(answer).encode()
        async with self._sending:
            await self._channel.send(_frame(data))

    async def _fetched(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What another host answers, for the script; a failure is for it too."""
        try:
            wanted = dict(json.loads(str(message["request"])))
            body = base64.b64decode(wanted["base64"]) if "base64" in wanted else str(wanted.get("text", "")).encode()
            headers = {str(name): str(value) for name, value in dict(wanted.get("headers") or {}).items()}
            if len(body) > MAX_REQUEST:
                return {"failure": f"a request may have {MAX_REQUEST} bytes"}
            kept = {name: value for name, value in headers.items() if name.lower() not in _NOT_SENT}
            fetched = await self._egress.fetch(
                str(wanted["url"]),
                method=_method(str(wanted.get("method") or "GET")),
                headers=kept,
                body=body or None,
                max_bytes=MAX_ANSWER,
                timeout=self._seconds,
            )
        except EgressError as error:
            return {"failure": error.withheld()}  # a script may say it to anybody
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            return {"failure": "the request cannot be read"}
        answer = {"status": fetched.status, "url": fetched.url, "headers": dict(fetched.headers)}
        try:
            return {**answer, "text": fetched.body.decode(fetched.charset or "utf-8")}
        except (UnicodeDecodeError, LookupError):
            text = fetched.body.decode("utf-8", "replace")
            return {**answer, "text": text, "base64": base64.b64encode(fetched.body).decode()}


_NOT_SENT = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})
"""Headers that scripts give out of habit and that are the connection's."""


def _method(name: str) -> str:
    if name not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        raise ValueError("no method of HTTP")
    return name


def _request(code: str, values: Mapping[str, Any]) -> bytes:
    """What the child is sent. Raises `ScriptFailed`."""
    for name in values:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise ScriptFailed(f"'{name[:100]}' cannot be the name of a variable of a script")
    try:
        given = json.dumps(dict(values), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ScriptFailed(f"A value for the script is no JSON: {error}") from None
    if len(given) + len(code) > MAX_VALUES:
        raise ScriptFailed(f"The script and its values are larger than {MAX_VALUES} bytes")
    return json.dumps({"values": given, "code": code}).encode()


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH, "big") + data


def _object(frame: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        raise ScriptFailed("The script gave an answer that cannot be read.") from None
    if not isinstance(message, dict):
        raise ScriptFailed("The script gave an answer that cannot be read.")
    return message


def _result(frame: bytes) -> Any:
    """The value in a child's answer. Raises `ScriptFailed`."""
    text = str(_object(frame).get("result", "")).encode("utf-8", "replace")
    if len(text) > MAX_RESULT:
        raise ScriptFailed(f"The script gives more than {MAX_RESULT} bytes of JSON.")
    made = _object(text)
    lines = made.get("lines")
    for line in lines[:100] if isinstance(lines, list) else ():
        log.debug("console: %s", str(line)[:1000])
    if "error" in made:
        raise ScriptFailed(str(made["error"])[:4000])
    value = made.get("value")
    try:
        check_depth(value)
    except ValueError as error:
        raise ScriptFailed(f"The script's result is {error}") from None
    return _storable(value)


def _storable(value: Any) -> Any:
    """Without what no database and no stream can hold: NUL and halves of characters."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode() if "\0" in value or _LONE(value) else value
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


_LONE = re.compile("[\ud800-\udfff]").search


def _alive(watch: socket.socket) -> bool:
    """Whether nothing has been said of a child's end."""
    try:
        watch.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def open_javascript(settings: Settings, egress: "Egress") -> JavaScript | None:
    """As the settings say; None when it is off. Raises `SettingsError` when its library is not installed."""
    if not settings.javascript:
        return None
    if find_spec("py_mini_racer") is None:
        raise SettingsError(f"{SETTING}: install the extra `javascript`: pip install 'ragstone[javascript]'")
    limits = Limits(settings.javascript_seconds, settings.javascript_memory, settings.javascript_processes)
    return JavaScript(egress, limits)


async def custom_function(runner: JavaScript | None, code: str, values: Mapping[str, Any]) -> Any:
    """What a function of an editor returns, tried out with these values; names get their `$`.

    Raises `JavaScriptOff`, `ScriptFailed`.
    """
    if runner is None:
        raise JavaScriptOff
    return await runner(code, {name if name.startswith("$") else f"${name}": value for name, value in values.items()})
