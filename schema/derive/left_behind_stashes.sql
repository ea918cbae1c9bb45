-- Stashes outside the page that lost an item to a stash of the page.
SELECT DISTINCT stash_id
FROM silver_items
WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'gone' AND moved_to != '' AND stash_id NOT IN (
    SELECT stash_id FROM silver_stashes WHERE realm = {realm:String} AND seq = {seq:UInt64})
