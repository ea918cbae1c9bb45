Tuple(
                id String, league String, name String, typeLine String, baseType String, rarity String,
                frameType Nullable(Int32), frameTypeId String, ilvl String, stackSize String,
                identified Bool, corrupted Bool, x Nullable(Int32), y Nullable(Int32), inventoryId String,
                note String, forum_note String,
                implicitMods Array(String), explicitMods Array(String), craftedMods Array(String),
                enchantMods Array(String), fracturedMods Array(String),
                properties Array(Tuple(name String, values Array(Array(String)))),
                sockets Array(Tuple(group UInt8, attr String, sColour String)),
                influences Map(String, Bool), shaper Bool, elder Bool, w Int32, verified Bool)
