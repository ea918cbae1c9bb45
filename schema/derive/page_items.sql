-- The items of the page as they count: of a stash that stands twice its later record, of an item that stands
-- twice its later place; unlisted stashes have none.
-- The steps are nested since the engine writes out a name anew wherever a query uses it on the same level.
SELECT
    *,
    sipHash64(stash_id, item_id) AS item_key,
    ${content} AS content
FROM
(
    SELECT
        record,
        place,
        fetched_at,
        stash_id,
        if(id != '', id,
            concat('~', lower(hex(sipHash128(stash_id, inventoryId, ifNull(px, -1), ifNull(py, toInt32(place))))))) AS item_id,
        if(stash_league != '', stash_league, item_league) AS league,
        replaceRegexpAll(item_name, '<<set:[^>]*>>', '') AS name,
        replaceRegexpAll(typeLine, '<<set:[^>]*>>', '') AS type_line,
        replaceRegexpAll(baseType, '<<set:[^>]*>>', '') AS base_type,
        multiIf(
            item_rarity != '', item_rarity,
            frameTypeId != '', frameTypeId,
            transform(
                ifNull(frameType, -1),
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
                ['Normal', 'Magic', 'Rare', 'Unique', 'Gem', 'Currency', 'DivinationCard', 'Quest', 'Prophecy', 'Foil', 'Foil'],
                '')) AS rarity,
        ilvl,
        stack_size,
        identified,
        corrupted,
        toUInt16(greatest(0, ifNull(px, 0))) AS x,
        toUInt16(greatest(0, ifNull(py, 0))) AS y,
        inventoryId AS inventory_id,
        note,
        multiIf(
            price_is_valid, toNullable(lower(said[1])),
            match(price_text, '(?i)^\\s*~skip(\\s|$$)'), 'skip',
            NULL) AS price_kind,
        if(price_is_valid, toFloat64OrNull(said[2]), NULL) AS price_amount,
        if(price_is_valid, toFloat64OrNull(if(said[3] = '', '1', said[3])), NULL) AS price_lot,
        if(price_is_valid, toNullable(currency), NULL) AS price_currency,
        ${mods_implicit} AS implicit_mods,
        ${mods_explicit} AS explicit_mods,
        ${mods_crafted} AS crafted_mods,
        ${mods_enchant} AS enchant_mods,
        ${mods_fractured} AS fractured_mods,
        arrayMap(p -> (p.1, arrayStringConcat(arrayMap(v -> v[1], p.2), ', ')), item_properties) AS properties,
        arrayStringConcat(arrayMap(
            (s, before) -> concat(
                multiIf(before < 0, '', s.1 = before, '-', ' '),
                if(s.3 != '', s.3, transform(s.2, ['S', 'D', 'I', 'G'], ['R', 'G', 'B', 'W'], s.2))),
            item_sockets,
            arrayPopBack(arrayPushFront(arrayMap(s -> toInt32(s.1), item_sockets), -1)))) AS sockets,
        arraySort(arrayDistinct(arrayConcat(
            mapKeys(mapFilter((k, v) -> v, item_influences)),
            if(shaper, ['shaper'], []),
            if(elder, ['elder'], [])))) AS influences
    FROM
    (
        SELECT *, currency != '' AND NOT (priced_by_tab AND said[3] != '') AS price_is_valid
        FROM
        (
            SELECT *, transform(lowerUTF8(said[4]), ${words}, ${slugs}, lowerUTF8(said[4])) AS currency
            FROM
            (
                -- Amount and lot hold a digit that is not zero; the currency is a known name of several words or a
                -- word with a letter in it. 200 characters hold every price, and no number in them overflows.
                SELECT
                    *,
                    extractGroups(
                        substringUTF8(replaceAll(price_text, '’', ''''), 1, 200),
                        '(?is)^\\s*~(price|b/o|gb/o|c/o)\\s+${number}(?:/${number})?\\s+(${long_names}|${word})') AS said
                FROM
                (
                    SELECT
                        record, place, fetched_at, stash_id, stash_league,
                        item.1 AS id, item.2 AS item_league, item.3 AS item_name, item.4 AS typeLine,
                        item.5 AS baseType, item.6 AS item_rarity, item.7 AS frameType,
                        item.8 AS frameTypeId, item.9 AS ilvl, item.10 AS stack_size,
                        item.11 AS identified, item.12 AS corrupted, item.13 AS px, item.14 AS py,
                        item.15 AS inventoryId, item.16 AS note,
                        item.18 AS implicitMods, item.19 AS explicitMods, item.20 AS craftedMods,
                        item.21 AS enchantMods, item.22 AS fracturedMods, item.23 AS item_properties,
                        item.24 AS item_sockets, item.25 AS item_influences, item.26 AS shaper,
                        item.27 AS elder,
                        item.16 = '' AND NOT startsWith(trimLeft(item.17), '~') AS priced_by_tab,
                        multiIf(item.16 != '', item.16, priced_by_tab, stash_name, item.17) AS price_text
                    FROM (${page_records})
                    ARRAY JOIN items AS item, arrayEnumerate(items) AS place
                    WHERE public
                )
            )
        )
    )
    ORDER BY record DESC, place DESC
    LIMIT 1 BY item_id
)
