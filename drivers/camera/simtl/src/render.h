/* From the picture the sensor took to the bytes that the camera sends. */
#ifndef SIMTL_RENDER_H
#define SIMTL_RENDER_H

#include "scene.h"

/* Whether the camera can send this format (a number of the PFNC). */
bool render_knows(uint32_t pixel_format);

/* Bytes of one row; of a packed format that does not end with a byte, with the bits behind it. */
size_t render_pitch(uint32_t pixel_format, uint32_t width);

/* Writes width x height pixels from the upper left corner of `picture`, which is `picture_width` wide. */
void render(const struct picture *picture, uint32_t picture_width, uint32_t pixel_format, uint32_t width,
            uint32_t height, double gain_db, uint8_t *out);

#endif
