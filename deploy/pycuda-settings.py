"""Settings with which pycuda is built, read from the home folder of whoever builds it, as `.aksetup-defaults.py`.

Headers are those that the installer for a PC has put beside, else those of the CUDA toolkit (JetPack, container).
"""

CUDA_INC_DIR = [
    "/opt/station/build/nvidia/cu13/include",
    "/opt/station/build/nvidia/cuda_runtime/include",
    "/opt/station/build/nvidia/cuda_profiler_api/include",
    "/usr/local/cuda/include",
]
CUDADRV_LIB_DIR = ["/usr/local/cuda/lib64/stubs"]  # after it the linker looks where the driver's libcuda is
CUDA_ENABLE_CURAND = False  # the station has no use for it, and a computer may not have it
