-- A rebuild begins at page `first`: what older pages left behind and no later one touched stays as it is.
INSERT INTO rebuild_silver_stash_state
SELECT * FROM silver_stash_state FINAL WHERE realm = {realm:String} AND seq < {first:UInt64}
