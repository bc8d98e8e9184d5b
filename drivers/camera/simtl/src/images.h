/* A folder of binary PGM (P5) and PPM (P6) images with 8 bits, played in the order of their names. */
#ifndef SIMTL_IMAGES_H
#define SIMTL_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gentl.h"

struct images {
    char **paths;
    size_t count;
    uint32_t width; /* all images have the same size */
    uint32_t height;
    uint32_t channels; /* 3 when any of them has colour */
};

/* Lists the folder and checks the head of every file. */
GC_ERROR images_open(struct images *images, const char *folder);
void images_close(struct images *images);

/* Reads image `index`; false when the file cannot be read any more. */
bool images_read(const struct images *images, size_t index, uint8_t *pixels, uint32_t *channels);

#endif
