"""Secrets of configurations where they lie: sealed at the edge to the database, open everywhere else.

A sealed value is a text, `SEALED`, the version of the key, and the sealed JSON in base64. AES-256-SIV (RFC 5297, here
with the workspace as associated data) gives equal texts for equal values of a workspace: rows are compared by what they
hold, such as whether a document's recipe is still its loader's. That two of a workspace's secrets are equal is all that
a reader of the database learns.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.keyring import Keyring, WrongKey
from service.secret_names import OPEN, is_confidential

SEALED = "ragstone-sealed:"
"""Begins every sealed value."""

_BEGIN = SEALED.encode()

_JSON, _TEXT, _BYTES = b"json", b"text", b"bytes"
"""What a value is, bound to it: a sealed text cannot be put in the place of a field."""


class Vault:
    """The keys of an installation, as the `Sealer` of its database."""

    def __init__(self, keyring: Keyring) -> None:
        """Derives nothing yet: a process that never meets a secret pays nothing."""
        self._keyring = keyring

    @cached_property
    def _ciphers(self) -> Mapping[int, AESSIV]:
        return {version: AESSIV(_derived(key)) for version, key in self._keyring.keys.items()}

    def seal(self, value: Any, workspace: UUID) -> Any:
        """A JSON value with its secrets sealed: those of `secret_names`, and texts that look sealed already."""
        return self._seal("", value, workspace)

    def open(self, value: Any, workspace: UUID) -> Any:
        """The JSON value again. Raises `WrongKey`."""
        return self._open("", value, workspace)

    def seal_text(self, text: str, workspace: UUID) -> str:
        """The whole of a text, sealed."""
        return self._sealed(text.encode("utf-8", "surrogatepass"), workspace, _TEXT)

    def open_text(self, text: str, workspace: UUID) -> str:
        """The text again; one that was never sealed is itself. Raises `WrongKey`."""
        if not text.startswith(SEALED):
            return text
        return self._opened(text, workspace, _TEXT).decode("utf-8", "surrogatepass")

    def seal_bytes(self, data: bytes, workspace: UUID) -> bytes:
        """The whole of a value, sealed."""
        version = self._keyring.newest
        return _BEGIN + b"%d:" % version + self._ciphers[version].encrypt(data, [workspace.bytes, _BYTES])

    def open_bytes(self, data: bytes, workspace: UUID) -> bytes:
        """The value again; one that was never sealed is itself. Raises `WrongKey`."""
        if not data.startswith(_BEGIN):
            return data
        version, _, sealed = data.removeprefix(_BEGIN).partition(b":")
        return self._decrypted(version.decode("ascii", "replace"), sealed, workspace, _BYTES)

    def _seal(self, key: str, value: Any, workspace: UUID) -> Any:
        if value is None or value == "" or key in OPEN:
            return value
        if is_confidential(key, value) or (isinstance(value, str) and value.startswith(SEALED)):
            return self._sealed(_json(value), workspace, _JSON)
        if isinstance(value, Mapping):
            return {name: self._seal(name, item, workspace) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._seal("", item, workspace) for item in value]
        return value

    def _open(self, key: str, value: Any, workspace: UUID) -> Any:
        if key in OPEN:
            return value
        if isinstance(value, str):
            return json.loads(self._opened(value, workspace, _JSON)) if value.startswith(SEALED) else value
        if isinstance(value, Mapping):
            return {name: self._open(name, item, workspace) for name, item in value.items()}
        if isinstance(value, list):
            return [self._open("", item, workspace) for item in value]
        return value

    def _sealed(self, data: bytes, workspace: UUID, kind: bytes) -> str:
        version = self._keyring.newest
        sealed = self._ciphers[version].encrypt(data, [workspace.bytes, kind])
        return f"{SEALED}{version}:{base64.b64encode(sealed).decode()}"

    def _opened(self, text: str, workspace: UUID, kind: bytes) -> bytes:
        version, _, sealed = text.removeprefix(SEALED).partition(":")
        try:
            return self._decrypted(version, base64.b64decode(sealed, validate=True), workspace, kind)
        except binascii.Error:
            raise WrongKey("a sealed configuration was altered") from None

    def _decrypted(self, version: str, sealed: bytes, workspace: UUID, kind: bytes) -> bytes:
        cipher = self._ciphers.get(int(version)) if version.isdecimal() else None
        if cipher is None:
            raise WrongKey(f"the key of version {version[:20]} is not in the key ring")
        try:
            return cipher.decrypt(sealed, [workspace.bytes, kind])
        except InvalidTag:
            raise WrongKey("a configuration was sealed with another key, or altered") from None


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _derived(key: bytes) -> bytes:
    return HKDF(SHA256(), length=64, salt=None, info=b"ragstone configurations").derive(key)
