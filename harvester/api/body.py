"""Decompresses a body piece by piece, never beyond a limit, and notices when it was cut."""

from __future__ import annotations

import zlib

import zstandard

ACCEPT_ENCODING = "gzip, zstd"
_GZIP = 16 + zlib.MAX_WBITS
_ZSTD_SLICE = 256
"""Bytes fed at once: one such slice can unfold to 8 MiB at most, so a bomb is seen before it fills memory."""
_ZSTD_WINDOW = 8 << 20


class BodyFaultError(Exception):
    """A body that is not what its Content-Encoding says, or larger than allowed."""


class BodyDecoder:
    """Takes a body as transferred, gives it as meant."""

    def __init__(self, content_encoding: str, limit: int) -> None:
        """`limit` is in bytes, after decompression.

        Raises:
            BodyFaultError: an encoding that was not asked for.
        """
        encoding = content_encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "zstd"):
            raise BodyFaultError(f"the body has the unknown encoding {encoding[:40]!r}")
        self._encoding = {"x-gzip": "gzip", "identity": ""}.get(encoding, encoding)
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._fed = 0
        self._gzip = zlib.decompressobj(_GZIP)
        self._zstd = self._new_zstd()

    @property
    def size(self) -> int:
        """Bytes after decompression so far."""
        return self._size

    def feed(self, chunk: bytes) -> None:
        """The next bytes as they came. Raises `BodyFaultError`."""
        self._fed += len(chunk)
        if not self._encoding:
            self._keep(chunk)
            return
        try:
            if self._encoding == "gzip":
                self._feed_gzip(chunk)
            else:
                for start in range(0, len(chunk), _ZSTD_SLICE):
                    self._feed_zstd(chunk[start : start + _ZSTD_SLICE])
        except (zlib.error, zstandard.ZstdError) as error:
            raise BodyFaultError(f"the body cannot be decompressed ({self._encoding})") from error

    def finish(self) -> bytes:
        """The whole body. Raises `BodyFaultError` when the compressed stream has no end."""
        ended = self._gzip.eof if self._encoding == "gzip" else self._zstd.eof
        if self._encoding and self._fed and not ended:
            raise BodyFaultError(f"the compressed body is cut short ({self._encoding})")
        return b"".join(self._parts)

    def so_far(self) -> bytes:
        """What has been decompressed, whole or not."""
        return b"".join(self._parts)

    def _feed_gzip(self, data: bytes) -> None:
        while data:
            if self._gzip.eof:
                if not data.strip(b"\0"):
                    return
                self._gzip = zlib.decompressobj(_GZIP)
            self._keep(self._gzip.decompress(data, self._limit - self._size + 1))
            data = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail

    def _feed_zstd(self, data: bytes) -> None:
        while data:
            if self._zstd.eof:
                self._zstd = self._new_zstd()
            self._keep(self._zstd.decompress(data))
            data = self._zstd.unused_data

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise BodyFaultError(f"the body is larger than {self._limit:,} bytes")
        if part:
            self._parts.append(part)

    @staticmethod
    def _new_zstd() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
