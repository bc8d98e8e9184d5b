/* A small driver library with the functions that the station calls through ctypes. What it returns stands in the
 * environment; its calls are logged to the file CUDA_SMALL_LOG. It computes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static CUresult logged(const char *function) {
    const char *path = getenv("CUDA_SMALL_LOG");
    FILE *log = path && *path ? fopen(path, "a") : NULL;
    char variable[64];
    if (log) {
        fprintf(log, "%s\n", function);
        fclose(log);
    }
    snprintf(variable, sizeof variable, "FAILS_%s", function);
    return (CUresult)number(variable, 0);
}

CUresult cuInit(unsigned flags) { (void)flags; return logged("cuInit"); }

CUresult cuDriverGetVersion(int *version) {
    *version = (int)number("CUDA_SMALL_VERSION", 13020);
    return logged("cuDriverGetVersion");
}

CUresult cuDeviceGetCount(int *count) {
    *count = (int)number("CUDA_SMALL_COUNT", 1);
    return logged("cuDeviceGetCount");
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return logged("cuDeviceGet"); }

CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    const char *text = getenv("CUDA_SMALL_NAME");
    (void)device;
    snprintf(name, (size_t)length, "%s", text ? text : "Small GPU");
    return logged("cuDeviceGetName");
}

CUresult cuDeviceGetPCIBusId(char *bus, int length, CUdevice device) {
    (void)device;
    snprintf(bus, (size_t)length, "0000:01:00.0");
    return logged("cuDeviceGetPCIBusId");
}

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    (void)device;
    *value = (int)(attribute == 18   ? number("CUDA_SMALL_INTEGRATED", 0)
                   : attribute == 75 ? number("CUDA_SMALL_MAJOR", 8)
                   : attribute == 76 ? number("CUDA_SMALL_MINOR", 9)
                                     : -1);
    return logged("cuDeviceGetAttribute");
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    (void)device;
    *bytes = (size_t)number("CUDA_SMALL_MEMORY", 8589934592L);
    return logged("cuDeviceTotalMem_v2");
}

CUresult cuGetErrorName(CUresult error, const char **text) {
    static const struct { CUresult code; const char *name; } names[] = {
        {2, "CUDA_ERROR_OUT_OF_MEMORY"},       {34, "CUDA_ERROR_STUB_LIBRARY"}, {100, "CUDA_ERROR_NO_DEVICE"},
        {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},   {719, "CUDA_ERROR_LAUNCH_FAILED"}, {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
        {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"}, {999, "CUDA_ERROR_UNKNOWN"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == error) {
            *text = names[i].name;
            return 0;
        }
    *text = NULL;
    return 1;
}

CUresult cuCtxSynchronize(void) { return logged("cuCtxSynchronize"); }

#ifndef OLD_DRIVER
CUresult cuStreamBeginCapture_v2(void *stream, int mode) {
    return stream == (void *)0x5eed && mode == 1 ? logged("cuStreamBeginCapture_v2") : 1;
}

CUresult cuStreamEndCapture(void *stream, void **graph) {
    *graph = number("CUDA_SMALL_NO_GRAPH", 0) ? NULL : (void *)0x97a;
    return stream == (void *)0x5eed ? logged("cuStreamEndCapture") : 1;
}

CUresult cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    *executable = (void *)0xe8ec;
    return graph == (void *)0x97a && flags == 0 ? logged("cuGraphInstantiateWithFlags") : 1;
}

CUresult cuGraphLaunch(void *executable, void *stream) {
    return executable == (void *)0xe8ec && stream == (void *)0x5eed ? logged("cuGraphLaunch") : 1;
}

CUresult cuGraphExecDestroy(void *executable) { return executable == (void *)0xe8ec ? logged("cuGraphExecDestroy") : 1; }

CUresult cuGraphDestroy(void *graph) { return graph == (void *)0x97a ? logged("cuGraphDestroy") : 1; }
#endif
