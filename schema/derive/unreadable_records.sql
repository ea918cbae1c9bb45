-- Which of these records of the page the engine does not read as the door did.
SELECT position
FROM
(
    SELECT
        record.1 AS position, record.2 AS item_count,
        substring(body, record.3 + 1, record.4) AS text,
        JSONExtract(text, 'Tuple(
            id String, public Bool, stash String, league String,
            items Array(${item_type}))') AS whole,
        JSONExtract(text, 'Tuple(
            id String, public Bool, accountName String, stash String, stashType String, league String,
            items Array(${item_outline_type}))') AS outline
    FROM raw_public_stash_pages
    ARRAY JOIN {records:Array(Tuple(UInt32, UInt32, UInt64, UInt64))} AS record
    WHERE realm = {realm:String} AND seq = {seq:UInt64}
)
WHERE whole.1 = '' OR outline.1 = ''
    OR if(whole.2, length(whole.5), 0) != item_count OR if(outline.2, length(outline.7), 0) != item_count
