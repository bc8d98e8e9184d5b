/* The registers of the remote device. An address is an offset into this struct; camera.xml names the same addresses.
 *
 * Registers hold what GenApi writes and reads. What a write does beyond keeping the value stands in port.c.
 */
#ifndef SIMTL_REGISTERS_H
#define SIMTL_REGISTERS_H

#include <stddef.h>
#include <stdint.h>

enum acquisition_mode { ACQUISITION_CONTINUOUS, ACQUISITION_SINGLE_FRAME };
enum trigger_mode { TRIGGER_OFF, TRIGGER_ON };
enum trigger_source { TRIGGER_SOFTWARE, TRIGGER_LINE1 };
enum trigger_activation { RISING_EDGE, FALLING_EDGE, ANY_EDGE };
enum line { LINE1, LINE2, LINE3, LINES };
enum line_mode { LINE_INPUT, LINE_OUTPUT };
enum line_source { SOURCE_OFF, SOURCE_USER_OUTPUT1, SOURCE_USER_OUTPUT2 };
enum { USER_OUTPUTS = 2 };
enum component { COMPONENT_INTENSITY, COMPONENT_RANGE, COMPONENT_CONFIDENCE, COMPONENTS };
enum output_mode { OUTPUT_UNCALIBRATED_C, OUTPUT_CALIBRATED_C, OUTPUT_RECTIFIED_C };
enum coordinate { COORDINATE_A, COORDINATE_B, COORDINATE_C, COORDINATES };
enum distance_unit { UNIT_MILLIMETER, UNIT_INCH };

struct identity {
    char vendor_name[64];
    char model_name[64];
    char serial_number[64];
    char firmware_version[64];
    char user_id[64];
};

struct registers {
    /* 0x000 image format */
    uint32_t width;
    uint32_t height;
    uint32_t width_max;
    uint32_t height_max;
    uint32_t pixel_format;
    uint32_t payload_size;
    uint32_t tl_params_locked;
    uint32_t chunk_mode_active;
    /* 0x020 acquisition */
    uint32_t acquisition_mode;
    uint32_t acquisition_start;
    uint32_t acquisition_stop;
    uint32_t trigger_mode;
    uint32_t trigger_source;
    uint32_t trigger_activation;
    uint32_t trigger_software;
    uint32_t reserved_acquisition;
    /* 0x040 */
    double frame_rate_hz;
    double exposure_time_us;
    double gain_db;
    uint64_t timestamp_latch_value;
    uint32_t timestamp_latch;
    uint32_t encoder_value; /* read from the scene */
    /* 0x068 digital lines */
    uint32_t line_selector;
    uint32_t line_mode[LINES];
    uint32_t line_status[LINES];
    uint32_t line_source[LINES];
    uint32_t user_output_selector;
    uint32_t user_output_value[USER_OUTPUTS];
    uint32_t reserved_lines[5];
    /* 0x0b0 */
    struct identity identity;
    /* 0x1f0 components, and heights: `pixel_format` above is that of the selected component */
    uint32_t component_selector;
    uint32_t component_enable[COMPONENTS];
    uint32_t component_format[COMPONENTS];
    uint32_t scan3d_output_mode;
    /* 0x210 */
    double scan3d_scale[COORDINATES];
    double scan3d_offset[COORDINATES];
    double scan3d_invalid_value;
    uint32_t scan3d_invalid_flag;
    uint32_t scan3d_coordinate_selector;
    uint32_t scan3d_distance_unit;
    uint32_t reserved_scan3d;
};

_Static_assert(offsetof(struct registers, acquisition_mode) == 0x020, "camera.xml");
_Static_assert(offsetof(struct registers, frame_rate_hz) == 0x040, "camera.xml");
_Static_assert(offsetof(struct registers, line_selector) == 0x068, "camera.xml");
_Static_assert(offsetof(struct registers, identity) == 0x0b0, "camera.xml");
_Static_assert(offsetof(struct registers, component_selector) == 0x1f0, "camera.xml");
_Static_assert(offsetof(struct registers, scan3d_scale) == 0x210, "camera.xml");
_Static_assert(offsetof(struct registers, scan3d_invalid_value) == 0x240, "camera.xml");

#define XML_ADDRESS UINT64_C(0x10000)
#define XML_FILE_NAME "simtl_camera.xml"

/* camera.xml, linked into the producer. */
extern const char camera_xml[];
extern const char camera_xml_end[];

#endif
