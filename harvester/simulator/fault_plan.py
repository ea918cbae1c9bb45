"""Faults by plan and seed: spells of trouble, in turn or at the same time, each with a beginning and an end."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from harvester.simulator.answers import HTML, Ending, error_body
from harvester.simulator.edge_guard import BAN_PAGE
from harvester.simulator.faults import Override, answer, cut, edge, refused, reset, same_id, stuck, wrong_body

Make = Callable[[Random, str], Override]
"""An override for a request with this cursor."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    make: Make
    most: int = 3
    """Requests in a row that it strikes at most; a spell of `seconds` strikes all that come meanwhile."""
    seconds: tuple[float, float] | None = None
    only_stashes: bool = False
    """Makes sense for a page only."""
    needs_cursor: bool = False
    """Makes sense only where the request names a cursor."""
    stops: bool = False
    """A queue is right to stop."""


def _status(status: int, code: int, message: str, *headers: tuple[str, str], bare: bool = False) -> Override:
    return answer(status, error_body(code, message), *headers, bare=bare)


def _named(name: str, make: Make) -> Make:
    def named(dice: Random, cursor: str) -> Override:
        made = make(dice, cursor)
        return Override(**{**{slot: getattr(made, slot) for slot in Override.__slots__}, "name": name})

    return named


def _away(cursor: str, by: int) -> str:
    """A cursor `by` changes from another; of the very start, nothing is known."""
    if not cursor or cursor == "0":
        return "1-1-1-1-1"
    first, *rest = cursor.split("-")
    return "-".join([str(max(0, int(first) + by)), *rest])


_SHAPES = (
    b'["FILLER"]',
    b"{}",
    b'{"next_change_id": 7, "stashes": []}',
    b'{"next_change_id": "1-2-3-4-5", "stashes": {"a": 1}}',
    b"null",
    b"",
)


_BOMB = gzip.compress(bytes(3 << 20), 9, mtime=0)
"""Three megabytes of nothing: oversized for a client that was told to take less."""

KINDS: Mapping[str, Kind] = {
    "429": Kind(lambda d, _: _status(429, 3, "Rate limit exceeded", ("Retry-After", str(d.randint(20, 120))))),
    "429 without Retry-After": Kind(lambda *_: _status(429, 3, "Rate limit exceeded")),
    "429 without headers": Kind(lambda *_: answer(429, b"slow down", kind="text/plain", bare=True)),
    "403": Kind(lambda *_: _status(403, 6, "Forbidden"), 1, stops=True),
    "401 for good": Kind(lambda *_: _status(401, 8, "Unauthorized"), 4, only_stashes=True, stops=True),
    "400": Kind(lambda *_: _status(400, 2, "Invalid query"), 6, only_stashes=True, stops=True),
    "challenge": Kind(lambda *_: edge(403)),
    "1015": Kind(lambda *_: edge(429, BAN_PAGE), seconds=(60, 1200)),
    "500": Kind(lambda *_: _status(500, 4, "Internal error")),
    "502": Kind(lambda d, _: answer(d.choice((502, 504)), b"<html>bad gateway</html>", kind=HTML, bare=True)),
    "52x": Kind(lambda d, _: edge(d.randint(520, 524), b"<html>the web server is down</html>"), 4),
    "503 for minutes": Kind(lambda *_: _status(503, 7, "Temporarily unavailable"), seconds=(60, 400)),
    "503 with Retry-After": Kind(lambda *_: _status(503, 7, "Maintenance", ("Retry-After", "45"))),
    "late headers": Kind(lambda d, _: Override("", delay=d.uniform(5, 25))),
    "slow body": Kind(lambda d, _: Override("", bytes_per_second=d.uniform(200, 2000))),
    "stuck": Kind(lambda d, _: stuck(d.randrange(200)), 2),
    "stuck without headers": Kind(lambda *_: Override("", silent=True, ending=Ending.STUCK), 2),
    "cut": Kind(lambda d, _: cut(d.randrange(1, 400))),
    "reset": Kind(lambda d, _: reset(d.randrange(200))),
    "reset without headers": Kind(lambda *_: refused()),
    "oversized": Kind(lambda *_: Override("", wire=_BOMB, headers=(("Content-Encoding", "gzip"),))),
    "bad compression": Kind(lambda *_: Override("", wire=b"no gzip", headers=(("Content-Encoding", "gzip"),))),
    "unknown compression": Kind(lambda *_: Override("", wire=b"???", headers=(("Content-Encoding", "br"),))),
    "html as 200": Kind(lambda d, _: wrong_body(b"<html>maintenance %d</html>" % d.randrange(3))),
    "wrong shape": Kind(lambda d, _: wrong_body(d.choice(_SHAPES))),
    "same id": Kind(lambda *_: same_id(), 1, only_stashes=True, needs_cursor=True),
    "id going back": Kind(
        lambda d, c: Override("", next_id=_away(c, -d.randrange(2, 60))), 3, only_stashes=True, needs_cursor=True
    ),
    "id far ahead": Kind(
        lambda d, c: Override("", next_id=_away(c, d.randrange(10**6, 10**8))), 1, only_stashes=True, needs_cursor=True
    ),
    "empty page": Kind(
        lambda _, c: Override("", body=b'{"next_change_id":"%b","stashes":[]}' % c.encode()),
        1,
        only_stashes=True,
        needs_cursor=True,
    ),
    "lying header": Kind(
        lambda d, c: Override("", headers=(("X-Next-Change-Id", _away(c, d.randrange(-50, 50))),)), 3, only_stashes=True
    ),
    "no header": Kind(lambda *_: Override("", headers=(("X-Next-Change-Id", ""),)), only_stashes=True),
    "no address": Kind(lambda *_: Override("", silent=True, ending=Ending.NO_ADDRESS), seconds=(5, 120)),
    "no connection": Kind(lambda *_: Override("", silent=True, ending=Ending.NO_CONNECTION), seconds=(5, 120)),
}
"""What `FaultPlan` can play; beside these `"401 revoked"` and `"changed page"`, which need more than one answer."""

REVOKED = "401 revoked"
CHANGED = "changed page"
NAMES = (*KINDS, REVOKED, CHANGED)


@dataclass(slots=True)
class Spell:
    """A fault from a moment on, for so many requests or so many seconds."""

    name: str
    at: float
    """Seconds from the plan's start."""
    strikes: int = 1
    seconds: float = 0.0
    """Set: all requests from `at` until so much later."""
    began_at: float | None = None
    """Epoch seconds of the first strike."""
    ended_at: float | None = None
    """Epoch seconds of the last strike."""

    def strikes_at(self, since_start: float) -> bool:
        """Whether it strikes a request that comes now."""
        if since_start < self.at:
            return False
        return since_start < self.at + self.seconds if self.seconds else self.strikes > 0


@dataclass
class FaultPlan:
    """Plays spells against requests; what it does is decided by `seed` alone.

    See `harvester.simulator.faults.Faults`.
    """

    seed: int
    spells: Sequence[Spell]
    start: float
    """Epoch seconds from which `Spell.at` counts."""
    revoke: Callable[[], None] | None = None
    """Makes every token issued so far worthless; needed for `"401 revoked"`."""
    _dice: Random = field(init=False)
    _changed: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._dice = Random(f"faults {self.seed}")

    @classmethod
    def mixture(
        cls,
        seed: int,
        start: float,
        seconds: float,
        *,
        spells: int = 6,
        names: Iterable[str] = NAMES,
        revoke: Callable[[], None] | None = None,
    ) -> FaultPlan:
        """Up to `spells` spells at random moments within `seconds`."""
        dice = Random(f"mixture {seed}")
        known = tuple(names)
        chosen = [_spell(dice, dice.choice(known), dice.uniform(0, seconds)) for _ in range(dice.randint(2, spells))]
        return cls(seed, sorted(chosen, key=lambda spell: spell.at), start, revoke)

    @classmethod
    def alone(
        cls, name: str, seed: int, start: float, at: float = 3.0, revoke: Callable[[], None] | None = None
    ) -> FaultPlan:
        """One fault and nothing else."""
        return cls(seed, [_spell(Random(f"alone {seed}"), name, at)], start, revoke)

    def override(self, now: float, method: str, path: str, query: Mapping[str, str]) -> Override | None:  # noqa: ARG002
        """The first spell in force that fits the request."""
        stashes = "public-stash-tabs" in path
        cursor = query.get("id", "")
        for spell in self.spells:
            if not spell.strikes_at(now - self.start):
                continue
            if spell.name == REVOKED:
                spell.strikes = 0
                if self.revoke is not None:
                    self.revoke()
                spell.began_at = spell.ended_at = now
                continue
            if spell.name == CHANGED:
                if not stashes or not cursor:
                    continue
                struck = self._change(spell, cursor)
            else:
                kind = KINDS[spell.name]
                if (kind.only_stashes and not stashes) or (kind.needs_cursor and not cursor):
                    continue
                struck = _named(spell.name, kind.make)(self._dice, cursor)
                spell.strikes -= 1
            if spell.began_at is None:
                spell.began_at = now
            spell.ended_at = now
            return struck
        return None

    @property
    def over(self) -> bool:
        """Whether every spell has struck as often as it will, the timed ones left out."""
        return all(spell.seconds or spell.strikes <= 0 for spell in self.spells)

    def _change(self, spell: Spell, cursor: str) -> Override:
        """The page breaks off first; asked for again it ends earlier, with another next id."""
        if cursor not in self._changed:
            self._changed[cursor] = 1
            return Override(CHANGED, keep=40, ending=Ending.CUT)
        spell.strikes = 0
        return Override(CHANGED, transform=lambda body: _shortened(body, cursor))


def _spell(dice: Random, name: str, at: float) -> Spell:
    kind = KINDS.get(name)
    if kind is None:
        return Spell(name, at)
    if kind.seconds:
        return Spell(name, at, seconds=dice.uniform(*kind.seconds))
    return Spell(name, at, strikes=dice.randint(1, kind.most) if not kind.stops else kind.most)


def _shortened(body: bytes, cursor: str) -> bytes:
    """The page with its first record only, and the next id that then is right."""
    opening = body.find(b'"stashes":[')
    at_the_end = b'"next_change_id":"%b"' % cursor.encode() in body[:opening]
    if opening < 0 or at_the_end:
        return body
    at = first = opening + len(b'"stashes":[')
    depth, in_text, escaped = 0, False, False
    while at < len(body):
        sign = body[at]
        if in_text:
            escaped, in_text = (not escaped and sign == 0x5C), not (sign == 0x22 and not escaped)
        elif sign == 0x22:
            in_text = True
        elif sign in b"{[":
            depth += 1
        elif sign in b"}]":
            depth -= 1
            if depth <= 0:
                break
        at += 1
    if depth < 0:
        return body
    record = body[first : at + 1]
    return b'{"next_change_id":"%b","stashes":[%b]}' % (_away(cursor, 1).encode(), record)
