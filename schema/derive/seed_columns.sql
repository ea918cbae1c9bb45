-- What a listing consists of beside its place in the history.
league, name, type_line, base_type, rarity, ilvl, stack_size, identified, corrupted, x, y, inventory_id, note,
    price_kind, price_amount, price_lot, price_currency, implicit_mods, explicit_mods, crafted_mods, enchant_mods,
    fractured_mods, properties, sockets, influences
