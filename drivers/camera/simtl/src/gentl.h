/* The part of the GenTL 1.5 binary interface that this producer implements, declared by ourselves.
 *
 * Names and values are those of the GenICam GenTL Standard, version 1.5 (EMVA), so that they can be looked up there.
 */
#ifndef SIMTL_GENTL_H
#define SIMTL_GENTL_H

#include <stddef.h>
#include <stdint.h>

typedef int32_t GC_ERROR;
typedef uint8_t bool8_t;
typedef void *HANDLE; /* TL_HANDLE, IF_HANDLE, DEV_HANDLE, DS_HANDLE, PORT_HANDLE, BUFFER_HANDLE, EVENT_HANDLE */

#define GENTL_API __attribute__((visibility("default"))) GC_ERROR
#define GENTL_INFINITE UINT64_MAX

enum {
    GC_ERR_SUCCESS = 0,
    GC_ERR_ERROR = -1001,
    GC_ERR_NOT_INITIALIZED = -1002,
    GC_ERR_NOT_IMPLEMENTED = -1003,
    GC_ERR_RESOURCE_IN_USE = -1004,
    GC_ERR_ACCESS_DENIED = -1005,
    GC_ERR_INVALID_HANDLE = -1006,
    GC_ERR_INVALID_ID = -1007,
    GC_ERR_NO_DATA = -1008,
    GC_ERR_INVALID_PARAMETER = -1009,
    GC_ERR_IO = -1010,
    GC_ERR_TIMEOUT = -1011,
    GC_ERR_ABORT = -1012,
    GC_ERR_NOT_AVAILABLE = -1014,
    GC_ERR_INVALID_ADDRESS = -1015,
    GC_ERR_BUFFER_TOO_SMALL = -1016,
    GC_ERR_INVALID_INDEX = -1017,
    GC_ERR_INVALID_VALUE = -1019,
    GC_ERR_RESOURCE_EXHAUSTED = -1020,
    GC_ERR_OUT_OF_MEMORY = -1021,
    GC_ERR_BUSY = -1022,
};

enum { /* INFO_DATATYPE */
    INFO_DATATYPE_STRING = 1,
    INFO_DATATYPE_INT32 = 5,
    INFO_DATATYPE_UINT32 = 6,
    INFO_DATATYPE_UINT64 = 8,
    INFO_DATATYPE_PTR = 10,
    INFO_DATATYPE_BOOL8 = 11,
    INFO_DATATYPE_SIZET = 12,
};

enum { /* TL_INFO_CMD */
    TL_INFO_ID,
    TL_INFO_VENDOR,
    TL_INFO_MODEL,
    TL_INFO_VERSION,
    TL_INFO_TLTYPE,
    TL_INFO_NAME,
    TL_INFO_PATHNAME,
    TL_INFO_DISPLAYNAME,
    TL_INFO_CHAR_ENCODING,
    TL_INFO_GENTL_VER_MAJOR,
    TL_INFO_GENTL_VER_MINOR,
};

enum { /* INTERFACE_INFO_CMD */
    INTERFACE_INFO_ID,
    INTERFACE_INFO_DISPLAYNAME,
    INTERFACE_INFO_TLTYPE,
};

enum { /* DEVICE_INFO_CMD */
    DEVICE_INFO_ID,
    DEVICE_INFO_VENDOR,
    DEVICE_INFO_MODEL,
    DEVICE_INFO_TLTYPE,
    DEVICE_INFO_DISPLAYNAME,
    DEVICE_INFO_ACCESS_STATUS,
    DEVICE_INFO_USER_DEFINED_NAME,
    DEVICE_INFO_SERIAL_NUMBER,
    DEVICE_INFO_VERSION,
    DEVICE_INFO_TIMESTAMP_FREQUENCY,
};

enum { /* DEVICE_ACCESS_STATUS */
    DEVICE_ACCESS_STATUS_READWRITE = 1,
    DEVICE_ACCESS_STATUS_NOACCESS = 3,
    DEVICE_ACCESS_STATUS_OPEN_READWRITE = 5,
};

enum { /* PORT_INFO_CMD */
    PORT_INFO_ID,
    PORT_INFO_VENDOR,
    PORT_INFO_MODEL,
    PORT_INFO_TLTYPE,
    PORT_INFO_MODULE,
    PORT_INFO_LITTLE_ENDIAN,
    PORT_INFO_BIG_ENDIAN,
    PORT_INFO_ACCESS_READ,
    PORT_INFO_ACCESS_WRITE,
    PORT_INFO_ACCESS_NA,
    PORT_INFO_ACCESS_NI,
    PORT_INFO_VERSION,
    PORT_INFO_PORTNAME,
};

enum { /* URL_INFO_CMD */
    URL_INFO_URL,
    URL_INFO_SCHEMA_VER_MAJOR,
    URL_INFO_SCHEMA_VER_MINOR,
    URL_INFO_FILE_VER_MAJOR,
    URL_INFO_FILE_VER_MINOR,
    URL_INFO_FILE_VER_SUBMINOR,
    URL_INFO_FILE_SHA1_HASH,
    URL_INFO_FILE_REGISTER_ADDRESS,
    URL_INFO_FILE_SIZE,
    URL_INFO_SCHEME,
    URL_INFO_FILENAME,
};

enum { /* EVENT_TYPE, EVENT_INFO_CMD, EVENT_DATA_INFO_CMD */
    EVENT_NEW_BUFFER = 1,

    EVENT_EVENT_TYPE = 0,
    EVENT_NUM_IN_QUEUE,
    EVENT_NUM_FIRED,
    EVENT_SIZE_MAX,
    EVENT_INFO_DATA_SIZE_MAX,

    EVENT_DATA_ID = 0,
    EVENT_DATA_VALUE,
};

enum { /* ACQ_QUEUE_TYPE */
    ACQ_QUEUE_INPUT_TO_OUTPUT,
    ACQ_QUEUE_OUTPUT_DISCARD,
    ACQ_QUEUE_ALL_TO_INPUT,
    ACQ_QUEUE_UNQUEUED_TO_INPUT,
    ACQ_QUEUE_ALL_DISCARD,
};

enum { /* STREAM_INFO_CMD */
    STREAM_INFO_ID,
    STREAM_INFO_NUM_DELIVERED,
    STREAM_INFO_NUM_UNDERRUN,
    STREAM_INFO_NUM_ANNOUNCED,
    STREAM_INFO_NUM_QUEUED,
    STREAM_INFO_NUM_AWAIT_DELIVERY,
    STREAM_INFO_NUM_STARTED,
    STREAM_INFO_PAYLOAD_SIZE,
    STREAM_INFO_IS_GRABBING,
    STREAM_INFO_DEFINES_PAYLOADSIZE,
    STREAM_INFO_TLTYPE,
    STREAM_INFO_NUM_CHUNKS_MAX,
    STREAM_INFO_BUF_ANNOUNCE_MIN,
    STREAM_INFO_BUF_ALIGNMENT,
};

enum { /* BUFFER_INFO_CMD */
    BUFFER_INFO_BASE,
    BUFFER_INFO_SIZE,
    BUFFER_INFO_USER_PTR,
    BUFFER_INFO_TIMESTAMP,
    BUFFER_INFO_NEW_DATA,
    BUFFER_INFO_IS_QUEUED,
    BUFFER_INFO_IS_ACQUIRING,
    BUFFER_INFO_IS_INCOMPLETE,
    BUFFER_INFO_TLTYPE,
    BUFFER_INFO_SIZE_FILLED,
    BUFFER_INFO_WIDTH,
    BUFFER_INFO_HEIGHT,
    BUFFER_INFO_XOFFSET,
    BUFFER_INFO_YOFFSET,
    BUFFER_INFO_XPADDING,
    BUFFER_INFO_YPADDING,
    BUFFER_INFO_FRAMEID,
    BUFFER_INFO_IMAGEPRESENT,
    BUFFER_INFO_IMAGEOFFSET,
    BUFFER_INFO_PAYLOADTYPE,
    BUFFER_INFO_PIXELFORMAT,
    BUFFER_INFO_PIXELFORMAT_NAMESPACE,
    BUFFER_INFO_DELIVERED_IMAGEHEIGHT,
    BUFFER_INFO_DELIVERED_CHUNKPAYLOADSIZE,
    BUFFER_INFO_CHUNKLAYOUTID,
    BUFFER_INFO_FILENAME,
    BUFFER_INFO_PIXEL_ENDIANNESS,
    BUFFER_INFO_DATA_SIZE,
    BUFFER_INFO_TIMESTAMP_NS,
    BUFFER_INFO_DATA_LARGER_THAN_BUFFER,
    BUFFER_INFO_CONTAINS_CHUNKDATA,
};

enum { /* BUFFER_PART_INFO_CMD */
    BUFFER_PART_INFO_BASE,
    BUFFER_PART_INFO_DATA_SIZE,
    BUFFER_PART_INFO_DATA_TYPE,
    BUFFER_PART_INFO_DATA_FORMAT,
    BUFFER_PART_INFO_DATA_FORMAT_NAMESPACE,
    BUFFER_PART_INFO_WIDTH,
    BUFFER_PART_INFO_HEIGHT,
    BUFFER_PART_INFO_XOFFSET,
    BUFFER_PART_INFO_YOFFSET,
    BUFFER_PART_INFO_XPADDING,
    BUFFER_PART_INFO_SOURCE_ID,
    BUFFER_PART_INFO_DELIVERED_IMAGEHEIGHT,
};

enum { /* PARTDATATYPE_IDS */
    PART_DATATYPE_2D_IMAGE = 1,
    PART_DATATYPE_3D_IMAGE = 5,
    PART_DATATYPE_CONFIDENCE_MAP = 9,
};

enum {
    PAYLOAD_TYPE_IMAGE = 1,
    PAYLOAD_TYPE_MULTI_PART = 10,
    PIXELENDIANNESS_LITTLE = 1,
    PIXELFORMAT_NAMESPACE_PFNC_32BIT = 4,
};

/* Pixel Format Naming Convention 2.x */
enum {
    PFNC_MONO8 = 0x01080001,
    PFNC_BAYER_RG8 = 0x01080009,
    PFNC_RGB8 = 0x02180014,
    PFNC_COORD3D_C16 = 0x011000b8,
    PFNC_CONFIDENCE8 = 0x010800c6,
};

#pragma pack(push, 1)
typedef struct {
    HANDLE BufferHandle;
    void *pUserPointer;
} EVENT_NEW_BUFFER_DATA;

typedef struct {
    uint64_t ChunkID;
    ptrdiff_t ChunkOffset;
    size_t ChunkLength;
} SINGLE_CHUNK_DATA;

typedef struct {
    uint64_t Address;
    void *pBuffer;
    size_t Size;
} PORT_REGISTER_STACK_ENTRY;
#pragma pack(pop)

GENTL_API GCInitLib(void);
GENTL_API GCCloseLib(void);
GENTL_API GCGetLastError(int32_t *code, char *text, size_t *size);
GENTL_API GCGetInfo(int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API GCGetPortInfo(HANDLE port, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API GCReadPort(HANDLE port, uint64_t address, void *out, size_t *size);
GENTL_API GCWritePort(HANDLE port, uint64_t address, const void *data, size_t *size);
GENTL_API GCReadPortStacked(HANDLE port, PORT_REGISTER_STACK_ENTRY *entries, size_t *count);
GENTL_API GCWritePortStacked(HANDLE port, PORT_REGISTER_STACK_ENTRY *entries, size_t *count);
GENTL_API GCGetNumPortURLs(HANDLE port, uint32_t *count);
GENTL_API GCGetPortURLInfo(HANDLE port, uint32_t index, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API GCGetPortURL(HANDLE port, char *out, size_t *size);
GENTL_API GCRegisterEvent(HANDLE module, int32_t type, HANDLE *event_handle);
GENTL_API GCUnregisterEvent(HANDLE module, int32_t type);

GENTL_API TLOpen(HANDLE *system);
GENTL_API TLClose(HANDLE system);
GENTL_API TLGetInfo(HANDLE system, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API TLUpdateInterfaceList(HANDLE system, bool8_t *has_changed, uint64_t timeout_ms);
GENTL_API TLGetNumInterfaces(HANDLE system, uint32_t *count);
GENTL_API TLGetInterfaceID(HANDLE system, uint32_t index, char *out, size_t *size);
GENTL_API TLGetInterfaceInfo(HANDLE system, const char *id, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API TLOpenInterface(HANDLE system, const char *id, HANDLE *interface);

GENTL_API IFClose(HANDLE interface);
GENTL_API IFGetInfo(HANDLE interface, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API IFGetParentTL(HANDLE interface, HANDLE *system);
GENTL_API IFUpdateDeviceList(HANDLE interface, bool8_t *has_changed, uint64_t timeout_ms);
GENTL_API IFGetNumDevices(HANDLE interface, uint32_t *count);
GENTL_API IFGetDeviceID(HANDLE interface, uint32_t index, char *out, size_t *size);
GENTL_API IFGetDeviceInfo(HANDLE interface, const char *id, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API IFOpenDevice(HANDLE interface, const char *id, int32_t flags, HANDLE *device_handle);

GENTL_API DevClose(HANDLE device_handle);
GENTL_API DevGetInfo(HANDLE device_handle, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API DevGetParentIF(HANDLE device_handle, HANDLE *interface);
GENTL_API DevGetPort(HANDLE device_handle, HANDLE *port);
GENTL_API DevGetNumDataStreams(HANDLE device_handle, uint32_t *count);
GENTL_API DevGetDataStreamID(HANDLE device_handle, uint32_t index, char *out, size_t *size);
GENTL_API DevOpenDataStream(HANDLE device_handle, const char *id, HANDLE *stream_handle);

GENTL_API DSClose(HANDLE stream_handle);
GENTL_API DSGetParentDev(HANDLE stream_handle, HANDLE *device_handle);
GENTL_API DSStartAcquisition(HANDLE stream_handle, int32_t flags, uint64_t frames);
GENTL_API DSStopAcquisition(HANDLE stream_handle, int32_t flags);
GENTL_API DSAnnounceBuffer(HANDLE stream_handle, void *memory, size_t size, void *user_pointer,
                           HANDLE *buffer_handle);
GENTL_API DSAllocAndAnnounceBuffer(HANDLE stream_handle, size_t size, void *user_pointer, HANDLE *buffer_handle);
GENTL_API DSRevokeBuffer(HANDLE stream_handle, HANDLE buffer_handle, void **memory, void **user_pointer);
GENTL_API DSQueueBuffer(HANDLE stream_handle, HANDLE buffer_handle);
GENTL_API DSFlushQueue(HANDLE stream_handle, int32_t operation);
GENTL_API DSGetInfo(HANDLE stream_handle, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API DSGetBufferInfo(HANDLE stream_handle, HANDLE buffer_handle, int32_t command, int32_t *type, void *out,
                          size_t *size);
GENTL_API DSGetBufferID(HANDLE stream_handle, uint32_t index, HANDLE *buffer_handle);
GENTL_API DSGetBufferChunkData(HANDLE stream_handle, HANDLE buffer_handle, SINGLE_CHUNK_DATA *chunks, size_t *count);
GENTL_API DSGetNumBufferParts(HANDLE stream_handle, HANDLE buffer_handle, uint32_t *count);
GENTL_API DSGetBufferPartInfo(HANDLE stream_handle, HANDLE buffer_handle, uint32_t part, int32_t command,
                              int32_t *type, void *out, size_t *size);

GENTL_API EventGetData(HANDLE event_handle, void *out, size_t *size, uint64_t timeout_ms);
GENTL_API EventGetDataInfo(HANDLE event_handle, const void *in, size_t in_size, int32_t command, int32_t *type,
                           void *out, size_t *size);
GENTL_API EventGetInfo(HANDLE event_handle, int32_t command, int32_t *type, void *out, size_t *size);
GENTL_API EventFlush(HANDLE event_handle);
GENTL_API EventKill(HANDLE event_handle);

#endif
