-- The page to derive from: its body, in which every record set aside is replaced by null.
WITH
    (
        SELECT (groupArray(byte_offset), groupArray(byte_offset + byte_length), sum(item_count), count())
        FROM
        (
            SELECT byte_offset, byte_length, item_count
            FROM bronze_dead_letters
            WHERE queue_key = concat('psapi:', {realm:String}) AND seq = {seq:UInt64} AND kind = 'record'
            ORDER BY byte_offset
        )
    ) AS holes
SELECT
    fetched_at,
    toInt64(stash_count) - holes.4 AS expected_stashes,
    toInt64(item_count) - holes.3 AS expected_items,
    arrayStringConcat(
        arrayMap(
            (start, stop) -> substring(body, start + 1, stop - start),
            arrayPushFront(holes.2, 0),
            arrayPushBack(holes.1, length(body))),
        'null') AS text
FROM raw_public_stash_pages
WHERE realm = {realm:String} AND seq = {seq:UInt64}
