-- The page to derive from: its body as it is.
SELECT fetched_at, stash_count AS expected_stashes, item_count AS expected_items, body AS text
FROM raw_public_stash_pages
WHERE realm = {realm:String} AND seq = {seq:UInt64}
