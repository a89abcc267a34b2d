"""Routes that must declare a rule, a summary and a response; guarded before a byte of the body is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute

from service.http.access import Rule, Verify, authorise, bearer
from service.http.public import PUBLIC_ROUTES
from service.http.wire import ErrorBody

Handler = Callable[..., Any]

DESCRIPTIONS = {
    400: "The request is malformed",
    401: "No key, or a wrong one",
    403: "The key lacks the permission",
    404: "There is no such object in the caller's workspace",
    409: "The request conflicts with the present state",
    412: "A required part is missing",
    413: "Larger than the limit",
    422: "A field cannot be used; the message names it",
    429: "Too many requests",
    500: "A bug; the log has the details",
    502: "A provider failed",
    503: "A part of the service is out of reach",
}


class UndeclaredRoute(Exception):
    """A route without a rule, or a public one that the reviewed list does not hold: the service does not start."""


def guarded(rule: Rule) -> type[APIRoute]:
    """A route class that lets a request in by `rule` before its body is read."""

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()

            async def guard(request: Request) -> Response:
                verify: Verify = request.app.state.verify
                token = bearer(request.headers.get("authorization"))
                request.state.caller = await authorise(rule, token, verify)
                response: Response = await handle(request)
                return response

            return guard

    GuardedRoute.rule = rule  # type: ignore[attr-defined]  # read by the tests over all routes
    return GuardedRoute


@dataclass(slots=True)
class _Spec:
    method: str
    path: str
    rule: Rule
    handler: Handler
    options: dict[str, Any]


@dataclass(slots=True)
class Routes:
    """The routes of one feature: `routes = Routes("Document stores")`, then `@routes.post("/path", rule, ...)`."""

    tag: str
    prefix: str = "/api/v1"
    specs: list[_Spec] = field(default_factory=list)

    def add(
        self, method: str, path: str, rule: Rule, *, errors: tuple[int, ...] = (), **options: Any
    ) -> Callable[[Handler], Handler]:
        """Declare a route. `errors` are the statuses it can answer with besides its rule's; `options` go to FastAPI
        (`summary` and `response_model` or `responses` are demanded by a test)."""

        def declare(handler: Handler) -> Handler:
            statuses = {*errors, 500} | (set() if rule.public else {401, 403})
            responses: Mapping[int | str, Any] = options.pop("responses", {})
            documented = {
                status: {"model": ErrorBody, "description": DESCRIPTIONS[status]} for status in sorted(statuses)
            }
            options["responses"] = {**documented, **responses}
            self.specs.append(_Spec(method, self.prefix + path, rule, handler, options))
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

    def install(self, app: FastAPI) -> None:
        """Register the routes; raises `UndeclaredRoute` for a public one that is not on the reviewed list."""
        for spec in self.specs:
            name = f"{spec.method} {spec.path}"
            if spec.rule.public != (name in PUBLIC_ROUTES):
                raise UndeclaredRoute(f"{name}: its rule and service/http/public.py disagree")
            app.router.add_api_route(
                spec.path,
                spec.handler,
                methods=[spec.method],
                tags=[self.tag],
                route_class_override=guarded(spec.rule),
                **spec.options,
            )
