"""A model whose first token is the time at which it was sent: `python -m tests.benchmarks.clock_model` prints its URL.

`monotonic_ns` is one clock for all processes of a machine. Speaks OpenAI's streamed protocol, nothing else, and costs
little, so that hundreds of streams at once measure the service and not their model.
"""

import asyncio
import json
import sys
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _chunk(line: bytes) -> bytes:
    return f"{len(line):x}\r\n".encode() + line + b"\r\n"


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "clock", "choices": [choice]}
    return _chunk(b"data: " + json.dumps(body).encode() + b"\n\n")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connections are kept alive. The path says how: `/TOKENS/MILLISECONDS/chat/completions`."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            _, tokens, pause, *_ = head.split(b" ", 2)[1].decode().split("/")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(lengths[0].split(b":")[1]))
            writer.write(HEAD)
            await asyncio.sleep(int(pause) / 1000)
            writer.write(_event(f"{time.monotonic_ns()} "))
            for _ in range(int(tokens) - 1):
                await writer.drain()
                await asyncio.sleep(int(pause) / 1000)
                writer.write(_event("word "))
            writer.write(_event("", "stop") + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
