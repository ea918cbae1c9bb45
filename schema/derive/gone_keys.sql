-- What was listed before the page and is so no more: it vanished from a stash of the page, or it was sighted in
-- another stash while its old one has not been seen again.
SELECT stash_id, item_key, seq
FROM
(
    SELECT stash_id, seq, item_keys
    FROM silver_stash_state FINAL
    WHERE realm = {realm:String} AND stash_id IN (
        SELECT stash_id FROM silver_stashes WHERE realm = {realm:String} AND seq = {seq:UInt64}
        UNION ALL
        SELECT moved_from FROM silver_listings WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'new')
)
ARRAY JOIN item_keys AS item_key
WHERE if(
    stash_id IN (SELECT stash_id FROM silver_stashes WHERE realm = {realm:String} AND seq = {seq:UInt64}),
    item_key NOT IN (
        SELECT item_key FROM silver_listings WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change != 'kept'),
    item_key IN (
        SELECT sipHash64(moved_from, item_id) FROM silver_listings
        WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'new'))
