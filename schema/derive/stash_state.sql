-- The page becomes the present: from here the views show it, all of it at once.
INSERT INTO silver_stash_state
    (realm, stash_id, seq, stash_key, public, league, account, stash_name, stash_type, item_count, last_seen,
     item_keys, contents, first_seens)
SELECT
    {realm:String}, stash.stash_id, {seq:UInt64}, sipHash64({realm:String}, stash.stash_id), public, league, account, stash_name,
    stash_type, item_count, last_seen, listed.item_keys, listed.contents, listed.first_seens
FROM
(
    SELECT stash_id, public, league, account, stash_name, stash_type, item_count, fetched_at AS last_seen
    FROM
    (
        SELECT *
        FROM silver_stashes
        WHERE realm = {realm:String} AND seq = {seq:UInt64}
        ORDER BY record DESC
        LIMIT 1 BY stash_id
    )
    UNION ALL
    SELECT stash_id, public, league, ${left_behind_account}, stash_name, stash_type, item_count, last_seen
    FROM silver_stash_state FINAL
    WHERE realm = {realm:String} AND stash_id IN (${left_behind_stashes})
) AS stash
LEFT ANY JOIN
(
    SELECT
        stash_id,
        groupArray(item_key) AS item_keys,
        groupArray(content) AS contents,
        groupArray(first_seen) AS first_seens
    FROM silver_listings
    WHERE realm = {realm:String} AND seq = {seq:UInt64}
    GROUP BY stash_id
) AS listed ON listed.stash_id = stash.stash_id
