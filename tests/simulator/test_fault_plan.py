"""Fault plans: the same seed plays the same faults, each strikes as it says, and ends."""

from __future__ import annotations

import gzip
import json

import pytest

from harvester.clock import VirtualClock, virtual_time
from harvester.simulator.answers import Ending, SimResponse
from harvester.simulator.api import CLIENT_ID, CLIENT_SECRET, SimulatedApi
from harvester.simulator.fault_plan import CHANGED, KINDS, NAMES, REVOKED, FaultPlan, Spell
from harvester.simulator.river import River
from harvester.simulator.rules import Policy

AGENT = {"user-agent": "OAuth demo/1 (contact: a@b)"}


class Client:
    """Asks a simulated API under a plan."""

    def __init__(self, *spells: Spell, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.river = River(3, "pc", self.clock.now(), pages=30, stashes_per_page=4, population=60, empty_pages=0.0)
        self.api = SimulatedApi(self.clock, self.river, policy=Policy("p", {"Ip": ["1000:1:60"]}))
        self.plan = FaultPlan(seed, spells, self.clock.now(), self.api.tokens.revoke)
        self.token = ""

    async def sign_in(self) -> int:
        form = f"client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&grant_type=client_credentials&scope=service:psapi"
        kind = {"content-type": "application/x-www-form-urlencoded"}
        answer = await self.api.handle("POST", "/oauth/token", (), AGENT | kind, form.encode())
        if answer.status == 200:
            self.token = json.loads(answer.body)["access_token"]
        return answer.status

    async def ask(self, cursor: str = "") -> SimResponse:
        headers = {**AGENT, "authorization": f"Bearer {self.token}"}
        return await self.api.handle("GET", "/public-stash-tabs", [("id", cursor)] if cursor else [], headers)

    def play(self, count: int, cursor: str | None = None) -> list[SimResponse]:
        async def main() -> list[SimResponse]:
            await self.sign_in()
            self.api.faults = self.plan
            return [await self.ask(self.second() if cursor is None else cursor) for _ in range(count)]

        return virtual_time(main(), self.clock)

    def second(self) -> str:
        return self.river.walk(self.clock.now())[1].change_id


def fingerprint(plan: FaultPlan, clock: VirtualClock) -> list[str]:
    return [
        repr(plan.override(clock.now() + at, "GET", "/public-stash-tabs", {"id": "5-5-5-5-5"}))
        for at in range(0, 300, 3)
    ]


def test_the_seed_decides_everything() -> None:
    clock = VirtualClock()
    names = [name for name in NAMES if name != CHANGED]  # its override holds a function
    first, same, other = (
        fingerprint(FaultPlan.mixture(seed, clock.now(), 200, names=names), clock) for seed in (7, 7, 8)
    )
    assert first == same
    assert first != other
    assert any(one != "None" for one in first)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_strikes_spoils_the_answer_and_ends(name: str) -> None:
    client = Client(Spell(name, 0.0))
    first, second = client.play(2)
    right = Client().play(1)[0]
    assert client.api.truth.asked[1].fault == name
    if not KINDS[name].seconds:
        assert client.api.truth.asked[2].fault == ""
        assert (second.status, second.body) == (right.status, right.body)
    wire = (first.status, first.headers, first.chunks, first.ending)
    late = name in ("late headers",)
    assert late or wire != (right.status, right.headers, right.chunks, right.ending)


def test_a_spell_of_seconds_strikes_all_that_come_meanwhile() -> None:
    plan = FaultPlan(1, [Spell("503 for minutes", 10.0, seconds=60.0)], 1_000.0)
    struck = [at for at in range(100) if plan.override(1_000.0 + at, "GET", "/public-stash-tabs", {})]
    assert struck == list(range(10, 70))


def test_a_revoked_token_is_refused_until_another_is_fetched() -> None:
    client = Client(Spell(REVOKED, 0.0))

    async def main() -> list[int]:
        statuses = [await client.sign_in()]
        client.api.faults = client.plan
        statuses += [(await client.ask()).status for _ in range(2)]
        return [*statuses, await client.sign_in(), (await client.ask()).status]

    assert virtual_time(main(), client.clock) == [200, 401, 401, 200, 200]


def test_a_changed_page_breaks_off_and_then_ends_earlier_with_a_cursor_that_goes_on_from_there() -> None:
    client = Client(Spell(CHANGED, 0.0))
    broken, shorter, whole = client.play(3)
    assert broken.ending is Ending.CUT
    short, long = json.loads(shorter.body), json.loads(whole.body)
    assert short["stashes"] == long["stashes"][:1]
    rest = client.river.page(short["next_change_id"], client.clock.now())
    going_on = json.loads(rest.body)["stashes"]
    assert len(long["stashes"]) > 1
    assert going_on[: len(long["stashes"]) - 1] == long["stashes"][1:]


def test_wrong_ids_stand_in_header_and_body() -> None:
    for name, sign in (("id going back", -1), ("id far ahead", 1)):
        client = Client(Spell(name, 0.0))
        (answer,) = client.play(1)
        told = dict(answer.headers)["X-Next-Change-Id"]
        assert json.loads(answer.body)["next_change_id"] == told
        asked = sum(map(int, client.second().split("-")))
        assert (sum(map(int, told.split("-"))) - asked) * sign > 1


def test_the_oversized_body_is_small_on_the_wire() -> None:
    (answer,) = Client(Spell("oversized", 0.0)).play(1)
    assert len(answer.body) < 10_000
    assert len(gzip.decompress(answer.body)) == 3 << 20


def test_a_slow_body_trickles() -> None:
    (answer,) = Client(Spell("slow body", 0.0)).play(1)
    assert sum(chunk.after for chunk in answer.chunks) >= len(answer.body) / 2_000


def test_a_plan_alone_and_a_mixture_are_within_bounds() -> None:
    assert {spell.name for spell in FaultPlan.alone("cut", 1, 0.0).spells} == {"cut"}
    for seed in range(50):
        plan = FaultPlan.mixture(seed, 0.0, 100.0)
        assert 2 <= len(plan.spells) <= 6
        assert all(0 <= spell.at <= 100 for spell in plan.spells)
        assert [spell.at for spell in plan.spells] == sorted(spell.at for spell in plan.spells)
