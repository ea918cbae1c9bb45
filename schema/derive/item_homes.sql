-- Where each item arrived, so that its next stash knows where it came from.
INSERT INTO silver_item_homes (realm, item_id, stash_id, seq, first_seen, arrived_at)
SELECT
    realm, item_id, stash_id, seq, first_seen,
    (SELECT fetched_at FROM raw_public_stash_pages WHERE realm = {realm:String} AND seq = {seq:UInt64})
FROM silver_listings
WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change = 'new'
