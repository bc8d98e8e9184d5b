/* The data stream: announced buffers on their way from the input queue through the sensor to the output queue. */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "device.h"

/* ---- queues ----------------------------------------------------------------------------------------------------- */

static void put(struct queue *queue, struct buffer *buffer)
{
    buffer->next = NULL;
    if (queue->last)
        queue->last->next = buffer;
    else
        queue->first = buffer;
    queue->last = buffer;
    queue->length++;
}

static struct buffer *take(struct queue *queue)
{
    struct buffer *buffer = queue->first;
    if (!buffer)
        return NULL;
    queue->first = buffer->next;
    if (!queue->first)
        queue->last = NULL;
    queue->length--;
    return buffer;
}

static void put_input(struct stream *stream, struct buffer *buffer)
{
    buffer->state = BUFFER_INPUT;
    buffer->frame = (struct frame){0};
    put(&stream->input, buffer);
}

static void put_output(struct stream *stream, struct buffer *buffer)
{
    buffer->state = BUFFER_OUTPUT;
    put(&stream->output, buffer);
}

static void discard(struct queue *queue)
{
    struct buffer *buffer;
    while ((buffer = take(queue)))
        buffer->state = BUFFER_IDLE;
}

/* ---- the sensor's side ------------------------------------------------------------------------------------------ */

struct buffer *stream_take_buffer(struct device *device)
{
    struct stream *stream = &device->stream;
    if (!stream->is_grabbing)
        return NULL;
    stream->started++;
    struct buffer *buffer = take(&stream->input);
    if (buffer)
        buffer->state = BUFFER_FILLING;
    else
        stream->underrun++;
    return buffer;
}

void stream_deliver(struct device *device, struct buffer *buffer)
{
    struct stream *stream = &device->stream;
    if (stream->is_grabbing) {
        put_output(stream, buffer);
        stream->delivered++;
        stream->events_fired++;
        if (stream->frames_left != GENTL_INFINITE && --stream->frames_left == 0)
            stream->is_grabbing = false;
    } else {
        buffer->state = BUFFER_IDLE;
    }
    pthread_cond_broadcast(&device->stream_event);
}

/* ---- opening and closing ---------------------------------------------------------------------------------------- */

static struct buffer *filling_buffer(struct stream *stream)
{
    for (unsigned slot = 0; slot < BUFFERS_MAX; slot++)
        if (stream->buffers[slot].state == BUFFER_FILLING)
            return &stream->buffers[slot];
    return NULL;
}

/* After this no frame comes any more, and the sensor has no buffer in its hands. */
static void stop(struct device *device)
{
    device->stream.is_grabbing = false;
    while (filling_buffer(&device->stream))
        pthread_cond_wait(&device->stream_event, &device->lock);
}

static void revoke(struct buffer *buffer)
{
    if (buffer->is_ours)
        free(buffer->memory);
    *buffer = (struct buffer){.state = BUFFER_REVOKED};
}

void stream_close(struct device *device)
{
    struct stream *stream = &device->stream;
    /* Handles first: `stop` gives the lock away, and nobody shall find the stream then. */
    device->handles[HANDLE_STREAM] = NULL;
    device->handles[HANDLE_EVENT] = NULL;
    stop(device);
    for (unsigned slot = 0; slot < BUFFERS_MAX; slot++)
        revoke(&stream->buffers[slot]);
    *stream = (struct stream){0};
    pthread_cond_broadcast(&device->stream_event);
}

GENTL_API DevOpenDataStream(HANDLE device_handle, const char *id, HANDLE *stream_handle)
{
    struct device *device = device_lock(device_handle, HANDLE_DEVICE);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (!id || !stream_handle)
        error = failed(GC_ERR_INVALID_PARAMETER, "DevOpenDataStream: a parameter is NULL");
    else if (strcmp(id, STREAM_ID) != 0)
        error = failed(GC_ERR_INVALID_ID, "data stream \"%s\": this device has \"%s\"", id, STREAM_ID);
    else if (device->handles[HANDLE_STREAM] || filling_buffer(&device->stream)) /* the latter: it is being closed */
        error = failed(GC_ERR_RESOURCE_IN_USE, "data stream of device %d is open already", device->index);
    else
        *stream_handle = device->handles[HANDLE_STREAM] = handle_new(HANDLE_STREAM, device->index, 0);
    device_unlock(device);
    return error;
}

GENTL_API DSClose(HANDLE stream_handle)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    stream_close(device);
    device_unlock(device);
    return GC_ERR_SUCCESS;
}

GENTL_API DSGetParentDev(HANDLE stream_handle, HANDLE *device_handle)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (device_handle)
        *device_handle = device->handles[HANDLE_DEVICE];
    else
        error = failed(GC_ERR_INVALID_PARAMETER, "DSGetParentDev: the handle parameter is NULL");
    device_unlock(device);
    return error;
}

/* ---- acquisition ------------------------------------------------------------------------------------------------ */

GENTL_API DSStartAcquisition(HANDLE stream_handle, int32_t flags, uint64_t frames)
{
    (void)flags; /* only the default is defined */
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    struct stream *stream = &device->stream;
    GC_ERROR error = GC_ERR_SUCCESS;
    if (stream->is_grabbing) {
        error = failed(GC_ERR_RESOURCE_IN_USE, "data stream of device %d grabs already", device->index);
    } else if (frames == 0) {
        error = failed(GC_ERR_INVALID_PARAMETER, "acquisition of 0 frames");
    } else {
        stream->is_grabbing = true;
        stream->frames_left = frames;
        stream->delivered = stream->underrun = stream->started = 0;
    }
    device_unlock(device);
    return error;
}

GENTL_API DSStopAcquisition(HANDLE stream_handle, int32_t flags)
{
    (void)flags; /* a frame that is under way is given up, with ACQ_STOP_FLAGS_KILL and without */
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (device->stream.is_grabbing)
        stop(device);
    else
        error = failed(GC_ERR_RESOURCE_IN_USE, "data stream of device %d does not grab", device->index);
    device_unlock(device);
    return error;
}

/* ---- buffers ---------------------------------------------------------------------------------------------------- */

struct buffer *stream_find_buffer(struct device *device, HANDLE buffer_handle)
{
    if (buffer_handle && handle_kind(buffer_handle) == HANDLE_BUFFER && handle_slot(buffer_handle) < BUFFERS_MAX) {
        struct buffer *buffer = &device->stream.buffers[handle_slot(buffer_handle)];
        if (buffer->handle == buffer_handle)
            return buffer;
    }
    failed(GC_ERR_INVALID_HANDLE, "buffer handle %p is not announced to this stream", buffer_handle);
    return NULL;
}

struct buffer *stream_take_output(struct device *device)
{
    struct buffer *buffer = take(&device->stream.output);
    if (buffer)
        buffer->state = BUFFER_IDLE;
    return buffer;
}

void stream_discard_output(struct device *device) { discard(&device->stream.output); }

static bool is_queued(const struct buffer *buffer)
{
    return buffer->state == BUFFER_INPUT || buffer->state == BUFFER_OUTPUT || buffer->state == BUFFER_FILLING;
}

static GC_ERROR announce(struct device *device, struct buffer announced, HANDLE *buffer_handle)
{
    struct stream *stream = &device->stream;
    for (unsigned slot = 0; slot < BUFFERS_MAX; slot++) {
        if (stream->buffers[slot].state == BUFFER_REVOKED) {
            announced.handle = handle_new(HANDLE_BUFFER, device->index, slot);
            announced.state = BUFFER_IDLE;
            stream->buffers[slot] = announced;
            *buffer_handle = announced.handle;
            return GC_ERR_SUCCESS;
        }
    }
    return failed(GC_ERR_RESOURCE_EXHAUSTED, "more than %d buffers announced", BUFFERS_MAX);
}

GENTL_API DSAnnounceBuffer(HANDLE stream_handle, void *memory, size_t size, void *user_pointer, HANDLE *buffer_handle)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error;
    if (!memory || size == 0 || !buffer_handle)
        error = failed(GC_ERR_INVALID_PARAMETER, "DSAnnounceBuffer: a parameter is NULL or 0");
    else
        error = announce(device, (struct buffer){.memory = memory, .size = size, .user_pointer = user_pointer},
                         buffer_handle);
    device_unlock(device);
    return error;
}

GENTL_API DSAllocAndAnnounceBuffer(HANDLE stream_handle, size_t size, void *user_pointer, HANDLE *buffer_handle)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error;
    uint8_t *memory = size && buffer_handle ? calloc(1, size) : NULL;
    if (size == 0 || !buffer_handle) {
        error = failed(GC_ERR_INVALID_PARAMETER, "DSAllocAndAnnounceBuffer: a parameter is NULL or 0");
    } else if (!memory) {
        error = failed(GC_ERR_OUT_OF_MEMORY, "no memory for a buffer of %zu bytes", size);
    } else {
        struct buffer buffer = {.memory = memory, .size = size, .user_pointer = user_pointer, .is_ours = true};
        error = announce(device, buffer, buffer_handle);
        if (error)
            free(memory);
    }
    device_unlock(device);
    return error;
}

GENTL_API DSRevokeBuffer(HANDLE stream_handle, HANDLE buffer_handle, void **memory, void **user_pointer)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    struct buffer *buffer = stream_find_buffer(device, buffer_handle);
    if (!buffer) {
        error = last_error_code();
    } else if (is_queued(buffer)) {
        error = failed(GC_ERR_BUSY, "buffer %p is queued; flush the queues first", buffer_handle);
    } else {
        if (memory)
            *memory = buffer->is_ours ? NULL : buffer->memory;
        if (user_pointer)
            *user_pointer = buffer->user_pointer;
        revoke(buffer);
    }
    device_unlock(device);
    return error;
}

GENTL_API DSQueueBuffer(HANDLE stream_handle, HANDLE buffer_handle)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    struct buffer *buffer = stream_find_buffer(device, buffer_handle);
    if (!buffer)
        error = last_error_code();
    else if (is_queued(buffer))
        error = failed(GC_ERR_RESOURCE_IN_USE, "buffer %p is queued already", buffer_handle);
    else
        put_input(&device->stream, buffer);
    device_unlock(device);
    return error;
}

static void queue_idle_buffers(struct stream *stream)
{
    for (unsigned slot = 0; slot < BUFFERS_MAX; slot++)
        if (stream->buffers[slot].state == BUFFER_IDLE)
            put_input(stream, &stream->buffers[slot]);
}

GENTL_API DSFlushQueue(HANDLE stream_handle, int32_t operation)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    struct stream *stream = &device->stream;
    GC_ERROR error = GC_ERR_SUCCESS;
    struct buffer *buffer;
    switch (operation) {
    case ACQ_QUEUE_INPUT_TO_OUTPUT: /* as they are, without new data */
        while ((buffer = take(&stream->input)))
            put_output(stream, buffer);
        pthread_cond_broadcast(&device->stream_event);
        break;
    case ACQ_QUEUE_OUTPUT_DISCARD:
        discard(&stream->output);
        break;
    case ACQ_QUEUE_ALL_TO_INPUT:
        discard(&stream->input);
        discard(&stream->output);
        queue_idle_buffers(stream);
        break;
    case ACQ_QUEUE_UNQUEUED_TO_INPUT:
        queue_idle_buffers(stream);
        break;
    case ACQ_QUEUE_ALL_DISCARD:
        discard(&stream->input);
        discard(&stream->output);
        break;
    default:
        error = failed(GC_ERR_INVALID_PARAMETER, "DSFlushQueue: no operation %d", operation);
    }
    device_unlock(device);
    return error;
}
