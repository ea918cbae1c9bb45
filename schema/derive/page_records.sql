-- The stash records of the page that count, their items typed. Fails (395) unless the engine reads as many records
-- and items as the door counted.
SELECT
    record, fetched_at, stash.1 AS stash_id, stash.2 AS public, stash.3 AS stash_name, stash.4 AS stash_league,
    stash.5 AS items
FROM
(
    SELECT
        fetched_at, expected_stashes, expected_items,
        JSONExtract(text, 'stashes', 'Array(Tuple(
            id String, public Bool, stash String, league String,
            items Array(${item_type})))') AS stashes
    FROM (${page_text})
    WHERE throwIf(
        arrayCount(s -> s.1 != '', stashes) != expected_stashes
            OR arraySum(s -> if(s.2, length(s.5), 0), stashes) != expected_items,
        'count proof: the engine did not read what the door counted') = 0
)
ARRAY JOIN stashes AS stash, arrayEnumerate(stashes) AS record
WHERE stash.1 != ''
ORDER BY record DESC
LIMIT 1 BY stash_id
