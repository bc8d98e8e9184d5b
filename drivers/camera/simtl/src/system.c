/* The producer itself: GC and TL entry points. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "interface.h"
#include "library.h"
#include "lies.h"

/* ---- library ---------------------------------------------------------------------------------------------------- */

static int device_count(void)
{
    const char *text = getenv("SIMTL_DEVICES");
    char *end;
    if (!text)
        return 1;
    long count = strtol(text, &end, 10);
    return *text && !*end && count >= 1 && count <= DEVICES_MAX ? (int)count : 0;
}

GENTL_API GCInitLib(void)
{
    GC_ERROR error = GC_ERR_SUCCESS;
    int count = device_count();
    pthread_mutex_lock(&library.lock);
    if (library.is_initialised) {
        error = failed(GC_ERR_RESOURCE_IN_USE, "GCInitLib was called already");
    } else if (count == 0) {
        error = failed(GC_ERR_INVALID_PARAMETER, "SIMTL_DEVICES=\"%s\": 1 to %d allowed", getenv("SIMTL_DEVICES"),
                       DEVICES_MAX);
    } else {
        library.device_count = count;
        lies_open();
        __atomic_store_n(&library.is_initialised, true, __ATOMIC_RELEASE);
    }
    library_unlock();
    return error;
}

GENTL_API GCCloseLib(void)
{
    pthread_mutex_lock(&library.lock);
    bool was_initialised = library.is_initialised;
    if (was_initialised) {
        library.system = NULL;
        interface_close();
        __atomic_store_n(&library.is_initialised, false, __ATOMIC_RELEASE);
    }
    library_unlock();
    return was_initialised ? GC_ERR_SUCCESS : failed(GC_ERR_NOT_INITIALIZED, "GCInitLib was not called");
}

GENTL_API GCGetLastError(int32_t *code, char *text, size_t *size)
{
    if (code)
        *code = last_error_code();
    return answer_string((struct answer){NULL, text, size}, last_error_text());
}

static GC_ERROR system_info(int32_t command, struct answer to)
{
    Dl_info here = {0};
    const char *path = dladdr((void *)system_info, &here) && here.dli_fname ? here.dli_fname : "simtl.cti";
    const char *slash = strrchr(path, '/');
    switch (command) {
    case TL_INFO_ID:
    case TL_INFO_VENDOR:
    case TL_INFO_MODEL:
        return answer_string(to, "SimTL");
    case TL_INFO_VERSION:
        return answer_string(to, "1.0");
    case TL_INFO_TLTYPE:
        return answer_string(to, TL_TYPE);
    case TL_INFO_NAME:
        return answer_string(to, slash ? slash + 1 : path);
    case TL_INFO_PATHNAME:
        return answer_string(to, path);
    case TL_INFO_DISPLAYNAME:
        return answer_string(to, "SimTL software cameras");
    case TL_INFO_CHAR_ENCODING: /* ASCII */
        return answer_int32(to, 0);
    case TL_INFO_GENTL_VER_MAJOR:
        return answer_uint32(to, 1);
    case TL_INFO_GENTL_VER_MINOR:
        return answer_uint32(to, 5);
    default:
        return failed(GC_ERR_NOT_AVAILABLE, "no producer info %d", command);
    }
}

GENTL_API GCGetInfo(int32_t command, int32_t *type, void *out, size_t *size)
{
    return system_info(command, (struct answer){type, out, size});
}

/* ---- system ----------------------------------------------------------------------------------------------------- */

GENTL_API TLOpen(HANDLE *system)
{
    if (!library_is_initialised())
        return failed(GC_ERR_NOT_INITIALIZED, "GCInitLib was not called");
    if (!system)
        return failed(GC_ERR_INVALID_PARAMETER, "TLOpen: the handle parameter is NULL");
    GC_ERROR error = GC_ERR_SUCCESS;
    pthread_mutex_lock(&library.lock);
    if (library.system)
        error = failed(GC_ERR_RESOURCE_IN_USE, "the producer is open already");
    else
        *system = library.system = handle_new(HANDLE_SYSTEM, 0, 0);
    library_unlock();
    return error;
}

GENTL_API TLClose(HANDLE system)
{
    if (!library_lock(system, HANDLE_SYSTEM))
        return last_error_code();
    library.system = NULL;
    interface_close();
    library_unlock();
    return GC_ERR_SUCCESS;
}

GENTL_API TLGetInfo(HANDLE system, int32_t command, int32_t *type, void *out, size_t *size)
{
    if (!library_lock(system, HANDLE_SYSTEM))
        return last_error_code();
    library_unlock();
    return system_info(command, (struct answer){type, out, size});
}

GENTL_API TLUpdateInterfaceList(HANDLE system, bool8_t *has_changed, uint64_t timeout_ms)
{
    (void)timeout_ms;
    if (!library_lock(system, HANDLE_SYSTEM))
        return last_error_code();
    library_unlock();
    if (has_changed)
        *has_changed = 0;
    return GC_ERR_SUCCESS;
}

GENTL_API TLGetNumInterfaces(HANDLE system, uint32_t *count)
{
    if (!library_lock(system, HANDLE_SYSTEM))
        return last_error_code();
    library_unlock();
    if (!count)
        return failed(GC_ERR_INVALID_PARAMETER, "TLGetNumInterfaces: the count parameter is NULL");
    *count = 1;
    return GC_ERR_SUCCESS;
}

GENTL_API TLGetInterfaceID(HANDLE system, uint32_t index, char *out, size_t *size)
{
    if (!library_lock(system, HANDLE_SYSTEM))
        return last_error_code();
    library_unlock();
    if (index != 0)
        return failed(GC_ERR_INVALID_INDEX, "interface %u: there is one", index);
    return answer_string((struct answer){NULL, out, size}, INTERFACE_ID);
}

static GC_ERROR check_interface_id(const char *id)
{
    if (!id)
        return failed(GC_ERR_INVALID_PARAMETER, "the interface id is NULL");
    if (strcmp(id, INTERFACE_ID) != 0)
        return failed(GC_ERR_INVALID_ID, "interface \"%s\": there is only \"%s\"", id, INTERFACE_ID);
    return GC_ERR_SUCCESS;
}

GENTL_API TLGetInterfaceInfo(HANDLE system, const char *id, int32_t command, int32_t *type, void *out, size_t *size)
{
    if (!library_lock(system, HANDLE_SYSTEM))
        return last_error_code();
    library_unlock();
    GC_ERROR error = check_interface_id(id);
    return error ? error : interface_info(command, (struct answer){type, out, size});
}

GENTL_API TLOpenInterface(HANDLE system, const char *id, HANDLE *interface)
{
    if (!library_lock(system, HANDLE_SYSTEM))
        return last_error_code();
    GC_ERROR error = check_interface_id(id);
    if (!error && !interface)
        error = failed(GC_ERR_INVALID_PARAMETER, "TLOpenInterface: the handle parameter is NULL");
    if (!error && library.interface)
        error = failed(GC_ERR_RESOURCE_IN_USE, "the interface is open already");
    if (!error)
        *interface = library.interface = handle_new(HANDLE_INTERFACE, 0, 0);
    library_unlock();
    return error;
}
