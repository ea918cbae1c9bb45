-- The listings of the settled stashes, as they are.
INSERT INTO rebuild_silver_listings
SELECT * FROM silver_listings
WHERE realm = {realm:String} AND seq < {first:UInt64} AND (stash_id, seq) IN (
    SELECT stash_id, seq FROM silver_stash_state FINAL WHERE realm = {realm:String} AND seq < {first:UInt64})
LIMIT 1 BY item_key
