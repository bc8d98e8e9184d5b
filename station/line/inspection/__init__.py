"""Inspection: from `Frame` to scores, regions and `Decision`, on one thread.

In: `InspectionStage.begin` (a frame is there, from the threads of the cameras), `submit` (whose frame it is, from
signalling), `install` (another engine). Out: `Inspected`, `InspectorChanged`, to signalling.

    loading ─► Inspector: an engine with the limits of its views ─► stage: the thread
               frame_quality, measurement: what is measured · decision, joining: pure, what follows from it

Every frame that was submitted gets one `Inspected`, whatever the engine raises. Of a frame, its model input and its
quality are made once, beside the engine; the pixels are never copied here.
"""
