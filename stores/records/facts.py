"""Facts about a database that a process checks when it opens it, such as the fingerprint of the secret key."""

from stores.records.database import Database


async def recall(database: Database, name: str) -> str | None:
    """A fact; None: nobody has noted it."""
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT value FROM instance_facts WHERE name = %(name)s", {"name": name})
        row = await cursor.fetchone()
    return row["value"] if row else None


async def change(database: Database, name: str, before: str, value: str) -> bool:
    """Note another value of a fact; False when it is not (any more) what it was `before`."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            "UPDATE instance_facts SET value = %(value)s WHERE name = %(name)s AND value = %(before)s",
            {"name": name, "before": before, "value": value},
        )
    return cursor.rowcount == 1


async def remember(database: Database, name: str, value: str) -> str:
    """Note a fact unless there is one of this name already; gives the fact as the database knows it."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO instance_facts (name, value) VALUES (%(name)s, %(value)s) ON CONFLICT DO NOTHING",
            {"name": name, "value": value},
        )
        cursor = await connection.execute("SELECT value FROM instance_facts WHERE name = %(name)s", {"name": name})
        row = await cursor.fetchone()
    assert row is not None
    known: str = row["value"]
    return known
