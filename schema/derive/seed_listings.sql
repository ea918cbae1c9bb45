-- What was listed before page `first` in stashes that later pages touched: `began` is when that page was fetched.
INSERT INTO rebuild_silver_listings
    (realm, stash_id, item_id, seq, change, stash_key, item_key, content, first_seen, ${seed_columns})
SELECT
    {realm:String}, stash_id, item_id, record.newest, 'same', sipHash64(stash_id), sipHash64(stash_id, item_id),
    ${content}, first_seen, ${seed_columns}
FROM
(
    -- The history before the page says it: the last news of an item, unless that was its end.
    SELECT stash_id, item_id, first_seen, ${seed_columns}
    FROM silver_items
    WHERE realm = {realm:String} AND seq < {first:UInt64} AND change != 'gone'
        AND stash_id NOT IN (${seed_settled})
        AND (sipHash64(stash_id, item_id), seq) IN (
            SELECT sipHash64(stash_id, item_id), max(seq) FROM silver_items
            WHERE realm = {realm:String} AND seq < {first:UInt64}
            GROUP BY 1)
    UNION ALL
    -- That history is gone, and the first later news is of an item that was there.
    SELECT stash_id, item_id, first_seen, ${seed_columns}
    FROM silver_items
    WHERE realm = {realm:String} AND seq >= {first:UInt64} AND change != 'new' AND first_seen < {began:DateTime64(3, 'UTC')}
        AND (sipHash64(stash_id, item_id), seq) IN (
            SELECT sipHash64(stash_id, item_id), min(seq) FROM silver_items
            WHERE realm = {realm:String} AND seq >= {first:UInt64} AND first_seen < {began:DateTime64(3, 'UTC')}
            GROUP BY 1)
        AND sipHash64(stash_id, item_id) NOT IN (
            SELECT sipHash64(stash_id, item_id) FROM silver_items
            WHERE realm = {realm:String} AND seq < {first:UInt64})
    UNION ALL
    -- That history is gone, and there was no later news: the item is listed as it was.
    SELECT stash_id, item_id, first_seen, ${seed_columns}
    FROM silver_listings
    WHERE realm = {realm:String} AND first_seen < {began:DateTime64(3, 'UTC')}
        AND (stash_id, seq) IN (
            SELECT stash_id, seq FROM silver_stash_state FINAL
            WHERE realm = {realm:String} AND seq >= {first:UInt64} AND public)
        AND item_key NOT IN (SELECT sipHash64(stash_id, item_id) FROM silver_items WHERE realm = {realm:String})
    LIMIT 1 BY item_key
) AS known
LEFT ANY JOIN
(
    SELECT stash_id, max(seq) AS newest FROM silver_stashes
    WHERE realm = {realm:String} AND seq < {first:UInt64}
    GROUP BY stash_id
) AS record ON record.stash_id = known.stash_id
