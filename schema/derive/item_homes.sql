-- Where each item arrived and which it left, so that its next stash knows where it came from.
INSERT INTO silver_item_homes (realm, item_id, stash_id, seq, listed, first_seen, changed_at)
SELECT realm, item_id, stash_id, seq, change = 'new', first_seen, fetched_at
FROM silver_items
WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change != 'changed'
