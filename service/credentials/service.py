"""Save, show, use and remove credentials. Values are sealed with the credential's id bound to them."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from service.credentials import records
from service.credentials.components import COMPONENTS
from service.credentials.hosts import default_hosts, fits, is_pattern, own_hosts
from service.credentials.types import (
    BLANK,
    HOSTS,
    Component,
    Credential,
    Input,
    InputType,
    OpenCredential,
    SealedCredential,
    Value,
)
from service.errors import Conflict, Forbidden, NotFound, Unprocessable
from service.keyring import Keyring, WrongKey
from stores.records.database import Database, Scope

if TYPE_CHECKING:
    from service.resources import Resources

MAX_NAME = 200
MAX_VALUE = 64 * 1024


class UnknownComponent(Unprocessable):
    """There is no credential component of this name."""

    code = "unknown_credential_name"


class UnreadableCredential(Conflict):
    """A credential was sealed with another key."""

    code = "wrong_key"
    private = True


class HostNotAllowed(Forbidden):
    """A credential may not be sent to this host."""

    code = "host_not_allowed"
    private = True


def component(name: str) -> Component:
    """The component of this name. Raises `UnknownComponent`, which lists the known ones."""
    found = COMPONENTS.get(name)
    if found is None:
        raise UnknownComponent(f"credentialName: unknown '{name}'. Known: {', '.join(sorted(COMPONENTS))}.")
    return found


def components(names: Sequence[str] = ()) -> list[Component]:
    """The components of these names, or all of them. Raises `NotFound`."""
    if missing := [name for name in names if name not in COMPONENTS]:
        raise NotFound(f"Credential component {', '.join(missing)} not found")
    return [COMPONENTS[name] for name in names] if names else list(COMPONENTS.values())


async def create(
    database: Database, keyring: Keyring, workspace: UUID, name: str, component_name: str, values: Mapping[str, Value]
) -> Credential:
    """Save a new credential. Raises `Unprocessable`, naming the field, for a value that cannot be saved."""
    kind = component(component_name)
    credential_id = uuid4()
    complete = _checked(kind, values)
    version, sealed = _seal(keyring, credential_id, complete)
    async with database.write(workspace) as scope:
        return await records.insert(scope, credential_id, _checked_name(name), kind.name, version, sealed)


async def everything(database: Database, workspace: UUID, component_names: Sequence[str] = ()) -> list[Credential]:
    """The workspace's credentials of these components (none named: of all), without their values."""
    async with database.read(workspace) as scope:
        return await records.everything(scope, component_names)


async def get(database: Database, keyring: Keyring, workspace: UUID, credential_id: UUID) -> OpenCredential:
    """A credential with its values in the clear. Raises `NotFound`, `UnreadableCredential`."""
    async with database.read(workspace) as scope:
        found = await records.get(scope, credential_id)
    if found is None:
        raise NotFound(f"Credential {credential_id} not found")
    return _unseal(keyring, found)


async def update(
    database: Database,
    keyring: Keyring,
    workspace: UUID,
    credential_id: UUID,
    name: str | None,
    component_name: str | None,
    values: Mapping[str, Value],
) -> Credential:
    """Change a credential; what is left out, and secrets given as the marker `BLANK`, stay as they were.

    Secrets are asked for anew when the component changes or a value that says where they are sent: otherwise whoever
    may edit a credential, but never read it, could have it sent to a host of his own.
    Raises `NotFound`, `UnreadableCredential` (never when all values are given), `Unprocessable`.
    """
    async with database.write(workspace) as scope:
        held = await records.lock(scope, credential_id)
        if held is None:
            raise NotFound(f"Credential {credential_id} not found")
        kind = component(component_name or held.credential.component)
        if kind.name == held.credential.component:
            merged = _merged(kind, _values_before(keyring, held, kind, values), values)
        else:
            merged = _merged(kind, {}, values)
        version, sealed = _seal(keyring, credential_id, _checked(kind, merged))
        new_name = held.credential.name if name is None else _checked_name(name)
        return await records.update(scope, credential_id, new_name, kind.name, version, sealed)


async def delete(database: Database, workspace: UUID, credential_id: UUID) -> int:
    """Remove a credential. Raises `NotFound`."""
    async with database.write(workspace) as scope:
        affected = await records.delete(scope, credential_id)
    if not affected:
        raise NotFound(f"Credential {credential_id} not found")
    return affected


async def reveal(
    resources: "Resources", workspace: UUID, credential_id: UUID, *, host: str | None = None
) -> Mapping[str, str]:
    """The values in the clear, by input name: for adapters that call a provider, never for an answer.

    Pass the `host` the values will be sent to: they go to the hosts that the credential names, and when it names none,
    to its provider's own and those that the operator has set.
    Raises `NotFound`, `UnreadableCredential`, `HostNotAllowed`.
    """
    async with resources.database.read(workspace) as scope:
        return await reveal_in(resources, scope, credential_id, host=host)


async def reveal_in(
    resources: "Resources", scope: Scope, credential_id: UUID, *, host: str | None
) -> Mapping[str, str]:
    """As `reveal`, over a connection that the caller has."""
    sealed = await records.get(scope, credential_id)
    if sealed is None:
        raise NotFound(f"Credential {credential_id} not found")
    found = _unseal(resources.keyring, sealed)
    if host is not None:
        name = found.credential.component
        allowed = own_hosts(found.values) or default_hosts(name, COMPONENTS.get(name), found.values, resources.settings)
        if not fits(host, allowed):
            raise HostNotAllowed(
                f"Credential '{found.credential.name}' ({credential_id}) may not be sent to {host};"
                f" list the host under its {HOSTS} to allow it. Allowed now: {', '.join(allowed) or 'none'}"
            )
    return {name: _text(value) for name, value in found.values.items() if name != HOSTS}


def masked(found: OpenCredential) -> dict[str, Value]:
    """The values as callers may see them: every secret, and every value of an unknown input, is the marker."""
    kind = COMPONENTS.get(found.credential.component)
    shown: dict[str, Value] = {}
    for name, value in found.values.items():
        item = kind.input(name) if kind else None
        shown[name] = value if item is not None and not item.secret else BLANK
    return shown


def _merged(kind: Component, before: Mapping[str, Value], values: Mapping[str, Value]) -> dict[str, Value]:
    """`before` changed by `values`. Raises `Unprocessable` for a marker that nothing stands behind."""
    for name, value in values.items():
        if value == BLANK and name not in before:
            raise Unprocessable(f"plainDataObj.{name}: the marker stands for a saved secret, and there is none")
    given = {name: value for name, value in values.items() if value != BLANK}
    moved = [
        item.name
        for item in kind.inputs
        if item.binds and given.get(item.name, "") != before.get(item.name, "")
        if item.name in given
    ]
    if moved and before:
        lacking = [item.name for item in kind.inputs if item.secret and item.name in before and item.name not in given]
        if lacking:
            raise Unprocessable(
                f"plainDataObj.{lacking[0]}: give it anew; {' and '.join(moved)} changes where it is sent"
            )
    return {**before, **given}


def _values_before(
    keyring: Keyring, held: SealedCredential, kind: Component, values: Mapping[str, Value]
) -> Mapping[str, Value]:
    """The saved values; none when they cannot be read and `values` replace them all."""
    try:
        return _unseal(keyring, held).values
    except UnreadableCredential:
        if BLANK in values.values() or any(not item.optional and item.name not in values for item in kind.inputs):
            raise
        return {}


def _checked(kind: Component, values: Mapping[str, Value]) -> dict[str, Value]:
    """The values to save. Raises `Unprocessable` naming the field."""
    complete: dict[str, Value] = {}
    for name, value in values.items():
        item = kind.input(name)
        if item is None:
            known = ", ".join(item.name for item in kind.inputs)
            raise Unprocessable(f"plainDataObj.{name}: {kind.name} has no such input. Known: {known}.")
        complete[name] = _checked_value(item, value)
    for item in kind.inputs:
        if item.secret and not item.optional and complete.get(item.name, "") == "":
            raise Unprocessable(f"plainDataObj.{item.name}: is missing")
    return complete


def _checked_value(item: Input, value: Value) -> Value:
    field = f"plainDataObj.{item.name}"
    if isinstance(value, str):
        if BLANK in value:
            raise Unprocessable(f"{field}: is the marker of a hidden secret, not a value")
        if len(value) > MAX_VALUE:
            raise Unprocessable(f"{field}: must not be longer than {MAX_VALUE} characters")
    if item.secret and not isinstance(value, str):
        raise Unprocessable(f"{field}: must be text")
    if item.type is InputType.BOOLEAN and not isinstance(value, bool):
        raise Unprocessable(f"{field}: must be true or false")
    if item.name != HOSTS:
        return value
    for host in own_hosts({HOSTS: value}):
        if not is_pattern(host):
            raise Unprocessable(
                f"{field}: '{host[:200]}' is no host; write api.example or *.example, without port or path"
            )
    return str(value).strip()


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME:
        raise Unprocessable(f"name: must have 1 to {MAX_NAME} characters")
    return name


def _seal(keyring: Keyring, owner: UUID, values: Mapping[str, Value]) -> tuple[int, bytes]:
    return keyring.seal(json.dumps(dict(values)).encode(), owner)


def _unseal(keyring: Keyring, found: SealedCredential) -> OpenCredential:
    credential = found.credential
    try:
        values = json.loads(keyring.unseal(found.key_version, found.sealed, credential.id))
    except WrongKey as error:
        raise UnreadableCredential(
            f"Credential '{credential.name}' ({credential.id}) cannot be read: {error}."
            " Start with the key it was saved under, or save its values anew."
        ) from None
    return OpenCredential(credential, values)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
