"""Acquisition: from trigger and exposure to `Frame`. A thread and a process for each camera.

In: `Cameras.fire`, `set_output`, `Acquisition.configure`, from any thread; none but `configure` waits. Out: what
`messages` names, through `post`, from the thread of the camera. Knows no part: signalling decides whose frame it is.

    camera process: exposure ─► driver ─► slot of the ring ─┐ link (socket)   daemon: one thread a camera
                                                            └────────────► copy ─► FrameArrived ─► slot is free

The camera process may hang, crash or lose its device: it is killed and started again, and the state is posted. Every
pulse that the camera counted is a frame, a FrameFailed, or part of a gap in `lost_before`.
"""
