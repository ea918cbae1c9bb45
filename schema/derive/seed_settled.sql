-- Stashes that no page from `first` on has touched: their present state is their state before that page.
SELECT stash_id FROM silver_stash_state FINAL WHERE realm = {realm:String} AND seq < {first:UInt64}
