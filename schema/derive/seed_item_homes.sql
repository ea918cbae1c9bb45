-- Where items were before page `first`: from the homes, from the history where a later arrival or departure has taken
-- the place of an earlier one, and from the later one itself where that history is gone.
INSERT INTO rebuild_silver_item_homes (realm, item_id, stash_id, seq, listed, first_seen, changed_at)
SELECT realm, item_id, stash_id, seq, listed, first_seen, changed_at
FROM silver_item_homes FINAL
WHERE realm = {realm:String} AND seq < {first:UInt64}
UNION ALL
SELECT realm, item_id, stash_id, seq, change = 'new', first_seen, fetched_at
FROM silver_items
WHERE realm = {realm:String} AND seq < {first:UInt64} AND change != 'changed'
UNION ALL
SELECT realm, item_id, stash_id, 0, true, first_seen, first_seen
FROM silver_item_homes FINAL
WHERE realm = {realm:String} AND seq >= {first:UInt64} AND first_seen < {began:DateTime64(3, 'UTC')}
    AND sipHash64(stash_id, item_id) NOT IN (
        SELECT sipHash64(stash_id, item_id) FROM silver_items
        WHERE realm = {realm:String} AND seq < {first:UInt64} AND change != 'changed')
