/* What is in front of the lens of one device, and the state of its wires, shared with the line simulator. */
#ifndef SIMTL_SCENE_H
#define SIMTL_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gentl.h"
#include "images.h"

#define OUTPUT_LINES 2 /* Line2, Line3 */

#define SCENE_MAGIC "SIMTLSCN"
#define SCENE_VERSION 1
#define SCENE_PIXEL_OFFSET 4096
#define SCENE_STORES 2

struct scene_output {
    uint64_t changes;
    uint64_t changed_ns; /* CLOCK_MONOTONIC */
    uint32_t level;
    uint32_t reserved;
};

/* Start of `<prefix>.<device>.scene`, little-endian. Two picture stores of `capacity` bytes follow at
 * SCENE_PIXEL_OFFSET. scene.py holds the same layout, README.md explains it. */
struct scene_file {
    char magic[8];
    uint32_t version;
    uint32_t pixel_offset;
    uint64_t capacity; /* bytes of one picture */

    /* Written by the simulator. */
    uint64_t sequence; /* pictures shown so far; the one to be seen is in store `sequence % 2` */
    uint64_t part_numbers[SCENE_STORES];
    uint32_t width;
    uint32_t height;
    uint32_t channels;
    uint32_t line1_level;
    uint32_t plug_count; /* odd: the plug is out */
    uint32_t encoder;    /* of the belt, wired to the camera */

    /* Written by the camera. `state_sequence` is odd while any of it is being changed. */
    uint64_t state_sequence;
    struct scene_output outputs[OUTPUT_LINES];
    uint64_t exposures;
    uint64_t exposed_part_number;
    uint64_t exposed_ns;
    uint64_t missed_triggers;
    uint64_t request; /* number of the last fault that was requested and taken */
};

_Static_assert(sizeof(struct scene_file) == 168, "scene.py holds the same layout");

enum scene_kind {
    SCENE_CLOSED,
    SCENE_PATTERN, /* neither SIMTL_SCENE nor SIMTL_IMAGES is set */
    SCENE_FILE,    /* SIMTL_SCENE=<path prefix> */
    SCENE_IMAGES,  /* SIMTL_IMAGES=<folder> */
};

struct scene {
    enum scene_kind kind;
    int device;
    uint32_t width;
    uint32_t height;
    uint32_t channels; /* most that a picture has: room for exposures */
    uint64_t pictures; /* shown so far, where the scene itself moves on */

    int fd;
    struct scene_file *file;
    size_t file_size;
    uint32_t plug_count; /* when the device was opened */

    struct images images;
};

/* One picture as the sensor took it. */
struct picture {
    uint8_t *pixels; /* room for width * height * channels of the scene */
    uint32_t channels;
    uint64_t part_number;
};

/* Opens what the environment asks for. The text of the error says what is wrong with it. */
GC_ERROR scene_open(struct scene *scene, int device);
void scene_close(struct scene *scene);

/* Copies what is in front of the lens now. False when no whole picture could be had. */
bool scene_expose(struct scene *scene, struct picture *picture);

/* False once the plug was pulled, also when it is back in: the device has started anew since. */
bool scene_is_plugged(const struct scene *scene);

/* Looks at a device that is not open. */
bool scene_is_unplugged(int device);

/* Level of Line1 when the device is opened; later changes come as messages. */
bool scene_line1_level(const struct scene *scene);

/* What the camera's encoder input has counted; 0 without a scene. */
uint32_t scene_encoder(const struct scene *scene);

void scene_report_output(struct scene *scene, unsigned line, bool level, uint64_t now_ns);
void scene_report_exposure(struct scene *scene, uint64_t part_number, uint64_t trigger_ns);
void scene_report_missed_trigger(struct scene *scene);
void scene_report_request(struct scene *scene, uint64_t request);

#endif
