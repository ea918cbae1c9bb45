arraySum(mapValues(market.volume_traded))
    + arraySum(mapValues(market.lowest_stock)) + arraySum(mapValues(market.highest_stock))
    + arraySum(mapValues(market.lowest_ratio)) + arraySum(mapValues(market.highest_ratio))
