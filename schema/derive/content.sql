-- What makes a listing what it is, in one number: two listings with the same content are the same.
sipHash64(
    league, name, type_line, base_type, rarity, ilvl, stack_size, identified, corrupted, x, y, inventory_id, note,
    ifNull(price_kind, ''), ifNull(price_amount, 0), ifNull(price_lot, 0), ifNull(price_currency, ''),
    implicit_mods, explicit_mods, crafted_mods, enchant_mods, fractured_mods, properties, sockets, influences)
