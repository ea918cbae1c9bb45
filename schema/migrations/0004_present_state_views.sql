-- What people query: the market as it stands, and the health of the harvest.

CREATE OR REPLACE VIEW v_stashes_current AS
SELECT realm, stash_id, league, account, stash_name, stash_type, item_count, last_seen
FROM silver_stash_state FINAL
WHERE public;

CREATE OR REPLACE VIEW v_listings_current AS
SELECT
    realm, league, stash_id, item_id, name, type_line, base_type, rarity, ilvl, stack_size, corrupted, note,
    price_kind, price_amount, price_lot, price_currency, stash.account AS account, first_seen, stash.last_seen AS last_seen
FROM silver_listings AS listing
INNER JOIN
(
    SELECT stash_key, seq, account, last_seen FROM silver_stash_state FINAL WHERE public
) AS stash USING (stash_key, seq);

CREATE OR REPLACE VIEW v_ingest_health AS
WITH
    progress AS
    (
        SELECT queue_key, max(retrieved_at) AS at, argMax(next_cursor_id, (seq, retrieved_at)) AS cursor
        FROM bronze_ingest_checkpoints
        GROUP BY queue_key
    ),
    latest AS
    (
        SELECT
            queue_key,
            argMax(status, taken_at) AS status,
            argMax(last_error, taken_at) AS error,
            argMax(tuple(stalled_since), taken_at).1 AS stalled,
            argMax(amber_seconds, taken_at) AS amber,
            argMax(red_seconds, taken_at) AS red
        FROM poe_ingest_status
        GROUP BY queue_key
    )
SELECT
    progress.queue_key AS queue_key,
    multiIf(
        lag_seconds >= if(latest.red > 0, latest.red, 60), 'red',
        lag_seconds >= if(latest.amber > 0, latest.amber, 20), 'amber',
        'ok') AS level,
    greatest(0., dateDiff('millisecond', progress.at, now64(3, 'UTC')) / 1000) AS lag_seconds,
    latest.stalled AS stalled_since,
    latest.status AS last_status,
    latest.error AS last_error,
    progress.cursor AS cursor
FROM progress
LEFT JOIN latest ON latest.queue_key = progress.queue_key;
