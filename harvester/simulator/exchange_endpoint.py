"""`GET /api/currency-exchange[/realm][/hour]`: in public, without limits that it would name."""

from __future__ import annotations

from collections.abc import Sequence

from harvester.simulator.answers import JSON
from harvester.simulator.endpoints import Call, Reply, refuse
from harvester.simulator.exchange import HOUR, CurrencyExchange
from harvester.simulator.rules import Policy

EXCHANGE = "/api/currency-exchange"
FASTEST = 0.9
"""Seconds between two requests below which the simulator complains: about one a second is polite."""


class ExchangeEndpoint:
    """See `harvester.simulator.endpoints.Endpoint`."""

    policy: Policy | None = None

    def __init__(self, exchanges: Sequence[CurrencyExchange], *, fastest: float = FASTEST) -> None:
        """`fastest` 0 lets everybody ask as fast as they like."""
        self.exchanges = {exchange.realm: exchange for exchange in exchanges}
        self._fastest = fastest
        self._last_at = float("-inf")

    def serves(self, path: str) -> bool:
        return path == EXCHANGE or path.startswith(EXCHANGE + "/")

    def answer(self, call: Call) -> Reply:
        complaints = [f"unknown parameter {name}" for name, _ in call.query]
        if "authorization" in call.headers:
            complaints.append("Authorization sent to the currency exchange")
        if call.at - self._last_at < self._fastest:
            complaints.append(f"the exchange was asked again after {call.at - self._last_at:.2f} s")
        self._last_at = call.at
        if call.method != "GET":
            return refuse(405, 9, "Method not allowed", *complaints)
        realm, *rest = [part for part in call.path[len(EXCHANGE) :].split("/") if part] or [""]
        if realm in ("", "pc") or realm.isdigit():
            realm, rest = ("/pc" if realm == "pc" else "pc"), ([realm] if realm.isdigit() else rest)
        exchange = self.exchanges.get(realm)
        if exchange is None or len(rest) > 1:
            return refuse(404, 1, "Resource not found", *complaints, f"unknown path {call.path}")
        if rest and not (rest[0].isdigit() and int(rest[0]) % HOUR == 0):
            return refuse(404, 1, "Resource not found", *complaints, f"no hour in {call.path}")
        status, body = exchange.answer(int(rest[0]) if rest else None, call.at)
        return Reply(status, body, (("Content-Type", JSON),), complaints=tuple(complaints))
