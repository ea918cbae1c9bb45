-- Which of these markets of the hour the engine does not read as the door did.
SELECT position
FROM
(
    SELECT
        place.1 AS position, place.4 AS number_sum,
        JSONExtract(substring(body, place.2 + 1, place.3), 'Tuple(${currency_market_type})') AS market
    FROM raw_currency_exchange_hours
    ARRAY JOIN {places:Array(Tuple(UInt32, UInt64, UInt64, UInt64))} AS place
    WHERE realm = {realm:String} AND hour = toDateTime({hour:UInt32}, 'UTC')
)
WHERE market.league = '' OR ${currency_number_sum} != number_sum
