"""How often visitors may call a chatflow: counted per flow and address, for all processes, refused in its own words."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.rate_limits import records
from service.rate_limits.service import client_of
from tests.service.predictions.conftest import House


def limited(most: object = 2, seconds: object = 60, **more: Any) -> str:
    """An apiConfig with a limit."""
    limit = {"status": True, "limitMax": most, "limitDuration": seconds, "limitMsg": "Slow down, please.", **more}
    return json.dumps({"rateLimit": limit})


def test_calls_beyond_the_limit_are_refused_in_the_flows_own_words(house: House) -> None:
    flow = house.quoting()
    assert house.client.put(f"/chatflows/{flow}", json={"apiConfig": limited()}).status_code == 200
    first, second, third = (house.ask(flow) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert [item.headers["x-ratelimit-remaining"] for item in (first, second, third)] == ["1", "0", "0"]
    assert first.headers["x-ratelimit-limit"] == "2"
    assert third.text == "Slow down, please."
    assert 1 <= int(third.headers["retry-after"]) <= 60
    streamed = house.ask(flow, streaming=True)
    assert (streamed.status_code, streamed.text) == (429, "Slow down, please.")
    internal = house.client.post(f"/internal-prediction/{flow}", json={"question": "How many days of leave?"})
    assert internal.status_code == 200
    assert house.ask(house.quoting()).status_code == 200


def test_a_window_ends_and_another_one_begins(house: House) -> None:
    flow = house.quoting()
    assert house.client.put(f"/chatflows/{flow}", json={"apiConfig": limited(1)}).status_code == 200
    assert [house.ask(flow).status_code for _ in range(2)] == [200, 429]

    async def end(*, swept: bool) -> int:
        async with house.live.resources.database.connection() as connection:
            await connection.execute("UPDATE call_windows SET ends_at = clock_timestamp()")
            return await records.forget_ended(connection) if swept else 0

    assert house.live.run(end(swept=False)) == 0
    assert [house.ask(flow).status_code for _ in range(2)] == [200, 429]
    assert house.live.run(end(swept=True)) == 1
    assert house.ask(flow).status_code == 200


def test_a_limit_that_is_switched_off_or_gone_limits_nobody(house: House) -> None:
    flow = house.quoting()
    for config in (limited(1, status=False), "{}"):
        assert house.client.put(f"/chatflows/{flow}", json={"apiConfig": config}).status_code == 200
        answers = [house.ask(flow) for _ in range(3)]
        assert [item.status_code for item in answers] == [200] * 3
        assert "x-ratelimit-limit" not in answers[0].headers


@pytest.mark.parametrize(
    ("most", "seconds", "named"), [(0, 60, "limitMax"), ("many", 60, "limitMax"), (2, None, "limitDuration")]
)
def test_a_limit_that_is_none_is_refused_when_it_is_saved(
    house: House, most: object, seconds: object, named: str
) -> None:
    flow = house.quoting()
    refused = house.client.put(f"/chatflows/{flow}", json={"apiConfig": limited(most, seconds)})
    assert refused.status_code == 400
    assert f"apiConfig.rateLimit.{named}" in refused.json()["error"]
    assert house.client.put(f"/chatflows/{flow}", json={"apiConfig": limited("2", "60")}).status_code == 200


def test_upserts_of_visitors_and_predictions_share_one_count(house: House) -> None:
    flow = house.quoting()
    assert house.client.put(f"/chatflows/{flow}", json={"apiConfig": limited(1)}).status_code == 200
    assert house.ask(flow).status_code == 200
    refused = house.client.post(f"/vector/upsert/{flow}", json={})
    assert (refused.status_code, refused.text) == (429, "Slow down, please.")


def test_calls_are_counted_once_however_many_come_at_a_time(house: House) -> None:
    async def many() -> list[int]:
        import asyncio

        async def one() -> int:
            async with house.live.resources.database.connection() as connection:
                return (await records.spend(connection, UUID(int=7), "client", 60))[0]

        return list(await asyncio.gather(*(one() for _ in range(40))))

    assert sorted(house.live.run(many())) == list(range(1, 41))


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_address_counts_as_the_one_who_has_it(address: str | None, client: str) -> None:
    assert client_of(address) == client


def test_nothing_is_counted_for_an_unknown_chatflow(house: House) -> None:
    unknown = httpx.post(f"{house.live.url}/api/v1/prediction/{UUID(int=1)}", json={"question": "?"})
    assert unknown.status_code == 404


def test_leads_count_as_calls_so_that_nobody_floods_them(house: House) -> None:
    flow = house.quoting()
    assert house.client.put(f"/chatflows/{flow}", json={"apiConfig": limited(2)}).status_code == 200
    answers = [httpx.post(f"{house.live.url}/api/v1/leads", json={"chatflowid": flow, "name": "x"}) for _ in range(3)]
    assert [item.status_code for item in answers] == [200, 200, 429]
    assert answers[2].text == "Slow down, please."
    assert len(house.client.get(f"/leads/{flow}").json()) == 2
