-- The news of the page: items new, changed or gone. A gone row carries the last known content.
INSERT INTO silver_items
    (realm, seq, change, stash_id, item_id, moved_to, fetched_at, first_seen, league, account, name, type_line,
     base_type, rarity, ilvl, stack_size, identified, corrupted, x, y, inventory_id, note, price_kind, price_amount,
     price_lot, price_currency, implicit_mods, explicit_mods, crafted_mods, enchant_mods, fractured_mods, properties,
     sockets, influences)
WITH
    (SELECT fetched_at FROM raw_public_stash_pages WHERE realm = {realm:String} AND seq = {seq:UInt64}) AS page_time
SELECT
    {realm:String}, {seq:UInt64}, if(news.seq = {seq:UInt64}, CAST(change, 'String'), 'gone'), news.stash_id, news.item_id,
    if(news.seq = {seq:UInt64}, '', arrival.stash_id), page_time, first_seen, league, owner.account, name, type_line,
    base_type, rarity, ilvl, stack_size, identified, corrupted, x, y, inventory_id, note, price_kind, price_amount,
    price_lot, price_currency, implicit_mods, explicit_mods, crafted_mods, enchant_mods, fractured_mods, properties,
    sockets, influences
FROM
(
    SELECT *
    FROM silver_listings
    WHERE realm = {realm:String} AND (stash_id, item_key, seq) IN
    (
        SELECT stash_id, item_key, seq FROM silver_listings
        WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change IN ('new', 'changed')
        UNION ALL
        ${gone_keys}
    )
    LIMIT 1 BY item_key
) AS news
LEFT ANY JOIN
(
    SELECT item_id, stash_id
    FROM silver_listings
    WHERE realm = {realm:String} AND seq = {seq:UInt64} AND change != 'kept'
) AS arrival ON arrival.item_id = news.item_id
LEFT ANY JOIN
(
    SELECT stash_id, argMax(account, record) AS account
    FROM silver_stashes
    WHERE realm = {realm:String} AND seq = {seq:UInt64}
    GROUP BY stash_id
) AS owner ON owner.stash_id = news.stash_id
