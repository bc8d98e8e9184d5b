#define _GNU_SOURCE
#include "images.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"

#define SIDE_MAX 16384

struct head {
    uint32_t width;
    uint32_t height;
    uint32_t channels;
};

static int is_image(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && (strcmp(dot, ".pgm") == 0 || strcmp(dot, ".ppm") == 0);
}

/* By bytes: alphasort would depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static bool is_blank(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* The next number of a PNM head: blanks and comments, from # to the end of the line, may stand before it. */
static bool read_number(FILE *file, uint32_t *number)
{
    int c;
    do {
        c = fgetc(file);
        if (c == '#')
            while (c != '\n' && c != EOF)
                c = fgetc(file);
    } while (is_blank(c));
    if (c < '0' || c > '9')
        return false;
    for (*number = 0; c >= '0' && c <= '9' && *number < 100000; c = fgetc(file))
        *number = *number * 10 + (uint32_t)(c - '0');
    return is_blank(c); /* exactly one of them before the pixels */
}

static bool read_head(FILE *file, struct head *head)
{
    char magic[2];
    uint32_t maximum;
    if (fread(magic, 1, 2, file) != 2 || magic[0] != 'P' || (magic[1] != '5' && magic[1] != '6'))
        return false;
    head->channels = magic[1] == '5' ? 1 : 3;
    return read_number(file, &head->width) && read_number(file, &head->height) && read_number(file, &maximum) &&
           maximum == 255 && head->width >= 1 && head->width <= SIDE_MAX && head->height >= 1 &&
           head->height <= SIDE_MAX;
}

static GC_ERROR check_head(struct images *images, const char *path)
{
    struct head head;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return failed(GC_ERR_IO, "image \"%s\": %s", path, strerror(errno));
    bool readable = read_head(file, &head);
    fclose(file);
    if (!readable)
        return failed(GC_ERR_IO, "image \"%s\": not a binary PGM or PPM with 8 bits per channel", path);
    if (images->width && (head.width != images->width || head.height != images->height))
        return failed(GC_ERR_IO, "image \"%s\" has %u x %u px, those before it %u x %u: all must have one size", path,
                      head.width, head.height, images->width, images->height);
    images->width = head.width;
    images->height = head.height;
    if (head.channels > images->channels)
        images->channels = head.channels;
    return GC_ERR_SUCCESS;
}

GC_ERROR images_open(struct images *images, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_image, by_name);
    if (count < 0)
        return failed(GC_ERR_IO, "SIMTL_IMAGES=\"%s\": %s", folder, strerror(errno));

    GC_ERROR error = GC_ERR_SUCCESS;
    *images = (struct images){.paths = calloc((size_t)count + 1, sizeof(char *))};
    if (!images->paths)
        error = failed(GC_ERR_OUT_OF_MEMORY, "no memory for %d file names", count);
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (!error && asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
            error = failed(GC_ERR_OUT_OF_MEMORY, "no memory for a file name");
        if (!error) {
            images->paths[images->count++] = path;
            error = check_head(images, path);
        }
        free(entries[i]);
    }
    free(entries);
    if (!error && count == 0)
        error = failed(GC_ERR_IO, "SIMTL_IMAGES=\"%s\": no .pgm or .ppm file in it", folder);
    if (error)
        images_close(images);
    return error;
}

void images_close(struct images *images)
{
    for (size_t i = 0; i < images->count; i++)
        free(images->paths[i]);
    free(images->paths);
    *images = (struct images){0};
}

bool images_read(const struct images *images, size_t index, uint8_t *pixels, uint32_t *channels)
{
    struct head head;
    FILE *file = fopen(images->paths[index], "rbe");
    if (!file)
        return false;
    /* The file may have changed since it was listed: never read more than there is room for. */
    bool whole = read_head(file, &head) && head.width == images->width && head.height == images->height &&
                 head.channels <= images->channels;
    size_t size = whole ? (size_t)head.width * head.height * head.channels : 0;
    whole = whole && fread(pixels, 1, size, file) == size;
    fclose(file);
    *channels = whole ? head.channels : images->channels;
    return whole;
}
