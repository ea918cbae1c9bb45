"""What can go wrong between us and the API, as exceptions that say how the request ended and what it said."""

# ruff: noqa: N818 - the names say what happened
from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass

from harvester.model import Limits, Outcome

MESSAGE_LENGTH = 300
_EDGE_CODE = re.compile(rb"error[^0-9]{0,40}(1[0-9]{3})\b", re.IGNORECASE)
EDGE_STATUSES = frozenset(range(520, 531))


def clean_text(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """A stranger's words on one line: no control or format characters, at most `limit` characters."""
    text = text[: limit * 8]
    kept = "".join(
        " " if sign.isspace() else sign
        for sign in text
        if sign.isspace() or not unicodedata.category(sign).startswith("C")
    )
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class ApiError(Exception):
    """A request that brought no usable answer. `str()` is one clean line without secrets."""

    outcome: Outcome = Outcome.NETWORK_ERROR

    def __init__(
        self,
        message: str,
        *,
        outcome: Outcome | None = None,
        status: int = 0,
        api_code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """`status` is 0 where no answer came; `retry_after` is in seconds from the answer."""
        self.message = clean_text(message)
        super().__init__(self.message)
        self.outcome = outcome if outcome is not None else type(self).outcome
        self.status = status
        self.api_code = api_code
        self.retry_after = retry_after


class NetworkFailure(ApiError):
    """No answer, or a body that broke off or took too long. Asking again may help."""

    outcome = Outcome.NETWORK_ERROR


class RateLimited(ApiError):
    """A 429 of the API. The pacer already knows how long to wait."""

    outcome = Outcome.RATE_LIMITED


class Refused(ApiError):
    """A 4xx of the API other than 429. It counts toward a ban: asking the same again does not help."""

    outcome = Outcome.REFUSED


class ServerTrouble(ApiError):
    """A 5xx of the API. Ask again later."""

    outcome = Outcome.SERVER_ERROR


class EdgeAnswer(ApiError):
    """The edge before the API answered (challenge page, ban 1015, 52x, redirect): back off, growing.

    `outcome` follows the status: rate limited, refused or server error.
    """

    outcome = Outcome.SERVER_ERROR


class BadBody(ApiError):
    """The body cannot be decompressed or is larger than allowed. Ask for the same again."""

    outcome = Outcome.BAD_BODY


class CredentialsRefused(ApiError):
    """The operator's OAuth client is missing, wrong or not allowed: nothing to retry until it is mended."""

    outcome = Outcome.REFUSED


class TokenUnavailable(ApiError):
    """No access token at present (network, 5xx, rate limit, odd answer). Ask again later."""


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What is needed of an answer to judge it."""

    status: int
    content_type: str
    cf_mitigated: str
    location_host: str
    limits: Limits


def error_for(head: AnswerHead, body: bytes) -> ApiError:
    """The exception for an answer that is none we asked for: a redirect, 4xx or 5xx. `body` may be cut."""
    status, retry_after = head.status, head.limits.retry_after
    code, words = _api_words(body)
    if 300 <= status < 400:
        target = head.location_host or "an unnamed place"
        return EdgeAnswer(
            f"HTTP {status}: redirected to {target}, not followed. Check the base URL in the settings.",
            status=status,
            retry_after=retry_after,
        )
    kind: type[ApiError] = ServerTrouble
    if status == 429:
        kind = RateLimited
    elif 400 <= status < 500:
        kind = Refused
    if _from_the_edge(head, code, body):
        ban = _edge_code(body)
        reason = f"edge error {ban}" if ban else head.cf_mitigated or "a page of the edge, not of the API"
        return EdgeAnswer(f"HTTP {status}: {reason}", outcome=kind.outcome, status=status, retry_after=retry_after)
    return kind(
        f"HTTP {status}: {words}" if words else f"HTTP {status}",
        status=status,
        api_code=code,
        retry_after=retry_after,
    )


def _from_the_edge(head: AnswerHead, api_code: int | None, body: bytes) -> bool:
    if head.cf_mitigated or head.status in EDGE_STATUSES:
        return True
    spoken_by_api = api_code is not None or head.limits.policy is not None or bool(head.limits.rules)
    return not spoken_by_api and ("html" in head.content_type.lower() or bool(_edge_code(body)))


def _edge_code(body: bytes) -> str:
    """The edge's own error number (1015 ban, 1020 block), where its page names one."""
    match = _EDGE_CODE.search(body)
    return match[1].decode() if match else ""


def _api_words(body: bytes) -> tuple[int | None, str]:
    """Code and message of `{"error": {"code", "message"}}` or of the OAuth form `{"error": "…"}`."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None, ""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        code, message = error.get("code"), error.get("message")
        return (
            code if isinstance(code, int) and not isinstance(code, bool) else None,
            clean_text(message) if isinstance(message, str) else "",
        )
    if isinstance(error, str) and isinstance(answer, dict):
        description = answer.get("error_description")
        return None, clean_text(f"{error}: {description}" if isinstance(description, str) else error)
    return None, ""
