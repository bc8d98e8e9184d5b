#include "lies.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIES_MAX 16
#define LIE_VALUE 1
#define LIE_UNKNOWN 2

struct lie {
    int32_t command;
    uint32_t kind; /* 0: none */
    uint64_t value;
};

static const volatile struct lie *lies;

void lies_open(void)
{
    const char *path = getenv("SIMTL_LIES");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (lies)
        munmap((void *)lies, LIES_MAX * sizeof(struct lie));
    lies = NULL;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, LIES_MAX * sizeof(struct lie), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        fprintf(stderr, "simtl: SIMTL_LIES=\"%s\" cannot be mapped\n", path);
    else
        lies = mapped;
}

GC_ERROR lies_tell(int32_t command, GC_ERROR truth, struct answer to)
{
    for (unsigned number = 0; lies && number < LIES_MAX; number++) {
        if (!lies[number].kind || lies[number].command != command)
            continue;
        if (lies[number].kind == LIE_UNKNOWN)
            return failed(GC_ERR_NOT_AVAILABLE, "buffer info %d is not said", command);
        uint64_t value = lies[number].value;
        if (!truth && to.buffer && *to.size <= sizeof value)
            memcpy(to.buffer, &value, *to.size); /* little-endian, as all that is built here */
    }
    return truth;
}
