"""The HTTP front: what a real client meets on the loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from harvester.clock import SystemClock
from harvester.simulator import faults
from harvester.simulator.api import CLIENT_ID, CLIENT_SECRET, SimulatedApi
from harvester.simulator.faults import ScriptedFaults
from harvester.simulator.http_front import HttpFront
from harvester.simulator.river import River
from harvester.simulator.rules import Policy

PATH = "/public-stash-tabs"


def simulated(*script: faults.Override) -> SimulatedApi:
    wide = Policy("wide", {"Ip": ["1000:1:60"]})
    return SimulatedApi(SystemClock(), River(3, pages=3), policy=wide, faults=ScriptedFaults(script))


def token(client: httpx.Client) -> None:
    form = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "grant_type": "client_credentials",
        "scope": "service:psapi",
    }
    client.headers["Authorization"] = f"Bearer {client.post('/oauth/token', data=form).json()['access_token']}"


@pytest.fixture
def front() -> Iterator[HttpFront]:
    with HttpFront(simulated()) as running:
        yield running


def test_it_serves_httpx_over_one_connection(front: HttpFront) -> None:
    with httpx.Client(base_url=front.url) as client:
        token(client)
        bodies, ports, cursor = [], set(), ""
        for _ in range(3):
            answer = client.get(PATH, params={"id": cursor} if cursor else {})
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            bodies.append(answer.content)
            cursor = answer.headers["X-Next-Change-Id"]
        assert answer.headers["Content-Encoding"] == "gzip"
    assert bodies == [page.body for page in River(3, pages=3).walk(0.0)]
    assert len(ports) == 1
    assert front.api.truth.summary()["pages"] == 3


def test_the_port_is_free_again_and_a_taken_one_is_an_error(front: HttpFront) -> None:
    port = int(front.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        HttpFront(simulated(), port=port).start()
    front.stop()
    HttpFront(simulated(), port=port).start().stop()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.cut(500), httpx.RemoteProtocolError),
        (faults.reset(500), httpx.ReadError),
        (faults.refused(), httpx.TransportError),
        (faults.stuck(500), httpx.ReadTimeout),
    ],
)
def test_broken_connections_are_broken_for_real(fault: faults.Override, error: type[Exception]) -> None:
    with HttpFront(simulated(fault)) as front, httpx.Client(base_url=front.url, timeout=0.2) as client:
        token(client)
        with pytest.raises(error):
            client.get(PATH)
        assert client.get(PATH).status_code == 200


@pytest.mark.parametrize("head", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_request_is_a_400(front: HttpFront, head: bytes) -> None:
    host, port = front.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_it_leaves_at_once_with_connections_open() -> None:
    front = HttpFront(simulated(faults.stuck())).start()
    with socket.create_connection(("127.0.0.1", int(front.url.rsplit(":", 1)[1]))):
        front.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(front.url + PATH)


def test_the_command_serves_and_tells_the_truth_when_it_leaves() -> None:
    command = [sys.executable, "-m", "harvester.simulator", "--port", "0", "--pages", "2", "--seed", "3"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().strip().partition("=")
        assert name == "POE_API_BASE_URL"
        with httpx.Client(base_url=url) as client:
            token(client)
            assert client.get(PATH).content == River(3, pages=2).page("", 0.0).body
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(rest.splitlines()[-1])["pages"] == 1


def test_the_command_explains_itself_and_refuses_nonsense() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harvester.simulator", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."}
        )

    assert "--stashes-per-page" in run("--help").stdout
    refused = run("--limit", "2/1")
    assert refused.returncode == 2
    assert "2:1:60" in refused.stderr
