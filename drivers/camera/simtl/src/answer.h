/* What every entry point returns: values of the GenTL info functions, and errors with a text. */
#ifndef SIMTL_ANSWER_H
#define SIMTL_ANSWER_H

#include "gentl.h"

/* Where an info function shall put its answer: the last three parameters of all of them. */
struct answer {
    int32_t *type; /* may be NULL */
    void *buffer;  /* NULL: the caller only asks for the size */
    size_t *size;
};

GC_ERROR answer_string(struct answer to, const char *text);
GC_ERROR answer_bool(struct answer to, int value);
GC_ERROR answer_int32(struct answer to, int32_t value);
GC_ERROR answer_uint32(struct answer to, uint32_t value);
GC_ERROR answer_uint64(struct answer to, uint64_t value);
GC_ERROR answer_size(struct answer to, size_t value);
GC_ERROR answer_pointer(struct answer to, void *value);

/* Keeps code and text as the last error of this thread (GCGetLastError) and returns the code. */
GC_ERROR failed(GC_ERROR code, const char *format, ...) __attribute__((format(printf, 2, 3)));

GC_ERROR last_error_code(void);
const char *last_error_text(void);

#endif
