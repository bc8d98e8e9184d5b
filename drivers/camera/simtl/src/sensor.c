/* Triggers, exposures and digital lines; the two threads of a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "device.h"
#include "render.h"

#define NM_IN_MM 1e-6
#define CLOCK_OFFSET_NS UINT64_C(7654321987654321)

uint64_t device_clock_ns(const struct device *device, uint64_t monotonic_ns)
{
    return monotonic_ns + CLOCK_OFFSET_NS * (uint64_t)(device->index + 1);
}

/* ---- exposure --------------------------------------------------------------------------------------------------- */

static bool take_fault(uint32_t *frames)
{
    if (*frames == 0)
        return false;
    --*frames;
    return true;
}

/* Which of the requested faults this frame has. A frame that is dropped uses up no other fault. */
static void apply_faults(struct faults *faults, struct exposure *exposure)
{
    exposure->is_dropped = take_fault(&faults->dropped);
    if (exposure->is_dropped)
        return;
    if (take_fault(&faults->incomplete))
        exposure->frame.is_incomplete = true;
    if (exposure->frame.part_count > 1 && take_fault(&faults->short_of_a_part))
        exposure->frame.part_count--;
    if (take_fault(&faults->late))
        exposure->due_ns += faults->late_ns;
}

/* A real sensor takes no trigger while it exposes, and none when its memory is full. */
static bool is_ready(const struct device *device, uint64_t now_ns)
{
    return now_ns >= device->exposure_end_ns && device->used_stores < FRAME_STORES;
}

/* The picture is taken here and now, not when the exposure ends: the line moves on after the trigger. */
static void expose(struct device *device, uint64_t trigger_ns)
{
    const struct registers *registers = &device->registers;
    struct exposure *exposure = &device->stores[(device->oldest_store + device->used_stores) % FRAME_STORES];
    struct picture picture = exposure->picture;
    if (!picture.pixels)
        picture.pixels = calloc((size_t)device->scene.width * device->scene.height, device->scene.channels);
    if (!picture.pixels) {
        fprintf(stderr, "simtl: device %d: no memory for a frame\n", device->index);
        scene_report_missed_trigger(&device->scene);
        return;
    }
    bool is_whole = scene_expose(&device->scene, &picture);
    device->frame_id++;
    device->exposure_end_ns = trigger_ns + (uint64_t)(registers->exposure_time_us * (double)NS_PER_US);
    *exposure = (struct exposure){
        .picture = picture,
        .acquisition = device->acquisition,
        .due_ns = device->exposure_end_ns,
        .look = {.gain_db = registers->gain_db,
                 .is_depth = registers->component_enable[COMPONENT_RANGE] != 0,
                 .has_invalid = registers->scan3d_invalid_flag != 0,
                 .invalid = (uint16_t)registers->scan3d_invalid_value},
        .has_chunk = registers->chunk_mode_active,
        .frame = {.frame_id = device->frame_id,
                  .timestamp_ns = device_clock_ns(device, trigger_ns),
                  .width = registers->width,
                  .height = registers->height,
                  .is_incomplete = !is_whole},
    };
    device_parts(registers, &exposure->frame);
    apply_faults(&device->faults, exposure);
    device->used_stores++;
    scene_report_exposure(&device->scene, picture.part_number, trigger_ns);
    if (registers->acquisition_mode == ACQUISITION_SINGLE_FRAME)
        device->is_acquiring = false;
    pthread_cond_signal(&device->sensor_wake);
}

void sensor_trigger(struct device *device, enum trigger_source source, uint64_t edge_ns)
{
    const struct registers *registers = &device->registers;
    uint64_t now_ns = clock_now_ns();
    if (edge_ns < now_ns)
        now_ns = edge_ns; /* hardware latches the time of an edge; this thread may wake up later */
    if (!device->is_acquiring || registers->trigger_mode != TRIGGER_ON || registers->trigger_source != source ||
        !scene_is_plugged(&device->scene))
        return;
    if (is_ready(device, now_ns))
        expose(device, now_ns);
    else
        scene_report_missed_trigger(&device->scene);
}

void sensor_start(struct device *device)
{
    device->is_acquiring = true;
    device->acquisition++;
    device->frame_id = 0;
    device->exposure_end_ns = 0;
    device->next_free_run_ns = clock_now_ns();
    pthread_cond_signal(&device->sensor_wake);
}

void sensor_stop(struct device *device) { device->is_acquiring = false; }

/* ---- handing over ----------------------------------------------------------------------------------------------- */

/* Runs without the lock: neither the store nor a buffer that is being filled is touched by anybody else. */
static void fill(const struct exposure *exposure, uint32_t picture_width, struct buffer *buffer)
{
    struct frame *frame = &buffer->frame;
    size_t chunk_size = exposure->has_chunk ? CHUNK_SIZE : 0;
    *frame = exposure->frame;
    frame->is_new = true;
    frame->image_size = 0;
    for (unsigned i = 0; i < frame->part_count; i++)
        frame->image_size += frame->parts[i].size;
    if (buffer->size < frame->image_size + chunk_size) {
        frame->is_incomplete = frame->is_too_large = true;
        frame->image_size = 0;
        return;
    }
    for (unsigned i = 0; i < frame->part_count; i++)
        render(&exposure->picture, picture_width, frame->parts[i].pixel_format, frame->width, frame->height,
               &exposure->look, buffer->memory + frame->parts[i].offset);
    if (frame->is_incomplete) { /* the second half, and the chunk data behind it, got lost */
        frame->filled = frame->image_size / 2;
        memset(buffer->memory + frame->filled, 0, frame->image_size - frame->filled);
        return;
    }
    frame->chunk_size = chunk_size;
    frame->filled = frame->image_size + chunk_size;
    if (chunk_size) {
        memcpy(buffer->memory + frame->image_size, &frame->frame_id, sizeof frame->frame_id);
        memcpy(buffer->memory + frame->image_size + sizeof frame->frame_id, &frame->timestamp_ns,
               sizeof frame->timestamp_ns);
    }
}

/* Hands over the oldest exposure. Its store stays in use until then, so that no trigger writes into it. */
static void hand_over(struct device *device)
{
    struct exposure *exposure = &device->stores[device->oldest_store];
    if (!exposure->is_dropped && exposure->acquisition == device->acquisition && scene_is_plugged(&device->scene)) {
        struct buffer *buffer = stream_take_buffer(device);
        if (buffer) {
            uint32_t picture_width = device->scene.width;
            pthread_mutex_unlock(&device->lock);
            fill(exposure, picture_width, buffer);
            pthread_mutex_lock(&device->lock);
            stream_deliver(device, buffer);
        }
    }
    device->oldest_store = (device->oldest_store + 1) % FRAME_STORES;
    device->used_stores--;
}

/* ---- sensor thread ---------------------------------------------------------------------------------------------- */

static bool runs_free(const struct device *device)
{
    return device->is_acquiring && device->registers.trigger_mode == TRIGGER_OFF &&
           device->used_stores < FRAME_STORES && scene_is_plugged(&device->scene);
}

static void expose_in_free_run(struct device *device, uint64_t now_ns)
{
    uint64_t period_ns = (uint64_t)((double)NS_PER_S / device->registers.frame_rate_hz);
    expose(device, now_ns);
    device->next_free_run_ns += period_ns;
    if (device->next_free_run_ns < device->exposure_end_ns) /* the exposure is longer than the period, or we were late */
        device->next_free_run_ns = device->exposure_end_ns;
}

static uint64_t next_due_ns(const struct device *device)
{
    uint64_t due_ns = device->used_stores ? device->stores[device->oldest_store].due_ns : UINT64_MAX;
    if (runs_free(device) && device->next_free_run_ns < due_ns)
        due_ns = device->next_free_run_ns;
    return due_ns;
}

void *sensor_thread(void *argument)
{
    struct device *device = argument;
    pthread_mutex_lock(&device->lock);
    while (device->state == DEVICE_OPEN) {
        uint64_t now_ns = clock_now_ns();
        uint64_t due_ns = next_due_ns(device);
        if (runs_free(device) && device->next_free_run_ns <= now_ns) {
            expose_in_free_run(device, now_ns);
        } else if (device->used_stores && device->stores[device->oldest_store].due_ns <= now_ns) {
            hand_over(device);
        } else if (due_ns == UINT64_MAX) {
            pthread_cond_wait(&device->sensor_wake, &device->lock);
        } else {
            struct timespec until = clock_timespec(due_ns);
            pthread_cond_timedwait(&device->sensor_wake, &device->lock, &until);
        }
    }
    pthread_mutex_unlock(&device->lock);
    return NULL;
}

/* ---- digital lines and control thread --------------------------------------------------------------------------- */

static void set_line1(struct device *device, bool level, uint64_t edge_ns)
{
    struct registers *registers = &device->registers;
    if (registers->line_status[LINE1] == level)
        return; /* no edge */
    registers->line_status[LINE1] = level;
    if (registers->trigger_activation == ANY_EDGE || registers->trigger_activation == (level ? RISING_EDGE : FALLING_EDGE))
        sensor_trigger(device, TRIGGER_LINE1, edge_ns);
}

void sensor_update_outputs(struct device *device)
{
    struct registers *registers = &device->registers;
    for (unsigned line = LINE2; line < LINES; line++) {
        uint32_t source = registers->line_source[line];
        bool level = source != SOURCE_OFF && registers->user_output_value[source - SOURCE_USER_OUTPUT1];
        registers->line_status[line] = level;
        scene_report_output(&device->scene, line - LINE2, level, clock_now_ns());
    }
}

static void execute(struct device *device, const struct command *command)
{
    switch (command->kind) {
    case COMMAND_LINE1:
        set_line1(device, command->number, command->edge_ns ? command->edge_ns : clock_now_ns());
        break;
    case COMMAND_INCOMPLETE:
        device->faults.incomplete = command->number;
        break;
    case COMMAND_DROPPED:
        device->faults.dropped = command->number;
        break;
    case COMMAND_LATE:
        device->faults.late = command->number;
        device->faults.late_ns = command->delay_ms * NS_PER_MS;
        break;
    case COMMAND_PARTS:
        device->faults.short_of_a_part = command->number;
        break;
    case COMMAND_COORDINATES:
        device->registers.scan3d_scale[COORDINATE_C] = command->number * NM_IN_MM;
        device->registers.scan3d_offset[COORDINATE_C] = (double)command->offset_nm * NM_IN_MM;
        break;
    case COMMAND_CRASH:
        abort();
    }
    if (command->request)
        scene_report_request(&device->scene, command->request);
}

void *control_thread(void *argument)
{
    struct device *device = argument;
    struct command command;
    while (control_receive(&device->control, &command)) {
        pthread_mutex_lock(&device->lock);
        execute(device, &command);
        pthread_mutex_unlock(&device->lock);
    }
    return NULL;
}
