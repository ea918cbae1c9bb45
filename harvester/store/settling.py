"""A statement whose answer never came: did it happen? Settled by looking, never by guessing.

Every writing handle on a server marks its statements (the setting `log_comment`, which the server shows in
`system.processes`). When an answer is lost, the marked statements are ended, and nothing more is written until none of
them runs: from then on, what is in the tables is what there will be. A request may also be on its way, in a buffer of
the network or of a server that stood still, when we look for the first time; so it must be looked for repeatedly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harvester.store.errors import StoreError, StoreFault

LOOKS = 4
"""Times in a row that no marked statement may be found."""
LOOK_EVERY_SECONDS = 0.5
PATIENCE_LOOKS = 60
"""Looks after which the matter is left for a later try."""

_RUNNING = "SELECT count() FROM {processes} WHERE Settings['log_comment'] = {{mark:String}}"
_END = "KILL QUERY {where} WHERE Settings['log_comment'] = {{mark:String}} ASYNC"


def leaves_doubt(error: StoreError) -> bool:
    """Whether a writing statement may have happened, or may still happen, though it failed like this."""
    if error.code is None:
        return error.fault in (StoreFault.UNREACHABLE, StoreFault.TIMEOUT)
    return error.fault in (StoreFault.TIMEOUT, StoreFault.UNREACHABLE)


def settle(
    ask: Callable[[str, dict[str, Any]], Any], mark: str, pause: Callable[[float], None], *, cluster: str = ""
) -> None:
    """End what runs under `mark`, and wait until nothing of it runs.

    Args:
        ask: runs a statement with parameters on an unmarked connection and returns the first value.
        mark: the `log_comment` of the statements in doubt.
        pause: sleeps for some seconds.
        cluster: quoted; all its replicas are looked at, for any may have been asked. Empty for a single server.

    Raises:
        StoreError: the server cannot be asked, or a statement does not end; call again later.
    """
    running = _RUNNING.format(
        processes=f"clusterAllReplicas({cluster}, system.processes)" if cluster else "system.processes"
    )
    end = _END.format(where=f"ON CLUSTER {cluster}" if cluster else "")
    quiet = 0
    for _ in range(PATIENCE_LOOKS):
        if ask(running, {"mark": mark}):
            quiet = 0
            try:
                ask(end, {"mark": mark})
            except StoreError as error:
                if error.fault is not StoreFault.NOT_ALLOWED:
                    raise  # without the right to end it, it is waited for
        else:
            quiet += 1
            if quiet >= LOOKS:
                return
        pause(LOOK_EVERY_SECONDS)
    raise StoreError(
        StoreFault.TIMEOUT,
        f"A statement marked {mark!r} whose answer was lost is still running on the server; waiting for its end.",
    )
