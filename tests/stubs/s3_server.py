"""A server on loopback that speaks the part of S3's protocol that reading needs, and checks every signature.

The check is written from the published description of Signature Version 4, apart from the library that signs::

    with S3Stub() as stub:
        stub.objects["docs/a.txt"] = b"..."
        ... serverUrl: stub.url, bucket: stub.bucket, key and secret: stub.key, stub.secret ...
        stub.requests[-1].path, .status
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.stubs.threaded import ThreadedStub

MODIFIED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True)
class Seen:
    """A request, and what was answered."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int


@dataclass
class S3Stub(ThreadedStub):
    """One bucket. Use as a context manager."""

    bucket: str = "handbook"
    key: str = "AKIDEXAMPLE"
    secret: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    session: str = ""
    region: str = "eu-central-1"
    page: int = 1000
    public: bool = False
    """Also without a signature."""
    broken_page: int | None = None
    """The number of the page of a listing that fails, from 1."""
    answer: bytes | None = None
    """A listing in place of the true one."""
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)

    def etag(self, key: str) -> str:
        """As S3 makes it for objects that were put whole."""
        return f'"{hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()}"'

    def fetched(self) -> list[str]:
        """The keys that were asked for with success."""
        return [seen.path for seen in self.requests if seen.path and seen.status == 200]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in handler.headers.items()}
        root = f"/{self.bucket}/"
        path = unquote(parts.path)
        extra: dict[str, str]
        if refusal := self._refusal(handler.command, parts.path, parts.query, headers):
            status, body, extra = 403, _error(refusal, "The signature does not fit."), {}
        elif not path.startswith(root):
            status, body, extra = 404, _error("NoSuchBucket", "There is no such bucket."), {}
        elif path == root:
            status, body, extra = self._listing(query)
        else:
            status, body, extra = self._object(path.removeprefix(root), headers)
        self.requests.append(Seen(path.removeprefix(root) if path != root else "", query, headers, status))
        handler.send_response(status)
        for name, value in {**extra, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _object(self, key: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        if key not in self.objects:
            return 404, _error("NoSuchKey", "There is no such key."), {}
        etag = self.etag(key)
        if headers.get("if-none-match") == etag:
            return 304, b"", {"ETag": etag}
        return 200, self.objects[key], {"ETag": etag, "Content-Type": "binary/octet-stream"}

    def _listing(self, query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        assert query["list-type"] == "2"
        assert query["encoding-type"] == "url"
        if self.answer is not None:
            return 200, self.answer, {}
        keys = sorted(key for key in self.objects if key.startswith(query.get("prefix", "")))
        start = int(query.get("continuation-token", "0"))
        if self.broken_page == start // self.page + 1:
            return 503, _error("SlowDown", "Please reduce your request rate."), {}
        shown, more = keys[start : start + self.page], len(keys) > start + self.page
        contents = "".join(
            f"<Contents><Key>{escape(quote(key, safe='/').replace('%20', '+'))}</Key>"
            f"<LastModified>{MODIFIED.isoformat()}</LastModified><ETag>{escape(self.etag(key))}</ETag>"
            f"<Size>{len(self.objects[key])}</Size></Contents>"
            for key in shown
        )
        following = f"<NextContinuationToken>{start + self.page}</NextContinuationToken>" if more else ""
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{NAMESPACE}">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{contents}{following}</ListBucketResult>"
        )
        return 200, text.encode(), {"Content-Type": "application/xml"}

    def _refusal(self, method: str, path: str, query: str, headers: dict[str, str]) -> str | None:
        """The code of an error, for a request whose signature is not the one that its parts make."""
        given = headers.get("authorization", "")
        if not given:
            return None if self.public else "AccessDenied"
        fields = dict(part.strip().split("=", 1) for part in given.removeprefix("AWS4-HMAC-SHA256 ").split(","))
        key, day, region, service, end = fields["Credential"].split("/")
        moment = headers["x-amz-date"]
        if (key, region, service, end) != (self.key, self.region, "s3", "aws4_request") or moment[:8] != day:
            return "InvalidAccessKeyId" if key != self.key else "AuthorizationHeaderMalformed"
        age = datetime.now(UTC) - datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(age.total_seconds()) > 900 or headers.get("x-amz-security-token", "") != self.session:
            return "RequestTimeTooSkewed"
        signed = fields["SignedHeaders"].split(";")
        if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed):
            return "AccessDenied"
        pairs = sorted(part if "=" in part else f"{part}=" for part in query.split("&") if part)
        lines = [f"{name}:{' '.join(headers[name].split())}\n" for name in signed]
        request = "\n".join(
            [method, path, "&".join(pairs), "".join(lines), ";".join(signed), headers["x-amz-content-sha256"]]
        )
        scope = f"{day}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        secret = f"AWS4{self.secret}".encode()
        for part in (day, region, "s3", "aws4_request"):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        right = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        return None if hmac.compare_digest(right, fields["Signature"]) else "SignatureDoesNotMatch"


def _error(code: str, message: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
