-- needed-by: reports
-- What one of each currency was worth in Chaos Orbs, hour by hour, by the deals made straight against them.

CREATE OR REPLACE VIEW v_currency_in_chaos AS
SELECT
    realm,
    league,
    hour,
    if(code_a = 'chaos', currency_b, currency_a) AS currency,
    if(code_a = 'chaos', code_b, code_a) AS code,
    round(if(code_a = 'chaos', volume_a / volume_b, volume_b / volume_a), 6) AS chaos,
    if(code_a = 'chaos', volume_b, volume_a) AS traded
FROM v_currency_markets
WHERE (code_a = 'chaos') != (code_b = 'chaos') AND volume_a > 0 AND volume_b > 0;
