#define _GNU_SOURCE
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer.h"
#include "clock.h"

#define SIDE_MAX 16384
#define PATTERN_WIDTH 640
#define PATTERN_HEIGHT 480
#define SNAPSHOT_PATIENCE_NS (50 * NS_PER_MS)

/* ---- the scene file --------------------------------------------------------------------------------------------- */

static GC_ERROR scene_path(char path[PATH_MAX], int device)
{
    if (snprintf(path, PATH_MAX, "%s.%d.scene", getenv("SIMTL_SCENE"), device) >= PATH_MAX)
        return failed(GC_ERR_INVALID_PARAMETER, "SIMTL_SCENE: the path is too long");
    return GC_ERR_SUCCESS;
}

/* The file comes from another program: nothing in it is believed before it is checked, and sizes only once. */
static GC_ERROR check_file(const struct scene_file *file, size_t file_size, const char *path)
{
    if (file_size < SCENE_PIXEL_OFFSET || memcmp(file->magic, SCENE_MAGIC, sizeof file->magic) != 0)
        return failed(GC_ERR_IO, "scene \"%s\" is not a scene file", path);
    if (file->version != SCENE_VERSION || file->pixel_offset != SCENE_PIXEL_OFFSET)
        return failed(GC_ERR_IO, "scene \"%s\" has version %u; this producer reads version %d", path, file->version,
                      SCENE_VERSION);
    return GC_ERR_SUCCESS;
}

static GC_ERROR check_size(const struct scene *scene, const char *path)
{
    uint32_t width = scene->width, height = scene->height, channels = scene->channels;
    if (width < 1 || width > SIDE_MAX || height < 1 || height > SIDE_MAX || (channels != 1 && channels != 3))
        return failed(GC_ERR_IO, "scene \"%s\" has %u x %u px, %u channels: allowed are 1 to %d px and 1 or 3 channels",
                      path, width, height, channels, SIDE_MAX);
    size_t size = (size_t)width * height * channels;
    if (scene->file->capacity != size || (scene->file_size - SCENE_PIXEL_OFFSET) / SCENE_STORES < size)
        return failed(GC_ERR_IO, "scene \"%s\" is shorter than its pictures", path);
    return GC_ERR_SUCCESS;
}

static GC_ERROR map_file(struct scene *scene, const char *path)
{
    struct stat status;
    if (fstat(scene->fd, &status) != 0)
        return failed(GC_ERR_IO, "scene \"%s\": %s", path, strerror(errno));
    if (status.st_size < SCENE_PIXEL_OFFSET)
        return failed(GC_ERR_IO, "scene \"%s\" is not a scene file", path);
    scene->file_size = (size_t)status.st_size;
    void *file = mmap(NULL, scene->file_size, PROT_READ | PROT_WRITE, MAP_SHARED, scene->fd, 0);
    if (file == MAP_FAILED)
        return failed(GC_ERR_IO, "scene \"%s\": %s", path, strerror(errno));
    scene->file = file;
    return check_file(scene->file, scene->file_size, path);
}

static GC_ERROR open_file(struct scene *scene)
{
    char path[PATH_MAX];
    GC_ERROR error = scene_path(path, scene->device);
    if (error)
        return error;
    scene->kind = SCENE_FILE;
    scene->fd = open(path, O_RDWR | O_CLOEXEC);
    if (scene->fd < 0)
        return failed(GC_ERR_IO, "scene \"%s\": %s; the line simulator makes it", path, strerror(errno));
    /* A camera has one owner. The lock goes with the process, however it ends. */
    if (flock(scene->fd, LOCK_EX | LOCK_NB) != 0)
        return failed(GC_ERR_RESOURCE_IN_USE, "scene \"%s\": another process has this device open", path);
    error = map_file(scene, path);
    if (error)
        return error;
    scene->width = scene->file->width;
    scene->height = scene->file->height;
    scene->channels = scene->file->channels;
    error = check_size(scene, path);
    if (error)
        return error;
    scene->plug_count = __atomic_load_n(&scene->file->plug_count, __ATOMIC_ACQUIRE);
    if (scene->plug_count % 2)
        return failed(GC_ERR_IO, "device %d is unplugged", scene->device);
    /* An owner that was killed while it wrote may have left the number odd. */
    scene->file->state_sequence += scene->file->state_sequence % 2;
    return GC_ERR_SUCCESS;
}

/* The simulator writes the next picture into the other store and then counts `sequence` up. So a whole picture is
 * always there, and the copy counts unless a new one was shown meanwhile: then the next but one may be on its way into
 * the store that was copied. */
static bool expose_file(struct scene *scene, struct picture *picture)
{
    struct scene_file *file = scene->file;
    size_t size = (size_t)scene->width * scene->height * scene->channels;
    uint64_t give_up_ns = clock_now_ns() + SNAPSHOT_PATIENCE_NS;
    do {
        uint64_t shown = __atomic_load_n(&file->sequence, __ATOMIC_ACQUIRE);
        unsigned store = shown % SCENE_STORES;
        memcpy(picture->pixels, (const uint8_t *)file + SCENE_PIXEL_OFFSET + store * size, size);
        picture->part_number = file->part_numbers[store];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&file->sequence, __ATOMIC_RELAXED) == shown)
            return true;
    } while (clock_now_ns() < give_up_ns);
    return false;
}

static void begin_state(struct scene *scene)
{
    __atomic_store_n(&scene->file->state_sequence, scene->file->state_sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_state(struct scene *scene)
{
    __atomic_store_n(&scene->file->state_sequence, scene->file->state_sequence + 1, __ATOMIC_RELEASE);
}

/* ---- the test pattern ------------------------------------------------------------------------------------------- */

static void draw_pattern(const struct scene *scene, struct picture *picture)
{
    uint8_t *pixel = picture->pixels;
    for (uint32_t y = 0; y < scene->height; y++)
        for (uint32_t x = 0; x < scene->width; x++)
            *pixel++ = (uint8_t)(x + y + 4 * scene->pictures + 64 * (uint32_t)scene->device);
}

/* ---- any scene -------------------------------------------------------------------------------------------------- */

GC_ERROR scene_open(struct scene *scene, int device)
{
    GC_ERROR error = GC_ERR_SUCCESS;
    *scene = (struct scene){.device = device, .fd = -1};
    if (getenv("SIMTL_SCENE")) {
        error = open_file(scene);
    } else if (getenv("SIMTL_IMAGES")) {
        scene->kind = SCENE_IMAGES;
        error = images_open(&scene->images, getenv("SIMTL_IMAGES"));
        scene->width = scene->images.width;
        scene->height = scene->images.height;
        scene->channels = scene->images.channels;
    } else {
        scene->kind = SCENE_PATTERN;
        scene->width = PATTERN_WIDTH;
        scene->height = PATTERN_HEIGHT;
        scene->channels = 1;
    }
    if (error)
        scene_close(scene);
    return error;
}

void scene_close(struct scene *scene)
{
    images_close(&scene->images);
    if (scene->file)
        munmap(scene->file, scene->file_size);
    if (scene->fd >= 0)
        close(scene->fd);
    *scene = (struct scene){.kind = SCENE_CLOSED, .fd = -1};
}

bool scene_expose(struct scene *scene, struct picture *picture)
{
    if (scene->kind == SCENE_FILE) {
        picture->channels = scene->channels;
        return expose_file(scene, picture);
    }
    bool whole = true;
    if (scene->kind == SCENE_IMAGES) {
        whole = images_read(&scene->images, scene->pictures % scene->images.count, picture->pixels, &picture->channels);
    } else {
        picture->channels = scene->channels;
        draw_pattern(scene, picture);
    }
    picture->part_number = scene->pictures++;
    return whole;
}

bool scene_is_plugged(const struct scene *scene)
{
    return !scene->file || __atomic_load_n(&scene->file->plug_count, __ATOMIC_ACQUIRE) == scene->plug_count;
}

bool scene_is_unplugged(int device)
{
    char path[PATH_MAX];
    struct scene_file head;
    if (!getenv("SIMTL_SCENE") || scene_path(path, device) != GC_ERR_SUCCESS)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* listed all the same: opening it then says what is missing */
    bool unplugged = pread(fd, &head, sizeof head, 0) == sizeof head && head.plug_count % 2;
    close(fd);
    return unplugged;
}

bool scene_line1_level(const struct scene *scene)
{
    return scene->file && __atomic_load_n(&scene->file->line1_level, __ATOMIC_ACQUIRE);
}

uint32_t scene_encoder(const struct scene *scene)
{
    return scene->file ? __atomic_load_n(&scene->file->encoder, __ATOMIC_ACQUIRE) : 0;
}

void scene_report_output(struct scene *scene, unsigned line, bool level, uint64_t now_ns)
{
    if (!scene->file || scene->file->outputs[line].level == level)
        return;
    begin_state(scene);
    struct scene_output *output = &scene->file->outputs[line];
    output->level = level;
    output->changes++;
    output->changed_ns = now_ns;
    end_state(scene);
}

void scene_report_exposure(struct scene *scene, uint64_t part_number, uint64_t trigger_ns)
{
    if (!scene->file)
        return;
    begin_state(scene);
    scene->file->exposures++;
    scene->file->exposed_part_number = part_number;
    scene->file->exposed_ns = trigger_ns;
    end_state(scene);
}

void scene_report_missed_trigger(struct scene *scene)
{
    if (!scene->file)
        return;
    begin_state(scene);
    scene->file->missed_triggers++;
    end_state(scene);
}

void scene_report_request(struct scene *scene, uint64_t request)
{
    if (!scene->file)
        return;
    begin_state(scene);
    scene->file->request = request;
    end_state(scene);
}
