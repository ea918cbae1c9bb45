league String, market_id String, market_pair Array(String),
volume_traded Map(String, UInt64),
lowest_stock Map(String, UInt64), highest_stock Map(String, UInt64),
lowest_ratio Map(String, UInt64), highest_ratio Map(String, UInt64)
