-- What the harvest writes about itself: every request, every step forward, everything set aside, every Snapshot.

CREATE TABLE IF NOT EXISTS bronze_requests
(
    requested_at DateTime64(3, 'UTC') COMMENT 'when the request was sent' CODEC(Delta, ZSTD(1)),
    queue_key LowCardinality(String) COMMENT 'feed:realm, for example psapi:pc',
    endpoint LowCardinality(String) COMMENT 'path without host and query',
    change_id String COMMENT 'the cursor asked with; empty where none was sent',
    outcome LowCardinality(String) COMMENT 'ok, refused, rate_limited, server_error, network_error, bad_body, cancelled',
    http_status UInt16 COMMENT '0 where no answer came',
    headers_ms Float32 COMMENT 'milliseconds from sending to the last header',
    response_ms Float32 COMMENT 'milliseconds from sending to the last byte, or to the failure',
    wire_bytes UInt64 COMMENT 'body bytes as transferred',
    body_bytes UInt64 COMMENT 'body bytes after decompression',
    policy LowCardinality(String) COMMENT 'X-Rate-Limit-Policy; empty where the answer named none',
    triplets Array(Tuple(rule String, hits UInt32, period UInt32, restriction UInt32))
        COMMENT 'the limits: hits allowed in period seconds, locked for restriction seconds when broken',
    states Array(Tuple(rule String, used Nullable(UInt32), active_restriction UInt32))
        COMMENT 'the State beside each triplet: hits counted by the server, seconds still locked',
    retry_after Nullable(Float64) COMMENT 'seconds, from Retry-After',
    error String COMMENT 'cause in words; empty where all went well'
)
ENGINE = MergeTree
PARTITION BY toMonday(requested_at)
ORDER BY (queue_key, requested_at)
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS bronze_ingest_checkpoints
(
    queue_key LowCardinality(String) COMMENT 'feed:realm',
    seq UInt64 COMMENT 'place of the page in its queue, gapless from 1; for caught_up the last page before it',
    last_cursor_id String COMMENT 'the cursor that was asked with',
    next_cursor_id String COMMENT 'the cursor to ask with next',
    retrieved_at DateTime64(3, 'UTC') COMMENT 'when the last byte of the answer had arrived',
    status LowCardinality(String) COMMENT 'page, caught_up (end of stream confirmed) or dead_letter (page set aside)',
    http_status UInt16,
    response_ms Float32 COMMENT 'milliseconds from sending to the last byte',
    committed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when every layer held the page'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(retrieved_at)
ORDER BY (queue_key, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS bronze_dead_letters
(
    queue_key LowCardinality(String) COMMENT 'feed:realm',
    seq UInt64 COMMENT 'place of the page in its queue',
    change_id String COMMENT 'the cursor the page was asked with',
    kind LowCardinality(String) COMMENT 'record (one record of a stored page) or page (a whole body)',
    position UInt32 COMMENT 'index of the record in its page, from 0',
    byte_offset UInt64 COMMENT 'first byte of the record in the stored page body, from 0',
    byte_length UInt64 COMMENT 'length of the record in the stored page body',
    item_count UInt32 COMMENT 'items of this record that the page counts; 0 where the door could not read it',
    reason String COMMENT 'why it was set aside, in words',
    rejected_at DateTime64(3, 'UTC'),
    body String COMMENT 'the bytes as they came' CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(rejected_at)
ORDER BY (queue_key, seq, position)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS poe_ingest_status
(
    taken_at DateTime64(3, 'UTC') COMMENT 'when the Snapshot was taken' CODEC(Delta, ZSTD(1)),
    queue_key LowCardinality(String) COMMENT 'feed:realm',
    status LowCardinality(String) COMMENT 'state word of the queue: harvesting, caught up, retrying, store lost, paused, stopped, failed …',
    last_cursor String COMMENT 'cursor of the last committed page',
    next_change_id String COMMENT 'cursor that is asked with next',
    last_ingest_at Nullable(DateTime64(3, 'UTC')) COMMENT 'last progress: a page committed or the end of stream confirmed',
    lag_seconds Nullable(Float64) COMMENT 'age of the last progress when the Snapshot was taken',
    level LowCardinality(String) COMMENT 'ok, amber or red by the thresholds of this row; unknown without progress',
    request_rate Float32 COMMENT 'requests per second over the last minute',
    error_count UInt64 COMMENT 'failed requests since the start',
    stalled_since Nullable(DateTime64(3, 'UTC')) COMMENT 'since when nothing has moved; Null while it moves',
    last_error String COMMENT 'last trouble in words; empty where none is open',
    amber_seconds Float64 COMMENT 'lag threshold in force',
    red_seconds Float64 COMMENT 'lag threshold in force',
    snapshot String COMMENT 'the whole Snapshot as JSON; on the first row of each Snapshot only' CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toMonday(taken_at)
ORDER BY (queue_key, taken_at)
TTL toDateTime(taken_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1;
