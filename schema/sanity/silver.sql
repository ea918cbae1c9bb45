-- Does silver say what bronze holds, and does the present state fit together?
--   clickhouse-client --multiquery < schema/sanity/silver.sql
USE poe_trade;

-- title: Every record of every page is derived
-- verdict: red when used = 1 and (checked = 0 or age_seconds > 3600 or incomplete > 0)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS checked,
    countIf(page.stash_count != derived.records + set_aside.records) AS incomplete,
    dateDiff('second', max(page.fetched_at), now64(3, 'UTC')) AS age_seconds
FROM
(
    SELECT realm, seq, stash_count, fetched_at
    FROM raw_public_stash_pages
    WHERE fetched_at > now64(3, 'UTC') - INTERVAL 1 DAY
        AND (concat('psapi:', realm), seq) IN (
            SELECT queue_key, seq FROM bronze_ingest_checkpoints
            WHERE status = 'page' AND retrieved_at > now64(3, 'UTC') - INTERVAL 2 DAY)
) AS page
LEFT JOIN
(
    SELECT realm, seq, count() AS records FROM silver_stashes
    WHERE fetched_at > now64(3, 'UTC') - INTERVAL 2 DAY GROUP BY realm, seq
) AS derived ON derived.realm = page.realm AND derived.seq = page.seq
LEFT JOIN
(
    SELECT replaceOne(queue_key, 'psapi:', '') AS realm, seq, count() AS records FROM bronze_dead_letters
    WHERE kind = 'record' AND rejected_at > now64(3, 'UTC') - INTERVAL 2 DAY GROUP BY realm, seq
) AS set_aside ON set_aside.realm = page.realm AND set_aside.seq = page.seq;

-- title: The present state shows every listing of every public stash
-- verdict: red when used = 1 and (expected = 0 or age_seconds > 3600 or expected != shown)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    (SELECT sum(length(item_keys)) FROM silver_stash_state FINAL WHERE public) AS expected,
    (SELECT count() FROM v_listings_current) AS shown,
    (SELECT dateDiff('second', max(last_seen), now64(3, 'UTC')) FROM silver_stash_state) AS age_seconds;

-- title: Every item is listed in one stash only
-- verdict: red when used = 1 and (listed = 0 or age_seconds > 3600 or doubled > 0)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS listed,
    count() - uniqExact(realm, item_id) AS doubled,
    dateDiff('second', max(last_seen), now64(3, 'UTC')) AS age_seconds
FROM v_listings_current;

-- title: Prices are prices
-- verdict: red when used = 1 and (listed = 0 or age_seconds > 3600 or wrong > 0); amber when used = 1 and (priced = 0)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS listed,
    countIf(price_amount IS NOT NULL) AS priced,
    countIf(
        (price_amount IS NOT NULL AND (price_amount <= 0 OR price_lot <= 0 OR price_currency IS NULL OR price_kind IS NULL))
        OR (price_amount IS NULL AND (price_lot IS NOT NULL OR price_currency IS NOT NULL))) AS wrong,
    dateDiff('second', max(last_seen), now64(3, 'UTC')) AS age_seconds
FROM v_listings_current;

-- title: First sightings come before last ones
-- verdict: red when used = 1 and (listed = 0 or age_seconds > 3600 or wrong > 0)
SELECT
    (SELECT countIf(feed = 'psapi') > 0 OR count() = 0 FROM v_feeds_in_use) AS used,
    count() AS listed,
    countIf(first_seen > last_seen) AS wrong,
    dateDiff('second', max(last_seen), now64(3, 'UTC')) AS age_seconds
FROM v_listings_current;
