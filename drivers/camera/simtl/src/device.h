/* One software camera: registers, sensor, frame stores and its data stream.
 *
 * Everything in a device is guarded by its lock. The sensor thread exposes in free run and hands frames over; the
 * control thread takes messages of the line simulator; GenTL calls come on threads of the caller. Devices are static:
 * a stale handle never leads to freed memory, it is one that no longer equals the handle in the device.
 *
 * device.c, sensor.c and stream.c call each other: opening, exposing and grabbing are one state machine over one struct
 * under one lock, in three files only for their length. Nothing else is in that circle.
 */
#ifndef SIMTL_DEVICE_H
#define SIMTL_DEVICE_H

#include <pthread.h>
#include <stdbool.h>

#include "control.h"
#include "gentl.h"
#include "library.h"
#include "registers.h"
#include "render.h"
#include "scene.h"

#define FRAME_STORES 8
#define BUFFERS_MAX 256
#define STREAM_ID "Stream0"
#define CHUNK_SIZE (2 * sizeof(uint64_t)) /* ChunkFrameID, ChunkTimestamp */
#define CHUNK_ID UINT64_C(0x53494d01)         /* as in camera.xml */

/* ---- data stream ------------------------------------------------------------------------------------------------ */

enum buffer_state {
    BUFFER_REVOKED,
    BUFFER_IDLE, /* announced, with the client */
    BUFFER_INPUT,
    BUFFER_FILLING, /* the sensor thread writes into it, without the lock */
    BUFFER_OUTPUT,
};

/* One component of a frame in the buffer. */
struct part {
    enum component component;
    uint32_t pixel_format;
    size_t offset;
    size_t size;
};

/* What a frame says about itself beside its pixels. */
struct frame {
    uint64_t frame_id;
    uint64_t timestamp_ns; /* of the trigger, on the device's clock */
    uint32_t width;
    uint32_t height;
    uint32_t pixel_format; /* of the first part */
    struct part parts[COMPONENTS];
    unsigned part_count;
    bool is_multi_part; /* also where a part of it got lost */
    size_t image_size;  /* of all parts */
    size_t chunk_size; /* 0: chunk mode is off, or the frame is incomplete */
    size_t filled;
    bool is_new;
    bool is_incomplete;
    bool is_too_large; /* for the buffer */
};

struct buffer {
    HANDLE handle;
    enum buffer_state state;
    uint8_t *memory;
    size_t size;
    void *user_pointer;
    bool is_ours; /* DSAllocAndAnnounceBuffer */
    struct frame frame;
    struct buffer *next;
};

struct queue {
    struct buffer *first;
    struct buffer *last;
    size_t length;
};

struct stream {
    struct buffer buffers[BUFFERS_MAX];
    struct queue input;
    struct queue output;
    bool is_grabbing;
    bool is_killed; /* EventKill ends the wait that is under way, or the next one */
    uint64_t frames_left;
    uint64_t delivered;
    uint64_t underrun;
    uint64_t started;
    uint64_t events_fired;
};

/* ---- sensor ----------------------------------------------------------------------------------------------------- */

/* A picture on its way from the trigger to the stream. */
struct exposure {
    struct picture picture; /* its memory stays with the frame store */
    uint64_t acquisition;   /* a frame of an acquisition that was stopped is not delivered in the next one */
    uint64_t due_ns;        /* end of the exposure, later for a late frame */
    struct look look;
    bool has_chunk;
    bool is_dropped;
    struct frame frame;
};

struct faults {
    uint32_t incomplete;
    uint32_t dropped;
    uint32_t late;
    uint32_t short_of_a_part;
    uint64_t late_ns;
};

enum device_state { DEVICE_CLOSED, DEVICE_OPEN, DEVICE_CLOSING };

struct device {
    int index;
    pthread_mutex_t lock;
    pthread_cond_t sensor_wake;  /* a new due time, or the end */
    pthread_cond_t stream_event; /* a buffer in the output queue, the end of a filling, a wait to be ended */
    pthread_t sensor_thread;
    pthread_t control_thread;
    enum device_state state;
    HANDLE handles[DEVICE_HANDLES];

    struct registers registers;
    struct scene scene;
    struct control control;
    struct faults faults;

    bool is_acquiring; /* between AcquisitionStart and AcquisitionStop */
    uint64_t acquisition;
    uint64_t frame_id;
    uint64_t exposure_end_ns;
    uint64_t next_free_run_ns;
    struct exposure stores[FRAME_STORES]; /* a ring */
    size_t oldest_store;
    size_t used_stores;

    struct stream stream;
};

extern struct device devices[DEVICES_MAX];

/* ---- life (device.c) -------------------------------------------------------------------------------------------- */

/* The device whose current handle this is, locked; NULL, with the error kept, when there is none. */
struct device *device_lock(HANDLE handle, enum handle_kind kind);
void device_unlock(struct device *device);

GC_ERROR device_open(struct device *device, HANDLE *handle);
/* Closes stream and device and waits for their threads. No effect on a closed device. The second one is called, and
 * returns, with the lock, but gives it away meanwhile. */
void device_close(struct device *device);
void device_close_locked(struct device *device);

/* The parts of a frame as the registers stand: the enabled components, heights first. Returns the bytes of all. */
size_t device_parts(const struct registers *registers, struct frame *frame);
/* Bytes of one frame as the registers stand. */
uint32_t device_payload_size(const struct registers *registers);

/* ---- sensor (sensor.c), called with the lock ---------------------------------------------------------------------- */

void *sensor_thread(void *device);
void *control_thread(void *device);
void sensor_start(struct device *device);
void sensor_stop(struct device *device);
/* `edge_ns`: when the trigger was; later than now counts as now. */
void sensor_trigger(struct device *device, enum trigger_source source, uint64_t edge_ns);
void sensor_update_outputs(struct device *device);

/* The device's clock: another zero than the host's, so that nobody gets away with mixing up the two. */
uint64_t device_clock_ns(const struct device *device, uint64_t monotonic_ns);

/* ---- stream (stream.c), called with the lock ---------------------------------------------------------------------- */

/* Takes the next input buffer for filling; NULL when the stream does not grab or, counted, when there is none. */
struct buffer *stream_take_buffer(struct device *device);
/* The filled buffer goes to the client, or back to idle when the stream was stopped meanwhile. */
void stream_deliver(struct device *device, struct buffer *buffer);
/* The announced buffer with this handle, or NULL with the error kept. */
struct buffer *stream_find_buffer(struct device *device, HANDLE buffer_handle);
/* The next filled buffer, now the client's; NULL when there is none. */
struct buffer *stream_take_output(struct device *device);
void stream_discard_output(struct device *device);
/* Stops, ends the waits of others and revokes all buffers. No effect on a closed stream. */
void stream_close(struct device *device);

#endif
