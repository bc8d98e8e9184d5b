/* A small NVML: what it returns stands in the environment. */
#include <stdlib.h>
#include <string.h>

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 0) : otherwise;
}

int nvmlInit_v2(void) { return (int)number("NVML_SMALL_INIT", 0); }
int nvmlShutdown(void) { return 0; }

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **device) {
    *device = (void *)0x9b0;
    return strcmp(bus, "0000:01:00.0") ? 6 : 0;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
    *reasons = (unsigned long long)number("NVML_SMALL_REASONS", 0);
    return device == (void *)0x9b0 ? (int)number("NVML_SMALL_FAILS", 0) : 2;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *temperature) {
    *temperature = (unsigned)number("NVML_SMALL_TEMPERATURE", 91);
    return device == (void *)0x9b0 && sensor == 0 ? 0 : 2;
}
