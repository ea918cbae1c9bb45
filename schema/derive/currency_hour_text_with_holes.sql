-- The hour to derive from: its body, in which every market set aside is replaced by null. Fails (395) unless bronze
-- holds it once.
WITH
    (
        SELECT (groupArray(byte_offset), groupArray(byte_offset + byte_length))
        FROM
        (
            SELECT byte_offset, byte_length
            FROM bronze_dead_letters
            WHERE queue_key = {queue:String} AND seq = {seq:UInt64} AND kind = 'record'
            ORDER BY byte_offset
        )
    ) AS holes
SELECT
    any(fetched_at) AS fetched_at,
    arrayStringConcat(
        arrayMap(
            (start, stop) -> substring(any(body), start + 1, stop - start),
            arrayPushFront(holes.2, 0),
            arrayPushBack(holes.1, length(any(body)))),
        'null') AS text
FROM raw_currency_exchange_hours
WHERE realm = {realm:String} AND hour = toDateTime({hour:UInt32}, 'UTC')
HAVING throwIf(count() != 1, 'count proof: bronze does not hold this hour once') = 0
