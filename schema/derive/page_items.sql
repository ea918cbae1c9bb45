-- The items of the page as they count: of a stash that stands twice its later record, of an item that stands
-- twice its later place; unlisted stashes have none.
-- The steps are nested since the engine writes out a name anew wherever a query uses it on the same level; each
-- carries little, since every column of every level costs planning time.
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
        ${item_id} AS item_id,
        if(stash_league != '', stash_league, item.2) AS league,
        names[1] AS name,
        names[2] AS type_line,
        names[3] AS base_type,
        multiIf(
            item.6 != '', item.6,
            item.8 != '', item.8,
            transform(
                ifNull(item.7, -1),
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
                ['Normal', 'Magic', 'Rare', 'Unique', 'Gem', 'Currency', 'DivinationCard', 'Quest', 'Prophecy', 'Foil', 'Foil'],
                '')) AS rarity,
        -- As text, since the engine would cut a number that is not whole; what is none is 0.
        toInt32OrZero(item.9) AS ilvl,
        toUInt64OrZero(item.10) AS stack_size,
        item.11 AS identified,
        item.12 AS corrupted,
        toUInt16(least(65535, greatest(0, ifNull(px, 0)))) AS x,
        toUInt16(least(65535, greatest(0, ifNull(py, 0)))) AS y,
        inventory_id,
        item.16 AS note,
        multiIf(
            price_is_valid, toNullable(lower(said[1])),
            match(price_text, '(?i)^\\s*~skip(\\s|$)'), 'skip',
            NULL) AS price_kind,
        if(price_is_valid, toFloat64OrNull(said[2]), NULL) AS price_amount,
        if(price_is_valid, toFloat64OrNull(if(said[3] = '', '1', said[3])), NULL) AS price_lot,
        if(price_is_valid, toNullable(currency), NULL) AS price_currency,
        mods[1] AS implicit_mods,
        mods[2] AS explicit_mods,
        mods[3] AS crafted_mods,
        mods[4] AS enchant_mods,
        mods[5] AS fractured_mods,
        arrayMap(p -> (p.1, arrayStringConcat(arrayMap(v -> v[1], p.2), ', ')), item.23) AS properties,
        arrayStringConcat(arrayMap(
            (s, before) -> concat(
                multiIf(before < 0, '', s.1 = before, '-', ' '),
                if(s.3 != '', s.3, transform(s.2, ['S', 'D', 'I', 'G'], ['R', 'G', 'B', 'W'], s.2))),
            item.24,
            arrayPopBack(arrayPushFront(arrayMap(s -> toInt32(s.1), item.24), -1)))) AS sockets,
        arraySort(arrayDistinct(arrayConcat(
            mapKeys(mapFilter((k, v) -> v, item.25)),
            if(item.26, ['shaper'], []),
            if(item.27, ['elder'], [])))) AS influences
    FROM
    (
        SELECT
            *,
            item.1 AS id, item.13 AS px, item.14 AS py, item.15 AS inventory_id,
            arrayMap(n -> replaceRegexpAll(n, '<<set:[^>]*>>', ''), [item.3, item.4, item.5]) AS names,
            arrayMap(
                -- Mods are strings up to 3.28 and objects with a description since; a plain string is kept as it is.
                mods -> arrayMap(m -> if(startsWith(m, '{"'), JSONExtractString(m, 'description'), m), mods),
                [item.18, item.19, item.20, item.21, item.22]) AS mods,
            currency != '' AND NOT (priced_by_tab AND said[3] != '') AS price_is_valid
        FROM
        (
            SELECT *, transform(lowerUTF8(said[4]), ${words}, ${slugs}, lowerUTF8(said[4])) AS currency
            FROM
            (
                -- Amount and lot hold a digit that is not zero; the currency is a known name of several words or a
                -- word with a letter in it. 200 characters hold every price, and no number in them overflows.
                SELECT
                    *,
                    multiIf(item.16 != '', item.16, priced_by_tab, stash_name, item.17) AS price_text,
                    extractGroups(
                        substringUTF8(replaceAll(price_text, '’', ''''), 1, 200),
                        '(?is)^\\s*~(price|b/o|gb/o|c/o)\\s+${number}(?:/${number})?\\s+(${long_names}|${word})') AS said
                FROM
                (
                    SELECT
                        record, place, fetched_at, stash_id, stash_league, stash_name, item,
                        item.16 = '' AND NOT match(item.17, '^\\s*~') AS priced_by_tab
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
