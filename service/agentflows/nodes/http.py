"""Calls another host."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.nodes.filling import address, pins_host, places
from service.agentflows.state import Moment
from service.agentflows.templates import Template, Values, code, json_value, shown
from service.agentflows.types import BadValue, Done
from service.chatflows.run import Backing
from service.chatflows.steps.tool_http import text_of, with_query
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind, StepEvent
from service.egress.client import Fetched
from service.egress.errors import EgressFailed
from service.errors import NotFound
from service.json_text import parsed
from service.secret_names import HIDDEN, QUERY, is_secret, redacted

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
FORMS = ("formData", "xWwwFormUrlencoded")
"""Bodies that are rows, not a text."""
BODIES = ("json", "raw", *FORMS)
ANSWERS = ("json", "text", "arraybuffer", "base64")
COMPONENTS = ("httpBasicAuth", "httpBearerToken", "httpApiKey")

MAX_ANSWER = 5 * 1024 * 1024
"""Bytes of an answer."""
SECONDS = 60.0

SECRETS_ELSEWHERE = (
    "url: with headers, a credential or other secrets, the host must stand in the node itself or in $vars: what is said"
    " in a run does not decide who is sent secrets"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A row with a key and a value."""

    key: str
    value: Template

    def text(self, values: Values) -> tuple[str, str]:
        """Both, filled."""
        return self.key, self.value.text(values)


class Http(FlowNode):
    """Sends a request to another host, and has its answer."""

    label = "HTTP"
    foreign = "answer of a server"

    def read(self, maker: Maker) -> None:
        """The request."""
        self._method = self.choice("method", METHODS)
        self._url = Template.parse(self.node.inputs.get("url"))
        if not self._url:
            maker.problem("url: there is no address to call")
        self._headers = tuple(pair for pair in self._pairs("headers") if pair.value)
        self._query = self._pairs("queryParams")
        self._body_type = self.choice("bodyType", BODIES)
        given = self.node.inputs.get("body")
        rows = self._body_type == "formData" or (self._body_type in FORMS and isinstance(given, list))
        self._rows = self._pairs("body") if rows else ()
        self._body = Template() if rows or isinstance(given, list) else Template.parse(code(given))
        self._answer = self.choice("responseType", ANSWERS)
        if self._has_secrets() and places(self._url, maker.names) and not pins_host(self._url):
            maker.problem(SECRETS_ELSEWHERE)

    def _has_secrets(self) -> bool:
        """Whether what is sent may hold a secret of the workspace."""
        sent = [self._body, *(row.value for row in (*self._query, *self._rows))]
        named = any(name.startswith("$vars.") for template in sent for name in template.names)
        return bool(self.credential or self._headers or named) or any(QUERY.search(row.key) for row in self._query)

    def _pairs(self, name: str) -> tuple[Pair, ...]:
        rows = self.rows(name)
        return tuple(Pair(str(row["key"]), Template.parse(row.get("value"))) for row in rows if row.get("key"))

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Refuses a credential that does not exist here."""
        if self.credential and not _is_id(self.credential):
            raise self._no_credential()

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """The answer. Raises `EgressError` when the host cannot be called or answers with an error, `BadValue`."""
        egress = moment.run.backing.defaults.egress
        url = self._filled_url(moment)
        headers = {name: value for name, value in (pair.text(moment) for pair in self._headers) if value}
        body, mime = self._sent(moment)
        if mime and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = mime
        shown_headers = {name: HIDDEN if is_secret(name, value) else value for name, value in headers.items()}
        asked = {"method": self._method, "url": redacted(url), "headers": shown_headers, "bodyType": self._body_type}
        secret = await self._secret(moment, urlsplit(url).hostname or "")
        fetched = await egress.fetch(
            url, method=self._method, headers={**headers, **secret}, body=body, max_bytes=MAX_ANSWER, timeout=SECONDS
        )
        if not 200 <= fetched.status < 300:
            raise self._refused(fetched)
        data = self._read(fetched)
        answer = {"data": data, "status": fetched.status, "headers": _harmless(fetched.headers)}
        text = shown(data)
        yield Done(
            text=text,
            output={"http": answer, "content": text},
            input={"http": {**asked, "responseType": self._answer}},
        )

    def _filled_url(self, moment: Moment) -> str:
        url = address(self._url, moment)
        given: dict[str, list[str]] = {}
        for name, value in (row.text(moment) for row in self._query):
            if value:
                given.setdefault(name, []).append(value)
        return with_query(url, given)

    def _sent(self, moment: Moment) -> tuple[bytes | None, str]:
        """The body and its media type. Raises `BadValue` for JSON that is none."""
        if self._method == "GET" or not (self._body or self._rows):
            return None, ""
        match self._body_type:
            case "raw":
                return self._body.text(moment).encode(), "text/plain; charset=utf-8"
            case "formData":
                return _form(dict(row.text(moment) for row in self._rows))
            case "xWwwFormUrlencoded":
                return urlencode(self._fields(moment)).encode("utf-8"), "application/x-www-form-urlencoded"
        value = self._value(moment)
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), "application/json"

    def _value(self, moment: Moment) -> Any:
        """What the JSON text of the body holds. Raises `BadValue` for one that is none."""
        try:
            return json_value(self._body, moment)
        except ValueError as error:
            raise BadValue(f"{self.title}: body: no JSON: {error}") from None

    def _fields(self, moment: Moment) -> list[tuple[str, str]]:
        """The fields of a form: rows, or a JSON text that holds rows or an object; a list there is a field for each of
        its values. Raises `BadValue`."""
        if not self._body:
            return [row.text(moment) for row in self._rows]
        value = self._value(moment)
        if isinstance(value, list):
            fields = [(row["key"], row.get("value")) for row in value if isinstance(row, Mapping) and row.get("key")]
        elif isinstance(value, Mapping):
            fields = list(value.items())
        else:
            raise BadValue(f"{self.title}: body: must hold an object, or rows of key and value")
        several = ((name, item if isinstance(item, list) else [item]) for name, item in fields)
        return [(str(name), shown(item)) for name, items in several for item in items]

    async def _secret(self, moment: Moment, host: str) -> dict[str, str]:
        """The header that the credential is; only for the host it may be sent to. Raises `HostNotAllowed`."""
        if not self.credential:
            return {}
        run = moment.run
        try:
            values = await run.backing.reveal(run.workspace, UUID(self.credential), host)
        except NotFound:
            raise self._no_credential() from None
        if values.get("basicAuthUsername") or values.get("basicAuthPassword"):
            pair = f"{values.get('basicAuthUsername', '')}:{values.get('basicAuthPassword', '')}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
        if values.get("token"):
            return {"Authorization": f"Bearer {values['token']}"}
        if values.get("key") and values.get("value"):
            return {values["key"]: values["value"]}
        return {}

    def _no_credential(self) -> FlowNotRunnable:
        text = f"{self.title}: the credential '{self.credential}' does not exist here; choose one of this service"
        return FlowNotRunnable(text, [Problem(self.node.id, text, ProblemKind.CREDENTIAL, COMPONENTS)])

    def _read(self, fetched: Fetched) -> Any:
        if self._answer in ("arraybuffer", "base64"):
            return base64.b64encode(fetched.body).decode("ascii")
        text = text_of(fetched)
        if self._answer == "text":
            return text
        try:
            return parsed(text)
        except ValueError:
            return text

    def _refused(self, fetched: Fetched) -> EgressFailed:
        host = urlsplit(fetched.url).hostname
        return EgressFailed(
            f"{self.title}: '{host}' answers with status {fetched.status}: {text_of(fetched)[:300]}".rstrip(": "),
            answer=fetched.status,
        )


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    """An answer's headers without what logs somebody in."""
    return {name: value for name, value in headers.items() if name.lower() != "set-cookie"}


def _form(fields: Mapping[str, str]) -> tuple[bytes, str]:
    """A multipart body and its media type."""
    border = uuid4().hex
    parts = []
    for name, value in fields.items():
        safe = name.replace("\\", "\\\\").replace('"', "%22").replace("\r", " ").replace("\n", " ")
        parts.append(f'--{border}\r\nContent-Disposition: form-data; name="{safe}"\r\n\r\n{value}\r\n')
    return f"{''.join(parts)}--{border}--\r\n".encode("utf-8", "replace"), f"multipart/form-data; boundary={border}"
