"""The access token of the operator's OAuth client: fetched once, shared, renewed when refused or expired."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable

import httpx

from harvester.api.errors import ApiError, CredentialsRefused, EdgeAnswer, Refused, TokenUnavailable
from harvester.api.exchange import Bounds, Exchange, Label, Recorder
from harvester.api.pacer_book import PacerBook
from harvester.clock import Clock

QUEUE_KEY = "oauth"
"""The name under which token requests are paced and recorded."""

ENDPOINT = "oauth/token"

__all__ = ["ENDPOINT", "QUEUE_KEY", "CredentialsRefused", "TokenSource", "TokenUnavailable"]

_LARGEST_ANSWER = 256 << 10
_EARLY = 60.0
"""Seconds before its end at which a token that expires is renewed."""
FORCED_RENEWALS = 3
FORCED_PERIOD = 3600.0
"""Tokens that the API may refuse, and we renew, within so many seconds: each of these 401 counts toward a ban."""


class TokenSource:
    """Gives the token to whoever asks. Neither it nor the secret appears in `repr`, errors or records."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        book: PacerBook,
        clock: Clock,
        record: Recorder,
        *,
        auth_base_url: str,
        client_id: str,
        client_secret: Callable[[], str],
        scope: str = "service:psapi",
        grant_type: str = "client_credentials",
        request_timeout: float = 30.0,
    ) -> None:
        """`client_secret` is called at each renewal, so that a secret can be rotated.

        It may raise `OSError` or `ValueError` where the secret cannot be read.
        """
        self._http = http
        self._book = book
        self._clock = clock
        self._record = record
        self._url = auth_base_url.rstrip("/") + "/token"
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._grant_type = grant_type
        self._bounds = Bounds(request_timeout, request_timeout, _LARGEST_ANSWER)
        self.date_skew: float | None = None
        """Seconds the server's clock was ahead of ours at the newest answer; None where none told the time."""
        self._token: str | None = None
        self._forced: deque[float] = deque()
        self._renew_at = math.inf
        self._renewal: asyncio.Task[str] | None = None
        self._waiting = 0
        self._refused: tuple[str, CredentialsRefused] | None = None

    def __repr__(self) -> str:
        return f"TokenSource({self._url!r})"

    async def token(self) -> str:
        """The token, renewed if need be; callers that come meanwhile share one request.

        Raises:
            CredentialsRefused: the OAuth client is missing, wrong or not allowed. Further calls raise it
                without a request until the secret changes, because failures count toward a ban.
            TokenUnavailable: ask again later.
        """
        if self._token is not None and self._clock.monotonic() < self._renew_at:
            return self._token
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(), name="oauth token")
        renewal = self._renewal
        self._waiting += 1
        try:
            return await asyncio.shield(renewal)
        finally:
            self._waiting -= 1
            if self._waiting == 0 and renewal is self._renewal and not renewal.done():
                renewal.cancel()  # nobody is left who wants it
                self._renewal = None

    def restricted_for(self) -> float:
        """Seconds for which no token can be had because its endpoint wants no request; 0 with a token in hand."""
        if self._token is not None and self._clock.monotonic() < self._renew_at:
            return 0.0
        return self._book.pacer(QUEUE_KEY, ENDPOINT).restricted_for()

    def invalidate(self, token: str) -> bool:
        """The API refused `token`: the next call fetches another, unless somebody already did.

        False where that has come too often within an hour: then asking on with yet another token is no cure.
        """
        if token != self._token:
            return True
        self._token = None
        now = self._clock.monotonic()
        self._forced.append(now)
        while now - self._forced[0] >= FORCED_PERIOD:
            self._forced.popleft()
        return len(self._forced) <= FORCED_RENEWALS

    async def _renew(self) -> str:
        secret = self._secret()
        if self._refused is not None and self._refused[0] == secret:
            raise _again(self._refused[1])
        request = self._http.build_request(
            "POST",
            self._url,
            data={
                "client_id": self._client_id,
                "client_secret": secret,
                "grant_type": self._grant_type,
                "scope": self._scope,
            },
        )
        exchange = Exchange(
            self._http,
            request,
            await self._book.slot(QUEUE_KEY, ENDPOINT),
            Label(QUEUE_KEY, ENDPOINT),
            clock=self._clock,
            record=self._record,
            bounds=self._bounds,
            secrets=(secret,),
        )
        try:
            await exchange.send()
            body = await exchange.read()
        except Refused as error:
            refusal = self._refusal(error)
            self._refused = (secret, refusal)
            raise refusal from None
        except ApiError as error:
            raise _unavailable(error) from None
        finally:
            self.date_skew = exchange.date_skew
            await exchange.close()
        return self._accept(body)

    def _accept(self, body: bytes) -> str:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not _sendable(token):
            raise TokenUnavailable(
                f"The token endpoint answered, but with no usable access token. {_CHECK_URL}"
            ) from None
        lifetime = _lifetime(answer.get("expires_in"))
        self._renew_at = self._clock.monotonic() + lifetime - min(_EARLY, lifetime / 10)
        self._token = token
        self._refused = None
        return token

    def _secret(self) -> str:
        try:
            secret = self._client_secret()
        except (OSError, ValueError) as error:
            raise CredentialsRefused(f"The OAuth client secret cannot be read: {error}") from None
        if not self._client_id or not secret:
            raise CredentialsRefused(
                "No OAuth client is configured. Set POE_OAUTH_CLIENT_ID and POE_OAUTH_CLIENT_SECRET (or "
                "POE_OAUTH_CLIENT_SECRET_FILE) to those of your own confidential client."
            )
        return secret

    def _refusal(self, error: Refused) -> CredentialsRefused:
        said = error.message
        settings, why = "POE_OAUTH_CLIENT_SECRET(_FILE) or POE_OAUTH_CLIENT_ID", ""
        if error.status == 404:
            settings = "POE_AUTH_BASE_URL"
        elif "scope" in said:
            settings, why = "POE_OAUTH_SCOPE", f"; the client must be granted {self._scope!r}"
        elif "grant" in said:
            settings, why = "POE_OAUTH_GRANT_TYPE", "; a confidential client uses client_credentials"
        # The settings come first: a screen may cut the rest.
        words = f"The OAuth client was refused: mend {settings}, then start again ({said}{why})."
        return CredentialsRefused(words, status=error.status, api_code=error.api_code)


_CHECK_URL = "Check POE_AUTH_BASE_URL."


def _again(error: CredentialsRefused) -> CredentialsRefused:
    return CredentialsRefused(error.message, status=error.status, api_code=error.api_code)


def _unavailable(error: ApiError) -> TokenUnavailable:
    where = "the edge before the token endpoint" if isinstance(error, EdgeAnswer) else "the token endpoint"
    return TokenUnavailable(
        f"No access token from {where}: {error.message}",
        outcome=error.outcome,
        status=error.status,
        api_code=error.api_code,
        retry_after=error.retry_after,
    )


def _sendable(token: str) -> bool:
    """Whether it fits a header as it is: a stranger's line break would start another one."""
    return 0 < len(token) <= 8192 and all("!" <= sign <= "~" for sign in token)


def _lifetime(expires_in: object) -> float:
    """Seconds; infinity where the answer names none: such a token holds until it is refused."""
    if isinstance(expires_in, str):
        try:
            expires_in = float(expires_in)
        except ValueError:
            return math.inf
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return math.inf
    return float(expires_in) if 0 < expires_in < 1e9 else math.inf
