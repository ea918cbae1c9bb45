# The harvester for a ClickHouse server: small, without the embedded engine, as a user without rights.
FROM python:3.13.1-slim-bookworm AS build
WORKDIR /source
COPY constraints.txt ./
RUN python -m venv /opt/poe-ledger
COPY pyproject.toml README.md LICENSE ./
COPY harvester harvester
COPY poe_ledger_tui poe_ledger_tui
COPY poe_trade poe_trade
COPY schema schema
RUN /opt/poe-ledger/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt .

FROM python:3.13.1-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/poe-ledger --shell /usr/sbin/nologin poe-ledger \
 && install --directory --owner poe-ledger --group poe-ledger --mode 0700 \
      /var/lib/poe-ledger /var/lib/poe-ledger/cursors
COPY --from=build /opt/poe-ledger /opt/poe-ledger
ENV PATH=/opt/poe-ledger/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    POE_CURSOR_DIR=/var/lib/poe-ledger/cursors \
    POE_METRICS_ADDRESS=127.0.0.1:9464
USER poe-ledger
WORKDIR /var/lib/poe-ledger
VOLUME /var/lib/poe-ledger
# Health is progress: red lag of any queue makes it fail.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "poe_trade.cli", "service", "--name", "market_harvester", "--"]
