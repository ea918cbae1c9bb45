-- Is what came from the API all there, once, in order, and fresh?
--   clickhouse-client --multiquery < schema/sanity/bronze.sql
-- `poe-ledger --headless sanity` runs the same checks and judges them by the rules beside them.
-- A feed is in use while it gave a sign of life at most a day before the newest one of any feed (v_feeds_in_use); checks
-- of a feed that is not are green. On an empty store every check is red.
USE poe_trade;

-- title: The harvest is moving
-- verdict: red when queues = 0 or worst_lag_seconds > 3600; amber when worst_lag_seconds > 300
SELECT
    count() AS queues,
    round(max(lag_seconds)) AS worst_lag_seconds,
    argMax(queue_key, lag_seconds) AS slowest_queue
FROM v_ingest_health
WHERE splitByChar(':', queue_key)[1] IN (SELECT feed FROM v_feeds_in_use);

-- title: Every page leads to the next, without a gap
-- verdict: red when checked = 0 or age_seconds > 7300 or broken > 0; amber when moved > 0
SELECT
    count() AS checked,
    countIf(before_seq != 0 AND (seq != before_seq + if(status = 'moved', 0, 1) OR last_cursor_id != before_next)) AS broken,
    countIf(status = 'moved') AS moved,
    dateDiff('second', max(retrieved_at), now64(3, 'UTC')) AS age_seconds
FROM
(
    SELECT
        seq, last_cursor_id, retrieved_at, status,
        lagInFrame(seq) OVER w AS before_seq,
        lagInFrame(next_cursor_id) OVER w AS before_next
    FROM bronze_ingest_checkpoints
    WHERE status != 'caught_up' AND retrieved_at > now64(3, 'UTC') - INTERVAL 1 DAY
    WINDOW w AS (PARTITION BY queue_key ORDER BY seq, retrieved_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
);

-- title: Every page stands once
-- verdict: red when used = 1 and (checked = 0 or age_seconds > 3600 or doubled > 0)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS checked,
    count() - uniqExact(realm, seq) AS doubled,
    dateDiff('second', max(fetched_at), now64(3, 'UTC')) AS age_seconds
FROM raw_public_stash_pages
WHERE fetched_at > now64(3, 'UTC') - INTERVAL 1 DAY;

-- title: Every checkpoint has its page
-- verdict: red when used = 1 and (checked = 0 or age_seconds > 3600 or missing > 0)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS checked,
    countIf((queue_key, seq) NOT IN (
        SELECT concat('psapi:', realm), seq FROM raw_public_stash_pages
        WHERE fetched_at > now64(3, 'UTC') - INTERVAL 2 DAY)) AS missing,
    dateDiff('second', max(retrieved_at), now64(3, 'UTC')) AS age_seconds
FROM bronze_ingest_checkpoints
WHERE status = 'page' AND startsWith(queue_key, 'psapi:') AND retrieved_at > now64(3, 'UTC') - INTERVAL 1 DAY;

-- title: The newest pages are the bytes that came
-- verdict: red when used = 1 and (checked = 0 or age_seconds > 3600 or altered > 0)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS checked,
    countIf(lower(hex(SHA256(body))) != toString(body_sha256)) AS altered,
    dateDiff('second', max(fetched_at), now64(3, 'UTC')) AS age_seconds
FROM
(
    SELECT body, body_sha256, fetched_at
    FROM raw_public_stash_pages
    WHERE fetched_at > now64(3, 'UTC') - INTERVAL 1 DAY
    ORDER BY fetched_at DESC
    LIMIT 50
);

-- title: The API lets us in
-- verdict: red when requests = 0 or limited > 10 or refused > 3; amber when limited > 0 or refused > 0
SELECT
    count() AS requests,
    countIf(outcome = 'rate_limited' AND requested_at > now64(3, 'UTC') - INTERVAL 1 HOUR) AS limited,
    countIf(outcome = 'refused' AND requested_at > now64(3, 'UTC') - INTERVAL 1 HOUR) AS refused,
    round(quantile(0.95)(response_ms)) AS p95_ms
FROM bronze_requests
-- Two hours: the exchange is asked once in each.
WHERE requested_at > now64(3, 'UTC') - INTERVAL 2 HOUR;

-- title: Nothing had to be set aside
-- verdict: red when checked = 0 or age_seconds > 7300; amber when set_aside > 0
SELECT
    count() AS checked,
    (SELECT count() FROM bronze_dead_letters WHERE rejected_at > now64(3, 'UTC') - INTERVAL 1 DAY) AS set_aside,
    dateDiff('second', max(retrieved_at), now64(3, 'UTC')) AS age_seconds
FROM bronze_ingest_checkpoints
WHERE retrieved_at > now64(3, 'UTC') - INTERVAL 1 DAY;
