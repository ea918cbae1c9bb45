-- A stash that lost an item to another stash is written anew without it.
-- Nested, since the engine would put the replaced seq into the conditions too.
INSERT INTO silver_listings
SELECT * REPLACE ({seq:UInt64} AS seq, 'kept' AS change, '' AS moved_from)
FROM
(
    SELECT *
    FROM silver_listings
    WHERE realm = {realm:String}
        AND (stash_id, seq) IN (
            SELECT stash_id, seq FROM silver_stash_state FINAL
            WHERE realm = {realm:String} AND stash_id IN (${left_behind_stashes}))
        AND (stash_id, item_id) NOT IN (
            SELECT stash_id, item_id FROM silver_items
            WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'gone')
    LIMIT 1 BY item_key
)
