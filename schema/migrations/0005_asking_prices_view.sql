-- needed-by: reports
-- A first question answered: what is asked for each thing, per league and currency.

CREATE OR REPLACE VIEW v_asking_prices AS
SELECT
    realm,
    league,
    if(name = '', type_line, concat(name, ' ', type_line)) AS item,
    price_currency AS currency,
    count() AS listings,
    round(quantile(0.05)(price_amount / price_lot), 4) AS low,
    round(quantile(0.5)(price_amount / price_lot), 4) AS median,
    round(quantile(0.95)(price_amount / price_lot), 4) AS high
FROM v_listings_current
WHERE price_amount IS NOT NULL AND price_kind IN ('price', 'b/o')
GROUP BY realm, league, item, currency;
