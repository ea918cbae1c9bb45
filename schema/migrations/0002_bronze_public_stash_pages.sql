-- The pages of the public stash stream as they came: the truth from which everything else is derived.

CREATE TABLE IF NOT EXISTS raw_public_stash_pages
(
    realm LowCardinality(String) COMMENT 'pc, xbox or sony',
    seq UInt64 COMMENT 'place of the page in its queue, gapless from 1' CODEC(Delta, ZSTD(1)),
    change_id String COMMENT 'the cursor the page was asked with; empty at the very start of a stream',
    next_change_id String COMMENT 'the cursor the page names',
    fetched_at DateTime64(3, 'UTC') COMMENT 'when the last byte had arrived',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when the store took it; retention counts from here, for a page may have waited in the spool for long',
    league_filter Array(LowCardinality(String)) COMMENT 'leagues kept, sorted; empty means all',
    account_names LowCardinality(String) DEFAULT 'keep' COMMENT 'keep, hash:fingerprint of the salt, or drop; with keep and no league filter the body is byte for byte what came',
    stash_count UInt32 COMMENT 'records in the body',
    item_count UInt32 COMMENT 'items in the records that the door could read',
    body_sha256 FixedString(64) COMMENT 'of body, hexadecimal',
    body String COMMENT 'the page' CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toMonday(fetched_at)
ORDER BY (realm, seq)
SETTINGS index_granularity_bytes = 1048576, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;
