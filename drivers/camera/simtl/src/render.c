#include "render.h"

#include <math.h>
#include <string.h>

size_t render_pixel_size(uint32_t pixel_format) { return pixel_format == PFNC_RGB8 ? 3 : 1; }

/* Luma of ITU-R BT.601 in 8 bits: the weights 77, 150 and 29 sum up to 256. */
static void row_to_mono(const uint8_t *rgb, uint32_t width, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, rgb += 3)
        out[x] = (uint8_t)((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8);
}

/* Even rows R G R G, odd rows G B G B. */
static void row_to_bayer_rg(const uint8_t *rgb, uint32_t width, uint32_t y, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, rgb += 3)
        out[x] = rgb[x % 2 + y % 2];
}

static void row_to_rgb(const uint8_t *mono, uint32_t width, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, out += 3)
        out[0] = out[1] = out[2] = mono[x];
}

static void apply_gain(uint8_t *bytes, size_t size, double gain_db)
{
    uint8_t amplified[256];
    double factor = pow(10.0, gain_db / 20.0);
    for (int value = 0; value < 256; value++)
        amplified[value] = (uint8_t)fmin(255.0, floor(value * factor + 0.5));
    for (size_t i = 0; i < size; i++)
        bytes[i] = amplified[bytes[i]];
}

void render(const struct picture *picture, uint32_t picture_width, uint32_t pixel_format, uint32_t width,
            uint32_t height, double gain_db, uint8_t *out)
{
    size_t pitch = (size_t)width * render_pixel_size(pixel_format);
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *in = picture->pixels + (size_t)y * picture_width * picture->channels;
        uint8_t *row = out + y * pitch;
        if (picture->channels == 3 && pixel_format == PFNC_MONO8)
            row_to_mono(in, width, row);
        else if (picture->channels == 3 && pixel_format == PFNC_BAYER_RG8)
            row_to_bayer_rg(in, width, y, row);
        else if (picture->channels == 1 && pixel_format == PFNC_RGB8)
            row_to_rgb(in, width, row);
        else
            memcpy(row, in, pitch);
    }
    if (gain_db != 0.0)
        apply_gain(out, pitch * height, gain_db);
}
