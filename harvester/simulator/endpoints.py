"""What the simulated API offers: the token endpoint, the public stashes, the newest cursor.

An `Endpoint` says which paths are its own, under which policy they stand, and what the right answer is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from harvester.simulator.answers import JSON, Headers, error_body
from harvester.simulator.river import BadCursorError, RiverPage, Source
from harvester.simulator.rules import Policy

STASHES = "/public-stash-tabs"


@dataclass(frozen=True, slots=True)
class Call:
    """One request at the moment it arrives. Header names are lower case."""

    at: float
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """The right answer to a call, before limits, faults and compression."""

    status: int
    body: bytes
    headers: Headers = (("Content-Type", JSON),)
    page: RiverPage | None = None
    """Where it is a stash page."""
    source: Source | None = None
    complaints: tuple[str, ...] = ()


class Endpoint(Protocol):
    """Some paths of the API."""

    @property
    def policy(self) -> Policy | None:
        """The limits that hold here; None: no limits and no rate-limit headers."""

    def serves(self, path: str) -> bool:
        """Whether the path is of this endpoint."""

    def answer(self, call: Call) -> Reply:
        """The right answer."""


def refuse(status: int, code: int, message: str, *complaints: str) -> Reply:
    """An error in the API's form."""
    return Reply(status, error_body(code, message), complaints=complaints)


class TokenEndpoint:
    """`POST /oauth/token` for client credentials."""

    def __init__(self, client_id: str, client_secret: str, policy: Policy, expires_in: int | None = None) -> None:
        """`expires_in`: seconds a token holds; None: for ever, as the API says it with a null."""
        self.policy: Policy | None = policy
        self.client_id = client_id
        self.client_secret = client_secret
        self.expires_in = expires_in
        self._tokens: dict[str, float] = {}
        self._issued = 0

    def serves(self, path: str) -> bool:
        return path == "/oauth/token"

    def revoke(self) -> None:
        """From now on no token issued so far is good."""
        self._tokens.clear()

    def accepts(self, authorization: str, now: float) -> bool:
        """Whether an Authorization header carries a token in force."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._tokens.get(token, float("-inf")) > now

    def answer(self, call: Call) -> Reply:
        complaints = ("credentials in the query",) if call.query else ()
        if call.method != "POST":
            return refuse(405, 9, "Method not allowed")
        form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
        if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _oauth_error("invalid_request", complaints)
        if form.get("grant_type") != "client_credentials":
            return _oauth_error("unsupported_grant_type", complaints)
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return _oauth_error("invalid_client", complaints)
        scopes = form.get("scope", "").split()
        if "service:psapi" not in scopes:
            return _oauth_error("invalid_scope", complaints)
        self._issued += 1
        token = hashlib.sha256(f"{self.client_id} {self._issued} {call.at}".encode()).hexdigest()[:40]
        self._tokens[token] = float("inf") if self.expires_in is None else call.at + self.expires_in
        answer = {
            "access_token": token,
            "expires_in": self.expires_in,
            "token_type": "bearer",
            "username": "Operator#0001",
            "sub": "c5b9c286-8d05-47af-be41-67ab10a8c53e",
            "scope": " ".join(reversed(scopes)),
        }
        return Reply(200, json.dumps(answer).encode(), complaints=complaints)


def _oauth_error(error: str, complaints: tuple[str, ...]) -> Reply:
    return Reply(400, json.dumps({"error": error}).encode(), complaints=complaints)


class StashEndpoint:
    """`GET /public-stash-tabs[/realm]?id=cursor`."""

    def __init__(self, rivers: Sequence[Source], tokens: TokenEndpoint, policy: Policy) -> None:
        self.policy: Policy | None = policy
        self.rivers = {river.realm: river for river in rivers}
        self._tokens = tokens

    def serves(self, path: str) -> bool:
        return path == STASHES or path.startswith(STASHES + "/")

    def answer(self, call: Call) -> Reply:
        complaints = [f"unknown parameter {name}" for name, _ in call.query if name != "id"]
        if call.method != "GET":
            return refuse(405, 9, "Method not allowed", *complaints)
        if not self._tokens.accepts(call.headers.get("authorization", ""), call.at):
            return refuse(401, 8, "Unauthorized", *complaints)
        name = call.path[len(STASHES) + 1 :]
        source = self.rivers.get(name or "pc")
        if source is None or name == "pc":
            return refuse(404, 1, "Resource not found", *complaints, f"unknown realm {name}")
        try:
            page = source.page(dict(call.query).get("id", ""), call.at)
        except BadCursorError:
            return refuse(400, 2, "Invalid query", *complaints, "no cursor in id")
        headers = (("Content-Type", JSON), ("X-Next-Change-Id", page.next_change_id))
        return Reply(200, page.body, headers, page, source, tuple(complaints))


class ChangeIdsEndpoint:
    """The trade site's undocumented `GET /api/trade/data/change-ids`."""

    policy: Policy | None = None

    def __init__(self, source: Source) -> None:
        self._source = source

    def serves(self, path: str) -> bool:
        return path == "/api/trade/data/change-ids"

    def answer(self, call: Call) -> Reply:
        complaints = ("Authorization sent to the trade site",) if "authorization" in call.headers else ()
        return Reply(200, json.dumps({"psapi": self._source.head(call.at)}).encode(), complaints=complaints)
