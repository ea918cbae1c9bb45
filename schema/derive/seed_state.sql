-- The stashes before page `first` that later pages touched, with what was listed in them.
INSERT INTO rebuild_silver_stash_state
    (realm, stash_id, seq, stash_key, public, league, account, stash_name, stash_type, item_count, last_seen,
     item_keys, contents, first_seens)
SELECT
    {realm:String}, stash.stash_id, stash.page, sipHash64({realm:String}, stash.stash_id), stash.listed, league, account, stash_name,
    stash_type, item_count, last_seen, listed.item_keys, listed.contents, listed.first_seens
FROM
(
    SELECT stash_id, seq AS page, public AS listed, league, account, stash_name, stash_type, item_count, fetched_at AS last_seen
    FROM
    (
        SELECT *
        FROM silver_stashes
        WHERE realm = {realm:String} AND seq < {first:UInt64}
            AND stash_id NOT IN (${seed_settled})
            AND (stash_id, seq) IN (
                SELECT stash_id, max(seq) FROM silver_stashes
                WHERE realm = {realm:String} AND seq < {first:UInt64}
                GROUP BY stash_id)
        ORDER BY record DESC
        LIMIT 1 BY stash_id
    )
    UNION ALL
    -- The history does not reach back to their last record.
    SELECT stash_id, 0 AS page, true AS listed, league, account, stash_name, stash_type, item_count, last_seen
    FROM silver_stash_state FINAL
    WHERE realm = {realm:String} AND seq >= {first:UInt64} AND stash_id IN (
        SELECT stash_id FROM rebuild_silver_listings WHERE realm = {realm:String} AND seq = 0)
) AS stash
LEFT ANY JOIN
(
    SELECT
        stash_id,
        groupArray(item_key) AS item_keys,
        groupArray(content) AS contents,
        groupArray(first_seen) AS first_seens
    FROM rebuild_silver_listings
    WHERE realm = {realm:String} AND stash_id NOT IN (${seed_settled})
    GROUP BY stash_id
) AS listed ON listed.stash_id = stash.stash_id
