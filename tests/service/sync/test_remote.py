"""Buckets and repositories that change or fail, over HTTP, with credentials."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.providers.embedding.fake import FakeEmbedder
from tests.service.document_stores.talk import API, passages
from tests.service.sync.keeper import Keeper, chunks, items
from tests.stubs.github_server import GithubStub
from tests.stubs.s3_server import S3Stub
from tests.stubs.web_site import Answer, Request, WebSite

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def bucket() -> Iterator[S3Stub]:
    with S3Stub() as opened:
        for name in ("a", "b", "c"):
            opened.objects[f"docs/{name}.txt"] = passages(name * 3).encode()
        yield opened


async def credential(keeper: Keeper, name: str, values: dict[str, str]) -> str:
    body = {"name": "Mine", "credentialName": name, "plainDataObj": values}
    response = await keeper.talk.client.post("/api/v1/credentials", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def over(keeper: Keeper, bucket: S3Stub, hosts: str = "127.0.0.1") -> str:
    """A source over the bucket, with a credential for these hosts."""
    values = {"awsKey": bucket.key, "awsSecret": bucket.secret, "allowedHosts": hosts}
    config: dict[str, Any] = {
        "bucketName": bucket.bucket,
        "region": bucket.region,
        "serverUrl": bucket.url,
        "prefix": "docs/",
        "credential": await credential(keeper, "awsApi", values),
    }
    return str((await keeper.add("s3Directory", config))["id"])


async def test_a_bucket_is_followed_by_its_etags(keeper: Keeper, bucket: S3Stub) -> None:
    source = await over(keeper, bucket)
    assert chunks(await keeper.done(source)) == (3, 0, 0, 0)
    bucket.requests.clear()
    assert items(await keeper.done(source)) == {"listed": 3, "unchanged": 3}
    assert len(bucket.requests) == 1  # the listing
    bucket.objects["docs/b.txt"] = passages("bee").encode()
    del bucket.objects["docs/c.txt"]
    result = await keeper.done(source)
    assert items(result) == {"listed": 2, "unchanged": 1, "fetched": 1, "claimed": 1, "left": 1}
    assert await keeper.names() == ["docs/a.txt", "docs/b.txt"]
    await keeper.talk.holds_together()


async def test_a_renamed_object_is_not_embedded(keeper: Keeper, bucket: S3Stub, embedder: FakeEmbedder) -> None:
    source = await over(keeper, bucket)
    await keeper.done(source)
    calls = len(embedder.calls)
    bucket.objects["docs/z.txt"] = bucket.objects.pop("docs/a.txt")
    result = await keeper.done(source)
    assert (chunks(result), len(embedder.calls)) == ((1, 0, 0, 1), calls)
    assert await keeper.names() == ["docs/b.txt", "docs/c.txt", "docs/z.txt"]
    await keeper.talk.holds_together()


async def test_a_listing_that_breaks_off_deletes_nothing_and_says_so(keeper: Keeper, bucket: S3Stub) -> None:
    source = await over(keeper, bucket)
    await keeper.done(source)
    bucket.page, bucket.broken_page = 1, 2
    bucket.objects["docs/a.txt"] = passages("ant").encode()
    result = await keeper.done(source)
    assert items(result) == {"listed": 1, "fetched": 1, "claimed": 1, "keptForSafety": 2}
    assert (result["complete"], result["listingError"]["code"]) == (False, "egress_failed")
    assert "503 SlowDown" in result["listingError"]["message"]
    assert await keeper.names() == ["docs/a.txt", "docs/b.txt", "docs/c.txt"]
    bucket.broken_page = 1
    job = await keeper.run(source)
    assert (job["state"], job["error"]["code"]) == ("failed", "egress_failed")
    assert len(await keeper.names()) == 3
    await keeper.talk.holds_together()


async def test_objects_that_are_gone_when_asked_for_leave(keeper: Keeper, bucket: S3Stub) -> None:
    config = {"bucketName": bucket.bucket, "serverUrl": bucket.url, "region": bucket.region, "keyName": "docs/a.txt"}
    bucket.public = True
    one = str((await keeper.add("S3", config))["id"])
    await keeper.done(one)
    del bucket.objects["docs/a.txt"]
    result = await keeper.done(one)  # the only one: nothing is left, so nothing leaves unless forced
    assert items(result) == {"listed": 1, "fetchFailures": 1, "keptForSafety": 1}
    assert items(await keeper.done(one, force=True)) == {"listed": 1, "fetchFailures": 1, "left": 1}
    assert await keeper.names() == []
    await keeper.talk.holds_together()


async def test_a_source_that_nobody_named_is_called_by_its_place(keeper: Keeper) -> None:
    url = "http://127.0.0.1:9/a"
    assert (await keeper.add("cheerioWebScraper", {"url": url}))["name"] == url


async def test_a_credential_goes_to_its_own_host_only(keeper: Keeper, bucket: S3Stub) -> None:
    source = await over(keeper, bucket, hosts="s3.example.com")
    job = await keeper.run(source)
    assert (job["state"], job["error"]["code"]) == ("failed", "host_not_allowed")
    assert bucket.requests == []


async def test_a_repository_is_followed_by_its_hashes(keeper: Keeper) -> None:
    with GithubStub() as stub:
        stub.files |= {"README.md": passages("first").encode(), "docs/a.md": passages("second").encode()}
        values = {"accessToken": stub.token, "allowedHosts": "127.0.0.1"}
        config = {
            "repoLink": f"{stub.url}/acme/handbook",
            "maxRetries": 0,
            "recursive": True,
            "credential": await credential(keeper, "githubApi", values),
        }
        source = str((await keeper.add("github", config))["id"])
        assert chunks(await keeper.done(source)) == (2, 0, 0, 0)
        stub.requests.clear()
        stub.files["docs/b.md"] = stub.files.pop("docs/a.md")
        result = await keeper.done(source)
        assert items(result) == {"listed": 2, "unchanged": 1, "fetched": 1, "claimed": 1, "left": 1}
        assert len(stub.requests) == 2
        assert await keeper.names() == ["README.md", "docs/b.md"]
    job = await keeper.run(source)  # the host is gone
    assert (job["state"], job["error"]["status"]) == ("failed", 502)
    await keeper.talk.holds_together()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "connector"),
        ({"connector": "plainText", "config": {}}, 422, "connector"),
        ({"connector": "folderFiles", "config": {}}, 422, "folderPath"),
        ({"connector": "folderFiles", "config": {"folderPath": "/etc"}}, 422, "RAGSTONE_SYNC_FOLDERS"),
        ({"connector": "s3Directory", "config": {"bucketName": "x/y"}}, 422, "bucketName"),
        ({"connector": "github", "config": {"repoLink": "a/b", "credential": "none"}}, 422, "credential"),
        ({"connector": "github", "config": {"repoLink": "a/b"}, "schedule": {"every": "1s"}}, 422, "schedule.every"),
        ({"connector": "github", "config": {"repoLink": "a/b"}, "schedule": {"cron": "x"}}, 422, "schedule.cron"),
        (
            {"connector": "github", "config": {"repoLink": "a/b"}, "schedule": {"cron": "0 3 * * *", "every": "1d"}},
            422,
            "schedule",
        ),
        ({"connector": "github", "config": {"repoLink": "a/b"}, "splitter": {"name": "none"}}, 422, "splitter"),
        ({"connector": "github", "config": {"repoLink": "a/b", "metadata": "{"}}, 422, "config.metadata"),
        ({"docId": "00000000-0000-4000-8000-000000000009"}, 404, "docId"),
    ],
)
async def test_a_bad_source_is_refused_and_the_field_named(
    keeper: Keeper, body: dict[str, Any], status: int, field: str
) -> None:
    response = await keeper.talk.client.post(f"{API}/store/{keeper.store}/sources", json=body)
    assert (response.status_code, field in response.json()["message"]) == (status, True), response.text
    assert (await keeper.talk.client.get(f"{API}/store/{keeper.store}/sources")).json() == []
    assert (await keeper.talk.read(keeper.store))["loaders"] == []


async def test_a_loader_that_is_there_can_be_kept_in_step_once(keeper: Keeper, bucket: S3Stub) -> None:
    bucket.public = True
    config = {"bucketName": bucket.bucket, "serverUrl": bucket.url, "region": bucket.region, "prefix": "docs/"}
    made = await keeper.add("s3Directory", config, name="Papers")
    body = {"docId": made["docId"]}
    again = await keeper.talk.client.post(f"{API}/store/{keeper.store}/sources", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "already_synced")
    await keeper.talk.client.delete(f"{API}/sources/{made['id']}")
    anew = await keeper.talk.client.post(f"{API}/store/{keeper.store}/sources", json=body)
    assert (anew.status_code, anew.json()["name"], anew.json()["connector"]) == (200, "Papers", "s3Directory")
    assert chunks(await keeper.done(anew.json()["id"])) == (3, 0, 0, 0)
    listed = (await keeper.talk.client.get(f"{API}/store/{keeper.store}/sources")).json()
    assert [(item["id"], item["documents"]) for item in listed] == [(anew.json()["id"], 3)]


async def test_pages_are_asked_for_with_their_etags_and_leave_when_they_are_gone(keeper: Keeper) -> None:
    def page(text: str) -> Callable[[Request], Answer]:
        etag = f'"{text}"'
        body = f"<html><title>{text}</title><body><p>{passages(text)}</p></body></html>"

        def answer(request: Request) -> Answer:
            same = request.headers.get("if-none-match") == etag
            return Answer(status=304) if same else Answer(body, headers={"ETag": etag})

        return answer

    async with WebSite() as site:
        urls = "".join(f"<url><loc>{site.url}/{name}</loc></url>" for name in ("a", "b", "c"))
        site["/sitemap.xml"] = Answer(f"<urlset>{urls}</urlset>", mime="application/xml")
        for name, text in (("a", "apple"), ("b", "pear"), ("c", "plum")):
            site[f"/{name}"] = page(text)
        config = {"url": f"{site.url}/sitemap.xml", "relativeLinksMethod": "scrapeXMLSitemap", "limit": 0}
        source = str((await keeper.add("cheerioWebScraper", config))["id"])
        assert chunks(await keeper.done(source)) == (3, 0, 0, 0)
        shown = (await keeper.talk.chunks(keeper.store))["chunks"]
        assert {json.loads(chunk["metadata"])["source"] for chunk in shown} == {f"{site.url}/{name}" for name in "abc"}
        assert items(await keeper.done(source)) == {"listed": 3, "fetched": 3, "unchanged": 3}
        site["/b"] = page("peach")
        del site["/c"]
        result = await keeper.done(source)
        assert items(result) == {
            "listed": 3, "fetched": 2, "claimed": 1, "unchanged": 1, "left": 1, "fetchFailures": 1,
        }  # fmt: skip
        assert len(await keeper.talk.documents(keeper.store)) == 2
        site["/sitemap.xml"] = Answer(status=503)
        job = await keeper.run(source)
        assert job["state"] == "failed"
        assert len(await keeper.talk.documents(keeper.store)) == 2
    await keeper.talk.holds_together()


@pytest.mark.parametrize("status", [401, 403, 451])
async def test_pages_that_a_site_refuses_for_now_stay_and_so_does_what_they_link_to(
    keeper: Keeper, status: int
) -> None:
    def page(text: str, *targets: str) -> Answer:
        anchors = "".join(f"<a href={target!r}>x</a>" for target in targets)
        return Answer(f"<html><body><p>{passages(text)}</p>{anchors}</body></html>")

    async with WebSite() as site:
        site["/"] = page("front", "/a", "/b", "/login")
        site["/a"], site["/b"], site["/deep"] = page("apple", "/deep"), page("pear"), page("plum")
        site["/login"] = Answer(status=status)
        config = {"url": f"{site.url}/", "relativeLinksMethod": "webCrawl", "limit": 0}
        source = str((await keeper.add("cheerioWebScraper", config))["id"])
        result = await keeper.done(source)
        assert (items(result), result["complete"]) == ({"listed": 4, "fetched": 4, "claimed": 4}, True)
        site["/a"] = Answer(status=status)
        del site["/b"]
        result = await keeper.done(source)
        assert (result["complete"], result["left"], result["keptForSafety"]) == (False, 0, 3)
        assert f"{site.url}/a" in result["listingError"]["message"]
        assert {document["state"] for document in await keeper.talk.documents(keeper.store)} == {"ready"}
        assert len(await keeper.names()) == 4
        site["/a"] = page("apple", "/deep")
        result = await keeper.done(source)
        assert (result["complete"], result["left"]) == (True, 1)
        assert await keeper.names() == [f"{site.url}/", f"{site.url}/a", f"{site.url}/deep"]
    await keeper.talk.holds_together()


async def test_pages_that_now_lead_to_a_form_to_sign_in_stay_as_they_were(keeper: Keeper) -> None:
    def page(text: str, *targets: str) -> Answer:
        anchors = "".join(f"<a href={target!r}>x</a>" for target in targets)
        return Answer(f"<html><body><p>{passages(text)}</p>{anchors}</body></html>")

    form = "<html><body><form action='/login'>Sign in <input name='user'><input type='password'></form></body></html>"
    away = Answer(status=302, headers={"Location": "/accounts/login?next=%2F"})
    async with WebSite() as site:
        site["/"], site["/a"], site["/accounts/login"] = page("front", "/a"), page("apple"), Answer(form)
        site["/accounts/login?next=%2F"] = Answer(form)
        crawl = {"url": f"{site.url}/", "relativeLinksMethod": "webCrawl", "limit": 0}
        whole = str((await keeper.add("cheerioWebScraper", crawl))["id"])
        assert (await keeper.done(whole))["complete"] is True
        texts = await keeper.talk.texts(keeper.store)

        site["/a"] = away
        result = await keeper.done(whole)
        assert (result["complete"], result["left"], result["keptForSafety"]) == (False, 0, 1)

        site["/"] = away
        job = await keeper.run(whole)
        assert (job["state"], job["error"]["code"]) == ("failed", "sign_in_needed")
        assert await keeper.talk.texts(keeper.store) == texts

        site["/"] = Answer(status=302, headers={"Location": "/start"})
        site["/start"] = Answer(f"<html><body><p>{passages('pear')}</p><input name='search'></body></html>")
        assert (await keeper.done(whole))["left"] == 2  # moved within the site, to a page that asks for something else
    await keeper.talk.holds_together()


async def test_a_page_that_is_asked_for_alone_keeps_its_text_where_it_leads_to_a_form_to_sign_in(
    keeper: Keeper,
) -> None:
    async with WebSite() as site:
        site["/a"] = Answer(f"<html><body><p>{passages('apple')}</p></body></html>")
        source = str((await keeper.add("cheerioWebScraper", {"url": f"{site.url}/a"}))["id"])
        await keeper.done(source)
        texts = await keeper.talk.texts(keeper.store)
        site["/a"] = Answer(status=302, headers={"Location": "/sso"})
        site["/sso"] = Answer("<html><body>Sign in <input name='user'></body></html>")
        job = await keeper.run(source)
        assert "sign_in_needed" in str(job)
        assert await keeper.talk.texts(keeper.store) == texts
    await keeper.talk.holds_together()
