-- Which of these records the engine reads as the door did: the place of each that it does not.
SELECT position
FROM
(
    SELECT
        record.1 AS position, record.2 AS stash_id, record.3 AS item_count,
        JSONExtract(substring(body, record.4 + 1, record.5), 'Tuple(
            id String, public Bool, accountName String, stash String, stashType String, league String,
            items Array(Tuple(id String, name String, properties Array(Tuple(name String)))))') AS stash
    FROM raw_public_stash_pages
    ARRAY JOIN {records:Array(Tuple(UInt32, String, UInt32, UInt64, UInt64))} AS record
    WHERE realm = {realm:String} AND seq = {seq:UInt64}
)
WHERE stash.id != stash_id OR length(stash.items) != item_count
