"""The secrets of an installation: made on first start, kept with mode 0600 in the data folder, never defaulted."""

import base64
import binascii
import json
import os
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.settings import PREFIX, Settings, SettingsError

NONCE = 12


class WrongKey(Exception):
    """A sealed value was not sealed with a key of this ring."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys that seal credentials, by version; the newest seals, all of them open. AES-256-GCM (NIST SP 800-38D) with a
    random 96-bit nonce and the object's id as associated data, so that a value cannot be moved to another object."""

    keys: dict[int, bytes]

    @property
    def newest(self) -> int:
        """The version that seals new values."""
        return max(self.keys)

    @property
    def fingerprint(self) -> str:
        """Identifies the keys without revealing them: databases remember it and refuse other keys."""
        return sha256(b"ragstone keyring" + b"".join(self.keys[v] for v in sorted(self.keys))).hexdigest()[:16]

    def seal(self, value: bytes, owner: UUID) -> tuple[int, bytes]:
        """The key version and the sealed value."""
        nonce = secrets.token_bytes(NONCE)
        return self.newest, nonce + AESGCM(self.keys[self.newest]).encrypt(nonce, value, owner.bytes)

    def unseal(self, version: int, sealed: bytes, owner: UUID) -> bytes:
        """The value again. Raises `WrongKey` when the key is missing, or the value was altered or moved."""
        key = self.keys.get(version)
        if key is None:
            raise WrongKey(f"the key of version {version} is not in the key ring")
        try:
            return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], owner.bytes)
        except InvalidTag:
            raise WrongKey("the value was sealed with another key, or altered") from None


def open_keyring(settings: Settings) -> Keyring:
    """The keys given by RAGSTONE_SECRET_KEY, else those of the data folder, made on first use.

    Raises `SettingsError` for a key that is not 32 bytes in base64, or looks like a sample.
    """
    if settings.secret_key is not None:
        return Keyring({1: _decode(settings.secret_key.get_secret_value())})
    file = settings.data / "secrets.json"
    try:
        stored = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        stored = _create(file)
    return Keyring({int(version): _decode(key) for version, key in stored["keys"].items()})


def _decode(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32 or len(set(key)) < 8:
        raise SettingsError(
            f"{PREFIX}SECRET_KEY: must be 32 random bytes in base64; make one with `openssl rand -base64 32`"
        )
    return key


def _create(file: Path) -> dict[str, dict[str, str]]:
    stored = {"keys": {"1": base64.b64encode(secrets.token_bytes(32)).decode()}}
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(stored, out)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(aside, file)  # fails when another process was first; then its keys count
    except FileExistsError:
        stored = json.loads(file.read_text("utf-8"))
    finally:
        aside.unlink()
    return stored
