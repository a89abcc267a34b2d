"""Buckets, on a server that checks signatures by an implementation of its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from service.connectors.base import BadConnectorOption, Connector, Got, Known, NotModified
from service.connectors.s3 import S3Directory
from service.egress.errors import EgressFailed, EgressRefused
from service.errors import TooLarge
from tests.service.connectors.places import listed, place, read
from tests.stubs.s3_server import S3Stub

ODD = [
    "a b.txt",
    "a+b.txt",
    "ä/ö.txt",
    "emoji\U0001f34f.txt",
    "q?x=1&y=2#z.txt",
    "per%20cent.txt",
    "tilde~'()!*.txt",
    "x//y.txt",
]


@pytest.fixture
def stub() -> Iterator[S3Stub]:
    with S3Stub() as opened:
        yield opened


def config(stub: S3Stub, **more: Any) -> dict[str, Any]:
    return {"bucketName": stub.bucket, "region": stub.region, "serverUrl": stub.url, **more}


def keys(stub: S3Stub) -> dict[str, str]:
    return {"awsKey": stub.key, "awsSecret": stub.secret, "awsSession": stub.session}


async def test_every_page_of_a_prefix_is_listed(stub: S3Stub) -> None:
    stub.page = 2
    for key in ("docs/a.txt", "docs/b.txt", "docs/deep/c.txt", "docs/d.txt", "docs/e.txt", "other.txt"):
        stub.objects[key] = key.encode()
    stub.objects["docs/folder/"] = b""
    hosts: list[str] = []
    async with place("s3Directory", config(stub, prefix="docs/"), values=keys(stub), hosts=hosts) as bucket:
        items = await listed(bucket)
        assert [item.name for item in items] == [
            "docs/a.txt",
            "docs/b.txt",
            "docs/d.txt",
            "docs/deep/c.txt",
            "docs/e.txt",
        ]
        assert items[0].source == f"{stub.url}/handbook/docs/a.txt"
        assert (items[0].etag, items[0].size) == (stub.etag("docs/a.txt"), 10)
        assert (await read(bucket, items[3]))[0] == b"docs/deep/c.txt"
    assert hosts == ["127.0.0.1"]
    assert {seen.status for seen in stub.requests} == {200}


async def test_keys_of_any_kind_are_signed_and_read(stub: S3Stub) -> None:
    stub.session = "session-token"
    stub.objects |= {key: key.encode() for key in ODD}
    async with place("s3Directory", config(stub), values=keys(stub)) as bucket:
        found = {item.name: item for item in await listed(bucket)}
        assert set(found) == set(ODD)
        for name, item in found.items():
            assert (await read(bucket, item))[0] == name.encode()


async def test_what_is_unchanged_is_not_sent(stub: S3Stub) -> None:
    stub.objects["a.txt"] = b"one"
    async with place("S3", config(stub, keyName="a.txt"), values=keys(stub)) as single:
        (item,) = await listed(single)
        content, got = await read(single, item)
        assert isinstance(got, Got)
        assert (content, got.etag, got.mime) == (b"one", stub.etag("a.txt"), None)
        assert (await read(single, item, Known(got.etag)))[1] == NotModified()
        stub.objects["a.txt"] = b"two"
        assert (await read(single, item, Known(got.etag)))[0] == b"two"


async def test_a_public_bucket_needs_no_credential(stub: S3Stub) -> None:
    stub.public = True
    stub.objects["a.txt"] = b"one"
    async with place("s3Directory", config(stub)) as bucket:
        assert [item.name for item in await listed(bucket)] == ["a.txt"]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, "AccessDenied"),
        ({"awsKey": "AKIDEXAMPLE", "awsSecret": "wrong"}, "SignatureDoesNotMatch"),
        ({"awsKey": "AKIDOTHER", "awsSecret": "wrong"}, "InvalidAccessKeyId"),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words(stub: S3Stub, values: dict[str, str], code: str) -> None:
    async with place("s3Directory", config(stub), values=values) as bucket:
        with pytest.raises(EgressFailed, match=rf"'handbook' answers with status 403 {code}") as failed:
            await listed(bucket)
    assert failed.value.answer == 403
    assert "wrong" not in str(failed.value)


async def test_an_object_that_is_gone_says_so(stub: S3Stub) -> None:
    stub.objects["a.txt"] = b"one"
    async with place("s3Directory", config(stub), values=keys(stub)) as bucket:
        (item,) = await listed(bucket)
        del stub.objects["a.txt"]
        with pytest.raises(EgressFailed, match="NoSuchKey") as failed:
            await read(bucket, item)
    assert failed.value.answer == 404


async def test_a_listing_that_breaks_off_is_a_failure(stub: S3Stub) -> None:
    stub.page, stub.broken_page = 1, 2
    stub.objects |= {"a.txt": b"a", "b.txt": b"b"}
    async with place("s3Directory", config(stub), values=keys(stub)) as bucket:
        with pytest.raises(EgressFailed, match="503 SlowDown") as failed:
            await listed(bucket)
    assert failed.value.transient


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no XML",
        b"<html/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult><Contents><Key>&a;</Key></Contents></ListBucketResult>',
        b"<ListBucketResult><IsTruncated>true",
    ],
)
async def test_what_is_no_listing_is_a_failure(stub: S3Stub, answer: bytes) -> None:
    stub.answer = answer
    async with place("s3Directory", config(stub), values=keys(stub)) as bucket:
        with pytest.raises(EgressFailed, match="no listing"):
            await listed(bucket)


async def test_a_listing_that_says_there_is_more_and_not_where_is_a_failure(stub: S3Stub) -> None:
    stub.answer = (  # as of a server that knows the first version of the listing only
        b"<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>a.txt</NextMarker>"
        b"<Contents><Key>a.txt</Key></Contents></ListBucketResult>"
    )
    async with place("s3Directory", config(stub), values=keys(stub)) as bucket:
        with pytest.raises(EgressFailed, match="does not say where"):
            await listed(bucket)


async def test_a_listing_that_runs_in_circles_is_a_failure(stub: S3Stub) -> None:
    stub.answer = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>7</NextContinuationToken></ListBucketResult>"
    )
    async with place("s3Directory", config(stub), values=keys(stub)) as bucket:
        with pytest.raises(EgressFailed, match="does not get further"):
            await listed(bucket)


async def test_an_object_over_the_limit_is_not_asked_for(stub: S3Stub) -> None:
    stub.objects["a.txt"] = b"x" * 100
    async with place("s3Directory", config(stub), values=keys(stub), settings={"max_upload": 50}) as bucket:
        (item,) = await listed(bucket)
        with pytest.raises(TooLarge, match="max_upload"):
            await read(bucket, item)
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"bucketName": "../evil"}, "bucketName"),
        ({"bucketName": "a/b"}, "bucketName"),
        ({"bucketName": "evil.example/#"}, "bucketName"),
        ({"bucketName": ""}, "bucketName"),
        ({"region": "evil.example/"}, "region"),
        ({"serverUrl": "ftp://host"}, "serverUrl"),
        ({"serverUrl": "http://user:secret@host"}, "serverUrl"),
        ({"serverUrl": "http://host:port"}, "serverUrl"),
        ({"serverUrl": "https://host/?x=1"}, "serverUrl"),
    ],
)
async def test_a_bad_field_is_named(stub: S3Stub, more: dict[str, str], field: str) -> None:
    with pytest.raises(BadConnectorOption, match=field):
        async with place("s3Directory", config(stub, **more)):
            pass


async def test_a_server_in_the_private_network_is_refused(stub: S3Stub) -> None:
    with pytest.raises(EgressRefused):
        async with place("s3Directory", config(stub, serverUrl="http://169.254.169.254")):
            pass


async def test_a_role_is_refused_rather_than_ignored(stub: S3Stub) -> None:
    async with place("s3Directory", config(stub), values={**keys(stub), "roleArn": "arn:aws:iam::1:role/x"}) as bucket:
        with pytest.raises(BadConnectorOption, match="roles are not assumed"):
            await listed(bucket)


@pytest.mark.parametrize(
    ("bucket", "region", "source", "host"),
    [
        (
            "handbook",
            "eu-central-1",
            "s3://handbook/a%20b.txt",
            "https://handbook.s3.eu-central-1.amazonaws.com/a%20b.txt",
        ),
        (
            "dots.in.it",
            "us-east-1",
            "s3://dots.in.it/a%20b.txt",
            "https://s3.us-east-1.amazonaws.com/dots.in.it/a%20b.txt",
        ),
        (
            "handbook",
            "cn-north-1",
            "s3://handbook/a%20b.txt",
            "https://handbook.s3.cn-north-1.amazonaws.com.cn/a%20b.txt",
        ),
    ],
)
async def test_amazon_is_asked_at_the_buckets_own_host(bucket: str, region: str, source: str, host: str) -> None:
    fields = {"bucketName": bucket, "region": region, "keyName": "a b.txt"}
    async with place("S3", fields) as single:
        assert isinstance(single, Connector)
        assert isinstance(single, S3Directory)
        (item,) = await listed(single)
    assert (item.source, item.url) == (source, host)
