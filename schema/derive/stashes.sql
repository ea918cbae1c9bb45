-- Every stash record of the page. Fails (395) unless the engine reads as many records and items as the door counted.
INSERT INTO silver_stashes
    (realm, seq, record, stash_id, public, league, account, stash_name, stash_type, item_count, fetched_at)
SELECT
    {realm:String},
    {seq:UInt64},
    record,
    stash.id,
    stash.public,
    stash.league,
    stash.accountName,
    stash.stash,
    stash.stashType,
    if(stash.public, length(stash.items), 0),
    fetched_at
FROM
(
    SELECT
        fetched_at, expected_stashes, expected_items,
        JSONExtract(text, 'stashes', 'Array(Tuple(
            id String, public Bool, accountName String, stash String, stashType String, league String,
            items Array(${item_outline_type})))') AS stashes
    FROM (${page_text})
    WHERE throwIf(
        arrayCount(s -> s.id != '', stashes) != expected_stashes
            OR arraySum(s -> if(s.public, length(s.items), 0), stashes) != expected_items,
        'count proof: the engine did not read what the door counted') = 0
)
ARRAY JOIN stashes AS stash, arrayEnumerate(stashes) AS record
WHERE stash.id != ''
