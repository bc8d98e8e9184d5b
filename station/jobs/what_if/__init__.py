"""What other limits would have made of stored parts: decided again by the code of the line, twice, side by side.

asking ─► rows    from what was recorded of each part, where limits alone differ: exact, thousands a second
       └► images  from stored images by the engine, where its map must be measured anew: minutes, and PASS a sample
both   ─► figures  which parts change, and what labels say of that
"""
