-- The content of every listed stash of the page, written whole. Not visible before the stash state names the page.
INSERT INTO silver_listings
    (realm, stash_id, item_id, seq, change, moved_from, stash_key, item_key, content, first_seen, league, name, type_line,
     base_type, rarity, ilvl, stack_size, identified, corrupted, x, y, inventory_id, note, price_kind, price_amount,
     price_lot, price_currency, implicit_mods, explicit_mods, crafted_mods, enchant_mods, fractured_mods, properties,
     sockets, influences)
SELECT
    {realm:String}, item.stash_id, item.item_id, {seq:UInt64},
    multiIf(previous.item_key = 0, 'new', previous.content != item.content, 'changed', 'same'),
    if(home.last.2 AND home.last.1 != item.stash_id, home.last.1, ''),
    sipHash64({realm:String}, item.stash_id), item.item_key, item.content,
    multiIf(
        previous.item_key != 0, previous.first_seen,
        home.sightings.3[indexOf(home.sightings.1, item.stash_id)] >= item.fetched_at,
            least(home.sightings.2[indexOf(home.sightings.1, item.stash_id)], item.fetched_at),
        item.fetched_at),
    item.league, item.name, item.type_line, item.base_type, item.rarity, item.ilvl, item.stack_size, item.identified,
    item.corrupted, item.x, item.y, item.inventory_id, item.note, item.price_kind, item.price_amount, item.price_lot,
    item.price_currency, item.implicit_mods, item.explicit_mods, item.crafted_mods, item.enchant_mods,
    item.fractured_mods, item.properties, item.sockets, item.influences
FROM (${page_items}) AS item
LEFT ANY JOIN (${previous}) AS previous ON previous.item_key = item.item_key
LEFT ANY JOIN
(
    -- Of what the stash did not list before: where it was last, and when it was first seen where it has been. Till when
    -- that counts is said here, so that it does not depend on when the rows are swept.
    SELECT
        item_id,
        argMax((stash_id, listed), (seq, listed)) AS last,
        groupArray((
            stash_id,
            first_seen,
            if(listed, toDateTime64('2200-01-01 00:00:00', 3, 'UTC'), changed_at + INTERVAL ${homes_kept_days} DAY))) AS sightings
    FROM
    (
        SELECT item_id, stash_id, seq, listed, first_seen, changed_at
        FROM silver_item_homes
        WHERE realm = {realm:String} AND item_hash IN
        (
            SELECT sipHash64(item_id)
            FROM
            (
                SELECT stash_id, ${item_id} AS item_id
                FROM
                (
                    SELECT stash.1 AS stash_id, item.1 AS id, item.2 AS inventory_id, item.3 AS px, item.4 AS py, place
                    FROM
                    (
                        SELECT arrayJoin(JSONExtract(text, 'stashes', 'Array(Tuple(
                            id String,
                            items Array(Tuple(id String, inventoryId String, x Nullable(Int32), y Nullable(Int32)))))')) AS stash
                        FROM (${page_text})
                    )
                    ARRAY JOIN stash.2 AS item, arrayEnumerate(stash.2) AS place
                )
            )
            WHERE sipHash64(stash_id, item_id) NOT IN (SELECT item_key FROM (${previous}))
        )
        ORDER BY seq DESC
        LIMIT 1 BY item_id, stash_id
    )
    GROUP BY item_id
) AS home ON home.item_id = item.item_id
