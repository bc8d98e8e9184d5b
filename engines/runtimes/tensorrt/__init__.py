"""TensorRT on an NVIDIA GPU: the production runtime.

    driver.py     libcuda through ctypes: what is needed before, beside and after the two libraries below
    probe.py      is there a GPU that can be used?  Comes before anything else: without a driver TensorRT may crash
    libraries.py  the one place that imports tensorrt and pycuda, and only with the answer of the probe in hand
    plan_key.py   what a plan is valid for          plan_store.py   the plans of an engine on disk
    builder.py    from an ONNX graph to a plan      plan_maker.py   build, compare with ONNX Runtime, keep, open
    device.py     context, stream, buffers          cuda_graphs.py  what one inference enqueues, recorded once
    runtime.py    the `Runtime`                     loaded_plan.py  a plan on the GPU
    frame_plan.py prepares frames                   faults.py       what a failing GPU means
    nvml.py       does heat slow the GPU down?

Nothing here is imported with the package: `tensorrt` and `pycuda` need not be installed.
"""
