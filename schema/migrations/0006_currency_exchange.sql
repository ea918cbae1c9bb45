-- The currency exchange: hours as they came, the markets in them, and the names of what is traded.

CREATE TABLE IF NOT EXISTS raw_currency_exchange_hours
(
    realm LowCardinality(String) COMMENT 'pc, xbox, sony or poe2',
    hour DateTime('UTC') COMMENT 'start of the hour that the row describes' CODEC(Delta, ZSTD(1)),
    queue_key LowCardinality(String) COMMENT 'the queue that fetched it: cxapi:realm, or cxapi-history:realm',
    seq UInt64 COMMENT 'place of the hour in that queue, gapless from 1' CODEC(Delta, ZSTD(1)),
    change_id String COMMENT 'the hour as the API is asked for it: the Unix time of its start',
    next_change_id String COMMENT 'the hour that the queue asked for next',
    fetched_at DateTime64(3, 'UTC') COMMENT 'when the last byte had arrived',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when the store took it; retention counts from here, for a page may have waited in the spool for long',
    http_status UInt16 COMMENT '200; 404 where the API does not keep the hour and named a later one',
    league_filter Array(LowCardinality(String)) COMMENT 'leagues kept, sorted; empty means all, and the body is then byte for byte',
    market_count UInt32 COMMENT 'markets in the body',
    body_sha256 FixedString(64) COMMENT 'of body, hexadecimal',
    body String COMMENT 'the answer' CODEC(ZSTD(1)),
    INDEX place seq TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toMonday(fetched_at)
ORDER BY (realm, hour)
SETTINGS index_granularity_bytes = 1048576, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS silver_currency_markets
(
    realm LowCardinality(String),
    hour DateTime('UTC') COMMENT 'start of the hour' CODEC(Delta, ZSTD(1)),
    league LowCardinality(String),
    key_a LowCardinality(String) COMMENT 'first currency of the pair, as the API writes it: a short code or a path of the game',
    key_b LowCardinality(String) COMMENT 'second currency of the pair',
    position UInt32 COMMENT 'index of the market in its hour, from 1' CODEC(Delta, ZSTD(1)),
    volume_a UInt64 COMMENT 'units of a that changed hands in the hour' CODEC(ZSTD(1)),
    volume_b UInt64 COMMENT 'units of b they were changed for' CODEC(ZSTD(1)),
    lowest_stock_a UInt64 COMMENT 'fewest units of a on offer in the hour' CODEC(ZSTD(1)),
    lowest_stock_b UInt64 CODEC(ZSTD(1)),
    highest_stock_a UInt64 COMMENT 'most units of a on offer in the hour' CODEC(ZSTD(1)),
    highest_stock_b UInt64 CODEC(ZSTD(1)),
    lowest_ratio_a UInt64 COMMENT 'with lowest_ratio_b: the fewest a for b that were dealt, lowest_ratio_a for lowest_ratio_b; 0 and 0 where nothing was' CODEC(ZSTD(1)),
    lowest_ratio_b UInt64 CODEC(ZSTD(1)),
    highest_ratio_a UInt64 COMMENT 'with highest_ratio_b: the most a for b that were dealt' CODEC(ZSTD(1)),
    highest_ratio_b UInt64 CODEC(ZSTD(1)),
    fetched_at DateTime64(3, 'UTC') COMMENT 'when the hour was fetched' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (realm, hour, league, key_a, key_b)
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS currency_names
(
    key String COMMENT 'as the exchange writes it: a short code, or a path of the game',
    code LowCardinality(String) COMMENT 'short code, as in price_currency; empty: the row is withdrawn',
    name String COMMENT 'for people',
    written_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY key;

CREATE OR REPLACE VIEW v_currency_markets AS
SELECT
    market.realm AS realm,
    market.league AS league,
    market.hour AS hour,
    if(a.name = '', market.key_a, a.name) AS currency_a,
    if(b.name = '', market.key_b, b.name) AS currency_b,
    if(a.code = '', market.key_a, a.code) AS code_a,
    if(b.code = '', market.key_b, b.code) AS code_b,
    if(market.volume_b > 0, market.volume_a / market.volume_b, NULL) AS price,
    if(market.lowest_ratio_b > 0, market.lowest_ratio_a / market.lowest_ratio_b, NULL) AS lowest_price,
    if(market.highest_ratio_b > 0, market.highest_ratio_a / market.highest_ratio_b, NULL) AS highest_price,
    market.volume_a AS volume_a,
    market.volume_b AS volume_b,
    market.lowest_stock_a AS lowest_stock_a,
    market.lowest_stock_b AS lowest_stock_b,
    market.highest_stock_a AS highest_stock_a,
    market.highest_stock_b AS highest_stock_b,
    market.key_a AS key_a,
    market.key_b AS key_b
FROM silver_currency_markets AS market
LEFT JOIN (SELECT key, code, name FROM currency_names FINAL) AS a ON a.key = market.key_a
LEFT JOIN (SELECT key, code, name FROM currency_names FINAL) AS b ON b.key = market.key_b;

CREATE OR REPLACE VIEW v_currency_latest AS
SELECT *
FROM v_currency_markets
WHERE (realm, hour) IN (SELECT realm, max(hour) FROM silver_currency_markets GROUP BY realm);
