/* Ports: the remote device's registers with their rules, and its GenICam XML. The other modules have no registers. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "clock.h"
#include "device.h"
#include "library.h"
#include "render.h"

/* ---- rules of the registers -------------------------------------------------------------------------------------- */

enum rule_kind { NUMBER, REAL, TEXT };

/* A register that may be written, and which values it takes. All others are read-only. */
struct rule {
    size_t address;
    size_t size;
    enum rule_kind kind;
    bool is_locked; /* while acquiring */
    double minimum;
    double maximum;
};

#define REGISTER(field) offsetof(struct registers, field), sizeof((struct registers){0}.field)
#define PIXELS_MAX 16384 /* width and height are checked against the sensor besides */

static const struct rule rules[] = {
    {REGISTER(width), NUMBER, true, 1, PIXELS_MAX},
    {REGISTER(height), NUMBER, true, 1, PIXELS_MAX},
    {REGISTER(pixel_format), NUMBER, true, 0, UINT32_MAX},
    {REGISTER(tl_params_locked), NUMBER, false, 0, 1},
    {REGISTER(chunk_mode_active), NUMBER, true, 0, 1},
    {REGISTER(acquisition_mode), NUMBER, true, ACQUISITION_CONTINUOUS, ACQUISITION_SINGLE_FRAME},
    {REGISTER(acquisition_start), NUMBER, false, 1, 1},
    {REGISTER(acquisition_stop), NUMBER, false, 1, 1},
    {REGISTER(trigger_mode), NUMBER, false, TRIGGER_OFF, TRIGGER_ON},
    {REGISTER(trigger_source), NUMBER, false, TRIGGER_SOFTWARE, TRIGGER_LINE1},
    {REGISTER(trigger_activation), NUMBER, false, RISING_EDGE, ANY_EDGE},
    {REGISTER(trigger_software), NUMBER, false, 1, 1},
    {REGISTER(frame_rate_hz), REAL, false, 0.1, 1000.0},
    {REGISTER(exposure_time_us), REAL, false, 10.0, 1000000.0},
    {REGISTER(gain_db), REAL, false, 0.0, 24.0},
    {REGISTER(timestamp_latch), NUMBER, false, 1, 1},
    {REGISTER(line_selector), NUMBER, false, LINE1, LINE3},
    {REGISTER(line_source[LINE2]), NUMBER, false, SOURCE_OFF, SOURCE_USER_OUTPUT2},
    {REGISTER(line_source[LINE3]), NUMBER, false, SOURCE_OFF, SOURCE_USER_OUTPUT2},
    {REGISTER(user_output_selector), NUMBER, false, 0, USER_OUTPUTS - 1},
    {REGISTER(user_output_value[0]), NUMBER, false, 0, 1},
    {REGISTER(user_output_value[1]), NUMBER, false, 0, 1},
    {REGISTER(identity.user_id), TEXT, false, 0, 0},
    {REGISTER(component_selector), NUMBER, false, COMPONENT_INTENSITY, COMPONENT_CONFIDENCE},
    {REGISTER(component_enable[COMPONENT_INTENSITY]), NUMBER, true, 0, 1},
    {REGISTER(component_enable[COMPONENT_RANGE]), NUMBER, true, 0, 1},
    {REGISTER(component_enable[COMPONENT_CONFIDENCE]), NUMBER, true, 0, 1},
    {REGISTER(scan3d_output_mode), NUMBER, true, OUTPUT_UNCALIBRATED_C, OUTPUT_RECTIFIED_C},
    {REGISTER(scan3d_scale[COORDINATE_A]), REAL, true, 1e-6, 1e3},
    {REGISTER(scan3d_scale[COORDINATE_B]), REAL, true, 1e-6, 1e3},
    {REGISTER(scan3d_scale[COORDINATE_C]), REAL, true, 1e-6, 1e3},
    {REGISTER(scan3d_offset[COORDINATE_A]), REAL, true, -1e6, 1e6},
    {REGISTER(scan3d_offset[COORDINATE_B]), REAL, true, -1e6, 1e6},
    {REGISTER(scan3d_offset[COORDINATE_C]), REAL, true, -1e6, 1e6},
    {REGISTER(scan3d_invalid_value), REAL, true, 0, UINT16_MAX},
    {REGISTER(scan3d_invalid_flag), NUMBER, true, 0, 1},
    {REGISTER(scan3d_coordinate_selector), NUMBER, false, COORDINATE_A, COORDINATE_C},
    {REGISTER(scan3d_distance_unit), NUMBER, true, UNIT_MILLIMETER, UNIT_INCH},
};

static const struct rule *find_rule(uint64_t address, size_t size)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].address == address && rules[i].size == size)
            return &rules[i];
    return NULL;
}

/* A camera without any component would send nothing at all. */
static bool is_last_component(uint64_t address, const struct registers *registers)
{
    unsigned others = 0;
    bool is_one = false;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        if (address == offsetof(struct registers, component_enable) + i * sizeof(uint32_t))
            is_one = true;
        else
            others += registers->component_enable[i];
    }
    return is_one && !others;
}

static bool is_sensible(const struct rule *rule, const struct registers *registers, const void *data)
{
    uint32_t number = 0;
    double value = 0.0;
    switch (rule->kind) {
    case TEXT:
        return memchr(data, '\0', rule->size) != NULL;
    case REAL:
        memcpy(&value, data, sizeof value);
        break;
    case NUMBER:
        memcpy(&number, data, sizeof number);
        value = number;
        break;
    }
    if (rule->address == offsetof(struct registers, width) && number > registers->width_max)
        return false;
    if (rule->address == offsetof(struct registers, height) && number > registers->height_max)
        return false;
    if (rule->address == offsetof(struct registers, pixel_format))
        return render_knows(number, registers->component_selector);
    if (!number && is_last_component(rule->address, registers))
        return false;
    return value >= rule->minimum && value <= rule->maximum; /* NaN is neither */
}

/* What a register does when it is written. */
static void take_effect(struct device *device, uint64_t address)
{
    struct registers *registers = &device->registers;
    switch (address) {
    case offsetof(struct registers, acquisition_start):
        sensor_start(device);
        break;
    case offsetof(struct registers, acquisition_stop):
        sensor_stop(device);
        break;
    case offsetof(struct registers, trigger_software):
        sensor_trigger(device, TRIGGER_SOFTWARE, clock_now_ns());
        break;
    case offsetof(struct registers, timestamp_latch):
        registers->timestamp_latch_value = device_clock_ns(device, clock_now_ns());
        break;
    case offsetof(struct registers, component_selector):
        registers->pixel_format = registers->component_format[registers->component_selector];
        break;
    default:
        registers->component_format[registers->component_selector] = registers->pixel_format;
        registers->payload_size = device_payload_size(registers);
        sensor_update_outputs(device);
        pthread_cond_signal(&device->sensor_wake); /* trigger mode or frame rate may be new */
    }
}

static GC_ERROR write_register(struct device *device, uint64_t address, const void *data, size_t size)
{
    const struct rule *rule = find_rule(address, size);
    if (!rule)
        return failed(GC_ERR_INVALID_ADDRESS, "no register of %zu bytes to write at address 0x%llx", size,
                      (unsigned long long)address);
    if (rule->is_locked && (device->is_acquiring || device->registers.tl_params_locked))
        return failed(GC_ERR_ACCESS_DENIED, "register 0x%llx is locked while acquiring", (unsigned long long)address);
    if (!is_sensible(rule, &device->registers, data))
        return failed(GC_ERR_INVALID_VALUE, "register 0x%llx does not take this value", (unsigned long long)address);
    memcpy((uint8_t *)&device->registers + address, data, size);
    take_effect(device, address);
    return GC_ERR_SUCCESS;
}

static bool is_inside(uint64_t address, size_t size, uint64_t start, size_t length)
{
    return address >= start && address - start <= length && size <= length - (address - start);
}

static GC_ERROR read_registers(const struct device *device, uint64_t address, void *data, size_t size)
{
    size_t xml_size = (size_t)(camera_xml_end - camera_xml);
    uint32_t encoder = scene_encoder(&device->scene);
    if (address == offsetof(struct registers, encoder_value) && size == sizeof encoder)
        memcpy(data, &encoder, size);
    else if (is_inside(address, size, 0, sizeof device->registers))
        memcpy(data, (const uint8_t *)&device->registers + address, size);
    else if (is_inside(address, size, XML_ADDRESS, xml_size))
        memcpy(data, camera_xml + (address - XML_ADDRESS), size);
    else
        return failed(GC_ERR_INVALID_ADDRESS, "no %zu bytes to read at address 0x%llx", size,
                      (unsigned long long)address);
    return GC_ERR_SUCCESS;
}

/* ---- entry points ----------------------------------------------------------------------------------------------- */

/* The remote device behind a port, locked; NULL with the error kept. Other modules are there but have no registers. */
static struct device *lock_port(HANDLE port)
{
    enum handle_kind kind = handle_kind(port);
    if (kind == HANDLE_DEVICE || kind == HANDLE_STREAM) {
        struct device *device = device_lock(port, kind);
        if (!device)
            return NULL;
        device_unlock(device);
    }
    if (kind == HANDLE_DEVICE || kind == HANDLE_STREAM || library_knows(port)) {
        failed(GC_ERR_NOT_AVAILABLE, "only the port of a remote device has registers");
        return NULL;
    }
    return device_lock(port, HANDLE_REMOTE_DEVICE);
}

static GC_ERROR check_access(const struct device *device, const void *data, const size_t *size)
{
    if (!data || !size)
        return failed(GC_ERR_INVALID_PARAMETER, "port access: a parameter is NULL");
    if (!scene_is_plugged(&device->scene))
        return failed(GC_ERR_IO, "device %d does not answer: it was unplugged", device->index);
    return GC_ERR_SUCCESS;
}

static const char *port_name(enum handle_kind kind)
{
    static const char *const names[] = {
        [HANDLE_SYSTEM] = "TLPort",        [HANDLE_INTERFACE] = "InterfacePort", [HANDLE_DEVICE] = "DevicePort",
        [HANDLE_REMOTE_DEVICE] = "Device", [HANDLE_STREAM] = "StreamPort",
    };
    return names[kind];
}

static const char *module_name(enum handle_kind kind)
{
    static const char *const names[] = {
        [HANDLE_SYSTEM] = "TLSystem",      [HANDLE_INTERFACE] = "TLInterface", [HANDLE_DEVICE] = "TLDevice",
        [HANDLE_REMOTE_DEVICE] = "Device", [HANDLE_STREAM] = "TLDataStream",
    };
    return names[kind];
}

static GC_ERROR port_info(enum handle_kind kind, int32_t command, struct answer to)
{
    bool has_registers = kind == HANDLE_REMOTE_DEVICE;
    switch (command) {
    case PORT_INFO_ID:
    case PORT_INFO_PORTNAME:
        return answer_string(to, port_name(kind));
    case PORT_INFO_VENDOR:
        return answer_string(to, devices[0].registers.identity.vendor_name);
    case PORT_INFO_MODEL:
        return answer_string(to, devices[0].registers.identity.model_name);
    case PORT_INFO_TLTYPE:
        return answer_string(to, TL_TYPE);
    case PORT_INFO_MODULE:
        return answer_string(to, module_name(kind));
    case PORT_INFO_LITTLE_ENDIAN:
        return answer_bool(to, 1);
    case PORT_INFO_BIG_ENDIAN:
        return answer_bool(to, 0);
    case PORT_INFO_ACCESS_READ:
    case PORT_INFO_ACCESS_WRITE:
        return answer_bool(to, has_registers);
    case PORT_INFO_ACCESS_NA:
    case PORT_INFO_ACCESS_NI:
        return answer_bool(to, !has_registers);
    case PORT_INFO_VERSION:
        return answer_string(to, "1.0");
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no port info %d", command);
    }
}

GENTL_API GCGetPortInfo(HANDLE port, int32_t command, int32_t *type, void *out, size_t *size)
{
    struct answer to = {type, out, size};
    enum handle_kind kind = handle_kind(port);
    if (library_knows(port))
        return port_info(kind, command, to);
    if (kind == HANDLE_EVENT || kind >= DEVICE_HANDLES)
        kind = HANDLE_REMOTE_DEVICE; /* no port: fails below */
    struct device *device = device_lock(port, kind);
    if (!device)
        return last_error_code();
    device_unlock(device);
    return port_info(kind, command, to);
}

GENTL_API GCReadPort(HANDLE port, uint64_t address, void *out, size_t *size)
{
    struct device *device = lock_port(port);
    if (!device)
        return last_error_code();
    GC_ERROR error = check_access(device, out, size);
    if (!error)
        error = read_registers(device, address, out, *size);
    device_unlock(device);
    return error;
}

GENTL_API GCWritePort(HANDLE port, uint64_t address, const void *data, size_t *size)
{
    struct device *device = lock_port(port);
    if (!device)
        return last_error_code();
    GC_ERROR error = check_access(device, data, size);
    if (!error)
        error = write_register(device, address, data, *size);
    device_unlock(device);
    return error;
}

typedef GC_ERROR (*port_access)(HANDLE port, PORT_REGISTER_STACK_ENTRY *entry);

static GC_ERROR read_entry(HANDLE port, PORT_REGISTER_STACK_ENTRY *entry)
{
    size_t size = entry->Size;
    return GCReadPort(port, entry->Address, entry->pBuffer, &size);
}

static GC_ERROR write_entry(HANDLE port, PORT_REGISTER_STACK_ENTRY *entry)
{
    size_t size = entry->Size;
    return GCWritePort(port, entry->Address, entry->pBuffer, &size);
}

/* One after the other; `count` returns how many went well. */
static GC_ERROR access_stacked(HANDLE port, PORT_REGISTER_STACK_ENTRY *entries, size_t *count, port_access access)
{
    struct device *device = lock_port(port);
    if (!device)
        return last_error_code();
    device_unlock(device);
    if (!entries || !count)
        return failed(GC_ERR_INVALID_PARAMETER, "stacked port access: a parameter is NULL");
    for (size_t done = 0; done < *count; done++) {
        GC_ERROR error = access(port, &entries[done]);
        if (error) {
            *count = done;
            return error;
        }
    }
    return GC_ERR_SUCCESS;
}

GENTL_API GCReadPortStacked(HANDLE port, PORT_REGISTER_STACK_ENTRY *entries, size_t *count)
{
    return access_stacked(port, entries, count, read_entry);
}

GENTL_API GCWritePortStacked(HANDLE port, PORT_REGISTER_STACK_ENTRY *entries, size_t *count)
{
    return access_stacked(port, entries, count, write_entry);
}

GENTL_API GCGetNumPortURLs(HANDLE port, uint32_t *count)
{
    struct device *device = lock_port(port);
    if (!device)
        return last_error_code();
    device_unlock(device);
    if (!count)
        return failed(GC_ERR_INVALID_PARAMETER, "GCGetNumPortURLs: the count parameter is NULL");
    *count = 1;
    return GC_ERR_SUCCESS;
}

static GC_ERROR url_info(int32_t command, struct answer to)
{
    char url[128];
    size_t xml_size = (size_t)(camera_xml_end - camera_xml);
    switch (command) {
    case URL_INFO_URL:
        snprintf(url, sizeof url, "Local:%s;%llx;%zx", XML_FILE_NAME, (unsigned long long)XML_ADDRESS, xml_size);
        return answer_string(to, url);
    case URL_INFO_SCHEMA_VER_MAJOR:
    case URL_INFO_SCHEMA_VER_MINOR:
    case URL_INFO_FILE_VER_MAJOR:
        return answer_int32(to, 1);
    case URL_INFO_FILE_VER_MINOR:
    case URL_INFO_FILE_VER_SUBMINOR:
    case URL_INFO_SCHEME: /* local */
        return answer_int32(to, 0);
    case URL_INFO_FILE_REGISTER_ADDRESS:
        return answer_uint64(to, XML_ADDRESS);
    case URL_INFO_FILE_SIZE:
        return answer_uint64(to, xml_size);
    case URL_INFO_FILENAME:
        return answer_string(to, XML_FILE_NAME);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no URL info %d", command);
    }
}

GENTL_API GCGetPortURLInfo(HANDLE port, uint32_t index, int32_t command, int32_t *type, void *out, size_t *size)
{
    struct device *device = lock_port(port);
    if (!device)
        return last_error_code();
    device_unlock(device);
    if (index != 0)
        return failed(GC_ERR_INVALID_INDEX, "URL %u: there is one", index);
    return url_info(command, (struct answer){type, out, size});
}

GENTL_API GCGetPortURL(HANDLE port, char *out, size_t *size)
{
    return GCGetPortURLInfo(port, 0, URL_INFO_URL, NULL, out, size);
}
