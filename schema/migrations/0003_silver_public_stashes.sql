-- What the pages say: the history of stashes and items, and the present state that the views read.

CREATE TABLE IF NOT EXISTS silver_stashes
(
    realm LowCardinality(String),
    seq UInt64 COMMENT 'the page' CODEC(Delta, ZSTD(1)),
    record UInt32 COMMENT 'index of the record in its page, from 1; of a stash that stands twice the later one counts',
    stash_id String,
    public Bool COMMENT 'false: everything known of this stash is gone',
    league LowCardinality(String) COMMENT 'as the stash says; empty where it says none',
    account String,
    stash_name String COMMENT 'the name of the tab; may be a price',
    stash_type LowCardinality(String),
    item_count UInt32 COMMENT 'items in the record',
    fetched_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fetched_at)
ORDER BY (realm, seq, stash_id)
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS silver_listings
(
    realm LowCardinality(String),
    stash_id String,
    item_id String COMMENT 'as the API gives it; where it gives none, made from stash and place and beginning with ~',
    seq UInt64 COMMENT 'the page that wrote this row; current while silver_stash_state names the same for the stash',
    change Enum8('same' = 0, 'new' = 1, 'changed' = 2, 'kept' = 3)
        COMMENT 'against the last content of the stash; kept: written anew since another item left for another stash',
    moved_from String COMMENT 'of a new row: the stash in which the item was listed till now; empty where it was in none',
    stash_key UInt64 COMMENT 'sipHash64(realm, stash_id): what the views join by',
    item_key UInt64 COMMENT 'sipHash64(stash_id, item_id)',
    content UInt64 COMMENT 'hash of every column that makes the listing what it is',
    first_seen DateTime64(3, 'UTC') COMMENT 'fetch time of the first sighting of this item in this stash',
    league LowCardinality(String) COMMENT 'of the stash, else of the item',
    name String COMMENT 'without <<set:…>> marks; empty unless rare or unique',
    type_line LowCardinality(String),
    base_type LowCardinality(String),
    rarity LowCardinality(String) COMMENT 'as the API says, else from the frame type',
    ilvl Int32,
    stack_size UInt64 COMMENT '0 where the item does not stack',
    identified Bool,
    corrupted Bool,
    x UInt16,
    y UInt16,
    inventory_id LowCardinality(String),
    note String COMMENT 'the note of the item',
    price_kind LowCardinality(Nullable(String)) COMMENT 'price, b/o, gb/o, c/o or skip; Null where no valid price is said',
    price_amount Nullable(Float64) COMMENT 'as written, for price_lot items',
    price_lot Nullable(Float64) COMMENT '1 where no ratio is written',
    price_currency LowCardinality(Nullable(String)) COMMENT 'the slug of the trade site',
    implicit_mods Array(String),
    explicit_mods Array(String),
    crafted_mods Array(String),
    enchant_mods Array(String),
    fractured_mods Array(String),
    properties Array(Tuple(name String, value String)),
    sockets String COMMENT 'colours, linked ones joined by -, groups parted by a space: R-G-B W',
    influences Array(LowCardinality(String)),
    INDEX newest_page seq TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(seq)
-- seq is part of the order so that no merge takes a row that is still current for one that is not yet.
ORDER BY (realm, stash_id, item_id, seq)
SETTINGS index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS silver_items
(
    realm LowCardinality(String),
    seq UInt64 COMMENT 'the page that brought the news' CODEC(Delta, ZSTD(1)),
    change Enum8('new' = 1, 'changed' = 2, 'gone' = 4) COMMENT 'gone rows carry the last known content',
    stash_id String,
    item_id String,
    moved_to String COMMENT 'of a gone row: the stash in which the item was sighted; empty where it just vanished',
    fetched_at DateTime64(3, 'UTC') COMMENT 'of the page' CODEC(Delta, ZSTD(1)),
    first_seen DateTime64(3, 'UTC') COMMENT 'fetch time of the first sighting of this item in this stash',
    league LowCardinality(String),
    account String,
    name String,
    type_line LowCardinality(String),
    base_type LowCardinality(String),
    rarity LowCardinality(String),
    ilvl Int32,
    stack_size UInt64,
    identified Bool,
    corrupted Bool,
    x UInt16,
    y UInt16,
    inventory_id LowCardinality(String),
    note String,
    price_kind LowCardinality(Nullable(String)),
    price_amount Nullable(Float64),
    price_lot Nullable(Float64),
    price_currency LowCardinality(Nullable(String)),
    implicit_mods Array(String),
    explicit_mods Array(String),
    crafted_mods Array(String),
    enchant_mods Array(String),
    fractured_mods Array(String),
    properties Array(Tuple(name String, value String)),
    sockets String,
    influences Array(LowCardinality(String)),
    INDEX by_item item_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fetched_at)
ORDER BY (realm, seq, stash_id, item_id)
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS silver_stash_state
(
    realm LowCardinality(String),
    stash_id String,
    seq UInt64 COMMENT 'the page that wrote this row and the current listings of the stash',
    stash_key UInt64 COMMENT 'sipHash64(realm, stash_id)',
    public Bool,
    league LowCardinality(String),
    account String,
    stash_name String,
    stash_type LowCardinality(String),
    item_count UInt32 COMMENT 'items in the latest record',
    last_seen DateTime64(3, 'UTC') COMMENT 'fetch time of the latest record',
    item_keys Array(UInt64) COMMENT 'item_key of every current listing',
    contents Array(UInt64) COMMENT 'content of every current listing, in the same order',
    first_seens Array(DateTime64(3, 'UTC')) COMMENT 'first_seen of every current listing, in the same order',
    INDEX newest_page seq TYPE minmax GRANULARITY 16
)
ENGINE = ReplacingMergeTree(seq)
ORDER BY (realm, stash_id)
-- Small blocks: a page looks up hundreds of single rows.
SETTINGS index_granularity = 64, min_compress_block_size = 8192, max_compress_block_size = 65536, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS silver_item_homes
(
    realm LowCardinality(String),
    item_hash UInt64 DEFAULT sipHash64(item_id) COMMENT 'first in the order, since the engine finds a number faster than a text',
    item_id String,
    stash_id String COMMENT 'a stash in which the item was sighted',
    seq UInt64 COMMENT 'the page in which it arrived there last, or left',
    listed Bool COMMENT 'true: it arrived there; false: it left',
    first_seen DateTime64(3, 'UTC') COMMENT 'its first sighting there',
    changed_at DateTime64(3, 'UTC') COMMENT 'when it arrived there last, or left'
)
ENGINE = ReplacingMergeTree(seq)
ORDER BY (realm, item_hash, item_id, stash_id)
-- Small blocks: a page looks up hundreds of single rows.
SETTINGS index_granularity = 128, min_compress_block_size = 4096, max_compress_block_size = 16384, fsync_after_insert = 1, fsync_part_directory = 1;
