-- Is the currency exchange all there, once, and derived? Green where the feed is not in use beside another one.
--   clickhouse-client --multiquery < schema/sanity/currency.sql
USE poe_trade;

-- title: The exchange is stored hour by hour, up to the last one
-- verdict: red when used = 1 and (hours = 0 or doubled > 0 or (behind_hours > 3 and idle_seconds > 600)); amber when used = 1 and (behind_hours > 1 or left_out > 0)
SELECT
    (SELECT countIf(feed = 'cxapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS hours,
    count() - uniqExact(realm, hour) AS doubled,
    countIf(http_status = 404) AS left_out,
    intDiv(toUnixTimestamp(toStartOfHour(now('UTC'))) - toUnixTimestamp(max(hour)), 3600) - 1 AS behind_hours,
    dateDiff('second', max(fetched_at), now64(3, 'UTC')) AS idle_seconds
FROM raw_currency_exchange_hours
WHERE startsWith(queue_key, 'cxapi:') AND fetched_at > now64(3, 'UTC') - INTERVAL 2 DAY;

-- title: The newest exchange hours are the bytes that came
-- verdict: red when used = 1 and (checked = 0 or age_seconds > 7300 or altered > 0)
SELECT
    (SELECT countIf(feed = 'cxapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS checked,
    countIf(lower(hex(SHA256(body))) != toString(body_sha256)) AS altered,
    dateDiff('second', max(fetched_at), now64(3, 'UTC')) AS age_seconds
FROM
(
    SELECT body, body_sha256, fetched_at
    FROM raw_currency_exchange_hours
    WHERE fetched_at > now64(3, 'UTC') - INTERVAL 1 DAY
    ORDER BY fetched_at DESC
    LIMIT 50
);

-- title: Every market of every exchange hour is derived
-- verdict: red when used = 1 and (checked = 0 or age_seconds > 7300 or incomplete > 0)
SELECT
    (SELECT countIf(feed = 'cxapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS checked,
    countIf(page.market_count != derived.markets + set_aside.markets) AS incomplete,
    dateDiff('second', max(page.fetched_at), now64(3, 'UTC')) AS age_seconds
FROM
(
    SELECT realm, hour, queue_key, seq, market_count, fetched_at
    FROM raw_currency_exchange_hours
    WHERE fetched_at > now64(3, 'UTC') - INTERVAL 1 DAY
        AND (queue_key, seq) IN (
            SELECT queue_key, seq FROM bronze_ingest_checkpoints
            WHERE status = 'page' AND retrieved_at > now64(3, 'UTC') - INTERVAL 2 DAY)
) AS page
LEFT JOIN
(
    SELECT realm, hour, count() AS markets FROM silver_currency_markets
    WHERE fetched_at > now64(3, 'UTC') - INTERVAL 2 DAY GROUP BY realm, hour
) AS derived ON derived.realm = page.realm AND derived.hour = page.hour
LEFT JOIN
(
    SELECT queue_key, seq, count() AS markets FROM bronze_dead_letters
    WHERE kind = 'record' AND rejected_at > now64(3, 'UTC') - INTERVAL 2 DAY GROUP BY queue_key, seq
) AS set_aside ON set_aside.queue_key = page.queue_key AND set_aside.seq = page.seq;

-- title: Exchange prices are prices
-- verdict: red when used = 1 and (markets = 0 or age_seconds > 7300 or wrong > 0); amber when used = 1 and traded = 0
SELECT
    (SELECT countIf(feed = 'cxapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS markets,
    countIf(volume_a > 0) AS traded,
    countIf(
        key_a = '' OR key_b = '' OR key_a = key_b OR league = ''
        OR toInt256(lowest_ratio_a) * highest_ratio_b > toInt256(highest_ratio_a) * lowest_ratio_b
        OR (lowest_ratio_a = 0) != (lowest_ratio_b = 0) OR (highest_ratio_a = 0) != (highest_ratio_b = 0)) AS wrong,
    dateDiff('second', max(fetched_at), now64(3, 'UTC')) AS age_seconds
FROM silver_currency_markets
WHERE fetched_at > now64(3, 'UTC') - INTERVAL 1 DAY AND hour > now('UTC') - INTERVAL 2 DAY;

-- title: What is exchanged has a name
-- verdict: red when used = 1 and keys = 0; amber when used = 1 and named_share < 0.5
SELECT
    (SELECT countIf(feed = 'cxapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    uniqExact(key) AS keys,
    if(keys = 0, 0, round(uniqExactIf(key, key IN (SELECT key FROM currency_names FINAL WHERE name != '')) / keys, 3)) AS named_share
FROM
(
    SELECT arrayJoin([key_a, key_b]) AS key
    FROM silver_currency_markets
    WHERE fetched_at > now64(3, 'UTC') - INTERVAL 1 DAY
);
