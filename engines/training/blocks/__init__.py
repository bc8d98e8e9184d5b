"""What an engine has learned, block by block: so that a later one adds a block, weighs it down, or leaves it out.

A block is what one teaching has learned: a variant, or the parts of some weeks. What counts of its images was decided
once, from its own images alone, so that no other block changes it. `block` is the file, `earlier` what a teaching makes
of the blocks before it. Why features are kept and not their sums: docs/decisions/0044-blocks.md.
"""
