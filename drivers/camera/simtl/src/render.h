/* From the picture the sensor took to the bytes that the camera sends. */
#ifndef SIMTL_RENDER_H
#define SIMTL_RENDER_H

#include "registers.h"
#include "scene.h"

/* How a picture is shown, beside its format. */
struct look {
    double gain_db;
    bool is_depth;    /* the scene holds heights: of three channels low byte, high byte, intensity */
    bool has_invalid; /* a height of `invalid` is none */
    uint16_t invalid;
};

/* Whether the camera can send this format (a number of the PFNC) as this component. */
bool render_knows(uint32_t pixel_format, enum component component);

/* Bytes of one row; of a packed format that does not end with a byte, with the bits behind it. */
size_t render_pitch(uint32_t pixel_format, uint32_t width);

/* Writes width x height pixels from the upper left corner of `picture`, which is `picture_width` wide. */
void render(const struct picture *picture, uint32_t picture_width, uint32_t pixel_format, uint32_t width,
            uint32_t height, const struct look *look, uint8_t *out);

#endif
