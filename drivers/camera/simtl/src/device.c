/* From a closed device to an open one and back. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "library.h"
#include "render.h"

struct device devices[DEVICES_MAX];

static void reset_identity(struct identity *identity, int index)
{
    *identity = (struct identity){.vendor_name = "SimTL", .model_name = "SimCam", .firmware_version = "1.0"};
    snprintf(identity->serial_number, sizeof identity->serial_number, "SIM%04d", index);
    snprintf(identity->user_id, sizeof identity->user_id, "camera-%d", index);
}

__attribute__((constructor)) static void prepare_devices(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    for (int i = 0; i < DEVICES_MAX; i++) {
        devices[i].index = i;
        devices[i].scene.fd = -1;
        reset_identity(&devices[i].registers.identity, i);
        pthread_mutex_init(&devices[i].lock, NULL);
        pthread_cond_init(&devices[i].sensor_wake, &monotonic);
        pthread_cond_init(&devices[i].stream_event, &monotonic);
    }
    pthread_condattr_destroy(&monotonic);
}

/* A program that ends, or unloads the producer, without GCCloseLib must not leave threads in code that is gone. */
__attribute__((destructor)) static void close_devices(void)
{
    for (int i = 0; i < DEVICES_MAX; i++)
        device_close(&devices[i]);
}

struct device *device_lock(HANDLE handle, enum handle_kind kind)
{
    if (!library_is_initialised()) {
        failed(GC_ERR_NOT_INITIALIZED, "GCInitLib was not called");
        return NULL;
    }
    if (handle && handle_kind(handle) == kind && handle_device(handle) < DEVICES_MAX) {
        struct device *device = &devices[handle_device(handle)];
        pthread_mutex_lock(&device->lock);
        if (device->handles[kind] == handle)
            return device;
        pthread_mutex_unlock(&device->lock);
    }
    failed(GC_ERR_INVALID_HANDLE, "handle %p is none of this producer, of another kind, or was closed", handle);
    return NULL;
}

void device_unlock(struct device *device) { pthread_mutex_unlock(&device->lock); }

size_t device_parts(const struct registers *registers, struct frame *frame)
{
    static const enum component order[COMPONENTS] = {COMPONENT_RANGE, COMPONENT_INTENSITY, COMPONENT_CONFIDENCE};
    size_t offset = 0;
    frame->part_count = 0;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        enum component component = order[i];
        if (!registers->component_enable[component])
            continue;
        struct part *part = &frame->parts[frame->part_count++];
        uint32_t format = registers->component_format[component];
        size_t size = render_pitch(format, registers->width) * registers->height;
        *part = (struct part){.component = component, .pixel_format = format, .offset = offset, .size = size};
        offset += size;
    }
    frame->pixel_format = frame->parts[0].pixel_format;
    frame->is_multi_part = frame->part_count > 1;
    return offset;
}

uint32_t device_payload_size(const struct registers *registers)
{
    struct frame frame = {0};
    size_t image_size = device_parts(registers, &frame);
    return (uint32_t)(image_size + (registers->chunk_mode_active ? CHUNK_SIZE : 0));
}

/* As after power-up. The identity stays: a real camera keeps its DeviceUserID in flash. */
static void reset_registers(struct device *device)
{
    struct registers *registers = &device->registers;
    struct identity identity = registers->identity;
    *registers = (struct registers){
        .width = device->scene.width,
        .height = device->scene.height,
        .width_max = device->scene.width,
        .height_max = device->scene.height,
        .pixel_format = device->scene.channels == 3 ? PFNC_RGB8 : PFNC_MONO8,
        .frame_rate_hz = 20.0,
        .exposure_time_us = 5000.0,
        .line_mode = {LINE_INPUT, LINE_OUTPUT, LINE_OUTPUT},
        .line_source = {SOURCE_OFF, SOURCE_USER_OUTPUT1, SOURCE_USER_OUTPUT2},
        .identity = identity,
        .component_enable = {[COMPONENT_INTENSITY] = 1},
        .component_format = {[COMPONENT_RANGE] = PFNC_COORD3D_C16, [COMPONENT_CONFIDENCE] = PFNC_CONFIDENCE8},
        .scan3d_output_mode = OUTPUT_CALIBRATED_C,
        .scan3d_scale = {0.1, 0.1, 0.01},
        .scan3d_invalid_flag = 1,
        .scan3d_coordinate_selector = COORDINATE_C,
    };
    registers->component_format[COMPONENT_INTENSITY] = registers->pixel_format;
    registers->payload_size = device_payload_size(registers);
    registers->line_status[LINE1] = scene_line1_level(&device->scene);
    sensor_update_outputs(device);
}

/* Everything of the last owner but the memory of the frame stores, which device_close freed. */
static void reset_sensor(struct device *device)
{
    device->faults = (struct faults){0};
    device->is_acquiring = false;
    device->acquisition = 0;
    device->frame_id = 0;
    device->exposure_end_ns = 0;
    device->oldest_store = 0;
    device->used_stores = 0;
}

static GC_ERROR start_threads(struct device *device)
{
    device->state = DEVICE_OPEN; /* the sensor thread runs as long as it is */
    if (pthread_create(&device->sensor_thread, NULL, sensor_thread, device) != 0) {
        device->state = DEVICE_CLOSED;
        return failed(GC_ERR_RESOURCE_EXHAUSTED, "no thread for the sensor of device %d", device->index);
    }
    if (device->control.fd >= 0 && pthread_create(&device->control_thread, NULL, control_thread, device) != 0) {
        device->state = DEVICE_CLOSING;
        pthread_cond_signal(&device->sensor_wake);
        pthread_mutex_unlock(&device->lock);
        pthread_join(device->sensor_thread, NULL);
        pthread_mutex_lock(&device->lock);
        device->state = DEVICE_CLOSED;
        return failed(GC_ERR_RESOURCE_EXHAUSTED, "no thread for the control socket of device %d", device->index);
    }
    return GC_ERR_SUCCESS;
}

static GC_ERROR open_locked(struct device *device)
{
    if (device->state != DEVICE_CLOSED)
        return failed(GC_ERR_RESOURCE_IN_USE, "device %d is open already", device->index);
    GC_ERROR error = scene_open(&device->scene, device->index);
    if (error)
        return error;
    error = control_open(&device->control, device->index);
    if (!error) {
        reset_sensor(device);
        reset_registers(device);
        error = start_threads(device);
        if (error && device->control.fd >= 0)
            control_close(&device->control);
    }
    if (error) {
        scene_close(&device->scene);
        return error;
    }
    device->handles[HANDLE_DEVICE] = handle_new(HANDLE_DEVICE, device->index, 0);
    device->handles[HANDLE_REMOTE_DEVICE] = handle_new(HANDLE_REMOTE_DEVICE, device->index, 0);
    return GC_ERR_SUCCESS;
}

GC_ERROR device_open(struct device *device, HANDLE *handle)
{
    pthread_mutex_lock(&device->lock);
    GC_ERROR error = open_locked(device);
    if (!error)
        *handle = device->handles[HANDLE_DEVICE];
    pthread_mutex_unlock(&device->lock);
    return error;
}

/* Ends all that others do in the device. The handles go first: from then on no call finds it any more. */
static void shut_down(struct device *device)
{
    device->state = DEVICE_CLOSING; /* ends the sensor thread */
    device->is_acquiring = false;
    for (int kind = 0; kind < DEVICE_HANDLES; kind++)
        device->handles[kind] = NULL;
    stream_close(device);
    pthread_cond_signal(&device->sensor_wake);
}

static void join_threads(struct device *device)
{
    if (device->control.fd >= 0) {
        control_shutdown(&device->control);
        pthread_join(device->control_thread, NULL);
        control_close(&device->control);
    }
    pthread_join(device->sensor_thread, NULL);
}

void device_close_locked(struct device *device)
{
    while (device->state == DEVICE_CLOSING) /* by another thread */
        pthread_cond_wait(&device->stream_event, &device->lock);
    if (device->state != DEVICE_OPEN)
        return;
    shut_down(device);
    pthread_mutex_unlock(&device->lock);
    join_threads(device); /* they need the lock to end */
    pthread_mutex_lock(&device->lock);
    for (int i = 0; i < FRAME_STORES; i++) {
        free(device->stores[i].picture.pixels);
        device->stores[i] = (struct exposure){0};
    }
    scene_close(&device->scene);
    device->state = DEVICE_CLOSED;
    pthread_cond_broadcast(&device->stream_event);
}

void device_close(struct device *device)
{
    pthread_mutex_lock(&device->lock);
    device_close_locked(device);
    pthread_mutex_unlock(&device->lock);
}
