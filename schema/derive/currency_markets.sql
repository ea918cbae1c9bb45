-- Every market of the hour. Fails (395) unless the engine reads as many markets as the door counted, and numbers of the
-- same sum.
INSERT INTO silver_currency_markets
    (realm, hour, league, key_a, key_b, position, volume_a, volume_b, lowest_stock_a, lowest_stock_b,
     highest_stock_a, highest_stock_b, lowest_ratio_a, lowest_ratio_b, highest_ratio_a, highest_ratio_b, fetched_at)
SELECT
    {realm:String},
    toDateTime({hour:UInt32}, 'UTC'),
    market.league,
    pair[1],
    pair[2],
    position,
    market.volume_traded[pair[1]],
    market.volume_traded[pair[2]],
    market.lowest_stock[pair[1]],
    market.lowest_stock[pair[2]],
    market.highest_stock[pair[1]],
    market.highest_stock[pair[2]],
    market.lowest_ratio[pair[1]],
    market.lowest_ratio[pair[2]],
    market.highest_ratio[pair[1]],
    market.highest_ratio[pair[2]],
    fetched_at
FROM
(
    SELECT
        fetched_at,
        JSONExtract(text, 'markets', 'Array(Tuple(${currency_market_type}))') AS markets
    FROM (${currency_hour_text})
    WHERE throwIf(
        arrayCount(market -> market.league != '', markets) != {markets:UInt32}
            OR arraySum(market -> ${currency_number_sum}, markets) != {number_sum:UInt64},
        'count proof: the engine did not read what the door counted') = 0
)
ARRAY JOIN
    markets AS market,
    arrayEnumerate(markets) AS position,
    arrayMap(m -> if(empty(m.market_pair), splitByChar('|', m.market_id), m.market_pair), markets) AS pair
WHERE market.league != ''
