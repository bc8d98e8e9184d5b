"""TensorRT on an NVIDIA GPU: the production runtime.

    driver.py     libcuda through ctypes: what is needed before, beside and after the two libraries below
    probe.py      is there a GPU that can be used?  Comes before anything else: without a driver TensorRT may crash
    libraries.py  the one place that imports tensorrt and pycuda, and only with the answer of the probe in hand
    plan_key.py   what a plan is valid for          plans.py   the plans of an engine on disk
    build.py      from an ONNX graph to a plan      prepare.py build, compare with ONNX Runtime, keep
    device.py     context, stream, buffers          graphs.py  CUDA graphs
    runtime.py    the `Runtime`                     faults.py  what a failing GPU means
    nvml.py       is the GPU slowed down by heat?

Nothing here is imported with the package: `tensorrt` and `pycuda` need not be installed.
"""
