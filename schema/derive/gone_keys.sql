-- What was listed before the page and is so no more: it vanished from a stash of the page, or it was sighted in
-- another stash while its old one has not been seen again.
SELECT stash_id, item_key, seq
FROM
(
    SELECT stash_id, seq, item_keys
    FROM silver_stash_state FINAL
    WHERE realm = {realm:String} AND stash_id IN (
        SELECT stash_id FROM silver_stashes WHERE realm = {realm:String} AND seq = {seq:UInt64})
)
ARRAY JOIN item_keys AS item_key
WHERE item_key NOT IN (
    SELECT item_key FROM silver_listings WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change != 'kept')
UNION ALL
SELECT left_behind.stash_id, item_key, seq
FROM
(
    SELECT home.stash_id AS stash_id, sipHash64(home.stash_id, home.item_id) AS item_key
    FROM
    (
        SELECT item_id, argMax(stash_id, seq) AS stash_id
        FROM silver_item_homes
        WHERE realm = {realm:String} AND item_hash IN (
            SELECT sipHash64(item_id) FROM silver_listings
            WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'new')
        GROUP BY item_id
        -- Exact where two hashes meet; identity keeps the text out of the search for granules.
        HAVING identity(item_id) IN (
            SELECT item_id FROM silver_listings
            WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'new')
    ) AS home
    WHERE home.stash_id NOT IN (
        SELECT stash_id FROM silver_stashes WHERE realm = {realm:String} AND seq = {seq:UInt64})
) AS left_behind
INNER JOIN
(
    SELECT stash_id, seq, item_key
    FROM
    (
        SELECT stash_id, seq, item_keys
        FROM silver_stash_state FINAL
        WHERE realm = {realm:String} AND stash_id IN (
            SELECT stash_id FROM silver_item_homes
            WHERE realm = {realm:String} AND item_hash IN (
                SELECT sipHash64(item_id) FROM silver_listings
                WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'new'))
    )
    ARRAY JOIN item_keys AS item_key
) AS state ON state.stash_id = left_behind.stash_id AND state.item_key = left_behind.item_key
