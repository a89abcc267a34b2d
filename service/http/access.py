"""Who may call: rules that routes declare, callers that requests carry, and the one authorise function."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from service.errors import Forbidden, Unauthorized

FULL = "*"
"""The scope that includes every other."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. `key` is None for a public route, where no credential is looked at (`token` is kept for
    chatflows that are bound to a key)."""

    workspace: UUID | None
    key: UUID | None
    scopes: frozenset[str]
    token: str | None
    principals: frozenset[str] | None = None
    """Whom the key asks for, always; None: whom each call names (service/viewers.py)."""

    @property
    def name(self) -> str:
        """What chat histories are kept under: sessions of one caller are closed to every other."""
        return f"key:{self.key}" if self.key else "public"


Door = Callable[[Request], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route demands: nothing (`public`), a valid key (no scopes), or a key with one of `scopes`.

    `widget`: a caller without a key comes in as nobody, and the handler lets nobody in but where the flow says so.
    `door`: looks at a request after these, and refuses it before any of its body is read, or kept for its key."""

    public: bool = False
    scopes: frozenset[str] = frozenset()
    widget: bool = False
    door: "Door | None" = None
    told: tuple[str, ...] = ()
    """What people are told in place of `scopes`, where these are many."""

    @property
    def named(self) -> tuple[str, ...]:
        """The scopes as people are told of them."""
        return self.told or tuple(sorted(self.scopes))


PUBLIC = Rule(public=True)
"""No key is looked at. Only for routes listed in service/http/public.py."""


def public_through(door: Door) -> Rule:
    """As `PUBLIC`, for routes that take much: `door` says whether this caller may bring it."""
    return Rule(public=True, door=door)


SIGNED_IN = Rule()
"""Any valid key."""

WIDGET = Rule(widget=True)
"""Any valid key, or none where the handler finds the flow open. Only for routes listed in service/http/public.py."""


def needs(*scopes: str) -> Rule:
    """A key that holds one of these scopes."""
    return Rule(scopes=frozenset(scopes))


Verify = Callable[[str], Awaitable[Caller | None]]
"""Turns a presented key into its caller; None when it is unknown or revoked."""


def bearer(authorization: str | None) -> str | None:
    """The key in an Authorization header: `Bearer KEY` in that spelling, or the bare key, as Flowise reads it."""
    if not authorization:
        return None
    return authorization.removeprefix("Bearer ").strip() or None


async def authorise(rule: Rule, token: str | None, verify: Verify) -> Caller:
    """The caller of a request, or `Unauthorized` / `Forbidden`. Every transport calls this."""
    if rule.public:
        return Caller(None, None, frozenset(), token)
    if rule.widget and token is None:
        return Caller(None, None, frozenset(), None)
    caller = await verify(token) if token else None
    if caller is None:
        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})
    if caller.principals is not None:
        raise Forbidden("This key asks chatflows in the name of somebody and opens nothing else.")
    if rule.scopes and FULL not in caller.scopes and not rule.scopes & caller.scopes:
        raise Forbidden(f"This key lacks the permission {' or '.join(rule.named)}.")
    return caller


async def current_caller(request: Request) -> Caller:
    """The caller that the route's guard put onto the request."""
    caller: Caller = request.state.caller
    return caller


async def current_workspace(request: Request) -> UUID:
    """The caller's workspace; only on routes that are not public."""
    workspace = (await current_caller(request)).workspace
    if workspace is None:
        raise Unauthorized
    return workspace


CurrentCaller = Annotated[Caller, Depends(current_caller)]
CurrentWorkspace = Annotated[UUID, Depends(current_workspace)]
