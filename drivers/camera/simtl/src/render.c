#include "render.h"

#include <math.h>
#include <string.h>

#define SIDE_MAX 16384

/* ---- formats ---------------------------------------------------------------------------------------------------- */

enum kind { MONO, RGB, BAYER_RG, BAYER_GR, BAYER_GB, BAYER_BG, RANGE, CONFIDENCE };

/* How values of more than 8 bits lie in memory. */
enum layout {
    BYTES,  /* 8 bits */
    WORDS,  /* two bytes each, little-endian */
    STREAM, /* one behind the other, from the lowest bit ("p") */
    PAIRS,  /* two in three bytes: the high 8 bits in the outer ones, the low ones share the middle ("Packed") */
};

struct format {
    uint32_t number; /* of the PFNC: its third byte is the bits of one pixel in memory */
    enum kind kind;
    enum layout layout;
    unsigned bits; /* of one value */
};

static const struct format formats[] = {
    {PFNC_MONO8, MONO, BYTES, 8},
    {PFNC_RGB8, RGB, BYTES, 8},
    {0x01080008, BAYER_GR, BYTES, 8},
    {PFNC_BAYER_RG8, BAYER_RG, BYTES, 8},
    {0x0108000a, BAYER_GB, BYTES, 8},
    {0x0108000b, BAYER_BG, BYTES, 8},
    {0x01100003, MONO, WORDS, 10},
    {0x01100005, MONO, WORDS, 12},
    {0x01100025, MONO, WORDS, 14},
    {0x01100007, MONO, WORDS, 16},
    {0x010a0046, MONO, STREAM, 10},
    {0x010c0047, MONO, STREAM, 12},
    {0x010c0004, MONO, PAIRS, 10},
    {0x010c0006, MONO, PAIRS, 12},
    {0x0110000c, BAYER_GR, WORDS, 10},
    {0x0110000d, BAYER_RG, WORDS, 10},
    {0x0110000e, BAYER_GB, WORDS, 10},
    {0x0110000f, BAYER_BG, WORDS, 10},
    {0x01100010, BAYER_GR, WORDS, 12},
    {0x01100011, BAYER_RG, WORDS, 12},
    {0x01100012, BAYER_GB, WORDS, 12},
    {0x01100013, BAYER_BG, WORDS, 12},
    {0x0110002e, BAYER_GR, WORDS, 16},
    {0x0110002f, BAYER_RG, WORDS, 16},
    {0x01100030, BAYER_GB, WORDS, 16},
    {0x01100031, BAYER_BG, WORDS, 16},
    {0x010a0052, BAYER_BG, STREAM, 10},
    {0x010a0054, BAYER_GB, STREAM, 10},
    {0x010a0056, BAYER_GR, STREAM, 10},
    {0x010a0058, BAYER_RG, STREAM, 10},
    {0x010c0053, BAYER_BG, STREAM, 12},
    {0x010c0055, BAYER_GB, STREAM, 12},
    {0x010c0057, BAYER_GR, STREAM, 12},
    {0x010c0059, BAYER_RG, STREAM, 12},
    {0x010c0026, BAYER_GR, PAIRS, 10},
    {0x010c0027, BAYER_RG, PAIRS, 10},
    {0x010c0028, BAYER_GB, PAIRS, 10},
    {0x010c0029, BAYER_BG, PAIRS, 10},
    {0x010c002a, BAYER_GR, PAIRS, 12},
    {0x010c002b, BAYER_RG, PAIRS, 12},
    {0x010c002c, BAYER_GB, PAIRS, 12},
    {0x010c002d, BAYER_BG, PAIRS, 12},
    {PFNC_COORD3D_C16, RANGE, WORDS, 16},
    {PFNC_CONFIDENCE8, CONFIDENCE, BYTES, 8},
};

static const struct format *find_format(uint32_t number)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].number == number)
            return &formats[i];
    return NULL;
}

bool render_knows(uint32_t pixel_format, enum component component)
{
    const struct format *format = find_format(pixel_format);
    if (!format)
        return false;
    switch (format->kind) {
    case RANGE:
        return component == COMPONENT_RANGE;
    case CONFIDENCE:
        return component == COMPONENT_CONFIDENCE;
    default:
        return component == COMPONENT_INTENSITY;
    }
}

size_t render_pitch(uint32_t pixel_format, uint32_t width)
{
    return ((size_t)width * (pixel_format >> 16 & 0xff) + 7) / 8;
}

/* ---- the 8 bits that the picture has ------------------------------------------------------------------------------ */

/* Luma of ITU-R BT.601 in 8 bits: the weights 77, 150 and 29 sum up to 256. */
static void row_to_mono(const uint8_t *rgb, uint32_t width, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, rgb += 3)
        out[x] = (uint8_t)((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8);
}

/* RG: even rows R G R G, odd rows G B G B. The others begin a column, a row, or both later. */
static void row_to_bayer(const uint8_t *rgb, uint32_t width, uint32_t y, enum kind kind, uint8_t *out)
{
    uint32_t from_x = kind == BAYER_GR || kind == BAYER_BG;
    uint32_t from_y = kind == BAYER_GB || kind == BAYER_BG;
    for (uint32_t x = 0; x < width; x++, rgb += 3)
        out[x] = rgb[(x + from_x) % 2 + (y + from_y) % 2];
}

static void row_to_rgb(const uint8_t *mono, uint32_t width, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, out += 3)
        out[0] = out[1] = out[2] = mono[x];
}

static void row_to_values(const struct picture *picture, const uint8_t *in, uint32_t width, uint32_t y, enum kind kind,
                          uint8_t *out)
{
    if (picture->channels == 1 && kind == RGB)
        row_to_rgb(in, width, out);
    else if (picture->channels == 1 || kind == RGB)
        memcpy(out, in, (size_t)width * (kind == RGB ? 3 : 1));
    else if (kind == MONO)
        row_to_mono(in, width, out);
    else
        row_to_bayer(in, width, y, kind, out);
}

static void make_gain(double gain_db, uint8_t amplified[256])
{
    double factor = pow(10.0, gain_db / 20.0);
    for (int value = 0; value < 256; value++)
        amplified[value] = (uint8_t)fmin(255.0, floor(value * factor + 0.5));
}

/* ---- more bits ---------------------------------------------------------------------------------------------------- */

/* All bits set for 255, and below the highest 8 again the highest of them: no value ends with zeros by chance. */
static uint32_t deep(uint32_t value, unsigned bits) { return value << (bits - 8) | value >> (16 - bits); }

static void pack(const struct format *format, const uint8_t *values, uint32_t width, uint8_t *row)
{
    memset(row, 0, render_pitch(format->number, width));
    for (uint32_t x = 0; x < width; x++) {
        uint32_t value = deep(values[x], format->bits);
        size_t first_bit = (size_t)x * (format->layout == WORDS ? 16 : format->bits);
        if (format->layout == PAIRS) {
            uint8_t *pair = row + (size_t)(x / 2) * 3;
            unsigned low_bits = format->bits - 8;
            pair[x % 2 * 2] = (uint8_t)(value >> low_bits);
            pair[1] |= (uint8_t)((value & ((1u << low_bits) - 1)) << (x % 2 * 4));
            continue;
        }
        value <<= first_bit % 8;
        for (size_t byte = first_bit / 8; value; byte++, value >>= 8)
            row[byte] |= (uint8_t)value;
    }
}

/* ---- heights ------------------------------------------------------------------------------------------------------ */

/* A grey scene is as high as it is bright. */
static uint16_t height_at(const struct picture *picture, const uint8_t *pixel)
{
    return (uint16_t)(picture->channels == 3 ? pixel[0] | pixel[1] << 8 : pixel[0] | pixel[0] << 8);
}

static void row_to_heights(const struct picture *picture, const uint8_t *in, uint32_t width, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, in += picture->channels) {
        uint16_t height = height_at(picture, in);
        *out++ = (uint8_t)height;
        *out++ = (uint8_t)(height >> 8);
    }
}

static void row_to_confidence(const struct picture *picture, const uint8_t *in, uint32_t width,
                              const struct look *look, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, in += picture->channels)
        *out++ = look->has_invalid && height_at(picture, in) == look->invalid ? 0 : 255;
}

static void row_to_intensity(const uint8_t *in, uint32_t width, uint8_t *out)
{
    for (uint32_t x = 0; x < width; x++, in += 3)
        *out++ = in[2];
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

void render(const struct picture *picture, uint32_t picture_width, uint32_t pixel_format, uint32_t width,
            uint32_t height, const struct look *look, uint8_t *out)
{
    const struct format *format = find_format(pixel_format);
    size_t pitch = render_pitch(pixel_format, width);
    size_t values = (size_t)width * (format->kind == RGB ? 3 : 1);
    uint8_t amplified[256], own_row[SIDE_MAX], intensity[SIDE_MAX];
    double gain_db = look->gain_db;
    /* Of a scene of heights the intensity is a grey picture of its own. */
    bool is_apart = look->is_depth && picture->channels == 3;
    struct picture grey = {.pixels = intensity, .channels = 1};
    if (gain_db != 0.0)
        make_gain(gain_db, amplified);
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *in = picture->pixels + (size_t)y * picture_width * picture->channels;
        if (format->kind == RANGE) {
            row_to_heights(picture, in, width, out + y * pitch);
            continue;
        }
        if (format->kind == CONFIDENCE) {
            row_to_confidence(picture, in, width, look, out + y * pitch);
            continue;
        }
        uint8_t *row = format->layout == BYTES ? out + y * pitch : own_row;
        if (is_apart)
            row_to_intensity(in, width, intensity);
        row_to_values(is_apart ? &grey : picture, is_apart ? intensity : in, width, y, format->kind, row);
        for (size_t i = 0; gain_db != 0.0 && i < values; i++)
            row[i] = amplified[row[i]];
        if (format->layout != BYTES)
            pack(format, own_row, width, out + y * pitch);
    }
}
