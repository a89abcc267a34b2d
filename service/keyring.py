"""The secrets of an installation: made on first start, kept with mode 0600 in the data folder, never defaulted."""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.settings import PREFIX, Settings, SettingsError

NONCE = 12

FILE = "secrets.json"
"""Where the data folder keeps them."""


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
        parts = [(b"" if version == 1 else b"%d:" % version) + self.keys[version] for version in sorted(self.keys)]
        return sha256(b"ragstone keyring" + b"".join(parts)).hexdigest()[:16]

    @property
    def latest(self) -> "Keyring":
        """The newest key alone: what is left when everything is sealed by it."""
        return Keyring({self.newest: self.keys[self.newest]})

    def extends(self, fingerprint: str) -> bool:
        """Whether these are the keys of this fingerprint, or those and newer ones, or those and older ones."""
        versions = sorted(self.keys)
        ends = range(1, len(versions) + 1)
        parts = [versions[:end] for end in ends] + [versions[-end:] for end in ends]
        return any(Keyring({v: self.keys[v] for v in part}).fingerprint == fingerprint for part in parts)

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
        return _given(settings.secret_key.get_secret_value())
    file = settings.data / FILE
    try:
        stored = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        stored = _create(file)
    return Keyring({int(version): _decode(key) for version, key in stored["keys"].items()})


def write_keyring(data: Path, keyring: Keyring) -> None:
    """Keep these keys in the data folder, in place of those that are there. It has the former ones or the new ones,
    whenever the machine goes down."""
    keys = {str(version): base64.b64encode(key).decode() for version, key in sorted(keyring.keys.items())}
    aside = _aside(data / FILE, {"keys": keys})
    aside.replace(data / FILE)
    descriptor = os.open(data, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def grown(keyring: Keyring) -> Keyring:
    """The keys and a new one."""
    return Keyring({**keyring.keys, keyring.newest + 1: secrets.token_bytes(32)})


def _given(text: str) -> Keyring:
    """`KEY`, or `VERSION:KEY` and more of them, separated by commas. Raises `SettingsError`."""
    keys: dict[int, bytes] = {}
    for item in text.split(","):
        version, colon, key = item.strip().rpartition(":")
        if colon and not (version.isascii() and version.isdecimal() and 0 < int(version) < 10**6):
            raise SettingsError(f"{PREFIX}SECRET_KEY: the version before ':' must be a number from 1 on")
        number = int(version) if colon else 1
        if number in keys:
            raise SettingsError(f"{PREFIX}SECRET_KEY: version {number} is given twice; write 2:NEW,1:OLD")
        keys[number] = _decode(key)
    return Keyring(keys)


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
    aside = _aside(file, stored)
    try:
        os.link(aside, file)  # fails when another process was first; then its keys count
    except FileExistsError:
        stored = json.loads(file.read_text("utf-8"))
    finally:
        aside.unlink()
    return stored


def _aside(file: Path, stored: Mapping[str, Mapping[str, str]]) -> Path:
    """A file beside this one that holds the keys, on disk."""
    aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(stored, out)
        out.flush()
        os.fsync(out.fileno())
    return aside
