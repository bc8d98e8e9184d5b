"""From candidate to active engine: the shadow that runs now, the probation after an activation, and going back.

`shadowing` owns which engine is in the shadow, `shadow_memory` what a restart knows of it.
"""
