"""Which pacer serves a queue: by endpoint until an answer names the policy, then one pacer per policy."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from harvester.api.pace import BASE_MARGIN
from harvester.api.pacer import Pacer, PacerSnapshot, Slot
from harvester.api.restrictions import RestrictionFile, SavedLimits, SavedPolicy
from harvester.api.throttle import Throttle
from harvester.api.window import Hit
from harvester.clock import Clock
from harvester.model import Limits, Rule

THROTTLES_KEPT = 50

_Remembered = tuple[float, tuple[Rule, ...], tuple[float, ...]]


class PacerBook:
    """All pacers of a harvest. Remembers restrictions and limits in a file where one is given."""

    def __init__(
        self,
        clock: Clock,
        file: RestrictionFile | None = None,
        *,
        margin: float = BASE_MARGIN,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """`warn` is told, in words for the operator, when the file cannot be read or written."""
        self._clock = clock
        self._file = file
        self._margin = margin
        self._warn = warn or (lambda _text: None)
        self._by_queue: dict[str, Pacer] = {}
        self._by_endpoint: dict[str, Pacer] = {}
        self._by_policy: dict[str, Pacer] = {}
        self._remembered: dict[str, _Remembered] = {}
        self._throttles: deque[Throttle] = deque(maxlen=THROTTLES_KEPT)
        self._saved = SavedLimits()
        self._write_failed = False
        if file is not None:
            self._saved, warning = file.load()
            if warning is not None:
                self._warn(warning)

    def pacer(self, queue: str, endpoint: str) -> Pacer:
        """The pacer of a queue. `endpoint` (host and head of the path) stands in for an unknown policy."""
        found = self._by_queue.get(queue)
        if found is None:
            found = self._from_file(queue, endpoint) or self._by_endpoint.get(endpoint)
            if found is None:
                found = self._open(endpoint, policy=None)
                self._by_endpoint[endpoint] = found
            self._by_queue[queue] = found
        return found.current

    async def slot(self, queue: str, endpoint: str) -> Slot:
        """Wait for the queue's turn; see `Pacer.slot`."""
        return await self.pacer(queue, endpoint).slot(queue)

    def snapshots(self) -> tuple[PacerSnapshot, ...]:
        """One per pacer in use, by name."""
        pacers = {id(pacer.current): pacer.current for pacer in tuple(self._by_queue.values())}
        return tuple(pacer.snapshot() for pacer in sorted(pacers.values(), key=lambda pacer: pacer.label))

    def snapshot(self, queue: str) -> PacerSnapshot | None:
        """That of the pacer which serves `queue`; None before its first request."""
        found = self._by_queue.get(queue)
        return found.current.snapshot() if found is not None else None

    def throttles(self) -> tuple[Throttle, ...]:
        """The latest 429s and restrictions of all policies, the newest last."""
        return tuple(self._throttles)

    # -- inside ----------------------------------------------------------------------------------------

    def _open(self, name: str, policy: str | None) -> Pacer:
        pacer = Pacer(
            self._clock,
            name=name,
            policy=policy,
            margin=self._margin,
            route=self._route,
            settled=self._settled,
            throttled=self._throttles.append,
        )
        saved = self._saved.policies.get(policy or name)
        if saved is not None:
            now = self._clock.monotonic()
            left = saved.left_at(self._clock.now())
            pacer.pace.resume(saved.rules, now + left if left > 0 else -math.inf, now, saved.learned)
            self._remembered[pacer.label] = (pacer.pace.blocked_until, saved.rules, pacer.pace.learned)
        return pacer

    def _named(self, policy: str) -> Pacer:
        pacer = self._by_policy.get(policy)
        if pacer is None:
            pacer = self._by_policy[policy] = self._open(policy, policy)
        return pacer.current

    def _from_file(self, queue: str, endpoint: str) -> Pacer | None:
        name = self._saved.queues.get(queue)
        if name is None or name == endpoint or name not in self._saved.policies:
            return None
        return self._named(name)

    def _route(self, granted_by: Pacer, queue: str, hit: Hit, limits: Limits) -> Pacer:
        policy = limits.policy
        if policy is None or granted_by.policy == policy:
            return granted_by
        if granted_by.policy is None:
            known = self._by_policy.get(policy)
            if known is None:
                granted_by.policy = policy
                self._by_policy[policy] = granted_by
                return granted_by
            granted_by.merge_into(known)
            return known.current
        # The queue's policy has changed, or it never shared the one of its endpoint.
        pacer = self._named(policy)
        pacer.pace.take_over(hit)
        if queue:
            self._by_queue[queue] = pacer
        return pacer

    def _settled(self, pacer: Pacer) -> None:
        """Write the file when what it must hold has changed."""
        if self._file is None:
            return
        rules = tuple(_without_state(rule) for rule in pacer.pace.rules)
        remember = (pacer.pace.blocked_until, rules, pacer.pace.learned)
        queues = {**self._saved.queues}
        queues.update((queue, served_by.current.label) for queue, served_by in self._by_queue.items())
        same = self._remembered.get(pacer.label) == remember and queues == self._saved.queues
        if same and not self._write_failed:
            return
        self._remembered[pacer.label] = remember
        left = pacer.restricted_for()
        policy = SavedPolicy(self._clock.now() + left if left > 0 else 0.0, left, rules, pacer.pace.learned)
        self._saved = SavedLimits({**self._saved.policies, pacer.label: policy}, queues)
        try:
            self._file.save(self._saved)
        except OSError as error:
            if not self._write_failed:
                self._warn(
                    f"{self._file.path} cannot be written ({error.strerror or error}): a restriction of the "
                    "API would be forgotten at a restart. Make room or mend the permissions."
                )
            self._write_failed = True
        else:
            self._write_failed = False


def _without_state(rule: Rule) -> Rule:
    return Rule(
        rule.name,
        tuple(replace(triplet, used=None, active_restriction=0) for triplet in rule.triplets),
    )
