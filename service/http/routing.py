"""Routes that must declare a rule, a summary and a response; guarded before a byte of the body is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from service.errors import BadRequest, MissingPart, Unauthorized
from service.http.access import Rule, Verify, authorise, bearer
from service.http.idempotency import PARAMETER, WRITES, once
from service.http.json_request import JsonRequest
from service.http.openapi import JSON, SCHEME, Application, error_answer, json_body
from service.http.public import PUBLIC_ROUTES, WIDGET_ROUTES
from service.http.streams import EventStream

Handler = Callable[..., Any]


class UndeclaredRoute(Exception):
    """A route without a rule, or a public one that the reviewed list does not hold: the service does not start."""


def guarded(rule: Rule) -> type[APIRoute]:
    """A route class that lets a request in by `rule` before its body is read."""

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()
            writes = not WRITES.isdisjoint(self.methods or ())

            async def guard(request: Request) -> Response:
                verify: Verify = request.app.state.verify
                token = bearer(request.headers.get("authorization"))
                request.state.caller = await authorise(rule, token, verify)
                if b"%00" in request.scope["query_string"] or "\x00" in request.scope["path"]:
                    if rule.widget and request.state.caller.key is None:
                        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})
                    raise BadRequest("The URL must not contain a NUL character.")
                request = JsonRequest(request.scope, request.receive)
                if rule.door is not None:
                    await rule.door(request)
                nobody = rule.widget and request.state.caller.key is None  # let in by the handler, before its body
                if writes and not nobody and (key := request.headers.get("idempotency-key")) is not None:
                    return await once(request, handle, key)
                response: Response = await handle(request)
                if isinstance(response, EventStream) and (reader := request.state.caller.key) is not None:
                    response.hold(partial(request.app.state.resources.holders.reading, reader))
                return response

            return guard

    GuardedRoute.rule = rule  # type: ignore[attr-defined]  # read by the tests over all routes
    return GuardedRoute


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    """A rule as OpenAPI says it: alternatives, each a key with one permission."""
    if rule.public:
        return []
    return [{SCHEME: [scope]} for scope in sorted(rule.scopes)] or [{SCHEME: []}]


def _extra(method: str, rule: Rule, body: type[BaseModel] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a route adds to its operation in the document."""
    extra = {"security": _security(rule), **given}
    if method in WRITES:
        extra["parameters"] = [*given.get("parameters", ()), PARAMETER]
    if body is not None:
        request = {"required": True, **extra.get("requestBody", {})}
        content = request.get("content", {})
        described = {**json_body(body), **{k: v for k, v in content.get(JSON, {}).items() if k != "schema"}}
        extra["requestBody"] = {**request, "content": {**content, JSON: described}}
    return extra


@dataclass(slots=True)
class _Spec:
    method: str
    path: str
    rule: Rule
    handler: Handler
    body: type[BaseModel] | None
    options: dict[str, Any]


@dataclass(slots=True)
class Routes:
    """The routes of one feature: `routes = Routes("Document stores")`, then `@routes.post("/path", rule, ...)`."""

    tag: str
    prefix: str = "/api/v1"
    specs: list[_Spec] = field(default_factory=list)

    def add(
        self,
        method: str,
        path: str,
        rule: Rule,
        *,
        errors: tuple[int, ...] = (),
        body: type[BaseModel] | None = None,
        **options: Any,
    ) -> Callable[[Handler], Handler]:
        """Declare a route. `errors` are the statuses it can answer with besides its rule's; `body` is the model of a
        JSON body that the handler reads itself (as one that takes forms too); `options` go to FastAPI
        (`summary` and `response_model` or `responses` are demanded by a test). The handler's name in camelCase is the
        route's operation id and unlike every other; its docstring is the description."""

        def declare(handler: Handler) -> Handler:
            statuses = {*errors, 500} | (set() if rule.public else {401, 403}) | ({409} if method in WRITES else set())
            responses: Mapping[int | str, Any] = options.pop("responses", {})
            options["responses"] = {**{status: error_answer(status) for status in sorted(statuses)}, **responses}
            options.setdefault("response_description", "Success")
            options.setdefault("operation_id", to_camel(handler.__name__))
            options["openapi_extra"] = _extra(method, rule, body, options.get("openapi_extra", {}))
            self.specs.append(_Spec(method, self.prefix + path, rule, handler, body, options))
            return handler

        return declare

    def get(self, path: str, rule: Rule, **options: Any) -> Callable[[Handler], Handler]:
        """A GET route; see `add`."""
        return self.add("GET", path, rule, **options)

    def post(self, path: str, rule: Rule, **options: Any) -> Callable[[Handler], Handler]:
        """A POST route; see `add`."""
        return self.add("POST", path, rule, **options)

    def put(self, path: str, rule: Rule, **options: Any) -> Callable[[Handler], Handler]:
        """A PUT route; see `add`."""
        return self.add("PUT", path, rule, **options)

    def patch(self, path: str, rule: Rule, **options: Any) -> Callable[[Handler], Handler]:
        """A PATCH route; see `add`."""
        return self.add("PATCH", path, rule, **options)

    def delete(self, path: str, rule: Rule, **options: Any) -> Callable[[Handler], Handler]:
        """A DELETE route; see `add`."""
        return self.add("DELETE", path, rule, **options)

    def refuse(self, method: str, path: str, rule: Rule, operation: str, part: str, **options: Any) -> Handler:
        """Declare that a call which leaves out the last `part` of a path is answered 412 (contract 0.2). Returns the
        handler, whose name is `operation`."""

        async def refused() -> None:
            raise MissingPart(f"{part} not provided!")

        refused.__name__, refused.__doc__ = operation, f"Always refused: `{part}` is missing."
        options["summary"] += f": without {part}"
        return self.add(method, path, rule, errors=(412,), **options)(refused)

    def install(self, app: Application) -> None:
        """Register the routes; raises `UndeclaredRoute` for a public one that is not on the reviewed list."""
        for spec in self.specs:
            name = f"{spec.method} {spec.path}"
            if spec.rule.public != (name in PUBLIC_ROUTES):
                raise UndeclaredRoute(f"{name}: its rule and service/http/public.py disagree")
            if spec.rule.widget != (name in WIDGET_ROUTES):
                raise UndeclaredRoute(f"{name}: its rule and WIDGET_ROUTES in service/http/public.py disagree")
            if spec.body is not None:
                app.bodies.append(spec.body)
            app.router.add_api_route(
                spec.path,
                spec.handler,
                methods=[spec.method],
                tags=[self.tag],
                route_class_override=guarded(spec.rule),
                **spec.options,
            )
