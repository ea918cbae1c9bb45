-- An exchange queue has nothing to do until the hour in hand is over: its lag counts from there. The queue that fills
-- history comes to an end, so its age says nothing.

CREATE OR REPLACE VIEW v_ingest_health AS
WITH
    progress AS
    (
        SELECT
            queue_key,
            argMax(next_cursor_id, (seq, retrieved_at)) AS cursor,
            greatest(
                max(retrieved_at),
                if(
                    startsWith(queue_key, 'cxapi:'),
                    -- over, and published some seconds later
                    toDateTime64(toUInt32OrZero(cursor) + 3605, 3, 'UTC'),
                    toDateTime64(0, 3, 'UTC'))) AS at
        FROM bronze_ingest_checkpoints
        WHERE NOT startsWith(queue_key, 'cxapi-history:')
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

CREATE OR REPLACE VIEW v_feeds_in_use AS
SELECT feed, newest
FROM
(
    SELECT feed, max(at) AS newest, max(newest) OVER () AS newest_of_all
    FROM
    (
        SELECT splitByChar(':', queue_key)[1] AS feed, max(retrieved_at) AS at FROM bronze_ingest_checkpoints GROUP BY feed
        UNION ALL
        SELECT splitByChar(':', queue_key)[1] AS feed, max(taken_at) AS at FROM poe_ingest_status GROUP BY feed
    )
    WHERE feed != 'cxapi-history'
    GROUP BY feed
)
WHERE newest > newest_of_all - INTERVAL 1 DAY;
