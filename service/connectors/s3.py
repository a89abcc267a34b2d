"""Objects of a bucket of Amazon S3, or of another server that speaks its protocol.

Requests are signed by AWS's own library (extra `s3`) and made by the egress client; the secret itself is never sent.
Without a credential they go out unsigned, for public buckets.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, ClassVar
from urllib.parse import quote, unquote_to_bytes, urlsplit

from pydantic import Field

from service.connectors.base import (
    BadConnectorOption,
    Connector,
    ConnectorOptions,
    Got,
    Item,
    Known,
    NotModified,
    Outside,
)
from service.connectors.naming import bounded
from service.egress.client import Fetched
from service.egress.errors import EgressFailed
from service.errors import TooLarge
from service.providers.errors import MissingLibrary

if TYPE_CHECKING:
    from lxml import etree  # type: ignore[import-untyped]  # ships no types

PAGE = 1000
"""Keys in one answer: the most that S3 gives."""

MOST_PAGES = 10_000
PAGE_BYTES = 16 * 1024 * 1024
NOTHING = sha256(b"").hexdigest()
VAGUE = ("", "binary/octet-stream", "application/octet-stream")
"""Media types that say nothing."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_VIRTUAL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Names of buckets that can stand in a host name under Amazon's certificate."""


class BucketOptions(ConnectorOptions):
    """The fields of Flowise's `s3Directory`."""

    bucket_name: str = Field(description="Name of the bucket")
    region: str = Field("us-east-1", description="Region of the bucket")
    server_url: str = Field("", description="URL of another server that speaks S3's protocol")
    prefix: str = Field("", description="Only keys that begin so")


class ObjectOptions(BucketOptions):
    """The fields of Flowise's `S3`."""

    key_name: str = Field(description="Key of the object")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a bucket is asked: scheme and host, and the path below which its keys lie."""

    origin: str
    root: str

    @property
    def host(self) -> str:
        """The host without a port: what credentials are bound to."""
        return urlsplit(self.origin).hostname or ""


class S3Directory(Connector):
    """Every object whose key begins with a prefix; a key that ends in a slash only shows a folder."""

    Options: ClassVar[type[ConnectorOptions]] = BucketOptions
    parallel = 4

    def __init__(self, options: BucketOptions, outside: Outside) -> None:
        """Raises `BadConnectorOption` naming the field, `EgressRefused` for a server that may not be called."""
        super().__init__(options, outside)
        region, server = options.region.strip(), options.server_url.strip()
        if not _BUCKET.fullmatch(options.bucket_name) or ".." in options.bucket_name:
            raise BadConnectorOption(f"bucketName: '{options.bucket_name[:80]}' is no name of a bucket")
        if not _REGION.fullmatch(region):
            raise BadConnectorOption(f"region: '{region[:40]}' is no name of a region")
        self._bucket, self._region, self._prefix = options.bucket_name, region, options.prefix
        self._place = _elsewhere(server, self._bucket) if server else _amazon(self._bucket, region)
        self._base = f"{self._place.origin}{self._place.root}" if server else f"s3://{self._bucket}"
        self._credential: Mapping[str, str] | None = None
        outside.egress.check(self._place.origin)

    async def items(self) -> AsyncIterator[Item]:
        token = ""
        for _ in range(MOST_PAGES):
            query = {"list-type": "2", "encoding-type": "url", "max-keys": str(PAGE), "prefix": self._prefix}
            if token:
                query["continuation-token"] = token
            answer = await self._send("/", query, max_bytes=PAGE_BYTES)
            objects, following = _page(answer.body)
            for item in objects:
                if not item.key.endswith(b"/"):
                    yield self._item(item)
            if following is None:
                return
            if not following:
                raise EgressFailed(f"The listing of bucket '{self._bucket}' does not say where it goes on.")
            if following == token:
                raise EgressFailed(f"The listing of bucket '{self._bucket}' does not get further.")
            token = following
        raise EgressFailed(f"The listing of bucket '{self._bucket}' has more than {MOST_PAGES} pages; give a prefix.")

    def _item(self, found: "_Object") -> Item:
        path = quote(found.key, safe="/~")
        return Item(
            source=bounded(f"{self._base}/{path}"),
            name=found.key.decode("utf-8", "replace").replace("\0", "\ufffd"),
            url=f"{self._place.origin}{self._place.root}/{path}",
            etag=found.etag,
            modified=found.modified,
            size=found.size,
        )

    async def fetch(self, item: Item, sink: BinaryIO, known: Known | None = None) -> Got | NotModified:
        limit = self.outside.settings.max_upload
        if item.size is not None and item.size > limit:
            raise TooLarge(f"max_upload: '{item.name}' is larger than {limit} bytes")
        path = (item.url or "").removeprefix(f"{self._place.origin}{self._place.root}")
        extra = {"If-None-Match": known.etag} if known is not None and known.etag else {}
        answer = await self._send(path, {}, extra, max_bytes=limit, sink=sink)
        if answer.status == 304:
            return NotModified()
        headers = answer.headers
        mime = None if answer.mime in VAGUE else answer.content_type
        return Got(item.name, answer.size, mime, headers.get("etag"), headers.get("last-modified"))

    async def _send(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        max_bytes: int,
        sink: BinaryIO | None = None,
    ) -> Fetched:
        """A signed GET. Raises `EgressFailed` in the server's words for every answer but a success and 304."""
        if self._credential is None:
            self._credential = await self.outside.reveal(self._place.host)
        target = self._place.root + path
        if query:
            pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query.items())
            target += "?" + "&".join(f"{key}={value}" for key, value in pairs)
        signed = _signed(self._place.origin, target, self._region, self._credential)
        answer = await self.outside.egress.fetch(
            self._place.origin + target,
            headers={**signed, **(headers or {})},
            max_bytes=max_bytes,
            sink=sink,
            redirects=0,  # a signature holds for one place only
        )
        if answer.status not in (200, 304):
            raise self._failure(answer)
        return answer

    def _failure(self, answer: Fetched) -> EgressFailed:
        root = _parsed(answer.body)
        code, reason = ("", "") if root is None else (root.findtext(f"{{*}}{tag}") or "" for tag in ("Code", "Message"))
        region = answer.headers.get("x-amz-bucket-region", "")
        hint = f" The bucket lies in region '{region}'." if region not in ("", self._region) else ""
        text = " ".join(f"{answer.status} {code[:60]} {reason[:300]}".split())
        return EgressFailed(
            f"Bucket '{self._bucket}' answers with status {text}.{hint}",
            answer=answer.status,
            transient=answer.status in (408, 429) or answer.status >= 500,
        )


class S3File(S3Directory):
    """The object of one key."""

    Options: ClassVar[type[ConnectorOptions]] = ObjectOptions

    def __init__(self, options: ObjectOptions, outside: Outside) -> None:
        """As of a directory."""
        super().__init__(options, outside)
        self._key = options.key_name

    async def items(self) -> AsyncIterator[Item]:
        yield self._item(_Object(self._key.encode("utf-8", "replace"), None, None, None))


@dataclass(frozen=True, slots=True)
class _Object:
    key: bytes
    etag: str | None
    modified: str | None
    size: int | None


def _amazon(bucket: str, region: str) -> _Place:
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if _VIRTUAL.fullmatch(bucket):
        return _Place(f"https://{bucket}.s3.{region}.{domain}", "")
    return _Place(f"https://s3.{region}.{domain}", f"/{bucket}")


def _elsewhere(url: str, bucket: str) -> _Place:
    """Another server: the bucket stands in the path. Raises `BadConnectorOption`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadConnectorOption(f"serverUrl: '{url[:200]}' is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise BadConnectorOption(f"serverUrl: '{url[:200]}' is not the URL of a server, such as https://host:9000")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = port in (None, 443 if parts.scheme == "https" else 80)
    return _Place(
        f"{parts.scheme}://{host}" + ("" if usual else f":{port}"),
        quote(parts.path.rstrip("/"), safe="/~%") + f"/{bucket}",
    )


def _signed(origin: str, target: str, region: str, credential: Mapping[str, str]) -> dict[str, str]:
    """The headers of a GET, signed (Signature Version 4) when there are keys. Raises `MissingLibrary`."""
    if credential.get("roleArn"):
        raise BadConnectorOption("credential: roles are not assumed here; give a key that may read the bucket")
    if not credential.get("awsKey"):
        return {}
    try:
        from awscrt import auth, http  # type: ignore[import-untyped]  # ships no types
    except ImportError:
        raise MissingLibrary("awscrt", "s3") from None
    session = credential.get("awsSession") or None
    provider = auth.AwsCredentialsProvider.new_static(credential["awsKey"], credential.get("awsSecret", ""), session)
    request = http.HttpRequest("GET", target, http.HttpHeaders([("Host", urlsplit(origin).netloc)]))
    config = auth.AwsSigningConfig(
        credentials_provider=provider,
        region=region,
        service="s3",
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=NOTHING,
        signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
    )
    auth.aws_sign_request(request, config).result(10)
    return {name: value for name, value in request.headers if name.lower() != "host"}


def _page(body: bytes) -> tuple[Sequence[_Object], str | None]:
    """The objects of a page of a listing, and what names the next page; None after the last. Raises `EgressFailed`."""
    root = _parsed(body)
    if root is None or not root.tag.endswith("ListBucketResult"):
        raise EgressFailed("The server's answer is no listing of a bucket.")
    found = []
    for entry in root.iterchildren("{*}Contents"):
        size = entry.findtext("{*}Size") or ""
        found.append(
            _Object(
                unquote_to_bytes((entry.findtext("{*}Key") or "").replace("+", "%20")),
                entry.findtext("{*}ETag"),
                entry.findtext("{*}LastModified"),
                int(size) if size.isdecimal() else None,
            )
        )
    more = (root.findtext("{*}IsTruncated") or "").strip() == "true"
    return found, (root.findtext("{*}NextContinuationToken") or "") if more else None


def _parsed(body: bytes) -> "etree._Element | None":
    """The root of an XML document without a document type; None for anything else."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return None if root.getroottree().docinfo.doctype else root
