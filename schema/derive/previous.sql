-- What was listed in the stashes of the page before it.
SELECT item_key, content, first_seen
FROM
(
    SELECT item_keys, contents, first_seens
    FROM silver_stash_state FINAL
    WHERE realm = {realm:String} AND stash_id IN (
        SELECT stash_id FROM silver_stashes WHERE realm = {realm:String} AND seq = {seq:UInt64})
)
ARRAY JOIN item_keys AS item_key, contents AS content, first_seens AS first_seen
