"""Conversations go to no tracing service: LangChain sends what its models read and write past the egress client."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import service

PROGRAM = """
import asyncio
from langchain_core.tracers.langchain import wait_for_all_tracers
from service.providers.chat import create_chat_model

async def talk():
    model = create_chat_model("fake")
    print((await model.ainvoke("Hello?")).content)
    async for _ in model.astream("Hello?"):
        pass

asyncio.run(talk())
wait_for_all_tracers()
"""


class Tracer(BaseHTTPRequestHandler):
    """Takes whatever it is sent."""

    asked: list[str]

    def do_GET(self) -> None:  # the name that the base class looks for
        """Note it."""
        self.asked.append(self.path)
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_variables_of_another_program_send_no_conversation_anywhere() -> None:
    Tracer.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tracer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        place = {
            f"{product}_{name}": value
            for product in ("LANGSMITH", "LANGCHAIN")
            for name, value in (
                ("TRACING", "true"),
                ("TRACING_V2", "true"),
                ("API_KEY", "k"),
                ("ENDPOINT", f"http://127.0.0.1:{server.server_port}"),
            )
        }
        root = str(Path(service.__file__).parent.parent)
        made = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": root, **place},
            capture_output=True,
            check=True,
            timeout=120,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert made.stdout.strip()
    assert Tracer.asked == []
