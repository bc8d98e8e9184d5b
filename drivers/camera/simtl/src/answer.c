#include "answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __thread GC_ERROR error_code = GC_ERR_SUCCESS;
static __thread char error_text[512] = "no error";

GC_ERROR failed(GC_ERROR code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_code = code;
    vsnprintf(error_text, sizeof error_text, format, arguments);
    va_end(arguments);
    if (getenv("SIMTL_TRACE"))
        fprintf(stderr, "simtl: %d %s\n", code, error_text);
    return code;
}

GC_ERROR last_error_code(void) { return error_code; }

const char *last_error_text(void) { return error_text; }

static GC_ERROR answer(struct answer to, int32_t type, const void *value, size_t size)
{
    if (!to.size)
        return failed(GC_ERR_INVALID_PARAMETER, "the size parameter is NULL");
    if (to.type)
        *to.type = type;
    size_t room = *to.size;
    *to.size = size;
    if (!to.buffer)
        return GC_ERR_SUCCESS;
    if (room < size)
        return failed(GC_ERR_BUFFER_TOO_SMALL, "%zu bytes given, %zu needed", room, size);
    memcpy(to.buffer, value, size);
    return GC_ERR_SUCCESS;
}

GC_ERROR answer_string(struct answer to, const char *text)
{
    return answer(to, INFO_DATATYPE_STRING, text, strlen(text) + 1);
}

GC_ERROR answer_bool(struct answer to, int value)
{
    bool8_t truth = value != 0;
    return answer(to, INFO_DATATYPE_BOOL8, &truth, sizeof truth);
}

GC_ERROR answer_int32(struct answer to, int32_t value)
{
    return answer(to, INFO_DATATYPE_INT32, &value, sizeof value);
}

GC_ERROR answer_uint32(struct answer to, uint32_t value)
{
    return answer(to, INFO_DATATYPE_UINT32, &value, sizeof value);
}

GC_ERROR answer_uint64(struct answer to, uint64_t value)
{
    return answer(to, INFO_DATATYPE_UINT64, &value, sizeof value);
}

GC_ERROR answer_size(struct answer to, size_t value) { return answer(to, INFO_DATATYPE_SIZET, &value, sizeof value); }

GC_ERROR answer_pointer(struct answer to, void *value) { return answer(to, INFO_DATATYPE_PTR, &value, sizeof value); }
