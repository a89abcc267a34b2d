"""A tool for each operation of an API that an OpenAPI document describes."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit
from uuid import UUID

from pydantic import BeforeValidator, Field

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps.base import BadOption, Links, StepOptions
from service.chatflows.steps.openapi_document import Operation, decoded, is_own_call, operations, read, server_of
from service.chatflows.steps.scripts import as_text, need_script, values
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep, tool_name
from service.chatflows.steps.tool_http import (
    checked_url,
    fetched,
    headers_of,
    object_schema,
    shortened,
    text_of,
    with_path,
    with_query,
)
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind
from service.egress.errors import EgressError
from service.javascript.types import ScriptFailed

MAX_TEXT = 100_000
"""Characters of an answer that a model reads."""

MAX_DOCUMENT = 2 * 1024 * 1024
"""Bytes of a document."""

Headers = Annotated[dict[str, str], BeforeValidator(headers_of)]


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return [part for part in value.strip("[]").replace('"', "").split(",") if part.strip()]
    return value


class OpenApiOptions(StepOptions):
    """Fields of the node."""

    yaml_file: str = Field("", title="YAML File", description="A data URI of the document, YAML or JSON.")
    open_api_file: str = Field("", title="OpenAPI File", description="The same, as later versions name it.")
    open_api_link: str = Field("", title="OpenAPI Link", description="Its address.")
    selected_server: str = Field("", title="Server", description="The API's address; empty: the document's first.")
    selected_endpoints: Annotated[list[str], BeforeValidator(_names)] = Field(
        default_factory=list, title="Available Endpoints", description="Operations that are tools; empty: all."
    )
    return_direct: bool = Field(False, title="Return Direct")
    headers: Headers = Field(default_factory=dict, title="Headers")
    remove_nulls: bool = Field(False, title="Remove null parameters")
    custom_code: str = Field("", title="Custom Code", description="JavaScript with $url and $options; empty: a call.")


class OpenApiToolkit(ToolStep):
    """Offers an API to a model, an operation a tool."""

    label = "OpenAPI Toolkit"
    version = 2
    base_classes = ("OpenAPIToolkit", "Tool")
    Options = OpenApiOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `OpenApiOptions`; a document that is given is read here. Raises `BadOption`."""
        super().__init__(node, options, links)
        self._options: OpenApiOptions = options
        self._scripted = bool(options.custom_code.strip()) and not is_own_call(options.custom_code)
        self._operations: Sequence[Operation] = ()
        self._server = ""
        field, given = next(
            (
                (name, text)
                for name, text in (("yamlFile", options.yaml_file), ("openApiFile", options.open_api_file))
                if text
            ),
            ("yamlFile", ""),
        )
        if not given and not options.open_api_link:
            raise BadOption("yamlFile: give the document of the API; exports leave files out")
        try:
            if given:
                self._take(decoded(given), "")
            else:
                checked_url(options.open_api_link)
        except ValueError as error:
            raise BadOption(f"{field if given else 'openApiLink'}: {error}") from None

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Fetch a document that is elsewhere. Raises `FlowNotRunnable` for one that cannot be read, and where there is
        code of the author's and JavaScript is not switched on."""
        if self._scripted:
            need_script(self, backing)
        if self._operations:
            return
        link = self._options.open_api_link
        try:
            answer = (await backing.defaults.egress.fetch(link, max_bytes=MAX_DOCUMENT)).good()
            await asyncio.to_thread(self._take, text_of(answer), answer.url)
        except (EgressError, ValueError) as error:
            text = f"{self.title}: openApiLink: {error}"
            raise FlowNotRunnable(text, [Problem(self.node.id, text, ProblemKind.SETTING)]) from None

    def _take(self, text: str, place: str) -> None:
        """Read a document. Raises `ValueError`."""
        document = read(text)
        chosen = self._options.selected_server or server_of(document)
        self._server = checked_url(urljoin(place, chosen) if place else chosen).rstrip("/")
        if place and not self._options.selected_server and self._options.headers:
            self._check_host()
        wanted = {name.strip() for name in self._options.selected_endpoints}
        found = operations(document)
        self._operations = [item for item in found if not wanted or not wanted.isdisjoint(item.names)]
        if not self._operations:
            raise ValueError("there is no operation in the document")

    def _check_host(self) -> None:
        """The node's headers may open doors: who writes the document that a link names does not say where they go.
        Raises `ValueError`."""
        link, server = urlsplit(self._options.open_api_link), urlsplit(self._server)
        same = (server.hostname, server.port) == (link.hostname, link.port)
        if not same or (link.scheme == "https" and server.scheme != "https"):
            raise ValueError(
                f"the document at {link.netloc} names {server.scheme}://{server.netloc} as its server, which is not"
                " to be told the node's headers without you saying so: choose it as selectedServer"
            )

    async def tools(self, run: Run) -> Sequence[Tool]:
        """A tool for each operation."""
        return self.offered()

    def offered(self) -> Sequence[Tool]:
        """The same, once the document is there."""
        return [self._tool(operation) for operation in self._operations]

    def _tool(self, operation: Operation) -> Tool:
        async def call(run: Run, given: Mapping[str, Any]) -> Outcome:
            return Outcome(shortened(await self._called(run, operation, given), MAX_TEXT))

        parts = {
            name: object_schema(dict(schemas), [key for key in required if key in schemas])
            for name, schemas, required in (
                ("PathParameters", operation.path_parameters, tuple(operation.path_parameters)),
                ("QueryParameters", operation.query_parameters, operation.required),
                ("HeaderParameters", operation.header_parameters, operation.required),
            )
            if schemas
        }
        if operation.body is not None:
            parts["RequestBody"] = dict(operation.body)
        needed = [name for name in parts if name == "PathParameters" or parts[name].get("required")]
        name = tool_name(operation.name)
        return Tool(name, operation.about, object_schema(parts, needed), call, self._options.return_direct)

    async def _called(self, run: Run, operation: Operation, given: Mapping[str, Any]) -> str:
        def part(name: str) -> dict[str, Any]:
            found = given.get(name)
            kept = found if isinstance(found, Mapping) else {}
            return {key: value for key, value in kept.items() if value is not None or not self._options.remove_nulls}

        path, query = part("PathParameters"), part("QueryParameters")
        places = {key: value for key, value in path.items() if key in operation.path_parameters}
        address = with_query(with_path(f"{self._server}{operation.path}", places), query)
        extra = {
            key: str(value) for key, value in part("HeaderParameters").items() if key in operation.header_parameters
        }
        headers = {"Accept": "application/json", **extra, **self._options.headers}
        body = (
            part("RequestBody")
            if operation.body is not None and isinstance(given.get("RequestBody"), Mapping)
            else None
        )
        if self._scripted:
            return await self._by_script(run, operation, address, headers, body, given)
        answer = await fetched(run, address, method=operation.method, headers=headers, body=body)
        text = text_of(answer)
        return text if 200 <= answer.status < 300 else f"Status {answer.status}. {text}"

    async def _by_script(
        self, run: Run, operation: Operation, url: str, headers: Mapping[str, str], body: Any, given: Mapping[str, Any]
    ) -> str:
        options: dict[str, Any] = {"method": operation.method, "headers": dict(headers)}
        if body is not None:
            options["headers"].setdefault("Content-Type", "application/json")
            options["body"] = json.dumps(body, ensure_ascii=False)
        assert run.backing.script is not None
        known = values(run, {**given, "url": url, "options": options})
        try:
            return as_text(await run.backing.script(self._options.custom_code, known))
        except ScriptFailed as error:
            raise ToolFailed(error.message) from error
