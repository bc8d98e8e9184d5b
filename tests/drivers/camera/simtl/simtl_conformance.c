/* Drives the software camera's GenTL entry points as a well-behaved, a careless and a hostile program would.
 *
 *     simtl_conformance <simtl.cti> <writable folder>
 *
 * Built and run by test_simtl_conformance.py under AddressSanitizer and UBSan, under ThreadSanitizer and under
 * valgrind. Exit status 0 when every check held; otherwise the first that did not is printed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gentl.h"
#include "registers.h"
#include "scene.h"

#define ENTRY_POINTS(X)                                                                                               \
    X(GCInitLib) X(GCCloseLib) X(GCGetLastError) X(GCGetInfo) X(GCGetPortInfo) X(GCReadPort) X(GCWritePort)           \
    X(GCReadPortStacked) X(GCWritePortStacked) X(GCGetNumPortURLs) X(GCGetPortURLInfo) X(GCGetPortURL)                \
    X(GCRegisterEvent) X(GCUnregisterEvent) X(TLOpen) X(TLClose) X(TLGetInfo) X(TLUpdateInterfaceList)                \
    X(TLGetNumInterfaces) X(TLGetInterfaceID) X(TLGetInterfaceInfo) X(TLOpenInterface) X(IFClose) X(IFGetInfo)        \
    X(IFGetParentTL) X(IFUpdateDeviceList) X(IFGetNumDevices) X(IFGetDeviceID) X(IFGetDeviceInfo) X(IFOpenDevice)     \
    X(DevClose) X(DevGetInfo) X(DevGetParentIF) X(DevGetPort) X(DevGetNumDataStreams) X(DevGetDataStreamID)           \
    X(DevOpenDataStream) X(DSClose) X(DSGetParentDev) X(DSStartAcquisition) X(DSStopAcquisition) X(DSAnnounceBuffer)  \
    X(DSAllocAndAnnounceBuffer) X(DSRevokeBuffer) X(DSQueueBuffer) X(DSFlushQueue) X(DSGetInfo) X(DSGetBufferInfo)    \
    X(DSGetBufferID) X(DSGetBufferChunkData) X(DSGetNumBufferParts) X(DSGetBufferPartInfo) X(EventGetData)            \
    X(EventGetDataInfo) X(EventGetInfo) X(EventFlush) X(EventKill)

#define POINTER(name) __typeof__(&name) name;
static struct {
    ENTRY_POINTS(POINTER)
} gentl;

static int checks;

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        checks++;                                                                                                     \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                            \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

#define EXPECT(code, call)                                                                                            \
    do {                                                                                                              \
        GC_ERROR answered = gentl.call;                                                                               \
        checks++;                                                                                                     \
        if (answered != (code)) {                                                                                     \
            char text[512] = "";                                                                                      \
            size_t size = sizeof text;                                                                                \
            gentl.GCGetLastError(NULL, text, &size);                                                                  \
            fprintf(stderr, "%s:%d: %s answered %d, not %d (%s): %s\n", __FILE__, __LINE__, #call, answered, code,    \
                    #code, text);                                                                                     \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

#define OK(call) EXPECT(GC_ERR_SUCCESS, call)

enum { WIDTH = 40, HEIGHT = 30, PIXELS = WIDTH * HEIGHT, BUFFERS = 4, TIMEOUT_MS = 20000 };
enum { SCENE_SIZE = SCENE_PIXEL_OFFSET + SCENE_STORES * PIXELS };

/* ---- a scene, as the line simulator would make it ---------------------------------------------------------------- */

static char prefix[80];

static struct scene_file *make_scene(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s.0.scene", prefix);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, SCENE_SIZE) == 0);
    struct scene_file *scene = mmap(NULL, SCENE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(scene != MAP_FAILED);
    close(fd);
    *scene = (struct scene_file){.version = SCENE_VERSION, .pixel_offset = SCENE_PIXEL_OFFSET, .capacity = PIXELS,
                                 .width = WIDTH, .height = HEIGHT, .channels = 1};
    memcpy(scene->magic, SCENE_MAGIC, sizeof scene->magic);
    for (int i = 0; i < PIXELS; i++)
        ((uint8_t *)scene)[SCENE_PIXEL_OFFSET + i] = (uint8_t)(i * 7);
    return scene;
}

static void release_scene(struct scene_file *scene) { munmap(scene, SCENE_SIZE); }

static void send_size(const char *message, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s.0.sock", prefix);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(sendto(fd, message, size, 0, (struct sockaddr *)&address, sizeof address) == (ssize_t)size);
    close(fd);
}

static void send_message(const char *message) { send_size(message, strlen(message)); }

/* ---- a client ----------------------------------------------------------------------------------------------------- */

struct client {
    HANDLE system, interface, device, port, stream, event, buffers[BUFFERS];
    uint8_t memory[BUFFERS][PIXELS + 16];
};

static void open_interface(struct client *client)
{
    OK(GCInitLib());
    OK(TLOpen(&client->system));
    OK(TLUpdateInterfaceList(client->system, NULL, 0));
    OK(TLOpenInterface(client->system, "SIMTL_INTERFACE", &client->interface));
    OK(IFUpdateDeviceList(client->interface, NULL, 0));
}

static void open_stream(struct client *client)
{
    OK(IFOpenDevice(client->interface, "SIMTL_0", 4, &client->device));
    OK(DevGetPort(client->device, &client->port));
    OK(DevOpenDataStream(client->device, "Stream0", &client->stream));
    OK(GCRegisterEvent(client->stream, EVENT_NEW_BUFFER, &client->event));
    for (int i = 0; i < BUFFERS; i++) {
        OK(DSAnnounceBuffer(client->stream, client->memory[i], sizeof client->memory[i], client->memory[i],
                            &client->buffers[i]));
        OK(DSQueueBuffer(client->stream, client->buffers[i]));
    }
}

static struct client *new_client(void)
{
    struct client *client = calloc(1, sizeof *client);
    CHECK(client);
    return client;
}

#define ADDRESS(field) offsetof(struct registers, field)

static void write_number(struct client *client, uint64_t address, uint32_t value)
{
    size_t size = sizeof value;
    OK(GCWritePort(client->port, address, &value, &size));
}

static void write_real(struct client *client, uint64_t address, double value)
{
    size_t size = sizeof value;
    OK(GCWritePort(client->port, address, &value, &size));
}

static void start_triggered(struct client *client, enum trigger_source source)
{
    write_number(client, ADDRESS(trigger_mode), TRIGGER_ON);
    write_number(client, ADDRESS(trigger_source), source);
    write_real(client, ADDRESS(exposure_time_us), 10.0);
    OK(DSStartAcquisition(client->stream, 0, GENTL_INFINITE));
    write_number(client, ADDRESS(acquisition_start), 1);
}

static HANDLE next_buffer(struct client *client)
{
    EVENT_NEW_BUFFER_DATA data = {0};
    size_t size = sizeof data;
    OK(EventGetData(client->event, &data, &size, TIMEOUT_MS));
    CHECK(size == sizeof data && data.BufferHandle && data.pUserPointer);
    return data.BufferHandle;
}

static uint64_t buffer_number(struct client *client, HANDLE buffer, int32_t command)
{
    uint64_t value = 0;
    size_t size = sizeof value;
    OK(DSGetBufferInfo(client->stream, buffer, command, NULL, &value, &size));
    return value;
}

/* ---- checks ------------------------------------------------------------------------------------------------------- */

/* Every entry point that takes a handle of a module. */
static void expect_refused(GC_ERROR code, HANDLE system, HANDLE interface, HANDLE device, HANDLE port, HANDLE stream,
                           HANDLE event)
{
    uint8_t data[64];
    size_t size = sizeof data, count = 1;
    uint32_t number;
    HANDLE handle;
    PORT_REGISTER_STACK_ENTRY entry = {0, data, 4};
    EXPECT(code, TLGetInfo(system, 0, NULL, data, &size));
    EXPECT(code, TLUpdateInterfaceList(system, NULL, 0));
    EXPECT(code, TLGetNumInterfaces(system, &number));
    EXPECT(code, TLGetInterfaceID(system, 0, NULL, &size));
    EXPECT(code, TLGetInterfaceInfo(system, "SIMTL_INTERFACE", 0, NULL, data, &size));
    EXPECT(code, TLOpenInterface(system, "SIMTL_INTERFACE", &handle));
    EXPECT(code, TLClose(system));
    EXPECT(code, IFGetInfo(interface, 0, NULL, data, &size));
    EXPECT(code, IFGetParentTL(interface, &handle));
    EXPECT(code, IFUpdateDeviceList(interface, NULL, 0));
    EXPECT(code, IFGetNumDevices(interface, &number));
    EXPECT(code, IFGetDeviceID(interface, 0, NULL, &size));
    EXPECT(code, IFGetDeviceInfo(interface, "SIMTL_0", 0, NULL, data, &size));
    EXPECT(code, IFOpenDevice(interface, "SIMTL_0", 4, &handle));
    EXPECT(code, IFClose(interface));
    EXPECT(code, DevGetInfo(device, 0, NULL, data, &size));
    EXPECT(code, DevGetParentIF(device, &handle));
    EXPECT(code, DevGetPort(device, &handle));
    EXPECT(code, DevGetNumDataStreams(device, &number));
    EXPECT(code, DevGetDataStreamID(device, 0, NULL, &size));
    EXPECT(code, DevOpenDataStream(device, "Stream0", &handle));
    EXPECT(code, DevClose(device));
    EXPECT(code, GCGetPortInfo(port, 0, NULL, data, &size));
    EXPECT(code, GCReadPort(port, 0, data, &size));
    EXPECT(code, GCWritePort(port, 0, data, &size));
    EXPECT(code, GCReadPortStacked(port, &entry, &count));
    EXPECT(code, GCWritePortStacked(port, &entry, &count));
    EXPECT(code, GCGetNumPortURLs(port, &number));
    EXPECT(code, GCGetPortURLInfo(port, 0, 0, NULL, data, &size));
    EXPECT(code, GCGetPortURL(port, NULL, &size));
    EXPECT(code, GCRegisterEvent(stream, EVENT_NEW_BUFFER, &handle));
    EXPECT(code, GCUnregisterEvent(stream, EVENT_NEW_BUFFER));
    EXPECT(code, DSGetParentDev(stream, &handle));
    EXPECT(code, DSStartAcquisition(stream, 0, 1));
    EXPECT(code, DSStopAcquisition(stream, 0));
    EXPECT(code, DSAnnounceBuffer(stream, data, sizeof data, NULL, &handle));
    EXPECT(code, DSAllocAndAnnounceBuffer(stream, 64, NULL, &handle));
    EXPECT(code, DSRevokeBuffer(stream, NULL, NULL, NULL));
    EXPECT(code, DSQueueBuffer(stream, NULL));
    EXPECT(code, DSFlushQueue(stream, ACQ_QUEUE_ALL_DISCARD));
    EXPECT(code, DSGetInfo(stream, 0, NULL, data, &size));
    EXPECT(code, DSGetBufferInfo(stream, NULL, 0, NULL, data, &size));
    EXPECT(code, DSGetBufferID(stream, 0, &handle));
    EXPECT(code, DSGetBufferChunkData(stream, NULL, NULL, &count));
    EXPECT(code, DSClose(stream));
    EXPECT(code, EventGetData(event, data, &size, 0));
    EXPECT(code, EventGetDataInfo(event, data, sizeof data, 0, NULL, data, &size));
    EXPECT(code, EventGetInfo(event, 0, NULL, data, &size));
    EXPECT(code, EventFlush(event));
    EXPECT(code, EventKill(event));
}

static void check_before_initialising(void)
{
    expect_refused(GC_ERR_NOT_INITIALIZED, NULL, NULL, NULL, NULL, NULL, NULL);
    EXPECT(GC_ERR_NOT_INITIALIZED, TLOpen(&(HANDLE){NULL}));
    EXPECT(GC_ERR_NOT_INITIALIZED, GCCloseLib());
    char text[64];
    size_t size = sizeof text;
    OK(GCGetInfo(TL_INFO_TLTYPE, NULL, text, &size));
    CHECK(strcmp(text, "Custom") == 0);
    setenv("SIMTL_DEVICES", "9", 1);
    EXPECT(GC_ERR_INVALID_PARAMETER, GCInitLib());
    setenv("SIMTL_DEVICES", "2", 1);
}

static void check_bad_handles_and_parameters(void)
{
    struct client *client = new_client();
    HANDLE garbage[] = {NULL, (HANDLE)1, client, (HANDLE)UINTPTR_MAX, (HANDLE)0x01ff000000000001, "text"};
    open_interface(client);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        expect_refused(GC_ERR_INVALID_HANDLE, garbage[i], garbage[i], garbage[i], garbage[i], garbage[i], garbage[i]);
    open_stream(client);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
        expect_refused(GC_ERR_INVALID_HANDLE, garbage[i], garbage[i], garbage[i], garbage[i], garbage[i], garbage[i]);

    HANDLE handle;
    EXPECT(GC_ERR_RESOURCE_IN_USE, GCInitLib());
    EXPECT(GC_ERR_RESOURCE_IN_USE, TLOpen(&handle));
    EXPECT(GC_ERR_RESOURCE_IN_USE, TLOpenInterface(client->system, "SIMTL_INTERFACE", &handle));
    EXPECT(GC_ERR_RESOURCE_IN_USE, IFOpenDevice(client->interface, "SIMTL_0", 4, &handle));
    EXPECT(GC_ERR_RESOURCE_IN_USE, DevOpenDataStream(client->device, "Stream0", &handle));
    EXPECT(GC_ERR_RESOURCE_IN_USE, GCRegisterEvent(client->stream, EVENT_NEW_BUFFER, &handle));
    EXPECT(GC_ERR_NOT_IMPLEMENTED, GCRegisterEvent(client->device, 4, &handle));
    EXPECT(GC_ERR_INVALID_ID, TLOpenInterface(client->system, "other", &handle));
    EXPECT(GC_ERR_INVALID_ID, IFOpenDevice(client->interface, "SIMTL_2", 4, &handle));
    EXPECT(GC_ERR_INVALID_ID, DevOpenDataStream(client->device, "Stream1", &handle));
    EXPECT(GC_ERR_INVALID_PARAMETER, IFOpenDevice(client->interface, NULL, 4, &handle));
    EXPECT(GC_ERR_INVALID_PARAMETER, TLOpen(NULL));

    char text[8];
    size_t size = sizeof text;
    EXPECT(GC_ERR_INVALID_INDEX, TLGetInterfaceID(client->system, 1, text, &size));
    EXPECT(GC_ERR_INVALID_INDEX, IFGetDeviceID(client->interface, 2, text, &size));
    EXPECT(GC_ERR_INVALID_INDEX, DevGetDataStreamID(client->device, 1, text, &size));
    EXPECT(GC_ERR_INVALID_INDEX, GCGetPortURLInfo(client->port, 1, 0, NULL, text, &size));
    EXPECT(GC_ERR_NOT_AVAILABLE, DevGetInfo(client->device, 1000, NULL, text, &size));
    EXPECT(GC_ERR_NOT_AVAILABLE, GCGetNumPortURLs(client->system, &(uint32_t){0}));
    EXPECT(GC_ERR_NOT_AVAILABLE, GCGetNumPortURLs(client->stream, &(uint32_t){0}));
    size = 7;
    EXPECT(GC_ERR_BUFFER_TOO_SMALL, IFGetDeviceID(client->interface, 1, text, &size));
    CHECK(size == 8); /* what it takes */
    OK(IFGetDeviceID(client->interface, 1, text, &size));
    CHECK(strcmp(text, "SIMTL_1") == 0);
    EXPECT(GC_ERR_INVALID_PARAMETER, IFGetDeviceID(client->interface, 0, text, NULL));
    size = 4;
    EXPECT(GC_ERR_BUFFER_TOO_SMALL, EventGetData(client->event, text, &size, 0));
    EXPECT(GC_ERR_INVALID_PARAMETER, EventGetData(client->event, NULL, &size, 0));
    EXPECT(GC_ERR_INVALID_PARAMETER, DSFlushQueue(client->stream, 77));
    EXPECT(GC_ERR_INVALID_PARAMETER, DSAnnounceBuffer(client->stream, NULL, 10, NULL, &handle));
    OK(GCCloseLib());
    free(client);
}

static void check_registers(void)
{
    struct client *client = new_client();
    open_interface(client);
    open_stream(client);
    uint32_t number = 0;
    size_t size = sizeof number;
    OK(GCReadPort(client->port, ADDRESS(width), &number, &size));
    CHECK(number == WIDTH);
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(client->port, sizeof(struct registers) - 2, &number, &size));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(client->port, UINT64_MAX - 1, &number, &size));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCWritePort(client->port, ADDRESS(width_max), &number, &size));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCWritePort(client->port, ADDRESS(line_source[LINE1]), &number, &size));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCWritePort(client->port, ADDRESS(width) + 1, &number, &size));
    size_t huge = SIZE_MAX;
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(client->port, 0, &number, &huge));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(client->port, XML_ADDRESS + 1, &number, &huge));
    number = WIDTH + 1;
    EXPECT(GC_ERR_INVALID_VALUE, GCWritePort(client->port, ADDRESS(width), &number, &size));
    number = 0x01380001; /* Mono32, which no camera sends */
    EXPECT(GC_ERR_INVALID_VALUE, GCWritePort(client->port, ADDRESS(pixel_format), &number, &size));
    double not_a_number = 0.0 / 0.0;
    size_t real_size = sizeof not_a_number;
    EXPECT(GC_ERR_INVALID_VALUE, GCWritePort(client->port, ADDRESS(gain_db), &not_a_number, &real_size));
    char name[64];
    size_t name_size = sizeof name;
    memset(name, 'x', sizeof name); /* no zero at its end */
    EXPECT(GC_ERR_INVALID_VALUE, GCWritePort(client->port, ADDRESS(identity.user_id), name, &name_size));

    write_number(client, ADDRESS(width), 20);
    OK(GCReadPort(client->port, ADDRESS(payload_size), &number, &size));
    CHECK(number == 20 * HEIGHT);
    const struct {
        uint32_t format;
        uint32_t pitch;
    } deep[] = {{0x01100005, 40}, {0x010a0046, 25}, {0x010c0047, 30}, {0x010c0004, 30}}; /* Mono12, 10p, 12p, 10Packed */
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        write_number(client, ADDRESS(pixel_format), deep[i].format);
        OK(GCReadPort(client->port, ADDRESS(payload_size), &number, &size));
        CHECK(number == deep[i].pitch * HEIGHT);
    }
    write_number(client, ADDRESS(acquisition_start), 1);
    EXPECT(GC_ERR_ACCESS_DENIED, GCWritePort(client->port, ADDRESS(width), &number, &size));

    char url[128], *xml;
    size_t url_size = sizeof url;
    unsigned long long address;
    size_t xml_size;
    OK(GCGetPortURL(client->port, url, &url_size));
    CHECK(sscanf(url, "Local:simtl_camera.xml;%llx;%zx", &address, &xml_size) == 2);
    xml = calloc(1, xml_size + 1);
    OK(GCReadPort(client->port, address, xml, &xml_size));
    CHECK(strstr(xml, "<?xml") == xml && strstr(xml, "</RegisterDescription>"));
    free(xml);
    OK(GCCloseLib());
    free(client);
}

static void check_buffers(void)
{
    struct client *client = new_client();
    open_interface(client);
    open_stream(client);
    HANDLE first = client->buffers[0], own, second_id;
    void *memory, *user;
    EXPECT(GC_ERR_RESOURCE_IN_USE, DSQueueBuffer(client->stream, first));
    EXPECT(GC_ERR_BUSY, DSRevokeBuffer(client->stream, first, &memory, &user));
    OK(DSGetBufferID(client->stream, 1, &second_id));
    CHECK(second_id == client->buffers[1]);
    EXPECT(GC_ERR_INVALID_INDEX, DSGetBufferID(client->stream, BUFFERS, &second_id));
    OK(DSFlushQueue(client->stream, ACQ_QUEUE_ALL_DISCARD));
    OK(DSRevokeBuffer(client->stream, first, &memory, &user));
    CHECK(memory == client->memory[0] && user == client->memory[0]);

    uint8_t data[16];
    size_t size = sizeof data;
    EXPECT(GC_ERR_INVALID_HANDLE, DSQueueBuffer(client->stream, first));
    EXPECT(GC_ERR_INVALID_HANDLE, DSRevokeBuffer(client->stream, first, NULL, NULL));
    EXPECT(GC_ERR_INVALID_HANDLE, DSGetBufferInfo(client->stream, first, BUFFER_INFO_BASE, NULL, data, &size));
    EXPECT(GC_ERR_INVALID_HANDLE, DSGetBufferChunkData(client->stream, first, NULL, &size));
    EXPECT(GC_ERR_INVALID_HANDLE, DSQueueBuffer(client->stream, client->stream));

    OK(DSAllocAndAnnounceBuffer(client->stream, PIXELS, NULL, &own)); /* takes the slot of `first` */
    CHECK(own != first);
    EXPECT(GC_ERR_INVALID_HANDLE, DSQueueBuffer(client->stream, first));
    OK(DSRevokeBuffer(client->stream, own, &memory, NULL));
    CHECK(memory == NULL);
    OK(DSAllocAndAnnounceBuffer(client->stream, PIXELS, NULL, &own)); /* freed with the stream */
    int announced = 0;
    HANDLE more;
    while (gentl.DSAnnounceBuffer(client->stream, client->memory[0], 1, NULL, &more) == GC_ERR_SUCCESS)
        announced++;
    CHECK(announced == 256 - BUFFERS);
    OK(GCCloseLib());
    free(client);
}

static void check_frames(void)
{
    struct client *client = new_client();
    open_interface(client);
    open_stream(client);
    write_number(client, ADDRESS(chunk_mode_active), 1);
    start_triggered(client, TRIGGER_SOFTWARE);
    EXPECT(GC_ERR_RESOURCE_IN_USE, DSStartAcquisition(client->stream, 0, 1));
    write_number(client, ADDRESS(trigger_software), 1);
    HANDLE buffer = next_buffer(client);
    uint8_t *pixels = (uint8_t *)(uintptr_t)buffer_number(client, buffer, BUFFER_INFO_BASE);
    for (int i = 0; i < PIXELS; i++)
        CHECK(pixels[i] == (uint8_t)(i * 7));
    CHECK(buffer_number(client, buffer, BUFFER_INFO_FRAMEID) == 1);
    CHECK(buffer_number(client, buffer, BUFFER_INFO_SIZE_FILLED) == PIXELS + 16);
    CHECK(buffer_number(client, buffer, BUFFER_INFO_NEW_DATA) == 1);
    SINGLE_CHUNK_DATA chunk;
    size_t count = 0;
    EXPECT(GC_ERR_BUFFER_TOO_SMALL, DSGetBufferChunkData(client->stream, buffer, &chunk, &count));
    OK(DSGetBufferChunkData(client->stream, buffer, NULL, &count));
    CHECK(count == 1);
    OK(DSGetBufferChunkData(client->stream, buffer, &chunk, &count));
    CHECK(chunk.ChunkOffset == PIXELS && chunk.ChunkLength == 16);
    OK(DSQueueBuffer(client->stream, buffer));

    EVENT_NEW_BUFFER_DATA data;
    size_t size = sizeof data;
    EXPECT(GC_ERR_TIMEOUT, EventGetData(client->event, &data, &size, 0));
    EXPECT(GC_ERR_TIMEOUT, EventGetData(client->event, &data, &size, 5));
    OK(EventKill(client->event));
    EXPECT(GC_ERR_ABORT, EventGetData(client->event, &data, &size, GENTL_INFINITE));

    /* Without a queued buffer the frame is lost and counted; a buffer that is too small gives an incomplete frame. */
    OK(DSFlushQueue(client->stream, ACQ_QUEUE_ALL_DISCARD));
    write_number(client, ADDRESS(trigger_software), 1);
    uint64_t underrun = 0;
    size_t underrun_size = sizeof underrun;
    for (int i = 0; i < TIMEOUT_MS && underrun == 0; i++) {
        usleep(1000);
        OK(DSGetInfo(client->stream, STREAM_INFO_NUM_UNDERRUN, NULL, &underrun, &underrun_size));
    }
    CHECK(underrun == 1);
    HANDLE small;
    OK(DSAnnounceBuffer(client->stream, client->memory[0], 16, client, &small));
    OK(DSQueueBuffer(client->stream, small));
    write_number(client, ADDRESS(trigger_software), 1);
    CHECK(next_buffer(client) == small);
    CHECK(buffer_number(client, small, BUFFER_INFO_IS_INCOMPLETE) == 1);
    CHECK(buffer_number(client, small, BUFFER_INFO_DATA_LARGER_THAN_BUFFER) == 1);
    CHECK(buffer_number(client, small, BUFFER_INFO_FRAMEID) == 3);
    OK(DSStopAcquisition(client->stream, 1));
    EXPECT(GC_ERR_RESOURCE_IN_USE, DSStopAcquisition(client->stream, 1));
    OK(GCCloseLib());
    free(client);
}

struct flicker {
    struct scene_file *scene;
    bool is_over;
};

static void *show_all_the_time(void *argument)
{
    struct flicker *flicker = argument;
    while (!__atomic_load_n(&flicker->is_over, __ATOMIC_RELAXED)) {
        uint64_t next = flicker->scene->sequence + 1;
        memset((uint8_t *)flicker->scene + SCENE_PIXEL_OFFSET + next % SCENE_STORES * PIXELS, (int)next & 0xff, PIXELS);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        __atomic_store_n(&flicker->scene->sequence, next, __ATOMIC_SEQ_CST);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* Against a scene that changes faster than it can be copied, a frame is of one picture, or it says that it is none. */
static void check_flicker(struct scene_file *scene)
{
    struct flicker flicker = {.scene = scene};
    struct client *client = new_client();
    pthread_t thread;
    open_interface(client);
    open_stream(client);
    start_triggered(client, TRIGGER_SOFTWARE);
    CHECK(pthread_create(&thread, NULL, show_all_the_time, &flicker) == 0);
    while (__atomic_load_n(&scene->sequence, __ATOMIC_SEQ_CST) < 2)
        usleep(100); /* until both stores hold a picture of one value */
    for (int i = 0; i < 1500; i++) {
        write_number(client, ADDRESS(trigger_software), 1);
        HANDLE buffer = next_buffer(client);
        const uint8_t *pixels = (uint8_t *)(uintptr_t)buffer_number(client, buffer, BUFFER_INFO_BASE);
        CHECK(buffer_number(client, buffer, BUFFER_INFO_IS_INCOMPLETE) || memcmp(pixels, pixels + 1, PIXELS - 1) == 0);
        OK(DSQueueBuffer(client->stream, buffer));
    }
    __atomic_store_n(&flicker.is_over, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    OK(GCCloseLib());
    free(client);
}

static void check_messages(struct scene_file *scene)
{
    struct client *client = new_client();
    open_interface(client);
    open_stream(client);
    start_triggered(client, TRIGGER_LINE1);
    uint64_t exposures = scene->exposures;
    char too_long[500];
    memset(too_long, 'a', sizeof too_long);
    send_size("", 0);
    send_size(too_long, sizeof too_long);
    const char *nonsense[] = {"line1",          "line1 2",  "line1 1 x",         "line1 1 1 1", "incomplete 1",
                              "incomplete 1 -1", "late 1 1", "late 1 1 99999999", "crashed"};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        send_message(nonsense[i]);
    send_message("incomplete 7 1");
    send_message("line1 1");
    HANDLE buffer = next_buffer(client);
    CHECK(buffer_number(client, buffer, BUFFER_INFO_IS_INCOMPLETE) == 1);
    CHECK(scene->request == 7 && scene->exposures == exposures + 1 && scene->state_sequence % 2 == 0);

    write_number(client, ADDRESS(user_output_value[0]), 1);
    CHECK(scene->outputs[0].level == 1 && scene->outputs[0].changes == 1 && scene->outputs[1].changes == 0);
    scene->plug_count = 1;
    uint32_t number;
    size_t size = sizeof number;
    EXPECT(GC_ERR_IO, GCReadPort(client->port, 0, &number, &size));
    scene->plug_count = 2; /* it has started anew: the old handle stays dead */
    EXPECT(GC_ERR_IO, GCReadPort(client->port, 0, &number, &size));
    OK(DevClose(client->device));
    open_stream(client);
    OK(GCReadPort(client->port, 0, &number, &size));
    OK(GCCloseLib());
    free(client);
}

static void expect_no_open(struct client *client, const char *reason)
{
    HANDLE handle;
    char text[512];
    size_t size = sizeof text;
    GC_ERROR error = gentl.IFOpenDevice(client->interface, "SIMTL_0", 4, &handle);
    CHECK(error == GC_ERR_IO || error == GC_ERR_RESOURCE_IN_USE);
    OK(GCGetLastError(NULL, text, &size));
    if (!strstr(text, reason))
        fprintf(stderr, "expected \"%s\" in: %s\n", reason, text);
    CHECK(strstr(text, reason));
}

static void check_scenes(void)
{
    char path[128];
    struct client *client = new_client();
    open_interface(client);
    snprintf(path, sizeof path, "%s.0.scene", prefix);
    CHECK(unlink(path) == 0);
    expect_no_open(client, "No such file");
    struct scene_file *scene = make_scene(), good = *scene;
    scene->magic[0] = 'X';
    expect_no_open(client, "not a scene file");
    *scene = good;
    scene->version = 99;
    expect_no_open(client, "version 99");
    *scene = good;
    scene->height = HEIGHT + 1;
    expect_no_open(client, "shorter than its pictures");
    scene->width = scene->height = UINT32_MAX;
    expect_no_open(client, "allowed are");
    *scene = good;
    scene->channels = 2;
    expect_no_open(client, "2 channels");
    *scene = good;
    scene->plug_count = 1;
    expect_no_open(client, "unplugged");
    uint32_t count;
    OK(IFUpdateDeviceList(client->interface, NULL, 0));
    OK(IFGetNumDevices(client->interface, &count));
    CHECK(count == 1);
    *scene = good;
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0); /* as another process with the device open does */
    expect_no_open(client, "another process");
    close(fd);
    CHECK(truncate(path, 100) == 0);
    expect_no_open(client, "not a scene file");
    release_scene(scene);
    release_scene(make_scene());
    open_stream(client);
    OK(GCCloseLib());
    free(client);
}

static void write_file(const char *folder, const char *name, const char *content, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(content, 1, size, file) == size);
    fclose(file);
}

/* The next picture of the folder; the bytes stay until the next frame of this buffer. */
static const uint8_t *next_picture(struct client *client)
{
    write_number(client, ADDRESS(trigger_software), 1);
    HANDLE buffer = next_buffer(client);
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)buffer_number(client, buffer, BUFFER_INFO_BASE);
    OK(DSQueueBuffer(client->stream, buffer));
    return bytes;
}

/* The picture of two grey pixels 7 and 8, packed: 12 bits of 7 are 0x070, of 8 0x080; 10 bits 0x01c and 0x020. The
 * other picture comes before and after each. */
static void check_packed(struct client *client)
{
    const struct {
        uint32_t format;
        const char *bytes;
    } packed[] = {{0x010c0047, "\x70\x00\x08"},
                  {0x010c0006, "\7\0\10"},
                  {0x010c0004, "\7\0\10"},
                  {0x010a0046, "\x1c\x80\x00"}};
    next_picture(client);
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        write_number(client, ADDRESS(acquisition_stop), 1);
        write_number(client, ADDRESS(pixel_format), packed[i].format);
        write_number(client, ADDRESS(acquisition_start), 1);
        CHECK(memcmp(next_picture(client), packed[i].bytes, 3) == 0);
        next_picture(client);
    }
    write_number(client, ADDRESS(acquisition_stop), 1);
    write_number(client, ADDRESS(pixel_format), PFNC_RGB8);
    write_number(client, ADDRESS(acquisition_start), 1);
    next_picture(client);
}

static uint64_t part_number(struct client *client, HANDLE buffer, uint32_t part, int32_t command)
{
    uint64_t value = 0;
    size_t size = sizeof value;
    OK(DSGetBufferPartInfo(client->stream, buffer, part, command, NULL, &value, &size));
    return value;
}

/* Two grey pixels 7 and 8 as heights 0x0707 and 0x0808, with intensity and confidence; then heights alone. */
static void check_parts(struct client *client)
{
    const struct {
        uint32_t format, type;
        const char *bytes;
        size_t size;
    } parts[] = {{PFNC_COORD3D_C16, PART_DATATYPE_3D_IMAGE, "\7\7\10\10", 4},
                 {PFNC_MONO8, PART_DATATYPE_2D_IMAGE, "\7\10", 2},
                 {PFNC_CONFIDENCE8, PART_DATATYPE_CONFIDENCE_MAP, "\0\377", 2}};
    uint32_t count, zero = 0, format = PFNC_MONO8;
    size_t size = sizeof zero;
    next_picture(client);
    write_number(client, ADDRESS(acquisition_stop), 1);
    write_number(client, ADDRESS(pixel_format), PFNC_MONO8);
    EXPECT(GC_ERR_INVALID_VALUE, GCWritePort(client->port, ADDRESS(component_enable[COMPONENT_INTENSITY]), &zero, &size));
    for (uint32_t component = COMPONENT_RANGE; component <= COMPONENT_CONFIDENCE; component++) {
        write_number(client, ADDRESS(component_selector), component);
        write_number(client, ADDRESS(component_enable[component]), 1);
        EXPECT(GC_ERR_INVALID_VALUE, GCWritePort(client->port, ADDRESS(pixel_format), &format, &size));
    }
    write_real(client, ADDRESS(scan3d_invalid_value), 0x0707);
    write_number(client, ADDRESS(acquisition_start), 1);
    write_number(client, ADDRESS(trigger_software), 1);
    HANDLE buffer = next_buffer(client);
    CHECK(buffer_number(client, buffer, BUFFER_INFO_PAYLOADTYPE) == PAYLOAD_TYPE_MULTI_PART);
    CHECK(buffer_number(client, buffer, BUFFER_INFO_SIZE_FILLED) == 8);
    OK(DSGetNumBufferParts(client->stream, buffer, &count));
    CHECK(count == 3);
    for (uint32_t i = 0; i < count; i++) {
        const void *base = (const void *)(uintptr_t)part_number(client, buffer, i, BUFFER_PART_INFO_BASE);
        CHECK(part_number(client, buffer, i, BUFFER_PART_INFO_DATA_FORMAT) == parts[i].format);
        CHECK(part_number(client, buffer, i, BUFFER_PART_INFO_DATA_TYPE) == parts[i].type);
        CHECK(part_number(client, buffer, i, BUFFER_PART_INFO_DATA_SIZE) == parts[i].size);
        CHECK(part_number(client, buffer, i, BUFFER_PART_INFO_WIDTH) == 2);
        CHECK(memcmp(base, parts[i].bytes, parts[i].size) == 0);
    }
    EXPECT(GC_ERR_INVALID_INDEX, DSGetBufferPartInfo(client->stream, buffer, 3, 0, NULL, &zero, &size));
    EXPECT(GC_ERR_NOT_AVAILABLE, DSGetBufferPartInfo(client->stream, buffer, 0, 99, NULL, &zero, &size));
    EXPECT(GC_ERR_INVALID_HANDLE, DSGetNumBufferParts(client->stream, NULL, &count));
    EXPECT(GC_ERR_INVALID_PARAMETER, DSGetNumBufferParts(client->stream, buffer, NULL));
    OK(DSQueueBuffer(client->stream, buffer));
    next_picture(client);
    write_number(client, ADDRESS(acquisition_stop), 1);
    write_number(client, ADDRESS(component_enable[COMPONENT_INTENSITY]), 0);
    write_number(client, ADDRESS(component_enable[COMPONENT_CONFIDENCE]), 0);
    write_number(client, ADDRESS(acquisition_start), 1);
    write_number(client, ADDRESS(trigger_software), 1);
    buffer = next_buffer(client);
    CHECK(buffer_number(client, buffer, BUFFER_INFO_PAYLOADTYPE) == PAYLOAD_TYPE_IMAGE);
    CHECK(buffer_number(client, buffer, BUFFER_INFO_PIXELFORMAT) == PFNC_COORD3D_C16);
    EXPECT(GC_ERR_NO_DATA, DSGetNumBufferParts(client->stream, buffer, &count));
    OK(DSQueueBuffer(client->stream, buffer));
    write_number(client, ADDRESS(acquisition_stop), 1);
    write_number(client, ADDRESS(component_enable[COMPONENT_INTENSITY]), 1);
    write_number(client, ADDRESS(component_enable[COMPONENT_RANGE]), 0);
    write_number(client, ADDRESS(component_selector), COMPONENT_INTENSITY);
    write_number(client, ADDRESS(pixel_format), PFNC_RGB8);
    write_number(client, ADDRESS(acquisition_start), 1);
}

static void check_images(const char *folder)
{
    struct client *client = new_client();
    unsetenv("SIMTL_SCENE");
    setenv("SIMTL_IMAGES", folder, 1);
    open_interface(client);
    expect_no_open(client, "no .pgm or .ppm");
    write_file(folder, "b.ppm", "P6 2 1 255\n\1\2\3\4\5\6", 17);
    write_file(folder, "a.pgm", "P5 # of 2 pixels\n2\n1 255\n\7\10", 27);
    open_stream(client);
    write_number(client, ADDRESS(pixel_format), PFNC_RGB8);
    start_triggered(client, TRIGGER_SOFTWARE);
    const char *expected[] = {"\7\7\7\10\10\10", "\1\2\3\4\5\6", "\7\7\7\10\10\10"};
    for (int i = 0; i < 3; i++)
        CHECK(memcmp(next_picture(client), expected[i], 6) == 0);
    check_packed(client);
    check_parts(client);
    write_file(folder, "b.ppm", "P6 2 1 255\n\1\2", 13); /* the file breaks while it is played */
    write_number(client, ADDRESS(trigger_software), 1);
    CHECK(buffer_number(client, next_buffer(client), BUFFER_INFO_IS_INCOMPLETE) == 1);
    OK(DevClose(client->device));
    const char *broken[] = {"", "P", "P5", "P5 2", "P5 2 1 65535\n12", "P5 99999999999 1 255\n", "P4 2 1\n", "P5 0 1 255\n"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_file(folder, "b.ppm", broken[i], strlen(broken[i]));
        expect_no_open(client, "not a binary PGM");
    }
    write_file(folder, "b.ppm", "P5 3 1 255\n123", 14);
    expect_no_open(client, "one size");
    OK(GCCloseLib());
    unsetenv("SIMTL_IMAGES");
    setenv("SIMTL_SCENE", prefix, 1);
    free(client);
}

static void check_stale_handles(void)
{
    struct client *old = new_client(), *client = new_client();
    open_interface(old);
    open_stream(old);
    OK(DSClose(old->stream));
    EXPECT(GC_ERR_INVALID_HANDLE, EventGetInfo(old->event, 0, NULL, NULL, &(size_t){0}));
    EXPECT(GC_ERR_INVALID_HANDLE, DSQueueBuffer(old->stream, old->buffers[0]));
    OK(DevClose(old->device));
    open_stream(old);
    OK(GCCloseLib());
    open_interface(client);
    open_stream(client);
    expect_refused(GC_ERR_INVALID_HANDLE, old->system, old->interface, old->device, old->port, old->stream, old->event);
    EXPECT(GC_ERR_INVALID_HANDLE, DSQueueBuffer(client->stream, old->buffers[0]));
    OK(GCCloseLib());
    free(client);
    free(old);
}

static void *wait_for_ever(void *argument)
{
    struct client *client = argument;
    EVENT_NEW_BUFFER_DATA data;
    size_t size = sizeof data;
    GC_ERROR error = gentl.EventGetData(client->event, &data, &size, GENTL_INFINITE);
    return (void *)(intptr_t)error;
}

/* A wait ends when what it waits for is taken away, by whichever close. */
static void check_closing_under_a_wait(void)
{
    for (int way = 0; way < 4; way++) {
        struct client *client = new_client();
        pthread_t waiter;
        void *result;
        open_interface(client);
        open_stream(client);
        start_triggered(client, TRIGGER_SOFTWARE);
        CHECK(pthread_create(&waiter, NULL, wait_for_ever, client) == 0);
        usleep(10000); /* most likely it waits by now; it must end either way */
        if (way == 0)
            OK(GCUnregisterEvent(client->stream, EVENT_NEW_BUFFER));
        else if (way == 1)
            OK(DSClose(client->stream));
        else if (way == 2)
            OK(DevClose(client->device));
        OK(GCCloseLib());
        pthread_join(waiter, &result);
        GC_ERROR error = (GC_ERROR)(intptr_t)result;
        CHECK(error == GC_ERR_ABORT || error == GC_ERR_INVALID_HANDLE || error == GC_ERR_NOT_INITIALIZED);
        free(client);
    }
}

/* ---- many threads at once ------------------------------------------------------------------------------------------ */

struct crowd {
    struct client *client;
    bool is_over;
};

static bool is_over(struct crowd *crowd) { return __atomic_load_n(&crowd->is_over, __ATOMIC_RELAXED); }

static void *trigger_all_the_time(void *argument)
{
    struct crowd *crowd = argument;
    uint32_t one = 1;
    size_t size = sizeof one;
    while (!is_over(crowd))
        gentl.GCWritePort(crowd->client->port, ADDRESS(trigger_software), &one, &size);
    return NULL;
}

static void *fetch_all_the_time(void *argument)
{
    struct crowd *crowd = argument;
    while (!is_over(crowd)) {
        EVENT_NEW_BUFFER_DATA data;
        size_t size = sizeof data;
        if (gentl.EventGetData(crowd->client->event, &data, &size, 1) == GC_ERR_SUCCESS)
            gentl.DSQueueBuffer(crowd->client->stream, data.BufferHandle);
    }
    return NULL;
}

static void *restart_all_the_time(void *argument)
{
    struct crowd *crowd = argument;
    uint32_t one = 1;
    size_t size = sizeof one;
    while (!is_over(crowd)) {
        gentl.DSStopAcquisition(crowd->client->stream, 1);
        gentl.DSFlushQueue(crowd->client->stream, ACQ_QUEUE_ALL_TO_INPUT);
        gentl.DSStartAcquisition(crowd->client->stream, 0, GENTL_INFINITE);
        gentl.GCWritePort(crowd->client->port, ADDRESS(acquisition_start), &one, &size);
        usleep(500);
    }
    return NULL;
}

static void check_threads(void)
{
    void *(*const roles[])(void *) = {trigger_all_the_time, fetch_all_the_time, restart_all_the_time,
                                      fetch_all_the_time};
    enum { ROLES = sizeof roles / sizeof *roles };
    for (int round = 0; round < 3; round++) {
        struct crowd crowd = {.client = new_client()};
        pthread_t threads[ROLES];
        open_interface(crowd.client);
        open_stream(crowd.client);
        start_triggered(crowd.client, TRIGGER_SOFTWARE);
        for (int i = 0; i < ROLES; i++)
            CHECK(pthread_create(&threads[i], NULL, roles[i], &crowd) == 0);
        for (int i = 0; i < 20; i++) {
            send_message(i % 2 ? "line1 0" : "line1 1");
            usleep(5000);
        }
        OK(DevClose(crowd.client->device)); /* while all of them go on */
        __atomic_store_n(&crowd.is_over, true, __ATOMIC_RELAXED);
        for (int i = 0; i < ROLES; i++)
            pthread_join(threads[i], NULL);
        OK(GCCloseLib());
        free(crowd.client);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    char images[256];
    snprintf(prefix, sizeof prefix, "%s/s", argv[2]);
    snprintf(images, sizeof images, "%s/images", argv[2]);
    setenv("SIMTL_SCENE", prefix, 1);
    void *producer = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!producer)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(producer);
#define LOAD(name) CHECK((gentl.name = (__typeof__(&name))dlsym(producer, #name)));
    ENTRY_POINTS(LOAD)

    struct scene_file *scene = make_scene();
    check_before_initialising();
    check_bad_handles_and_parameters();
    check_registers();
    check_buffers();
    check_frames();
    check_messages(scene);
    check_flicker(scene);
    release_scene(scene);
    check_scenes();
    check_images(images);
    check_stale_handles();
    check_closing_under_a_wait();
    check_threads();

    struct client *client = new_client(); /* unloaded while everything is open and runs */
    open_interface(client);
    open_stream(client);
    start_triggered(client, TRIGGER_SOFTWARE);
    CHECK(dlclose(producer) == 0);
    free(client);
    printf("%d checks held\n", checks);
    return 0;
}
