/* What the data stream and its buffers say about themselves. */
#include "answer.h"
#include "device.h"
#include "library.h"
#include "lies.h"

static GC_ERROR stream_info(const struct stream *stream, uint32_t payload_size, int32_t command, struct answer to)
{
    size_t announced = 0;
    for (unsigned slot = 0; slot < BUFFERS_MAX; slot++)
        announced += stream->buffers[slot].state != BUFFER_REVOKED;
    switch (command) {
    case STREAM_INFO_ID:
        return answer_string(to, STREAM_ID);
    case STREAM_INFO_NUM_DELIVERED:
        return answer_uint64(to, stream->delivered);
    case STREAM_INFO_NUM_UNDERRUN:
        return answer_uint64(to, stream->underrun);
    case STREAM_INFO_NUM_ANNOUNCED:
        return answer_size(to, announced);
    case STREAM_INFO_NUM_QUEUED:
        return answer_size(to, stream->input.length);
    case STREAM_INFO_NUM_AWAIT_DELIVERY:
        return answer_size(to, stream->output.length);
    case STREAM_INFO_NUM_STARTED:
        return answer_uint64(to, stream->started);
    case STREAM_INFO_PAYLOAD_SIZE:
        return answer_size(to, payload_size);
    case STREAM_INFO_IS_GRABBING:
        return answer_bool(to, stream->is_grabbing);
    case STREAM_INFO_DEFINES_PAYLOADSIZE:
        return answer_bool(to, 0); /* see the feature PayloadSize */
    case STREAM_INFO_TLTYPE:
        return answer_string(to, TL_TYPE);
    case STREAM_INFO_NUM_CHUNKS_MAX:
        return answer_size(to, 1);
    case STREAM_INFO_BUF_ANNOUNCE_MIN:
        return answer_size(to, 2);
    case STREAM_INFO_BUF_ALIGNMENT:
        return answer_size(to, 1);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no stream info %d", command);
    }
}

static GC_ERROR buffer_info(const struct buffer *buffer, int32_t command, struct answer to)
{
    const struct frame *frame = &buffer->frame;
    switch (command) {
    case BUFFER_INFO_BASE:
        return answer_pointer(to, buffer->memory);
    case BUFFER_INFO_SIZE:
        return answer_size(to, buffer->size);
    case BUFFER_INFO_USER_PTR:
        return answer_pointer(to, buffer->user_pointer);
    case BUFFER_INFO_TIMESTAMP:
    case BUFFER_INFO_TIMESTAMP_NS:
        return answer_uint64(to, frame->timestamp_ns);
    case BUFFER_INFO_NEW_DATA:
        return answer_bool(to, frame->is_new);
    case BUFFER_INFO_IS_QUEUED:
        return answer_bool(to, buffer->state == BUFFER_INPUT || buffer->state == BUFFER_OUTPUT);
    case BUFFER_INFO_IS_ACQUIRING:
        return answer_bool(to, buffer->state == BUFFER_FILLING);
    case BUFFER_INFO_IS_INCOMPLETE:
        return answer_bool(to, frame->is_incomplete);
    case BUFFER_INFO_DATA_LARGER_THAN_BUFFER:
        return answer_bool(to, frame->is_too_large);
    case BUFFER_INFO_TLTYPE:
        return answer_string(to, TL_TYPE);
    case BUFFER_INFO_SIZE_FILLED:
    case BUFFER_INFO_DATA_SIZE:
        return answer_size(to, frame->filled);
    case BUFFER_INFO_WIDTH:
        return answer_size(to, frame->width);
    case BUFFER_INFO_HEIGHT:
    case BUFFER_INFO_DELIVERED_IMAGEHEIGHT:
        return answer_size(to, frame->height);
    case BUFFER_INFO_XOFFSET:
    case BUFFER_INFO_YOFFSET:
    case BUFFER_INFO_XPADDING:
    case BUFFER_INFO_YPADDING:
    case BUFFER_INFO_IMAGEOFFSET:
        return answer_size(to, 0);
    case BUFFER_INFO_FRAMEID:
        return answer_uint64(to, frame->frame_id);
    case BUFFER_INFO_IMAGEPRESENT:
        return answer_bool(to, frame->image_size > 0);
    case BUFFER_INFO_PAYLOADTYPE:
        return answer_size(to, frame->is_multi_part ? PAYLOAD_TYPE_MULTI_PART : PAYLOAD_TYPE_IMAGE);
    case BUFFER_INFO_PIXELFORMAT:
        return answer_uint64(to, frame->pixel_format);
    case BUFFER_INFO_PIXELFORMAT_NAMESPACE:
        return answer_uint64(to, PIXELFORMAT_NAMESPACE_PFNC_32BIT);
    case BUFFER_INFO_PIXEL_ENDIANNESS:
        return answer_int32(to, PIXELENDIANNESS_LITTLE);
    case BUFFER_INFO_DELIVERED_CHUNKPAYLOADSIZE:
        return answer_size(to, frame->chunk_size);
    case BUFFER_INFO_CHUNKLAYOUTID:
        return answer_uint64(to, 0);
    case BUFFER_INFO_CONTAINS_CHUNKDATA:
        return answer_bool(to, frame->chunk_size > 0);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no buffer info %d", command);
    }
}

GENTL_API DSGetInfo(HANDLE stream_handle, int32_t command, int32_t *type, void *out, size_t *size)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = stream_info(&device->stream, device->registers.payload_size, command,
                                 (struct answer){type, out, size});
    device_unlock(device);
    return error;
}

GENTL_API DSGetBufferInfo(HANDLE stream_handle, HANDLE buffer_handle, int32_t command, int32_t *type, void *out,
                          size_t *size)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    struct buffer *buffer = stream_find_buffer(device, buffer_handle);
    GC_ERROR error = last_error_code();
    if (buffer && buffer->state == BUFFER_FILLING)
        error = failed(GC_ERR_BUSY, "buffer %p is being filled", buffer_handle);
    else if (buffer)
        error = lies_tell(command, buffer_info(buffer, command, (struct answer){type, out, size}),
                          (struct answer){type, out, size});
    device_unlock(device);
    return error;
}

GENTL_API DSGetBufferID(HANDLE stream_handle, uint32_t index, HANDLE *buffer_handle)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    unsigned slot = 0;
    while (slot < BUFFERS_MAX && (device->stream.buffers[slot].state == BUFFER_REVOKED || index-- > 0))
        slot++;
    if (!buffer_handle)
        error = failed(GC_ERR_INVALID_PARAMETER, "DSGetBufferID: the handle parameter is NULL");
    else if (slot == BUFFERS_MAX)
        error = failed(GC_ERR_INVALID_INDEX, "fewer buffers are announced");
    else
        *buffer_handle = device->stream.buffers[slot].handle;
    device_unlock(device);
    return error;
}

GENTL_API DSGetBufferChunkData(HANDLE stream_handle, HANDLE buffer_handle, SINGLE_CHUNK_DATA *chunks, size_t *count)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    struct buffer *buffer = stream_find_buffer(device, buffer_handle);
    GC_ERROR error = GC_ERR_SUCCESS;
    if (!buffer) {
        error = last_error_code();
    } else if (!count) {
        error = failed(GC_ERR_INVALID_PARAMETER, "DSGetBufferChunkData: the count parameter is NULL");
    } else {
        size_t room = *count;
        *count = buffer->frame.chunk_size > 0;
        if (chunks && room < *count)
            error = failed(GC_ERR_BUFFER_TOO_SMALL, "room for 0 chunks given, 1 needed");
        else if (chunks && *count)
            *chunks = (SINGLE_CHUNK_DATA){
                .ChunkID = CHUNK_ID,
                .ChunkOffset = (ptrdiff_t)buffer->frame.image_size,
                .ChunkLength = buffer->frame.chunk_size,
            };
    }
    device_unlock(device);
    return error;
}

/* The filled buffer of several parts with this handle; NULL with the error kept. */
static struct buffer *find_parts(struct device *device, HANDLE buffer_handle)
{
    struct buffer *buffer = stream_find_buffer(device, buffer_handle);
    if (buffer && buffer->state == BUFFER_FILLING) {
        failed(GC_ERR_BUSY, "buffer %p is being filled", buffer_handle);
        return NULL;
    }
    if (buffer && !buffer->frame.is_multi_part) {
        failed(GC_ERR_NO_DATA, "buffer %p has no parts", buffer_handle);
        return NULL;
    }
    return buffer;
}

GENTL_API DSGetNumBufferParts(HANDLE stream_handle, HANDLE buffer_handle, uint32_t *count)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    struct buffer *buffer = find_parts(device, buffer_handle);
    if (!buffer)
        error = last_error_code();
    else if (!count)
        error = failed(GC_ERR_INVALID_PARAMETER, "DSGetNumBufferParts: the count parameter is NULL");
    else
        *count = buffer->frame.part_count;
    device_unlock(device);
    return error;
}

static GC_ERROR part_info(const struct buffer *buffer, const struct part *part, int32_t command, struct answer to)
{
    static const size_t types[COMPONENTS] = {[COMPONENT_INTENSITY] = PART_DATATYPE_2D_IMAGE,
                                             [COMPONENT_RANGE] = PART_DATATYPE_3D_IMAGE,
                                             [COMPONENT_CONFIDENCE] = PART_DATATYPE_CONFIDENCE_MAP};
    switch (command) {
    case BUFFER_PART_INFO_BASE:
        return answer_pointer(to, buffer->memory + part->offset);
    case BUFFER_PART_INFO_DATA_SIZE:
        return answer_size(to, part->size);
    case BUFFER_PART_INFO_DATA_TYPE:
        return answer_size(to, types[part->component]);
    case BUFFER_PART_INFO_DATA_FORMAT:
        return answer_uint64(to, part->pixel_format);
    case BUFFER_PART_INFO_DATA_FORMAT_NAMESPACE:
        return answer_uint64(to, PIXELFORMAT_NAMESPACE_PFNC_32BIT);
    case BUFFER_PART_INFO_WIDTH:
        return answer_size(to, buffer->frame.width);
    case BUFFER_PART_INFO_HEIGHT:
    case BUFFER_PART_INFO_DELIVERED_IMAGEHEIGHT:
        return answer_size(to, buffer->frame.height);
    case BUFFER_PART_INFO_XOFFSET:
    case BUFFER_PART_INFO_YOFFSET:
    case BUFFER_PART_INFO_XPADDING:
        return answer_size(to, 0);
    case BUFFER_PART_INFO_SOURCE_ID:
        return answer_uint64(to, 0);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no part info %d", command);
    }
}

GENTL_API DSGetBufferPartInfo(HANDLE stream_handle, HANDLE buffer_handle, uint32_t part, int32_t command, int32_t *type,
                              void *out, size_t *size)
{
    struct device *device = device_lock(stream_handle, HANDLE_STREAM);
    if (!device)
        return last_error_code();
    GC_ERROR error;
    struct buffer *buffer = find_parts(device, buffer_handle);
    if (!buffer)
        error = last_error_code();
    else if (part >= buffer->frame.part_count)
        error = failed(GC_ERR_INVALID_INDEX, "part %u: there are %u", part, buffer->frame.part_count);
    else
        error = part_info(buffer, &buffer->frame.parts[part], command, (struct answer){type, out, size});
    device_unlock(device);
    return error;
}
