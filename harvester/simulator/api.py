"""The simulated API: endpoints under limits, faults and latency, with the truth kept beside.

The transport in process and the HTTP front are two doors to the same `SimulatedApi`.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from random import Random

from harvester.clock import Clock
from harvester.simulator.answers import (
    Chunk,
    Ending,
    Headers,
    Latency,
    SimResponse,
    in_pieces,
    roll,
)
from harvester.simulator.edge_guard import BAN_HEADERS, BAN_PAGE, BAN_STATUS, EdgeGuard
from harvester.simulator.endpoints import (
    Call,
    ChangeIdsEndpoint,
    Endpoint,
    Reply,
    StashEndpoint,
    TokenEndpoint,
    refuse,
)
from harvester.simulator.exchange_endpoint import EXCHANGE
from harvester.simulator.faults import Faults, NoFaults, Override
from harvester.simulator.river import Source
from harvester.simulator.rules import Policy, stash_policy, token_policy
from harvester.simulator.truth import Asked, Truth

CLIENT_ID = "demo"
CLIENT_SECRET = "demo-secret"  # noqa: S105 - opens nothing but this simulator

_AGENT = re.compile(r"OAuth [^/\s]+/\S+ \(contact: [^)]+\)")
_PLAIN_AGENT = re.compile(r"(OAuth )?[^/\s]+/\S+( \(contact: [^)]+\))?$")
"""Who has no OAuth client says name and version."""


class SimulatedApi:
    """Answers requests as the API would, and keeps the truth. One event loop asks."""

    def __init__(
        self,
        clock: Clock,
        rivers: Source | Sequence[Source],
        *,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        policy: Policy | None = None,
        token_rules: Policy | None = None,
        token_expires_in: int | None = None,
        latency: Latency | None = None,
        faults: Faults | None = None,
        date_skew: float = 0.0,
        seed: int = 1,
        guard: EdgeGuard | None = None,
        endpoints: Sequence[Endpoint] = (),
    ) -> None:
        """`date_skew`: seconds the server's `Date` runs ahead; `endpoints`: more than the public stashes.

        `guard`: the limit on 4xx that nobody documents; none without one.
        """
        self.clock = clock
        self.truth = Truth()
        self.faults: Faults = faults or NoFaults()
        self.latency = latency or Latency()
        self.policy = policy or stash_policy()
        self.tokens = TokenEndpoint(client_id, client_secret, token_rules or token_policy(), token_expires_in)
        sources: list[Source] = [*rivers] if isinstance(rivers, Sequence) else [rivers]
        self.rivers = {source.realm: source for source in sources}
        self.guard = guard
        self._skew = date_skew
        self._dice = Random(f"latency {seed}")
        self._endpoints: list[Endpoint] = [
            self.tokens,
            StashEndpoint(sources, self.tokens, self.policy),
            *(ChangeIdsEndpoint(source) for source in sources[:1]),
            *endpoints,
        ]

    async def handle(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> SimResponse:
        """Answer one request: waits as long as the headers take, and returns the body with its timing."""
        await self.clock.sleep(roll(self._dice, self.latency.upstream))
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        call = Call(self.clock.now(), method.upper(), path, tuple(query), lower, body)
        fault = self.faults.override(call.at, call.method, path, dict(call.query))
        endpoint = next((endpoint for endpoint in self._endpoints if endpoint.serves(path)), None)
        response = self._answer(call, endpoint, fault)
        await self.clock.sleep(roll(self._dice, self.latency.thinking) + (fault.delay if fault else 0.0))
        return response

    def _answer(self, call: Call, endpoint: Endpoint | None, fault: Override | None) -> SimResponse:
        if fault and fault.silent:
            self._note(call, 0, fault)
            return SimResponse(0, (), (), fault.ending)
        if self.guard and self.guard.is_banned(call.at):
            fault = Override("banned", BAN_STATUS, BAN_HEADERS, BAN_PAGE, bare=True)
        self._look_at_agent(call)
        limits: Headers = ()
        refused = False
        if endpoint and endpoint.policy and not (fault and fault.bare):
            verdict = endpoint.policy.ask(call.at)
            self.truth.broken += verdict.broken
            limits, refused = verdict.headers, not verdict.allowed
        if refused:
            reply, fault = refuse(429, 3, "Rate limit exceeded"), None
        elif fault and fault.status is not None:
            reply = Reply(fault.status, fault.body or b"", ())
        elif endpoint is None:
            reply = refuse(404, 1, "Resource not found", f"unknown path {call.path}")
        else:
            reply = endpoint.answer(call)
        for complaint in reply.complaints:
            self.truth.complain(call.at, complaint)
        if reply.page and reply.source:
            self.truth.publish(reply.source, reply.page, call.at, whole=fault is None)
        self._note(call, reply.status, fault)
        if self.guard and not self.guard.is_banned(call.at):
            self.guard.note(reply.status, call.at)
        if fault:
            reply = _spoil(reply, fault)
        return self._on_the_wire(call, reply, limits, fault)

    def _on_the_wire(self, call: Call, reply: Reply, limits: Headers, fault: Override | None) -> SimResponse:
        body = reply.body
        head = [("Date", formatdate(call.at + self._skew, usegmt=True)), *reply.headers, *limits]
        if body and "gzip" in call.headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            head.append(("Content-Encoding", "gzip"))
        if fault and fault.wire is not None:
            body = fault.wire
        head.append(("Content-Length", str(len(body))))
        ending = Ending.WHOLE
        if fault:
            added = {name.lower() for name, _ in fault.headers}
            head = [pair for pair in head if pair[0].lower() not in added] + list(fault.headers)
            ending = fault.ending
            body = body if fault.keep is None else body[: fault.keep]
        speed = (fault.bytes_per_second if fault else 0.0) or self.latency.bytes_per_second
        chunks: tuple[Chunk, ...] = in_pieces(body, speed, 16_384 if fault and fault.bytes_per_second else 65_536)
        return SimResponse(reply.status, tuple(head), chunks, ending)

    def _look_at_agent(self, call: Call) -> None:
        wanted = _PLAIN_AGENT if call.path.startswith(EXCHANGE) else _AGENT
        if not wanted.match(call.headers.get("user-agent", "")):
            what = f"user agent {call.headers.get('user-agent', '')!r} on {call.path}"
            self.truth.complain(call.at, what)

    def _note(self, call: Call, status: int, fault: Override | None) -> None:
        name = fault.name if fault else ""
        self.truth.asked.append(Asked(call.at, call.method, call.path, call.query, status, name))


def _spoil(reply: Reply, fault: Override) -> Reply:
    """The reply as the fault wants it; status overrides are made already."""
    if fault.status is not None:
        return reply
    body, headers = reply.body, reply.headers
    other = reply.page.change_id if fault.same_id and reply.page else fault.next_id
    if other is not None and reply.page:
        right = reply.page.next_change_id
        body = body.replace(right.encode(), other.encode(), 1)
        headers = tuple((name, other if value == right else value) for name, value in headers)
    if fault.body is not None:
        body = fault.body
    if fault.transform:
        body = fault.transform(body)
    return Reply(reply.status, body, headers, reply.page, reply.source)


def demo_settings(url: str) -> dict[str, str]:
    """The environment that points a harvest at a simulated API under `url`."""
    return {
        "POE_API_BASE_URL": url,
        "POE_AUTH_BASE_URL": f"{url}/oauth",
        "POE_CX_BASE_URL": f"{url}/api",
        "POE_OAUTH_CLIENT_ID": CLIENT_ID,
        "POE_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        "POE_CONTACT": "nobody@example.org",
    }
