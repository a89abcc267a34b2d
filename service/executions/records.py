"""The rows of executions."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.chatflows.types import RunStatus
from service.executions.types import Answer, Execution, Filter, Hold, Node, Outcome, Owner, Waiting
from stores.records.database import Connection, Scope

LOST = "The process that ran it ended before the run did."

_SHOWN = sql.SQL(
    "e.id, e.workspace_id, e.chatflow_id, e.session_id, e.action, e.usage, e.is_public, e.parent_id, e.created_at,"
    " e.updated_at,"
    " CASE WHEN e.state = 'INPROGRESS' AND e.lease_until < now() THEN 'ERROR' ELSE e.state END AS state,"
    " CASE WHEN e.state = 'INPROGRESS' AND e.lease_until < now() THEN {lost} ELSE e.error END AS error,"
    " CASE WHEN e.state = 'INPROGRESS' AND e.lease_until < now() THEN e.lease_until ELSE e.stopped_at END"
    " AS stopped_at"
).format(lost=sql.Literal(LOST))
"""The columns that are shown, without the nodes. One whose lease is over has ended, though nobody has noted it yet."""

_WHOLE = sql.SQL("{}, e.data").format(_SHOWN)

_NOT_BOUND = sql.SQL(
    "position('/' IN e.caller) = 0 AND e.caller NOT IN (SELECT 'key:' || k.id FROM api_keys k"
    " WHERE k.workspace_id = %(workspace)s AND k.principals IS NOT NULL)"
)


def _execution(connection: Connection, row: DictRow) -> Execution:
    workspace = row["workspace_id"]
    return Execution(
        id=row["id"],
        workspace=workspace,
        chatflow=row["chatflow_id"],
        session=row["session_id"],
        state=RunStatus(row["state"]),
        nodes=connection.sealer.open(row["data"], workspace),
        action=connection.sealer.open(row["action"], workspace),
        usage=row["usage"],
        error=row["error"],
        is_public=row["is_public"],
        parent=row["parent_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        stopped_at=row["stopped_at"],
    )


def _json(scope: Scope, value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(scope.sealed(value))


# Written by the run


async def insert(
    scope: Scope, execution_id: UUID, owner: Owner, context: Mapping[str, Any], lease_seconds: float
) -> Hold | None:
    """A run that begins; None when there is no such flow any more, or a run of this id has begun before."""
    count = await scope.run(
        "INSERT INTO executions (id, workspace_id, chatflow_id, caller, session_id, chat_id, chat_type, state,"
        " lease_until, context, parent_id)"
        " SELECT %(id)s, %(workspace)s, f.id, %(caller)s, %(session)s, %(chat)s, %(type)s,"
        " 'INPROGRESS', now() + make_interval(secs => %(lease)s), %(context)s, %(parent)s"
        " FROM chatflows f WHERE f.id = %(chatflow)s AND f.workspace_id = %(workspace)s FOR KEY SHARE OF f"
        " ON CONFLICT (id) DO NOTHING",
        id=execution_id,
        chatflow=owner.chatflow,
        caller=owner.caller,
        session=owner.session,
        chat=owner.chat,
        type=owner.type,
        lease=lease_seconds,
        context=_json(scope, context),
        parent=owner.parent,
    )
    return Hold(execution_id, 1) if count else None


async def renew(scope: Scope, hold: Hold, nodes: Sequence[Any] | None, lease_seconds: float) -> bool:
    """Extend the lease of a run in progress and write the nodes that it has run, unless they are None; False when it
    is not this attempt's any more."""
    count = await scope.run(
        "UPDATE executions SET lease_until = now() + make_interval(secs => %(lease)s),"
        " data = coalesce(%(data)s, data),"
        " updated_at = CASE WHEN %(data)s::jsonb IS NULL THEN updated_at ELSE now() END"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND attempt = %(attempt)s AND state = 'INPROGRESS'",
        id=hold.id,
        attempt=hold.attempt,
        data=_json(scope, nodes),
        lease=lease_seconds,
    )
    return count == 1


async def end(scope: Scope, hold: Hold, outcome: Outcome, answer: UUID | None) -> bool:
    """A run has ended or stopped; False when that is no longer this attempt's to say.

    What it went on from is kept when it failed, so that it can be answered once more, as is the action among the
    session's messages; otherwise that action is done. `answer`: the message that this run wrote.
    """
    row = await scope.one(
        "WITH ended AS (UPDATE executions SET state = %(state)s, data = coalesce(%(data)s, data),"
        " lease_until = NULL, stopped_at = now(), updated_at = now(), usage = %(usage)s, error = %(error)s,"
        " action = CASE WHEN %(failed)s THEN action ELSE %(action)s END,"
        " waits_at = CASE WHEN %(failed)s THEN waits_at ELSE %(waits_at)s END,"
        " pause = CASE WHEN %(failed)s THEN pause ELSE %(pause)s END,"
        " context = CASE WHEN %(waits_at)s::text IS NOT NULL OR (%(failed)s AND pause IS NOT NULL) THEN context END"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND attempt = %(attempt)s RETURNING id),"
        " done AS (UPDATE chat_messages m SET action = NULL FROM ended WHERE m.execution_id = ended.id"
        " AND m.workspace_id = %(workspace)s AND m.action IS NOT NULL AND NOT %(failed)s"
        " AND m.id IS DISTINCT FROM %(answer)s)"
        " SELECT id FROM ended",
        id=hold.id,
        attempt=hold.attempt,
        state=outcome.state.value,
        data=_json(scope, outcome.nodes),
        usage=None if outcome.usage is None else Jsonb(dict(outcome.usage)),
        error=outcome.error,
        action=_json(scope, outcome.action),
        waits_at=outcome.waits_at,
        pause=_json(scope, outcome.pause),
        failed=outcome.state in (RunStatus.ERROR, RunStatus.TIMEOUT),
        answer=answer,
    )
    return row is not None


_WAITS = sql.SQL(
    "chatflow_id = %(chatflow)s AND session_id = %(session)s AND caller = ANY(%(callers)s)"
    " AND workspace_id = %(workspace)s AND waits_at IS NOT NULL"
)

_OPEN = sql.SQL("""
    {waits} AND (state IN ('STOPPED', 'ERROR', 'TIMEOUT') OR (state = 'INPROGRESS' AND lease_until < now()))
        AND (%(node)s = '' OR waits_at = %(node)s) AND (%(action)s = '' OR action ->> 'id' = %(action)s)
""").format(waits=_WAITS)

_CLAIM = sql.SQL("""
    UPDATE executions SET state = 'INPROGRESS', attempt = attempt + 1,
        answered = array_append(answered, waits_at), error = NULL, stopped_at = NULL, updated_at = now(),
        lease_until = now() + make_interval(secs => %(lease)s)
    WHERE workspace_id = %(workspace)s AND id = (
        SELECT id FROM executions WHERE {open} ORDER BY created_at DESC LIMIT 1 FOR UPDATE)
    RETURNING id, attempt, waits_at, pause, context, action, usage
""").format(open=_OPEN)
"""Two answers at once: the second one waits for the row, and finds that it waits no more."""


async def claim(scope: Scope, owner: Owner, answer: Answer, lease_seconds: float) -> Waiting | None:
    """Take up the newest run of a session that waits for this answer; None when there is none."""
    row = await scope.one(_CLAIM, lease=lease_seconds, **_asked(owner, answer))
    if row is None:
        return None
    return Waiting(
        hold=Hold(row["id"], row["attempt"]),
        node=row["waits_at"],
        pause=scope.opened(row["pause"]) or {},
        context=scope.opened(row["context"]) or {},
        action=scope.opened(row["action"]) or {},
        usage=row["usage"] or {},
    )


async def waiting(scope: Scope, owner: Owner, answer: Answer) -> list[str]:
    """The nodes at which runs wait for this answer, that of the run which `claim` would find now first."""
    rows = await scope.all(
        sql.SQL(
            "SELECT waits_at FROM executions WHERE workspace_id = %(workspace)s AND {} ORDER BY created_at DESC"
        ).format(_OPEN),
        **_asked(owner, answer),
    )
    return [row["waits_at"] for row in rows]


async def unclaimed(scope: Scope, owner: Owner, answer: Answer) -> tuple[bool, str | None]:
    """Why `claim` found nothing: whether this was answered before, and at which node a run of the session waits."""
    row = await scope.one(
        "SELECT coalesce(bool_or((%(node)s = '' OR %(node)s = ANY(answered)) AND answered <> '{}'), false) AS answered,"
        " max(waits_at) FILTER (WHERE state = 'STOPPED') AS waits_at FROM executions"
        " WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s AND session_id = %(session)s"
        " AND caller = ANY(%(callers)s)",
        **_asked(owner, answer),
    )
    return (bool(row["answered"]), row["waits_at"]) if row else (False, None)


def _asked(owner: Owner, answer: Answer) -> dict[str, Any]:
    return {
        "chatflow": owner.chatflow,
        "session": owner.session,
        "callers": sorted({owner.caller, *answer.callers}),
        "node": answer.node,
        "action": answer.action,
    }


async def last(scope: Scope, owner: Owner) -> Sequence[Node] | None:
    """The nodes of a session's newest run that has ended; None without one."""
    row = await scope.one(
        "SELECT data FROM executions WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " AND session_id = %(session)s AND caller = %(caller)s AND state = 'FINISHED'"
        " ORDER BY created_at DESC LIMIT 1",
        chatflow=owner.chatflow,
        session=owner.session,
        caller=owner.caller,
    )
    nodes: Sequence[Node] | None = scope.opened(row["data"]) if row else None
    return nodes


# Read and changed by people


async def get(scope: Scope, execution_id: UUID) -> Execution | None:
    """An execution of the workspace."""
    row = await scope.one(
        sql.SQL("SELECT {} FROM executions e WHERE e.workspace_id = %(workspace)s AND e.id = %(id)s").format(_WHOLE),
        id=execution_id,
    )
    return _execution(scope.connection, row) if row else None


async def bound(scope: Scope, execution_id: UUID) -> bool:
    """Whether it was made for somebody with principals."""
    row = await scope.one(
        sql.SQL(
            "SELECT NOT ({}) AS bound FROM executions e WHERE e.workspace_id = %(workspace)s AND e.id = %(id)s"
        ).format(_NOT_BOUND),
        id=execution_id,
    )
    return bool(row and row["bound"])


async def public(connection: Connection, execution_id: UUID) -> Execution | None:
    """An execution that its owner made public, of whatever workspace."""
    cursor = await connection.execute(
        sql.SQL("SELECT {} FROM executions e WHERE e.id = %(id)s AND e.is_public").format(_WHOLE),
        {"id": execution_id},
    )
    row = await cursor.fetchone()
    return _execution(connection, row) if row else None


_PASS = sql.SQL("""
        (%(id)s::uuid IS NULL OR e.id = %(id)s)
        AND (%(chatflow)s::uuid IS NULL OR e.chatflow_id = %(chatflow)s)
        AND (%(name)s::text IS NULL OR position(lower(%(name)s) IN lower(f.name)) > 0)
        AND (%(session)s::text IS NULL OR e.session_id = %(session)s)
        AND (%(state)s::text IS NULL OR %(state)s = CASE
            WHEN e.state = 'INPROGRESS' AND e.lease_until < now() THEN 'ERROR' ELSE e.state END)
        AND (%(start)s::timestamptz IS NULL OR e.created_at >= %(start)s)
        AND (%(end)s::timestamptz IS NULL OR e.created_at <= %(end)s)
        AND (%(everything)s OR ({not_bound}))
""").format(not_bound=_NOT_BOUND)


async def page(scope: Scope, wanted: Filter, offset: int, size: int, room: int) -> tuple[list[Execution], int]:
    """Executions that pass, last changed first, and how many there are in all. The first ones have their nodes, as many
    as fit into `room` bytes; others have none."""
    params = {
        "id": wanted.id,
        "chatflow": wanted.chatflow,
        "name": wanted.chatflow_name,
        "session": wanted.session,
        "state": wanted.state and wanted.state.value,
        "start": wanted.start,
        "end": wanted.end,
        "everything": wanted.everything,
    }
    rows = await scope.all(
        sql.SQL(
            "SELECT {}, CASE WHEN sum(octet_length(e.data::text)) OVER (ORDER BY e.updated_at DESC, e.id) <= %(room)s"
            " THEN e.data ELSE '[]' END AS data FROM (SELECT e.* FROM executions e"
            " JOIN chatflows f ON f.id = e.chatflow_id WHERE e.workspace_id = %(workspace)s AND {}"
            " ORDER BY e.updated_at DESC, e.id OFFSET %(offset)s LIMIT %(size)s) e ORDER BY e.updated_at DESC, e.id"
        ).format(_SHOWN, _PASS),
        room=room,
        offset=offset,
        size=size,
        **params,
    )
    counted = await scope.one(
        sql.SQL(
            "SELECT count(*) AS total FROM executions e JOIN chatflows f ON f.id = e.chatflow_id"
            " WHERE e.workspace_id = %(workspace)s AND {}"
        ).format(_PASS),
        **params,
    )
    return [_execution(scope.connection, row) for row in rows], counted["total"] if counted else 0


async def of_ids(scope: Scope, ids: Sequence[UUID], room: int) -> dict[UUID, Execution]:
    """Executions by their ids. The newest ones have their nodes, as many as fit into `room` bytes; others have none."""
    rows = await scope.all(
        sql.SQL(
            "SELECT {}, CASE WHEN sum(octet_length(e.data::text)) OVER (ORDER BY e.created_at DESC, e.id) <= %(room)s"
            " THEN e.data ELSE '[]' END AS data"
            " FROM executions e WHERE e.workspace_id = %(workspace)s AND e.id = ANY(%(ids)s)"
        ).format(_SHOWN),
        ids=list(ids),
        room=room,
    )
    return {row["id"]: _execution(scope.connection, row) for row in rows}


async def publish(scope: Scope, execution_id: UUID, is_public: bool | None) -> bool:
    """Say whether everybody who knows the id may see it; False for an unknown one."""
    count = await scope.run(
        "UPDATE executions SET is_public = %(public)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=execution_id,
        public=is_public,
    )
    return count == 1


_FORGET = sql.SQL("""
    WITH gone AS (DELETE FROM executions WHERE workspace_id = %(workspace)s AND {which} RETURNING id),
    told AS (UPDATE chat_messages SET execution_id = NULL
        WHERE workspace_id = %(workspace)s AND execution_id IN (SELECT id FROM gone))
    SELECT count(*) AS count FROM gone
""")


async def delete(scope: Scope, ids: Sequence[UUID]) -> int:
    """Remove executions; their messages stay. Says how many went."""
    row = await scope.one(_FORGET.format(which=sql.SQL("id = ANY(%(ids)s)")), ids=list(ids))
    return int(row["count"]) if row else 0


async def drop(scope: Scope, chatflow: UUID, chats: Sequence[str] | None, ids: Sequence[UUID]) -> int:
    """Remove the executions of whole conversations of a flow (None: of all), and those of `ids` of which no message
    tells any more; says how many went."""
    which = sql.SQL(
        "chatflow_id = %(chatflow)s AND (%(all)s OR chat_id = ANY(%(chats)s) OR (id = ANY(%(ids)s) AND NOT EXISTS"
        " (SELECT FROM chat_messages m WHERE m.execution_id = executions.id)))"
    )
    row = await scope.one(
        _FORGET.format(which=which), chatflow=chatflow, all=chats is None, chats=list(chats or ()), ids=list(ids)
    )
    return int(row["count"]) if row else 0


async def state_of(scope: Scope, execution_id: UUID) -> tuple[RunStatus, str | None, bool] | None:
    """How a run is, its error, and whether a process still runs it; None for an unknown one."""
    row = await scope.one(
        "SELECT state, error, state = 'INPROGRESS' AND lease_until >= now() AS alive FROM executions"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=execution_id,
    )
    return (RunStatus(row["state"]), row["error"], bool(row["alive"])) if row else None


async def told(scope: Scope, execution_id: UUID) -> tuple[UUID, str, str] | None:
    """The newest answer that a run has written, as it is stored: id, text, conversation; None without one."""
    row = await scope.one(
        "SELECT id, content, chat_id FROM chat_messages WHERE workspace_id = %(workspace)s"
        " AND execution_id = %(id)s AND role = 'apiMessage' ORDER BY sequence DESC LIMIT 1",
        id=execution_id,
    )
    return (row["id"], row["content"], row["chat_id"]) if row else None


# Housekeeping


async def end_lost(connection: Connection) -> int:
    """Note of every run whose lease is over that it failed; says how many there were."""
    cursor = await connection.execute(
        "UPDATE executions SET state = 'ERROR', error = %(lost)s, stopped_at = lease_until, lease_until = NULL,"
        " updated_at = now(), context = CASE WHEN pause IS NOT NULL THEN context END"
        " WHERE state = 'INPROGRESS' AND lease_until < now()",
        {"lost": LOST},
    )
    return cursor.rowcount
