/* The one event there is: a new buffer in the output queue of a data stream. */
#include <errno.h>
#include <string.h>

#include "answer.h"
#include "clock.h"
#include "device.h"
#include "library.h"

GENTL_API GCRegisterEvent(HANDLE module, int32_t type, HANDLE *event_handle)
{
    if (type != EVENT_NEW_BUFFER)
        return failed(GC_ERR_NOT_IMPLEMENTED, "event %d: there is only EVENT_NEW_BUFFER of a data stream", type);
    struct device *device = device_lock(module, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (!event_handle) {
        error = failed(GC_ERR_INVALID_PARAMETER, "GCRegisterEvent: the handle parameter is NULL");
    } else if (device->handles[HANDLE_EVENT]) {
        error = failed(GC_ERR_RESOURCE_IN_USE, "EVENT_NEW_BUFFER of device %d is registered already", device->index);
    } else {
        device->stream.is_killed = false;
        *event_handle = device->handles[HANDLE_EVENT] = handle_new(HANDLE_EVENT, device->index, 0);
    }
    device_unlock(device);
    return error;
}

GENTL_API GCUnregisterEvent(HANDLE module, int32_t type)
{
    struct device *device = device_lock(module, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (type != EVENT_NEW_BUFFER || !device->handles[HANDLE_EVENT]) {
        error = failed(GC_ERR_INVALID_PARAMETER, "event %d is not registered", type);
    } else {
        device->handles[HANDLE_EVENT] = NULL;
        pthread_cond_broadcast(&device->stream_event);
    }
    device_unlock(device);
    return error;
}

/* Waits for a buffer; NULL, with the error kept, on timeout, EventKill, or when the event was closed meanwhile. */
static struct buffer *wait_for_buffer(struct device *device, HANDLE event_handle, uint64_t timeout_ms)
{
    uint64_t now_ns = clock_now_ns();
    bool is_endless = timeout_ms >= (UINT64_MAX - now_ns) / NS_PER_MS;
    struct timespec until = clock_timespec(is_endless ? 0 : now_ns + timeout_ms * NS_PER_MS);
    bool is_over = false;
    for (;;) {
        if (device->handles[HANDLE_EVENT] != event_handle) {
            failed(GC_ERR_ABORT, "the event was unregistered or closed while EventGetData waited");
            return NULL;
        }
        if (device->stream.is_killed) {
            device->stream.is_killed = false;
            failed(GC_ERR_ABORT, "the wait was ended by EventKill");
            return NULL;
        }
        struct buffer *buffer = stream_take_output(device);
        if (buffer)
            return buffer;
        if (is_over) {
            failed(GC_ERR_TIMEOUT, "no new buffer within %llu ms", (unsigned long long)timeout_ms);
            return NULL;
        }
        if (is_endless)
            pthread_cond_wait(&device->stream_event, &device->lock);
        else
            is_over = pthread_cond_timedwait(&device->stream_event, &device->lock, &until) == ETIMEDOUT;
    }
}

GENTL_API EventGetData(HANDLE event_handle, void *out, size_t *size, uint64_t timeout_ms)
{
    struct device *device = device_lock(event_handle, HANDLE_EVENT);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (!out || !size) {
        error = failed(GC_ERR_INVALID_PARAMETER, "EventGetData: a parameter is NULL");
    } else if (*size < sizeof(EVENT_NEW_BUFFER_DATA)) {
        error = failed(GC_ERR_BUFFER_TOO_SMALL, "%zu bytes given, %zu needed", *size, sizeof(EVENT_NEW_BUFFER_DATA));
    } else {
        struct buffer *buffer = wait_for_buffer(device, event_handle, timeout_ms);
        if (buffer) {
            EVENT_NEW_BUFFER_DATA data = {.BufferHandle = buffer->handle, .pUserPointer = buffer->user_pointer};
            memcpy(out, &data, sizeof data);
            *size = sizeof data;
        } else {
            error = last_error_code();
        }
    }
    device_unlock(device);
    return error;
}

GENTL_API EventGetDataInfo(HANDLE event_handle, const void *in, size_t in_size, int32_t command, int32_t *type,
                           void *out, size_t *size)
{
    struct device *device = device_lock(event_handle, HANDLE_EVENT);
    if (!device)
        return last_error_code();
    device_unlock(device);
    EVENT_NEW_BUFFER_DATA data;
    if (!in || in_size < sizeof data)
        return failed(GC_ERR_INVALID_PARAMETER, "EventGetDataInfo: no data of a new buffer event");
    memcpy(&data, in, sizeof data);
    struct answer to = {type, out, size};
    switch (command) {
    case EVENT_DATA_ID:
        return answer_pointer(to, data.BufferHandle);
    case EVENT_DATA_VALUE:
        return answer_pointer(to, data.pUserPointer);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no event data info %d", command);
    }
}

static GC_ERROR event_info(const struct stream *stream, int32_t command, struct answer to)
{
    switch (command) {
    case EVENT_EVENT_TYPE:
        return answer_int32(to, EVENT_NEW_BUFFER);
    case EVENT_NUM_IN_QUEUE:
        return answer_size(to, stream->output.length);
    case EVENT_NUM_FIRED:
        return answer_uint64(to, stream->events_fired);
    case EVENT_SIZE_MAX:
        return answer_size(to, sizeof(EVENT_NEW_BUFFER_DATA));
    case EVENT_INFO_DATA_SIZE_MAX:
        return answer_size(to, sizeof(void *));
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no event info %d", command);
    }
}

GENTL_API EventGetInfo(HANDLE event_handle, int32_t command, int32_t *type, void *out, size_t *size)
{
    struct device *device = device_lock(event_handle, HANDLE_EVENT);
    if (!device)
        return last_error_code();
    GC_ERROR error = event_info(&device->stream, command, (struct answer){type, out, size});
    device_unlock(device);
    return error;
}

GENTL_API EventFlush(HANDLE event_handle)
{
    struct device *device = device_lock(event_handle, HANDLE_EVENT);
    if (!device)
        return last_error_code();
    stream_discard_output(device);
    device_unlock(device);
    return GC_ERR_SUCCESS;
}

GENTL_API EventKill(HANDLE event_handle)
{
    struct device *device = device_lock(event_handle, HANDLE_EVENT);
    if (!device)
        return last_error_code();
    device->stream.is_killed = true;
    pthread_cond_broadcast(&device->stream_event);
    device_unlock(device);
    return GC_ERR_SUCCESS;
}
