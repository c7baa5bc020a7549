"""Traces, as a collector receives them from the running service; and that nothing is recorded without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from wire import demo_articles

from service.telemetry import Metrics
from service.tracing import here, sending, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60
STAGES = {"search", "choose", "commit", "index"}


class Collector(ThreadingHTTPServer):
    """An OTLP receiver on loopback that keeps every span."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.spans: list[Any] = []


class _Take(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest.FromString(body)
        assert isinstance(self.server, Collector)
        self.server.spans += [
            one
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for one in scope.spans
        ]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that does not outlive the block, however that ends."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def values(one: Any) -> dict[str, Any]:
    found = {}
    for attribute in one.attributes:
        kind = attribute.value.WhichOneof("value")
        found[attribute.key.removeprefix("benang.")] = getattr(attribute.value, kind)
    return found


def test_a_collector_receives_requests_batches_stages_and_nights(
    collector: Collector, tmp_path: Path
) -> None:
    """The batch names the request whose article it decides, its stages lie below it; no span tells what anybody wrote."""
    article = demo_articles()[0]
    body = {"external_id": "one", "source": article.source, "title": article.title, "text": article.text}
    address = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"
    environment = os.environ | {"BENANG_TRACES": address}
    command = [sys.executable, "-m", "service.cli", "serve", "--data", str(tmp_path), "--port", "0"]
    with running(command, environment) as process:
        file = tmp_path / "service.json"
        deadline = time.monotonic() + PATIENCE_S
        while not (file.exists() and file.read_text(encoding="utf-8").endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        url = json.loads(file.read_text(encoding="utf-8"))["url"]
        with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
            posted = client.post(
                "/v1/articles", json=body, headers={"X-Request-ID": "the-one"}
            ).raise_for_status()
            run = client.post("/v1/reclusterings", json={}).raise_for_status().json()
            while client.get(f"/v1/reclusterings/{run['id']}").json()["status"] == "running":
                assert time.monotonic() < deadline
                time.sleep(0.1)
        process.terminate()
        process.wait(PATIENCE_S)

    by_name: dict[str, list[Any]] = defaultdict(list)
    for one in collector.spans:
        by_name[one.name].append(one)
    (request,) = [one for one in by_name["request"] if values(one)["request_id"] == "the-one"]
    (batch,) = by_name["batch"]
    (night,) = by_name["night"]
    told = values(request)
    assert (told["route"], told["status"]) == ("/v1/articles", posted.status_code)
    assert [link.span_id for link in batch.links] == [request.span_id]
    assert values(batch) == {"articles": 1}
    below = {one.name for one in collector.spans if one.parent_span_id == batch.span_id}
    assert below == STAGES
    for name in STAGES:
        (stage,) = by_name[name]
        assert stage.start_time_unix_nano <= stage.end_time_unix_nano <= batch.end_time_unix_nano
    assert by_name["extract"][0].parent_span_id == request.span_id
    assert values(night) == {"run_id": run["id"], "window_days": 14.0, "dry_run": False, "failed": False}
    written = " ".join(str(one) for one in collector.spans)
    assert article.title not in written
    assert article.text[:40] not in written


def test_nothing_is_recorded_without_a_collector() -> None:
    with sending("", "1"), span("request", request_id="x") as started:
        assert not started.is_recording()
        assert not here().is_valid
        with Metrics().stage("encode", articles=1):
            assert not trace.get_current_span().is_recording()
