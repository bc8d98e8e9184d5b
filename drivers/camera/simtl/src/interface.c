/* The one interface with the list of its devices, and the local side of a device: IF and Dev entry points. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "device.h"
#include "interface.h"
#include "library.h"

#define DEVICE_ID "SIMTL_%d"

/* ---- interface -------------------------------------------------------------------------------------------------- */

void interface_close(void)
{
    library.interface = NULL;
    library.listed_count = 0;
    for (int i = 0; i < DEVICES_MAX; i++)
        device_close(&devices[i]);
}

GC_ERROR interface_info(int32_t command, struct answer to)
{
    switch (command) {
    case INTERFACE_INFO_ID:
    case INTERFACE_INFO_DISPLAYNAME:
        return answer_string(to, INTERFACE_ID);
    case INTERFACE_INFO_TLTYPE:
        return answer_string(to, TL_TYPE);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no interface info %d", command);
    }
}

GENTL_API IFClose(HANDLE interface)
{
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    interface_close();
    library_unlock();
    return GC_ERR_SUCCESS;
}

GENTL_API IFGetInfo(HANDLE interface, int32_t command, int32_t *type, void *out, size_t *size)
{
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    library_unlock();
    return interface_info(command, (struct answer){type, out, size});
}

GENTL_API IFGetParentTL(HANDLE interface, HANDLE *system)
{
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (system)
        *system = library.system;
    else
        error = failed(GC_ERR_INVALID_PARAMETER, "IFGetParentTL: the handle parameter is NULL");
    library_unlock();
    return error;
}

/* An unplugged device is not found, as on a real bus. */
GENTL_API IFUpdateDeviceList(HANDLE interface, bool8_t *has_changed, uint64_t timeout_ms)
{
    (void)timeout_ms;
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    int found[DEVICES_MAX] = {0};
    uint32_t count = 0;
    for (int i = 0; i < library.device_count; i++)
        if (!scene_is_unplugged(i))
            found[count++] = i;
    if (has_changed)
        *has_changed = count != library.listed_count || memcmp(found, library.listed, count * sizeof *found) != 0;
    memcpy(library.listed, found, sizeof found);
    library.listed_count = count;
    library_unlock();
    return GC_ERR_SUCCESS;
}

GENTL_API IFGetNumDevices(HANDLE interface, uint32_t *count)
{
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (count)
        *count = library.listed_count;
    else
        error = failed(GC_ERR_INVALID_PARAMETER, "IFGetNumDevices: the count parameter is NULL");
    library_unlock();
    return error;
}

static GC_ERROR answer_device_id(struct answer to, int index)
{
    char id[32];
    snprintf(id, sizeof id, DEVICE_ID, index);
    return answer_string(to, id);
}

GENTL_API IFGetDeviceID(HANDLE interface, uint32_t index, char *out, size_t *size)
{
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    GC_ERROR error;
    if (index < library.listed_count)
        error = answer_device_id((struct answer){NULL, out, size}, library.listed[index]);
    else
        error = failed(GC_ERR_INVALID_INDEX, "device %u: %u are listed", index, library.listed_count);
    library_unlock();
    return error;
}

/* The device with this id, found or not; NULL with the error kept. */
static struct device *find_device(const char *id)
{
    char known[32];
    for (int i = 0; id && i < library.device_count; i++) {
        snprintf(known, sizeof known, DEVICE_ID, i);
        if (strcmp(id, known) == 0)
            return &devices[i];
    }
    failed(id ? GC_ERR_INVALID_ID : GC_ERR_INVALID_PARAMETER, "no device \"%s\"", id ? id : "NULL");
    return NULL;
}

static int32_t access_status(const struct device *device)
{
    if (device->state == DEVICE_OPEN && scene_is_plugged(&device->scene))
        return DEVICE_ACCESS_STATUS_OPEN_READWRITE;
    return scene_is_unplugged(device->index) ? DEVICE_ACCESS_STATUS_NOACCESS : DEVICE_ACCESS_STATUS_READWRITE;
}

static GC_ERROR device_info(const struct device *device, int32_t command, struct answer to)
{
    const struct identity *identity = &device->registers.identity;
    switch (command) {
    case DEVICE_INFO_ID:
        return answer_device_id(to, device->index);
    case DEVICE_INFO_VENDOR:
        return answer_string(to, identity->vendor_name);
    case DEVICE_INFO_MODEL:
        return answer_string(to, identity->model_name);
    case DEVICE_INFO_TLTYPE:
        return answer_string(to, TL_TYPE);
    case DEVICE_INFO_DISPLAYNAME:
    case DEVICE_INFO_USER_DEFINED_NAME:
        return answer_string(to, identity->user_id);
    case DEVICE_INFO_ACCESS_STATUS:
        return answer_int32(to, access_status(device));
    case DEVICE_INFO_SERIAL_NUMBER:
        return answer_string(to, identity->serial_number);
    case DEVICE_INFO_VERSION:
        return answer_string(to, identity->firmware_version);
    case DEVICE_INFO_TIMESTAMP_FREQUENCY: /* nanoseconds */
        return answer_uint64(to, 1000000000);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no device info %d", command);
    }
}

GENTL_API IFGetDeviceInfo(HANDLE interface, const char *id, int32_t command, int32_t *type, void *out, size_t *size)
{
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    GC_ERROR error;
    struct device *device = find_device(id);
    if (device) {
        pthread_mutex_lock(&device->lock);
        error = device_info(device, command, (struct answer){type, out, size});
        pthread_mutex_unlock(&device->lock);
    } else {
        error = last_error_code();
    }
    library_unlock();
    return error;
}

GENTL_API IFOpenDevice(HANDLE interface, const char *id, int32_t flags, HANDLE *device_handle)
{
    (void)flags; /* always exclusive */
    if (!library_lock(interface, HANDLE_INTERFACE))
        return last_error_code();
    struct device *device = find_device(id);
    GC_ERROR error = device ? GC_ERR_SUCCESS : last_error_code();
    if (!error && !device_handle)
        error = failed(GC_ERR_INVALID_PARAMETER, "IFOpenDevice: the handle parameter is NULL");
    if (!error)
        error = device_open(device, device_handle);
    library_unlock();
    return error;
}

/* ---- device ----------------------------------------------------------------------------------------------------- */

GENTL_API DevClose(HANDLE device_handle)
{
    struct device *device = device_lock(device_handle, HANDLE_DEVICE);
    if (!device)
        return last_error_code();
    device_close_locked(device);
    device_unlock(device);
    return GC_ERR_SUCCESS;
}

GENTL_API DevGetInfo(HANDLE device_handle, int32_t command, int32_t *type, void *out, size_t *size)
{
    struct device *device = device_lock(device_handle, HANDLE_DEVICE);
    if (!device)
        return last_error_code();
    GC_ERROR error = device_info(device, command, (struct answer){type, out, size});
    device_unlock(device);
    return error;
}

GENTL_API DevGetParentIF(HANDLE device_handle, HANDLE *interface)
{
    struct device *device = device_lock(device_handle, HANDLE_DEVICE);
    if (!device)
        return last_error_code();
    device_unlock(device); /* before the library's lock */
    if (!interface)
        return failed(GC_ERR_INVALID_PARAMETER, "DevGetParentIF: the handle parameter is NULL");
    pthread_mutex_lock(&library.lock);
    *interface = library.interface;
    library_unlock();
    return GC_ERR_SUCCESS;
}

GENTL_API DevGetPort(HANDLE device_handle, HANDLE *port)
{
    struct device *device = device_lock(device_handle, HANDLE_DEVICE);
    if (!device)
        return last_error_code();
    GC_ERROR error = GC_ERR_SUCCESS;
    if (port)
        *port = device->handles[HANDLE_REMOTE_DEVICE];
    else
        error = failed(GC_ERR_INVALID_PARAMETER, "DevGetPort: the handle parameter is NULL");
    device_unlock(device);
    return error;
}

GENTL_API DevGetNumDataStreams(HANDLE device_handle, uint32_t *count)
{
    struct device *device = device_lock(device_handle, HANDLE_DEVICE);
    if (!device)
        return last_error_code();
    device_unlock(device);
    if (!count)
        return failed(GC_ERR_INVALID_PARAMETER, "DevGetNumDataStreams: the count parameter is NULL");
    *count = 1;
    return GC_ERR_SUCCESS;
}

GENTL_API DevGetDataStreamID(HANDLE device_handle, uint32_t index, char *out, size_t *size)
{
    struct device *device = device_lock(device_handle, HANDLE_DEVICE);
    if (!device)
        return last_error_code();
    device_unlock(device);
    if (index != 0)
        return failed(GC_ERR_INVALID_INDEX, "data stream %u: there is one", index);
    return answer_string((struct answer){NULL, out, size}, STREAM_ID);
}
