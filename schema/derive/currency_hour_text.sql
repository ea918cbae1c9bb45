-- The hour to derive from: its body as it is. Fails (395) unless bronze holds it once.
SELECT any(fetched_at) AS fetched_at, any(body) AS text
FROM raw_currency_exchange_hours
WHERE realm = {realm:String} AND hour = toDateTime({hour:UInt32}, 'UTC')
HAVING throwIf(count() != 1, 'count proof: bronze does not hold this hour once') = 0
